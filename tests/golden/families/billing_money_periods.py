"""Worked numbers of periods: ratios, cycles, parts of a first period, trials, terminations."""

import re
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final

from farebox.billing.pricing.rules_proration import (
    Mode,
    change,
    day_start,
    local_day,
    nominal_period,
    parts_due,
    prorate,
    prorate_parts,
    rest_after_trial,
    share,
)
from farebox.kernel.clock import parse_time
from farebox.kernel.periods import Period, Unit, period_start
from farebox.kernel.rounding import rounded, rounded_to
from tests.golden.cases import Strange
from tests.golden.worked import Player, Said, Sheet, Worked, day, number

DAY_US: Final = 86_400_000_000
INTERVALS: Final[dict[str, tuple[Unit, int]]] = {
    "week": ("week", 1), "month": ("month", 1), "quarter": ("month", 3), "year": ("year", 1),
}  # fmt: skip
POLICIES: Final[dict[str, Mode]] = {"actual days": "days", "fixed 30 days": "month_of_30"}


def shown(text: object, *, after: int = 0) -> date:
    """Read a day; a period's end that is written with both ends counted ends the day after."""
    return day(text) + timedelta(days=after)


def in_cents(sheet: Sheet) -> tuple[Callable[[Decimal], int], Callable[[int], Decimal]]:
    """Return how amounts of a case become whole smallest units, and how ours are shown in it."""
    if "amount_unit" in sheet and sheet.text("amount_unit", "minor", "major") == "minor":
        return rounded, Decimal
    return lambda amount: rounded(amount * 100), lambda units: Decimal(units).scaleb(-2)


def days_between(period: Period) -> int:
    return (period.end_us - period.start_us) // DAY_US


def monthly(end: date) -> Period:
    """Return the month that ends with a bill day."""
    until = day_start(end, "UTC")
    return nominal_period("month", 1, until, "UTC", until - 1)


def interval_of(sheet: Sheet, name: str = "interval") -> tuple[Unit, int]:
    return INTERVALS[sheet.text(name, *INTERVALS)]


def bill_day(sheet: Sheet, year: int) -> int:
    """Return an instant of the bill day, in a month that has every day."""
    return day_start(date(year, 1, sheet.whole("bill_cycle_day")), "UTC")


def cycles(sheet: Sheet, played: Worked) -> Said:
    unit, count = interval_of(sheet)
    end = day_start(sheet.day("end"), "UTC") if "end" in sheet else None
    start = sheet.day("start")
    parts = parts_due(
        unit=unit, count=count, anchor_us=bill_day(sheet, start.year), zone="UTC", end_us=end,
        start_us=day_start(start, "UTC"), until_us=day_start(sheet.day("target"), "UTC"),
    )  # fmt: skip
    wanted = played.case.expected["cycles"]
    if not re.fullmatch(r"\d+(/\d+)?(\+\d+(/\d+)?)*", wanted):
        raise Strange(f"cycles {wanted!r}")
    total = sum((part.share for part in parts), Fraction(0))
    told = sum((Fraction(each) for each in wanted.split("+")), Fraction(0))
    return {"cycles": wanted if total == told else str(total)}


def ratio(sheet: Sheet, played: Worked) -> Said:
    interval_of(sheet)
    mode = POLICIES[sheet.text("policy", *POLICIES)]
    period = monthly(sheet.day("to_next_bill_date"))
    start = day_start(sheet.day("from"), "UTC")
    found = share(period, start, period.end_us, mode=mode, zone="UTC")
    places = number(played.case.expected["decimals"], "decimals")
    return {"ratio": rounded_to(int(places), found), "decimals": places}


def fixed_30(sheet: Sheet, played: Worked) -> Said:
    mode = POLICIES[sheet.text("policy", *POLICIES)]
    segments = [[day_start(day(each), "UTC") for each in pair] for pair in sheet.raw("segments")]
    period = Period(0, segments[0][0], segments[-1][1])
    price = rounded(sheet.number("price") * 100)
    shares = [share(period, *pair, mode=mode, zone="UTC") for pair in segments]
    alone = [prorate(price, each) for each in shares]
    if alone != prorate_parts(price, shares):
        raise Strange("parts rounded alone do not add up here")
    return {"amounts": [Decimal(each).scaleb(-2) for each in alone]}


def arrears_calendar(sheet: Sheet, played: Worked) -> Said:
    """Play a change between plans that are billed in arrears: each pays the days it was there."""
    sheet.text("amount_unit", "major")
    sheet.text("currency")
    first, last = sheet.raw("period")
    period = Period(0, day_start(shown(first), "UTC"), day_start(shown(last, after=1), "UTC"))
    at = day_start(sheet.day("change_date"), "UTC")
    sheet.agrees("days_in_period", str(days_between(period)))
    sheet.agrees("old_billed_days", str((at - period.start_us) // DAY_US))
    sheet.agrees("new_billed_days", str((period.end_us - at) // DAY_US))
    before = share(period, period.start_us, at, mode="days_inclusive", zone="UTC")
    after = share(period, at, period.end_us, mode="days_inclusive", zone="UTC")
    old = prorate(rounded(sheet.number("old_price") * 100), before)
    new = prorate(rounded(sheet.number("new_price") * 100), after)
    return {
        "old_plan_invoice": Decimal(old).scaleb(-2),
        "new_plan_invoice": Decimal(new).scaleb(-2),
    }


def in_advance(sheet: Sheet, played: Worked) -> Said:
    """Play a change to another interval: the unused part back, the new period from its anchor."""
    sheet.text("amount_unit", "minor")
    zone = sheet.text("timezone")
    anchor = day_start(sheet.day("anniversary"), zone)
    today = day_start(local_day(parse_time(sheet.text("upgrade_at")), zone), zone)
    old, new = sheet.inner("old_plan"), sheet.inner("new_plan")
    current = nominal_period(*interval_of(old), anchor, zone, today)
    ends = [shown(each, after=place) for place, each in enumerate(sheet.raw("current_period"))]
    if [local_day(current.start_us, zone), local_day(current.end_us, zone)] != ends:
        raise Strange(f"the current period is {current}")
    left = share(current, today, current.end_us, mode="days_inclusive", zone=zone)
    credited = change(old=old.whole("amount"), new=0, left=left).credit
    coming = nominal_period(*interval_of(new), anchor, zone, today)
    rest = share(coming, today, coming.end_us, mode="days_inclusive", zone=zone)
    return {
        "credit_note_for_unused_day": credited,
        "new_plan_invoice": prorate(new.whole("amount"), rest),
        "days_billed": (coming.end_us - today) // DAY_US,
        "days_in_year_period": days_between(coming),
    }


def at_period_end(sheet: Sheet, played: Worked) -> Said:
    """Play a downgrade: nothing when it is asked for, the new plan when the period ends."""
    sheet.text("amount_unit", "minor")
    anchor = day_start(sheet.day("anniversary"), "UTC")
    asked, effective = sheet.day("downgrade_requested"), sheet.day("downgrade_effective")
    old, new = sheet.inner("old_plan"), sheet.inner("new_plan")
    current = nominal_period(*interval_of(old), anchor, "UTC", day_start(asked, "UTC"))
    at = current.end_us
    if local_day(at, "UTC") != effective:
        raise Strange(f"the period ends on {local_day(at, 'UTC')}")
    at_once = change(old=old.whole("amount"), new=new.whole("amount"), left=Fraction(0))
    coming = nominal_period(*interval_of(new), anchor, "UTC", at)
    rest = share(coming, at, coming.end_us, mode="days", zone="UTC")
    return {
        f"invoice_on_{asked}": str(at_once.net) if at_once.net else "none",
        "new_plan_invoice": prorate(new.whole("amount"), rest),
        "days_billed": (coming.end_us - at) // DAY_US,
        "days_in_year_period": days_between(coming),
    }


def termination(sheet: Sheet, played: Worked) -> Said:
    """Play an end in arrears: the day on which it ends is paid for."""
    sheet.text("amount_unit", "minor")
    sheet.text("billing", "anniversary")
    plan = sheet.inner("plan")
    anchor = day_start(sheet.day("anniversary"), "UTC")
    started = day_start(sheet.day("subscription_started"), "UTC")
    ended = day_start(sheet.day("terminated"), "UTC")
    period = nominal_period(*interval_of(plan), anchor, "UTC", ended)
    sheet.agrees("days_in_period", str(days_between(period)))
    used = share(period, started, ended, mode="days_inclusive", zone="UTC", ends=True)
    return {
        "final_fee": prorate(plan.whole("amount"), used),
        "days_billed": used * days_between(period),
    }


def mid_period_start(sheet: Sheet, played: Worked) -> Said:
    sheet.text("amount_unit", "minor")
    sheet.text("billing", "calendar month")
    zone = sheet.text("timezone")
    start = parse_time(sheet.text("start"))
    first = local_day(start, zone).replace(day=1)
    period = nominal_period("month", 1, day_start(first, zone), zone, start)
    rest = share(period, start, period.end_us, mode="days_inclusive", zone=zone)
    return {
        "fees": [prorate(each, rest) for each in sheet.numbers("fixed_charges")],
        "days_billed": rest * days_between(period),
        "days_in_month": days_between(period),
    }


def fixed_charges(sheet: Sheet, played: Worked) -> Said:
    """Play add-ons paid in advance: for the same one, the difference of the rounded parts."""
    sheet.text("amount_unit", "minor")
    sheet.text("billing", "calendar month")
    at = parse_time(sheet.text("upgrade_at"))
    today = local_day(at, "UTC")
    period = nominal_period("month", 1, day_start(today.replace(day=1), "UTC"), "UTC", at)
    rest = share(period, at, period.end_us, mode="days_inclusive", zone="UTC")
    sheet.agrees("days_in_month", str(days_between(period)))
    sheet.agrees("days_new", str(rest * days_between(period)))
    sheet.agrees("days_old", str((1 - rest) * days_between(period)))
    same_one = change(
        old=sheet.whole("old_fixed_charge_same_addon_already_paid"),
        new=sheet.whole("new_fixed_charge_same_addon"),
        left=rest,
    )
    return {
        "old_plan_fee": prorate(sheet.whole("old_plan_fee_arrears"), 1 - rest),
        "same_addon_fee": same_one.net,
        "other_addon_fee": prorate(sheet.whole("new_fixed_charge_other_addon"), rest),
    }


def trial_end(sheet: Sheet, played: Worked) -> Said:
    """Play the first fee after a trial, which counts from the first subscription's start."""
    sheet.text("amount_unit", "minor")
    sheet.text("interval", "calendar month")
    start = sheet.day("start")
    sheet.agrees("days_before_start", str(start.day - 1))
    new = "new_plan_amount" in sheet
    trial = sheet.whole("new_plan_trial_days" if new else "trial_days")
    began = day_start(start, "UTC")
    period = nominal_period("month", 1, day_start(start.replace(day=1), "UTC"), "UTC", began)
    rest = rest_after_trial(period, began, trial, mode="days", zone="UTC")
    return {
        "first_fee": prorate(sheet.whole("new_plan_amount" if new else "plan_amount"), rest),
        "days_billed": rest * days_between(period),
        "days_in_month": days_between(period),
    }


def anchor_day(sheet: Sheet, played: Worked) -> Said:
    unit, count = interval_of(sheet)
    start = sheet.day("start")
    if start.day != sheet.whole("anchor_day"):
        raise Strange("the anchor is not the day of the start")
    until, index = sheet.day("until"), 0
    dates: list[str] = []
    while True:
        at = period_start(unit, count, day_start(start, "UTC"), "UTC", index)
        found = local_day(at, "UTC")
        if found >= until:
            return {"dates": dates}
        dates.append(found.isoformat())
        index += 1


PERIODS: Final[dict[str, Player]] = {
    "proration_cycles": cycles,
    "proration_cycles_leap_february": cycles,
    "proration_ratio": ratio,
    "proration_fixed_30": fixed_30,
    "proration_upgrade_arrears_calendar": arrears_calendar,
    "proration_upgrade_in_advance": in_advance,
    "proration_downgrade_at_period_end": at_period_end,
    "proration_termination_arrears": termination,
    "proration_mid_period_start": mid_period_start,
    "proration_upgrade_fixed_charges_paid_in_advance": fixed_charges,
    "trial_end_proration": trial_end,
    "trial_end_proration_after_upgrade": trial_end,
    "anchor_day_clamping": anchor_day,
}
