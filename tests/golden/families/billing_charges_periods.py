"""Worked numbers of charges over a period: parts, minimums, maximums, windows, units."""

from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final

from farebox.billing.pricing.model_charges import (
    Charge,
    Dynamic,
    Flat,
    HourTerms,
    PerUnit,
    Windowed,
    WindowTerms,
)
from farebox.billing.pricing.model_rating import (
    BilledPart,
    ChargeTerms,
    Conversion,
    Thresholds,
    Usage,
    Window,
)
from farebox.billing.pricing.rules_charges import convert, pieces, rate
from farebox.billing.pricing.rules_commitments import (
    bill,
    commitment_true_up,
    due_at_threshold,
    final_credit,
    over_maximum,
    true_up,
)
from farebox.billing.pricing.rules_windows import windows
from farebox.kernel.rounding import rounded
from tests.golden.cases import Strange
from tests.golden.families.billing_charges import (
    graduated_of,
    in_minor,
    number_or,
    optional,
    package_of,
    volume_of,
)
from tests.golden.worked import Player, Said, Sheet, Worked

# Where a case names no decimals, amounts are compared to the billionth.
_FINE: Final = 9
_NOTHING: Final = Decimal(0)


# -- parts of a period ---------------------------------------------------------------------------


class Line:
    """One line of a case: what was billed before it, and what it bills."""

    def __init__(self, sheet: Sheet, charge: Charge, *, line: str, before: str) -> None:
        self.places = sheet.whole("currency_decimals") if "currency_decimals" in sheet else _FINE
        self.terms = ChargeTerms(
            charge=charge,
            minimum=optional(sheet, "min_amount"),
            maximum=optional(sheet, "max_amount"),
        )
        already = number_or(sheet, before, _NOTHING)
        self.before = Usage(quantity=already)
        self.usage = Usage(quantity=already + sheet.number(line))
        self.percent_off = number_or(sheet, "discount_pct", _NOTHING)
        sheet.agrees("previous_billed_amount", self.amount(self._bill_before().net))

    def _bill_before(self) -> BilledPart:
        return bill(
            self.terms,
            self.before,
            places=self.places,
            percent_off=self.percent_off,
            last=False,
        )

    def bill(self, *, last: bool = True) -> BilledPart:
        started = bool(self.before.quantity)
        return bill(
            self.terms,
            self.usage,
            before=self.before if started else None,
            places=self.places,
            percent_off=self.percent_off,
            last=last,
        )

    def amount(self, units: int) -> Decimal:
        return Decimal(units).scaleb(-self.places)

    def said(self) -> dict[str, object]:
        billed = self.bill()
        self.whole(billed)
        return {
            "amount": self.amount(billed.net),
            "usage": self.amount(billed.gross),
            "gross": self.amount(billed.gross),
            "percentage_discount": self.amount(billed.discount),
            "max_spend_discount": self.amount(billed.over_maximum),
            "commitment_line": self.amount(billed.true_up),
            "total": self.amount(billed.total),
            "mid_period_line_would_bill": self.amount(self.bill(last=False).total),
        }

    def whole(self, billed: BilledPart) -> None:
        """Prove beside the case: parts and what was billed before are the whole, billed once."""
        once = bill(self.terms, self.usage, places=self.places, percent_off=self.percent_off)
        started = bool(self.before.quantity)
        before = self._bill_before().net if started else 0
        if billed.net + before != once.net:
            raise Strange("the parts of a period are not its whole")


Made = Callable[[Sheet], Charge]


def line_of(
    made: Made, line: str = "line_quantity", before: str = "already_billed_quantity"
) -> Player:
    def play(sheet: Sheet, _: Worked) -> Said:
        in_minor(sheet)
        if "line" in sheet:
            sheet.text("line", "last of period")
        return Line(sheet, made(sheet), line=line, before=before).said()

    return play


def tiers_under_maximum(sheet: Sheet, _: Worked) -> Said:
    """Play a line whose tiers fill what room the maximum has left, in their order."""
    in_minor(sheet)
    line = Line(sheet, graduated_of(sheet), line="line_quantity", before="already_billed_quantity")
    before = {piece.place: piece.amount for piece in pieces(line.terms, line.before)}
    after = {piece.place: piece.amount for piece in pieces(line.terms, line.usage)}
    added = {place: amount - before.get(place, 0) for place, amount in after.items()}
    added = {place: amount for place, amount in added.items() if amount}
    billed = line.bill()
    off = over_maximum(list(added.values()), Fraction(line.amount(billed.net)))
    net = {
        f"tier{place}_net": amount - less
        for (place, amount), less in zip(added.items(), off, strict=True)
    }
    return {**line.said(), **net, "max_spend_discounts": [less for less in off if less]}


# -- minimums ------------------------------------------------------------------------------------


def _period(start: date, interval: str) -> tuple[date, date]:
    """Return the calendar period that holds a day: its first day and that of the next one."""
    if interval == "week":
        first = start - timedelta(days=start.weekday())
        return first, first + timedelta(days=7)
    months = {"month": 1, "quarter": 3, "semester": 6, "half_year": 6, "year": 12}
    if interval not in months:
        raise Strange(f"interval {interval!r}")
    length = months[interval]
    index = (start.year * 12 + start.month - 1) // length * length
    (year, month), (next_year, next_month) = divmod(index, 12), divmod(index + length, 12)
    return date(year, month + 1, 1), date(next_year, next_month + 1, 1)


def minimum_commitment(sheet: Sheet, _: Worked) -> Said:
    sheet.text("amount_unit", "minor")
    sheet.text("billed_in", "arrears", "advance")
    start, interval = sheet.day("start"), sheet.text("interval")
    first, after = _period(start, interval)
    share = Fraction(1)
    if sheet.text("billing", "calendar", "anniversary") == "calendar":
        active, days = (after - start).days, (after - first).days
        sheet.agrees("days_active", active)
        sheet.agrees("days_in_period", days)
        share = Fraction(active, days)
    owed = commitment_true_up(
        sheet.whole("minimum_commitment"),
        fee=sheet.whole("plan_amount"),
        usage=sheet.whole("usage"),
        ratio=share,
    )
    return {"true_up_fee": owed}


def _taxed(amount: int, sheet: Sheet) -> int:
    return rounded(amount * sheet.number("tax_pct") / 100)


def spending_minimum(sheet: Sheet, _: Worked) -> Said:
    """Play the minimum of one charge, ended within its period: a line of its own, taxed alone."""
    sheet.text("amount_unit", "minor")
    first, last = (date.fromisoformat(each) for each in sheet.raw("period"))
    active = (sheet.day("terminated") - first).days + 1
    sheet.agrees("days_active", active)
    terms = ChargeTerms(
        charge=PerUnit(unit=sheet.number("charge_unit_price")),
        minimum=sheet.number("charge_minimum"),
    )
    billed = bill(
        terms,
        Usage(quantity=sheet.number("units")),
        places=0,
        ratio=Fraction(active, (last - first).days + 1),
    )
    taxes = _taxed(billed.net, sheet), _taxed(billed.true_up, sheet)
    return {
        "usage_fee": billed.net,
        "usage_tax": taxes[0],
        "true_up_fee": billed.true_up,
        "true_up_tax": taxes[1],
        "total": billed.total + sum(taxes),
    }


def spending_minimum_filters(sheet: Sheet, _: Worked) -> Said:
    """Play a minimum that the parts of one charge share."""
    sheet.text("amount_unit", "minor")
    fees = [rounded(fee) for fee in sheet.numbers("usage_fees")]
    share = Fraction(sheet.whole("days_active"), sheet.whole("days_in_period"))
    owed = true_up(sheet.whole("charge_minimum"), billed=sum(fees), ratio=share)
    taxes = [_taxed(fee, sheet) for fee in (*fees, owed)]
    credited = rounded(number_or(sheet, "credit_note_applied", _NOTHING))
    return {
        "true_up_fee": owed,
        "true_up_tax": taxes[-1],
        "fees_total": sum(fees) + owed,
        "taxes_total": sum(taxes),
        "invoice_total": sum(fees) + owed + sum(taxes) - credited,
    }


# -- windows, units, thresholds ------------------------------------------------------------------


def _window_terms(sheet: Sheet) -> WindowTerms:
    return WindowTerms(
        unit=sheet.number("unit_price"),
        commitment=optional(sheet, "commitment_per_window"),
        overage_factor=number_or(sheet, "overage_factor", Decimal(1)),
        true_up=sheet.flag("true_up") if "true_up" in sheet else False,
    )


def time_of_day(sheet: Sheet, _: Worked) -> Said:
    bucket = sheet.inner("bucket")
    start, end = (int(hour) for hour in bucket.raw("hours"))
    charge = Windowed(
        otherwise=_window_terms(sheet.inner("otherwise")),
        hours=(HourTerms(from_hour=start, to_hour=end, terms=_window_terms(bucket)),),
    )
    used = [Window(int(each.text("hour")), each.number("usage")) for each in sheet.each("windows")]
    found = windows(charge, used)
    total = rate(ChargeTerms(charge=charge), Usage(windows=tuple(used)))
    return {
        "window_amounts": found.amounts,
        "utilised": found.utilised,
        "overage": found.overage,
        "true_up": found.true_up,
        "total": total,
    }


def windowed(sheet: Sheet, _: Worked) -> Said:
    used = tuple(Window(0, each) for each in sheet.numbers("window_usage"))
    found = windows(Windowed(otherwise=_window_terms(sheet)), used)
    return {
        "window_amounts": found.amounts,
        "utilised": found.utilised,
        "overage": found.overage,
        "true_up": found.true_up,
        "total": sum(found.amounts, Fraction(0)),
    }


def conversion_of(sheet: Sheet) -> Conversion:
    operation, rounding = sheet.text("operation"), sheet.text("rounding")
    if operation not in {"divide", "multiply"}:
        raise Strange(f"operation {operation!r}")
    if rounding not in {"none", "ceiling", "half_up", "floor"}:
        raise Strange(f"rounding {rounding!r}")
    return Conversion(
        operation=operation,  # type: ignore[arg-type] # one of them, as was just seen
        factor=sheet.number("factor"),
        rounding=rounding,  # type: ignore[arg-type]
    )


def unit_conversion(sheet: Sheet, _: Worked) -> Said:
    return {"billed_quantity": convert(conversion_of(sheet), sheet.number("raw_quantity"))}


def unit_conversion_split(sheet: Sheet, worked: Worked) -> Said:
    """Play a part of a period: ours is the converted total less what was billed of it."""
    conversion = conversion_of(sheet)
    already, line = sheet.number("already_billed_raw"), sheet.number("line_raw")
    before, total = convert(conversion, already), convert(conversion, already + line)
    alone = convert(conversion, line)
    if before + alone != total:
        # Theirs is what the part alone makes; ours must be another, or there were no difference.
        worked.ours("part_converted_alone")
        return {"billed_quantity": alone, "already_billed_quantity": before}
    return {"billed_quantity": total - before, "already_billed_quantity": before}


def progressive(sheet: Sheet, _: Worked) -> Said:
    """Play usage that reaches a threshold, is billed, and goes on to the period's end."""
    sheet.text("amount_unit", "minor")
    sheet.text("plan_billed", "in arrears", "in advance")
    plan, usage = sheet.whole("plan_amount"), sheet.whole("usage_fee_over_the_month")
    threshold = sheet.number("threshold")
    thresholds = Thresholds(amounts=(threshold,))
    reached = min(usage, rounded(threshold))
    billed = due_at_threshold(thresholds, reached, billed=0, places=0)
    if due_at_threshold(thresholds, usage, billed=billed, places=0):
        raise Strange("one threshold bills once")
    fee = rate(ChargeTerms(charge=Flat(amount=Decimal(plan))), Usage())
    fees = rounded(fee) + usage
    credit = final_credit(fees, progressive=billed)
    end = {"fees_total": fees, "progressive_credit": credit, "total": fees - credit}
    return {"progressive_invoice": billed, "end_of_period": end}


def _unit_price(sheet: Sheet) -> Charge:
    return PerUnit(unit=sheet.number("unit_price"))


def _multiplied(sheet: Sheet) -> Charge:
    return Dynamic(multiplier=sheet.number("multiplier"))


def _volume(sheet: Sheet) -> Charge:
    return volume_of(sheet, "first_tier_flat")


PERIODS: Final[dict[str, Player]] = {
    "charge_volume_min_spend": line_of(_volume, "quantity"),
    "charge_volume_max_spend": line_of(_volume, "quantity"),
    "charge_graduated_incremental": line_of(graduated_of),
    "charge_graduated_incremental_max": tiers_under_maximum,
    "charge_graduated_min_last_line": line_of(graduated_of),
    "charge_package_incremental": line_of(package_of),
    "charge_package_incremental_max": line_of(package_of),
    "charge_package_min_spend": line_of(package_of, "quantity"),
    "charge_dynamic_multiplier_max": line_of(_multiplied, "line_value", "already_billed_value"),
    "charge_per_unit_max_spend": line_of(_unit_price),
    "charge_per_unit_percentage_discount_and_max": line_of(_unit_price),
    "charge_spending_minimum": spending_minimum,
    "charge_spending_minimum_filters": spending_minimum_filters,
    "minimum_commitment_true_up": minimum_commitment,
    "time_of_day_commitment": time_of_day,
    "windowed_commitment": windowed,
    "unit_conversion": unit_conversion,
    "unit_conversion_split_line": unit_conversion_split,
    "progressive_billing": progressive,
}
