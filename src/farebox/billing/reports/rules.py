"""The definitions behind the figures: recurring revenue, its movements, churn, recognition.

**MRR** is the recurring price per month, without tax, after lasting discounts, trials left out. A
year has 12 months and 52 weeks; so a week's price counts 52/12 times, a day's 365/12 times. It is
summed exactly and rounded once: 100 a month + 1000 a year = 183.33. **ARR** is 12 x MRR, from the
exact sum. **Committed MRR** leaves out what is set to end. **Trial MRR** is trials alone.

**Churn** names its event: by cancellation, or by the end of access; in both it is how many had the
event in [start, end) of those that had access at the start, the instant of their end included.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import Final, Literal

from farebox.billing.reports.model import Life, Movements, Recognised, Recurring, Shares
from farebox.kernel.periods import Unit
from farebox.kernel.refusals import ValueRefused
from farebox.kernel.rounding import exact, rounded, spread

Ended = Literal["cancellation", "access_end"]
_MONTHS: Final = 12
_A_YEAR: Final[Mapping[Unit, int]] = {
    "hour": 365 * 24, "day": 365, "week": 52, "month": 12, "year": 1,
}  # fmt: skip


def monthly(recurring: Recurring) -> Fraction:
    """Return a recurring price per month, after lasting discounts: 50 for 2 weeks is 108.33.

    Refuses (`value_invalid`) a unit that does not recur within the calendar's terms.
    """
    if recurring.unit not in _A_YEAR or recurring.count < 1:
        raise ValueRefused(f"a price per {recurring.count} {recurring.unit} is not recurring")
    kept = exact(recurring.amount) * (1 - exact(recurring.off_percent) / 100)
    after = max(kept - recurring.off_amount, Fraction(0))
    return after * _A_YEAR[recurring.unit] / (_MONTHS * recurring.count)


def mrr(subscriptions: Iterable[Recurring], *, trial: bool = False, committed: bool = False) -> int:
    """Return monthly recurring revenue: of paying subscriptions, or of trials alone.

    `committed` leaves out what is set to end.
    """
    return rounded(_sum(subscriptions, trial=trial, committed=committed))


def arr(subscriptions: Iterable[Recurring], *, committed: bool = False) -> int:
    """Return annual recurring revenue: 12 times the exact monthly one."""
    return rounded(_MONTHS * _sum(subscriptions, trial=False, committed=committed))


def _sum(subscriptions: Iterable[Recurring], *, trial: bool, committed: bool) -> Fraction:
    counted = (
        each for each in subscriptions if each.trial == trial and not (committed and each.ends)
    )
    return sum((monthly(each) for each in counted), Fraction(0))


def by_customer(subscriptions: Iterable[Recurring]) -> Shares:
    """Return the exact monthly recurring revenue of each customer who has any."""
    found: Shares = {}
    for each in subscriptions:
        if not each.trial and (amount := monthly(each)):
            found[each.customer] = found.get(each.customer, Fraction(0)) + amount
    return found


def movements(before: Shares, after: Shares, *, earlier: Collection[str] = ()) -> Movements:
    """Return why recurring revenue changed, customer by customer.

    `earlier` are those who had some at any time before: who comes back is reactivated, who was
    never there is new. The parts add up to the difference to the last unit.
    """
    kinds = dict.fromkeys(("new", "expansion", "contraction", "churn", "reactivation"), Fraction(0))
    for customer in before.keys() | after.keys():
        old, new = before.get(customer, Fraction(0)), after.get(customer, Fraction(0))
        if not old:
            kind = "reactivation" if customer in earlier else "new"
        elif not new:
            kind = "churn"
        else:
            kind = "expansion" if new > old else "contraction"
        kinds[kind] += new - old
    start = rounded(sum(before.values()))
    end = rounded(sum(after.values()))
    # What rounding both ends leaves over goes to the largest movement, so that the sum holds.
    *whole_parts, over = spread(end - start, [*kinds.values(), end - start - sum(kinds.values())])
    whole = dict(zip(kinds, whole_parts, strict=True))
    whole[max(kinds, key=lambda kind: abs(kinds[kind]))] += over
    return Movements(start=start, end=end, **whole)


def churn(
    lives: Sequence[Life], *, start_us: int, end_us: int, by: Ended = "access_end"
) -> Fraction:
    """Return which share of those with access at the start had the event before the end."""
    there = [
        life
        for life in lives
        if life.started_us <= start_us and (life.ended_us is None or life.ended_us >= start_us)
    ]
    gone = 0
    for life in there:
        at = life.canceled_us if by == "cancellation" else life.ended_us
        gone += at is not None and start_us <= at < end_us
    return Fraction(gone, len(there)) if there else Fraction(0)


def revenue_churn(moved: Movements) -> Fraction:
    """Return which share of the recurring revenue at the start was lost: less, or all of it."""
    lost = -(moved.contraction + moved.churn)
    return Fraction(lost, moved.start) if moved.start else Fraction(0)


def recognised(amount: int, *, first: date, until: date, on: date) -> Recognised:
    """Return what of an amount is earned by the end of a day, in equal parts a day.

    The service is from `first` until before `until`. 1200.00 for 2023: by the end of 31 January
    101.92 are earned and 1098.08 deferred. Each day's part is the difference of two such days, so
    all days together are the amount. Refuses (`value_invalid`) a service without a day.
    """
    days = (until - first).days
    if days < 1:
        raise ValueRefused("a service lasts at least a day")
    passed = min(max((on - first).days + 1, 0), days)
    earned = rounded(Fraction(amount * passed, days))
    return Recognised(earned=earned, deferred=amount - earned)
