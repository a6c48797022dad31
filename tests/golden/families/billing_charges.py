"""Worked numbers of charge models: what usage costs, by the tiers, packages and percents of terms.

Where systems disagree about no usage, the case says what they do and the player names the setting
`at_zero` that does the same; a case that says nothing has ours (`nothing`), but for the models of
which only systems that charge the first tier's flat show numbers.
"""

from decimal import Decimal
from fractions import Fraction
from typing import Final

from farebox.billing.pricing.model_charges import (
    AtZero,
    Blocks,
    BlockScope,
    BlockTier,
    Charge,
    Dynamic,
    Graduated,
    GraduatedPercentage,
    Package,
    Percentage,
    PercentTier,
    PerUnit,
    Tier,
    Volume,
    Whole,
)
from farebox.billing.pricing.model_rating import ChargeTerms, Usage
from farebox.billing.pricing.rules_charges import pieces, rate
from farebox.billing.pricing.rules_tiers import graduated_prorated
from farebox.kernel.rounding import rounded_to
from tests.golden.cases import Strange
from tests.golden.worked import Player, Said, Sheet, Worked

_NOTHING: Final = Decimal(0)
_ENTERED: Final = "tier entered; first tier also at quantity 0"
_UP: Final = "rounded up"
_CUMULATIVE: Final = (
    "cumulative capacity block_size*max_blocks, inclusive; above the last tier the last tier "
    "applies"
)


# -- reading -------------------------------------------------------------------------------------


def optional(sheet: Sheet, name: str) -> Decimal | None:
    """Return a number, None where it is null or not said."""
    if name not in sheet or sheet.raw(name) is None:
        return None
    return sheet.number(name)


def number_or(sheet: Sheet, name: str, otherwise: Decimal) -> Decimal:
    found = optional(sheet, name)
    return otherwise if found is None else found


def count_or_none(sheet: Sheet, name: str) -> int | None:
    return None if optional(sheet, name) is None else sheet.whole(name)


def in_minor(sheet: Sheet) -> None:
    """Read that amounts are smallest units: exact rules give them back in the same unit."""
    if "amount_unit" in sheet:
        sheet.text("amount_unit", "minor", "major")


def tiers_of(sheet: Sheet) -> tuple[Tier, ...]:
    tiers: list[Tier] = []
    ends = Decimal(0)
    for row in sheet.each("tiers"):
        tier = Tier(
            up_to=optional(row, "up_to"),
            unit=number_or(row, "unit", _NOTHING),
            flat=number_or(row, "flat", _NOTHING),
            cap=optional(row, "cap"),
        )
        if "from" in row and tiers and row.number("from") not in {ends, ends + 1}:
            raise Strange("a tier begins where the one before ends")
        tiers.append(tier)
        ends = tier.up_to or ends
    return tuple(tiers)


def at_zero(sheet: Sheet, otherwise: AtZero = "nothing") -> AtZero:
    """Return the setting that a case's words about no usage mean."""
    if "unit_flat_billed_when" in sheet:
        sheet.text("unit_flat_billed_when", _ENTERED)
        return "first_tier_flat"
    if "flat_at_zero" in sheet:
        return "first_tier_flat" if sheet.flag("flat_at_zero") else "nothing"
    return otherwise


def graduated_of(sheet: Sheet, otherwise: AtZero = "nothing") -> Graduated:
    return Graduated(tiers=tiers_of(sheet), at_zero=at_zero(sheet, otherwise))


def volume_of(sheet: Sheet, otherwise: AtZero = "nothing") -> Volume:
    return Volume(tiers=tiers_of(sheet), at_zero=at_zero(sheet, otherwise))


def package_of(sheet: Sheet) -> Package:
    rounding: Whole = "up"
    if "rounding" in sheet and sheet.text("rounding", "up", "down") == "down":
        rounding = "down"
    return Package(
        size=sheet.number("package_size"),
        price=sheet.number("package_price"),
        free=number_or(sheet, "free_units", _NOTHING),
        rounding=rounding,
    )


def cost(charge: Charge, quantity: Decimal) -> Fraction:
    return rate(ChargeTerms(charge=charge), Usage(quantity=quantity))


def shown(sheet: Sheet, amount: Fraction) -> Fraction | Decimal:
    """Round as a case says, or not at all."""
    if "currency_decimals" in sheet:
        return rounded_to(sheet.whole("currency_decimals"), amount)
    if "round_to" in sheet:
        places = sheet.text("round_to").removesuffix(" decimals")
        if not places.isdigit():
            raise Strange(f"round_to {places!r}")
        return rounded_to(int(places), amount)
    return amount


# -- playing: quantities -------------------------------------------------------------------------


def per_unit(sheet: Sheet, _: Worked) -> Said:
    in_minor(sheet)
    amount = cost(PerUnit(unit=sheet.number("unit_price")), sheet.number("quantity"))
    return {"amount": shown(sheet, amount)}


def graduated(sheet: Sheet, _: Worked) -> Said:
    in_minor(sheet)
    return {"amount": shown(sheet, cost(graduated_of(sheet), sheet.number("quantity")))}


def graduated_seats(sheet: Sheet, _: Worked) -> Said:
    """Play seats of which the first tier's beginning is the least number that is sold."""
    in_minor(sheet)
    least = sheet.each("tiers")[0].number("from")
    charge = Graduated(tiers=tiers_of(sheet), at_zero=at_zero(sheet), least=least)
    return {"amount": shown(sheet, cost(charge, sheet.number("quantity")))}


def graduated_prorated_(sheet: Sheet, _: Worked) -> Said:
    in_minor(sheet)
    full = sheet.numbers("full_units_per_event")
    prorated = sheet.numbers("prorated_units_per_event")
    if len(full) != len(prorated):
        raise Strange("each event has full and prorated units")
    found = graduated_prorated(graduated_of(sheet), list(zip(full, prorated, strict=True)))
    return {"amount": shown(sheet, sum((piece.amount for piece in found), Fraction(0)))}


def volume(sheet: Sheet, _: Worked) -> Said:
    in_minor(sheet)
    return {"amount": shown(sheet, cost(volume_of(sheet), sheet.number("quantity")))}


def package(sheet: Sheet, _: Worked) -> Said:
    in_minor(sheet)
    return {"amount": shown(sheet, cost(package_of(sheet), sheet.number("quantity")))}


def blocks(scope: BlockScope) -> Player:
    def play(sheet: Sheet, _: Worked) -> Said:
        in_minor(sheet)
        if "partial_block" in sheet:
            sheet.text("partial_block", _UP)
        if "tier_choice" in sheet:
            sheet.text("tier_choice", _CUMULATIVE)
        tiers = tuple(
            BlockTier(
                size=row.number("block_size"),
                price=row.number("price"),
                blocks=count_or_none(row, "max_blocks"),
            )
            for row in sheet.each("tiers")
        )
        usage = Usage(quantity=sheet.number("quantity"))
        terms = ChargeTerms(charge=Blocks(tiers=tiers, scope=scope))
        total = rate(terms, usage)
        per_tier = [piece.amount for piece in pieces(terms, usage)]
        return {"per_tier": per_tier, "total": total, "amount": total}

    return play


# -- playing: amounts of money -------------------------------------------------------------------


def _steps(running: list[Decimal]) -> tuple[Decimal, ...]:
    before = [Decimal(0), *running]
    return tuple(after - earlier for earlier, after in zip(before, running, strict=False))


def percentage_of(sheet: Sheet) -> Percentage:
    return Percentage(
        percent=sheet.number("rate_pct"),
        per_event=number_or(sheet, "fixed_per_event", _NOTHING),
        free_events=count_or_none(sheet, "free_events"),
        free_amount=optional(sheet, "free_amount"),
        least=optional(sheet, "per_event_min"),
        most=optional(sheet, "per_event_max"),
    )


def percentage(sheet: Sheet, _: Worked) -> Said:
    """Play totals, with the running totals of the events that may be free."""
    in_minor(sheet)
    name = "running_totals_of_first_events"
    running = sheet.numbers(name) if name in sheet else []
    usage = Usage(
        quantity=sheet.number("total_amount"),
        count=sheet.whole("event_count"),
        amounts=_steps(running),
    )
    return {"amount": shown(sheet, rate(ChargeTerms(charge=percentage_of(sheet)), usage))}


def events_of(amounts: list[Decimal]) -> Usage:
    return Usage(quantity=sum(amounts, Decimal(0)), count=len(amounts), amounts=tuple(amounts))


def percentage_of_events(sheet: Sheet, _: Worked) -> Said:
    in_minor(sheet)
    usage = events_of(sheet.numbers("events"))
    return {"amount": shown(sheet, rate(ChargeTerms(charge=percentage_of(sheet)), usage))}


def percentage_of_one(sheet: Sheet, _: Worked) -> Said:
    """Play what each single event adds: the total with it less the total before it."""
    in_minor(sheet)
    amounts = sheet.numbers("amounts")
    terms = ChargeTerms(charge=percentage_of(sheet))
    said = {}
    for count in range(1, len(amounts) + 1):
        before, after = events_of(amounts[: count - 1]), events_of(amounts[:count])
        nth = {1: "1st", 2: "2nd", 3: "3rd"}.get(count, f"{count}th")
        said[f"fee_of_{nth}_transaction"] = rate(terms, after) - rate(terms, before)
    return said


def graduated_percentage(sheet: Sheet, _: Worked) -> Said:
    in_minor(sheet)
    tiers = tuple(
        PercentTier(
            up_to=optional(row, "up_to"),
            percent=row.number("rate_pct"),
            flat=number_or(row, "flat", _NOTHING),
        )
        for row in sheet.each("tiers")
    )
    charge = GraduatedPercentage(tiers=tiers, at_zero=at_zero(sheet, "first_tier_flat"))
    return {"amount": shown(sheet, cost(charge, sheet.number("base_amount")))}


def dynamic(sheet: Sheet, _: Worked) -> Said:
    """Play amounts that events carry; the units are counted beside and cost nothing."""
    if "units" in sheet:
        sheet.number("units")
    carried = sheet.number("sum_precise_total_amount_minor")
    amount = cost(Dynamic(), carried)
    return {"amount_minor": amount, "amount_major": amount / 100}


def dynamic_multiplied(sheet: Sheet, _: Worked) -> Said:
    charge = Dynamic(multiplier=sheet.number("multiplier"))
    return {"amount": shown(sheet, cost(charge, sheet.number("metered_value")))}


CHARGES: Final[dict[str, Player]] = {
    "charge_per_unit": per_unit,
    "charge_graduated": graduated,
    "charge_graduated_minimum_seats": graduated_seats,
    "charge_graduated_prorated": graduated_prorated_,
    "charge_tier_cap": graduated,
    "charge_volume": volume,
    "charge_package": package,
    "charge_tiered_blocks_all_tiers": blocks("all_tiers"),
    "charge_tiered_blocks_top_tier": blocks("top_tier"),
    "charge_percentage": percentage,
    "charge_percentage_min_max": percentage_of_events,
    "charge_percentage_transaction": percentage_of_one,
    "charge_graduated_percentage": graduated_percentage,
    "charge_dynamic": dynamic,
    "charge_dynamic_multiplier": dynamic_multiplied,
}
