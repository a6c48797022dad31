"""Worked numbers of changes within a period: what is credited, what is charged, what is capped.

The cases say how much is left of a period in days; where they also give the dates, the rules find
the days and the case must agree. Amounts are in the smallest unit, or in the currency's unit with
two decimal places; a credit shows as they show it, below 0 where the sign says so.
"""

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Final

from farebox.billing.pricing.rules_proration import (
    Change,
    capped_credit,
    change,
    day_start,
    prorate,
    share,
)
from farebox.kernel.clock import parse_time
from farebox.kernel.periods import Period
from farebox.kernel.rounding import rounded
from tests.golden.cases import Strange
from tests.golden.families.billing_money_periods import days_between, in_cents, monthly, shown
from tests.golden.worked import Player, Said, Sheet, Worked

Scale = Callable[[Decimal], int]


def remaining(sheet: Sheet) -> Fraction:
    """Return which share of the period is left, from its dates where the case has them."""
    if "change" in sheet:
        sheet.text("change", "on period end")
        return Fraction(0)
    length = sheet.whole("days_in_period" if "days_in_period" in sheet else "period_days")
    told = Fraction(sheet.whole("remaining_days"), length)
    if "change_date" in sheet:
        first, last = sheet.raw("period")
        span = Period(0, day_start(shown(first), "UTC"), day_start(shown(last, after=1), "UTC"))
        left = share(span, day_start(sheet.day("change_date"), "UTC"), span.end_us,
                     mode="days", zone="UTC")  # fmt: skip
        if left != told or days_between(span) != length:
            raise Strange(f"the case says {told}, its dates {left}")
    return told


def price(sheet: Sheet, name: str, scale: Scale) -> int:
    """Return what a side of a change costs a period: a price, or a quantity at a unit price."""
    if name in sheet:
        side = sheet.inner(name)
        return scale(side.number("unit_price") * side.number("quantity"))
    return scale(sheet.number(f"{name}_price")) if f"{name}_price" in sheet else 0


def upgrade(sheet: Sheet, played: Worked) -> Said:
    scale, back = in_cents(sheet)
    found = change(
        old=price(sheet, "old", scale), new=price(sheet, "new", scale), left=remaining(sheet)
    )
    return _signed(found, back, sheet)


def _signed(found: Change, back: Callable[[int], Decimal], sheet: Sheet) -> Said:
    # Most show a credit below 0; who gives no unit shows how much it is.
    sign = -1 if "amount_unit" in sheet else 1
    return {
        "credit": sign * back(found.credit),
        "charge": back(found.charge),
        "net": back(found.net),
    }


def per_second(sheet: Sheet, played: Worked) -> Said:
    scale, back = in_cents(sheet)
    period = Period(0, parse_time(sheet.text("period_start")), parse_time(sheet.text("period_end")))
    at = parse_time(sheet.text("change_at"))
    left = share(period, at, period.end_us, mode="seconds", zone="UTC")
    if left != Fraction(sheet.whole("remaining_days"), sheet.whole("period_days")):
        raise Strange(f"the case's days are not {left}")
    found = change(
        old=price(sheet, "old", scale),
        new=price(sheet, "new", scale),
        left=left,
        new_interval=sheet.flag("new_interval_differs"),
    )
    return {"credit_old": back(found.credit), "charge_new": back(found.charge)}


def mixed(sheet: Sheet, played: Worked) -> Said:
    """Play what is changed, removed and added at once: each is a change of its own."""
    scale, back = in_cents(sheet)
    left = remaining(sheet)
    sides = sheet.inner("changed")
    changes = [
        change(old=scale(sides.number("old")), new=scale(sides.number("new")), left=left),
        change(old=scale(sheet.number("removed")), new=0, left=left),
        change(old=0, new=scale(sheet.number("added")), left=left),
    ]
    lines = [part for each in changes for part in (-each.credit, each.charge) if part]
    return {
        "lines": [back(line) for line in lines],
        "net": back(sum(each.net for each in changes)),
    }


def slots(sheet: Sheet, played: Worked) -> Said:
    scale, back = in_cents(sheet)
    unit = sheet.number("unit_price")
    found = change(
        old=scale(unit * sheet.whole("old_slots")),
        new=scale(unit * sheet.whole("new_slots")),
        left=remaining(sheet),
    )
    return {"credit": -back(found.credit), "charge": back(found.charge), "net": back(found.net)}


def one_time(sheet: Sheet, played: Worked) -> Said:
    """Play what is bought once: how much of the period is left changes nothing."""
    scale, back = in_cents(sheet)
    remaining(sheet)
    bought = sheet.inner("one_time")
    return {"charge": back(scale(bought.number("unit_price") * bought.whole("quantity")))}


def own_period(sheet: Sheet, played: Worked) -> Said:
    scale, back = in_cents(sheet)
    left = Fraction(sheet.whole("remaining_days_of_current_month"), sheet.whole("own_period_days"))
    found = change(old=0, new=scale(sheet.number("added_yearly_price")), left=left)
    return {"charge": back(found.charge)}


def instances(sheet: Sheet, played: Worked) -> Said:
    scale, back = in_cents(sheet)
    new = scale(sheet.number("unit_price") * sheet.whole("instances"))
    return {"charge": back(change(old=0, new=new, left=remaining(sheet)).charge)}


def cap(sheet: Sheet, played: Worked) -> Said:
    return {
        "credit": capped_credit(
            sheet.whole("potential_credit"),
            paid=sheet.whole("original_amount_paid"),
            credited=sheet.whole("previous_credits"),
        )
    }


def repair(sheet: Sheet, played: Worked) -> Said:
    """Play Kill Bill's repair: the unused part, at most what is left after an adjustment."""
    scale, back = in_cents(sheet)
    first, last = sheet.raw("period")
    span = Period(0, day_start(shown(first), "UTC"), day_start(shown(last), "UTC"))
    at = day_start(sheet.day("change_date"), "UTC")
    old = scale(sheet.number("old_monthly_item"))
    adjusted = 0
    if "item_adjustment_already_made" in sheet:
        adjusted = -scale(sheet.number("item_adjustment_already_made"))
    found = change(
        old=old,
        new=scale(sheet.number("new_monthly_price")),
        left=share(span, at, span.end_us, mode="days", zone="UTC"),
        paid=old,
        credited=adjusted,
    )
    return {
        "new_charge": back(found.charge),
        "repair": -back(found.credit),
        "account_credit": -back(found.net),
    }


def second_change(sheet: Sheet, played: Worked) -> Said:
    """Play a second change: the item of the first one is credited, at most what it was."""
    scale, back = in_cents(sheet)
    span = monthly(sheet.day("period_end"))
    item = sheet.inner("previous_item")
    earlier = day_start(item.day("from"), "UTC")
    old = scale(item.number("price"))
    billed = prorate(old, share(span, earlier, span.end_us, mode="days", zone="UTC"))
    item.agrees("charge", f"{back(billed)}")
    found = change(
        old=old,
        new=scale(sheet.number("new_monthly_price")),
        left=share(span, day_start(sheet.day("change_date"), "UTC"), span.end_us,
                   mode="days", zone="UTC"),
        paid=billed,
    )  # fmt: skip
    used = min(found.net, scale(sheet.number("account_credit_before")))
    return {
        "new_charge": back(found.charge),
        "repair": -back(found.credit),
        "credit_used": -back(used),
    }


def quantity_price(sheet: Sheet, played: Worked) -> Said:
    unit = sheet.number("unit_price")
    amounts = [rounded(unit * 100 * each) for each in sheet.numbers("quantities")]
    return {"amounts": [Decimal(each).scaleb(-2) for each in amounts]}


CHANGES: Final[dict[str, Player]] = {
    "proration_upgrade": upgrade,
    "proration_downgrade": upgrade,
    "proration_quantity_change": upgrade,
    "proration_add_item": upgrade,
    "proration_remove_item": upgrade,
    "proration_upgrade_per_second": per_second,
    "proration_interval_change": per_second,
    "proration_mixed": mixed,
    "proration_slots": slots,
    "proration_one_time_not_prorated": one_time,
    "proration_added_yearly_over_own_period": own_period,
    "proration_multi_instance_addon": instances,
    "credit_cap": cap,
    "proration_change_with_repair": repair,
    "proration_change_with_repair_capped_by_adjustment": repair,
    "proration_second_change_uses_account_credit": second_change,
    "quantity_price": quantity_price,
}
