"""Proration: which share of a period's price a part of the period owes, and what a change costs.

A recurring price buys a nominal period. Whoever has a part of it owes `price x share`, rounded once
to the smallest unit. Each mode is a position in the period that never goes back, from 0 at its
start to 1 at its end, and a share is the difference of two positions; so the shares of parts that
touch add up to the share of the whole, exactly:

    seconds          elapsed time / the period's time
    days             local days before the instant / the period's days
    days_inclusive   the same; but whoever ends a use has paid for all of that day
    month_of_30      each month has 30 days, whatever it has: days before the instant / 30

One worked example: 10.00 to 20.00 on 15 March of 31 days leaves 17/31, so 5.48 of the old price is
credited, 10.97 of the new one is charged, and 5.49 is owed: the difference of the rounded parts
(flexprice calculator_test). Formulas: docs/money-rules.md.
"""

import calendar
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Final, Literal
from zoneinfo import ZoneInfo

import msgspec

from farebox.billing.pricing.model_money import PartRefused
from farebox.kernel.clock import SECOND_US
from farebox.kernel.periods import Period, Unit, period_at, period_start
from farebox.kernel.rounding import Exact, Rounding, exact, rounded

Mode = Literal["seconds", "days", "days_inclusive", "month_of_30"]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_US: Final = 86_400 * SECOND_US
_MONTH: Final = 30


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What a change within a period costs, in the smallest unit. `net` is charge less credit."""

    credit: int
    charge: int

    @property
    def net(self) -> int:
        """Return what is owed; below 0 it is owed to the customer."""
        return self.charge - self.credit


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A billed stretch from `start_us` until `end_us`, and its share of a nominal period."""

    start_us: int
    end_us: int
    share: Fraction


def local_day(at_us: int, zone: str) -> date:
    """Return the date that a customer's calendar shows at an instant."""
    return (_EPOCH + timedelta(microseconds=at_us)).astimezone(ZoneInfo(zone)).date()


def day_start(day: date, zone: str) -> int:
    """Return the instant, in microseconds, at which a day begins in a zone."""
    local = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    since = local.astimezone(UTC) - _EPOCH
    return (since.days * 86_400 + since.seconds) * SECOND_US


def nominal_period(unit: Unit, count: int, anchor_us: int, zone: str, at_us: int) -> Period:
    """Return the whole period around an instant, also one that began before the anchor.

    A first period that is cut short is measured against the whole one: whoever starts on 1
    February with the 13th as bill day has 12/31 (Kill Bill TestLeadingProRation). Refuses
    (`part_invalid`) an instant before 1970, and one before a period without end.
    """
    if at_us < 0:
        raise PartRefused("nothing is billed before 1970")
    if at_us >= anchor_us:
        found = period_at(unit, count, anchor_us, zone, at_us)
        assert found is not None
        return found
    if unit == "lifetime":
        raise PartRefused("a period without end has nothing before its start")
    # The estimate lies within a few periods (short months, a clock change): walk to the right one.
    length = anchor_us - period_start(unit, count, anchor_us, zone, -1)
    index = -1 - (anchor_us - at_us) // length
    while (start := period_start(unit, count, anchor_us, zone, index)) > at_us:
        index -= 1
    while (end := period_start(unit, count, anchor_us, zone, index + 1)) <= at_us:
        start, index = end, index + 1
    return Period(index, start, end)


def position(period: Period, at_us: int, *, mode: Mode, zone: str, ends: bool = False) -> Fraction:
    """Return how much of a period lies before an instant, from 0 to 1.

    `ends` says that a use is ended for good at this instant: only then `days_inclusive` counts the
    day that has begun. On a change that day belongs to what comes next.
    """
    if at_us <= period.start_us and not (ends and mode == "days_inclusive"):
        return Fraction(0)
    if at_us >= period.end_us:
        return Fraction(1)
    if mode == "seconds":
        return Fraction(at_us - period.start_us, period.end_us - period.start_us)
    first, last = local_day(period.start_us, zone), local_day(period.end_us, zone)
    passed = (local_day(at_us, zone) - first).days + (ends and mode == "days_inclusive")
    length = (last - first).days
    if mode == "month_of_30":
        passed, length = _by_months_of_30(first, last, passed)
    return Fraction(min(max(passed, 0), length), length) if length else Fraction(0)


def _by_months_of_30(first: date, last: date, passed: int) -> tuple[int, int]:
    """Count days as if each month of the period had 30: those passed, and those of the period."""
    months = (last.year - first.year) * 12 + last.month - first.month
    if months < 1:
        raise PartRefused("months of 30 days are for periods of months and years")
    starts = [_months_after(first, count) for count in range(months + 1)]
    today = first + timedelta(days=passed)
    whole = sum(start <= today for start in starts[1:])
    into = min((today - starts[whole]).days, _MONTH) if whole < months else 0
    return whole * _MONTH + into, months * _MONTH


def _months_after(day: date, count: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + count, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last))


def share(
    period: Period, start_us: int, end_us: int, *, mode: Mode, zone: str, ends: bool = False
) -> Fraction:
    """Return which share of a period lies from one instant until another, from 0 to 1.

    `ends` says that the use is ended for good at `end_us`. Refuses (`part_invalid`) a part that
    ends before it starts.
    """
    if end_us < start_us:
        raise PartRefused("a part does not end before it starts")
    upto = position(period, end_us, mode=mode, zone=zone, ends=ends)
    return upto - position(period, start_us, mode=mode, zone=zone)


def prorate(price: Exact, part: Fraction, rounding: Rounding = "half_up") -> int:
    """Return a share of a price, rounded once to the smallest unit: 19.95 x 22/30 is 14.63."""
    if not 0 <= part <= 1:
        raise PartRefused("a share of a period is from 0 to 1")
    return rounded(exact(price) * part, rounding)


def prorate_parts(
    price: Exact, parts: Sequence[Fraction], rounding: Rounding = "half_up"
) -> list[int]:
    """Return each of the parts that follow each other, so that they add up to their sum's price.

    Each is `round(up to its end) - round(up to its start)`: whoever changes five times in a
    period pays not a unit more or less than who does not.
    """
    sums, upto = [0], Fraction(0)
    for part in parts:
        upto += part
        sums.append(prorate(price, upto, rounding))
    return [after - before for before, after in pairwise(sums)]


def change(
    *,
    old: Exact,
    new: Exact,
    left: Fraction,
    paid: int | None = None,
    credited: int = 0,
    new_interval: bool = False,
    rounding: Rounding = "half_up",
) -> Change:
    """Return what a change costs, when `left` is the share of the period that is still to come.

    The old price is credited for what is left, at most what was paid and not credited yet (`paid`
    and `credited`; None where the old price is known to be paid in full). The new one is charged
    for what is left; with another interval a new period begins and it is charged in full. At the
    end of a period nothing is left, so nothing is owed. What is new, removed, or of another
    quantity is the same: a price of 0 on one side, or unit price x quantity.
    """
    unused = prorate(old, left, rounding)
    credit = max(unused, 0) if paid is None else capped_credit(unused, paid=paid, credited=credited)
    charge = rounded(new, rounding) if new_interval else prorate(new, left, rounding)
    return Change(credit=credit, charge=charge)


def capped_credit(potential: int, *, paid: int, credited: int) -> int:
    """Return `clamp(potential, 0, paid - credited)`: nobody gets back more than was paid."""
    return max(0, min(potential, paid - credited))


def rest_after_trial(
    period: Period, started_us: int, trial_days: int, *, mode: Mode, zone: str
) -> Fraction:
    """Return which share of a period is left after a trial of so many local days.

    The trial counts from when the consumer first subscribed, also after an upgrade. From 5 March
    10 days leave 17/31 (Lago free_trial_billing_spec).
    """
    over = day_start(local_day(started_us, zone) + timedelta(days=trial_days), zone)
    begins = max(over, started_us) if trial_days else started_us
    return share(period, min(begins, period.end_us), period.end_us, mode=mode, zone=zone)


def parts_due(
    *,
    unit: Unit,
    count: int,
    anchor_us: int,
    zone: str,
    start_us: int,
    until_us: int,
    end_us: int | None = None,
    mode: Mode = "days",
) -> list[Part]:
    """Return what is billed in advance up to an instant: each begun period, cut by its use.

    A use that starts within a period has a first part up to the next bill day; one that ends
    within a period has its last part until then. Kill Bill counts them in cycles: from 14 February
    with bill day 27, by 1 March: 13/31 and 1.
    """
    found, at = [], start_us
    while at <= until_us and (end_us is None or at < end_us):
        period = nominal_period(unit, count, anchor_us, zone, at)
        until = period.end_us if end_us is None else min(period.end_us, end_us)
        part = share(period, at, until, mode=mode, zone=zone)
        found.append(Part(start_us=at, end_us=until, share=part))
        at = until
    return found
