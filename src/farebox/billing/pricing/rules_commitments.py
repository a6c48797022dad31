"""From exact amounts to what a line bills: minimums, maximums, and periods billed in parts.

Here amounts become whole numbers of the currency's smallest unit, and nowhere before: the total so
far is rounded (half away from zero unless the caller names another rounding), and a line bills the
difference of two such totals. So the lines of a period add up to what one bill for the whole would
be, to the last unit. 70 and then 120 units at 1.33333 are 93.33 and 160.00: the second line is
66.67, and under a maximum of 100 it bills 6.67 (OpenMeter).
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import Final

from farebox.billing.pricing.model_rating import BilledPart, ChargeTerms, Thresholds, Usage
from farebox.billing.pricing.rules_charges import rate
from farebox.billing.pricing.rules_tiers import NONE
from farebox.kernel.refusals import ValueRefused
from farebox.kernel.rounding import Exact, Rounding, exact, rounded

NO_USAGE: Final = Usage()
_WHOLE: Final = 100


def minor(amount: Exact, places: int, rounding: Rounding = "half_up") -> int:
    """Round an amount of the main unit to smallest units, of which 10^places make one."""
    return rounded(exact(amount) * 10**places, rounding)


def bill(
    terms: ChargeTerms,
    usage: Usage,
    *,
    before: Usage | None = None,
    places: int,
    percent_off: Exact = 0,
    last: bool = True,
    ratio: Exact = 1,
    rounding: Rounding = "half_up",
) -> BilledPart:
    """Bill a period's usage so far, less what `before` of it was billed already.

    The order is: charge, `percent_off`, maximum; then, on the `last` line only, the minimum
    times `ratio` (the billed share of the period). `before` None means that nothing was billed,
    not even a flat fee for nothing. Where usage was corrected downward the line is below 0.
    Refuses (`value_invalid`) a discount beyond 0 to 100 percent, and what `rate` refuses.
    """
    if not 0 <= percent_off <= _WHOLE:
        raise ValueRefused("a discount is 0 to 100 percent")
    share = exact(percent_off) / _WHOLE
    now_exact = rate(terms, usage)
    now = _total(terms, now_exact, share, places, rounding)
    then_exact = NONE if before is None else rate(terms, before)
    then = (0, 0, 0) if before is None else _total(terms, then_exact, share, places, rounding)
    gross, discount, net = (after - earlier for after, earlier in zip(now, then, strict=True))
    owed = 0
    if last and terms.minimum is not None:
        owed = true_up(minor(terms.minimum, places, rounding), billed=now[2], ratio=ratio)
    return BilledPart(
        exact=now_exact - then_exact,
        gross=gross,
        discount=discount,
        over_maximum=gross - discount - net,
        net=net,
        true_up=owed,
    )


def _total(
    terms: ChargeTerms, amount: Fraction, share: Fraction, places: int, rounding: Rounding
) -> tuple[int, int, int]:
    """Return a total so far: gross, what is taken off it, and what of it is due."""
    gross = minor(amount, places, rounding)
    discount = rounded(gross * share, rounding)
    net = gross - discount
    if terms.maximum is not None:
        net = min(net, minor(terms.maximum, places, rounding))
    return gross, discount, net


def over_maximum(amounts: Sequence[Fraction], room: Exact) -> list[Fraction]:
    """Return what is taken off each amount so that they fit into a room, the last ones first.

    Amounts of 15 and 7 with a room of 10: 5 is taken off the first and all of the second.
    """
    left, taken = max(exact(room), NONE), []
    for amount in amounts:
        fits = min(amount, left)
        taken.append(amount - fits)
        left -= fits
    return taken


def true_up(minimum: int, *, billed: int, ratio: Exact = 1) -> int:
    """Return what is missing of a minimum, in smallest units; never below 0.

    The minimum is rounded once, after the ratio, and what was billed is rounded already:
    round(1,000,000 x 334/365) - round(100,000 x 334/365) - 0 = 823,561 (Lago).
    """
    return max(rounded(minimum * exact(ratio)) - billed, 0)


def commitment_true_up(commitment: int, *, fee: int, usage: int, ratio: Exact = 1) -> int:
    """Return what is missing of a subscription's commitment, its fee having the same ratio."""
    return true_up(commitment, billed=rounded(fee * exact(ratio)) + usage, ratio=ratio)


def due_at_threshold(thresholds: Thresholds, usage: int, *, billed: int, places: int) -> int:
    """Return what to bill before the period's end: all usage so far, once a threshold is passed.

    In smallest units. 0 while no threshold lies above what was billed and up to the usage.
    """
    passed = _passed(thresholds, Fraction(usage, 10**places))
    return usage - billed if minor(passed, places, "floor") > billed else 0


def _passed(thresholds: Thresholds, usage: Fraction) -> Fraction:
    """Return the highest threshold up to an amount of usage, 0 where there is none."""
    passed = max((exact(each) for each in thresholds.amounts if each <= usage), default=NONE)
    last = exact(thresholds.amounts[-1]) if thresholds.amounts else NONE
    if thresholds.recurring is None or usage < last:
        return passed
    step = exact(thresholds.recurring)
    return last + (usage - last) // step * step


def final_credit(fees: int, *, progressive: int) -> int:
    """Return what of progressive bills is credited on the final one, never above its fees."""
    return min(fees, progressive)
