"""Discounts: which coupons apply, in which order, and what each takes off each line.

**The order** is one: coupons limited to products or items, then those limited to plans, then the
rest; among these percentages before fixed amounts, then the earliest redeemed, then by code. Each
applies to what the ones before it have left, so percentages compound (10 % and 25 % are 32.5 %),
and no line goes below 0: 80 + 50 on 100 takes off 100, and no credit arises.

A percentage is rounded on each line (33.33 % of 100 + 100 is 33 + 33, not 67). A fixed amount is
shared out over what its lines have left by largest remainder: 100 over 100 + 200 is 33 + 67.

`places` keeps shares to so many decimal places of the smallest unit instead of to the unit: 5 is
how Lago allocates coupons. What a fixed coupon takes off in all is whole either way.
"""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Final

from farebox.billing.pricing.model_money import (
    Coupon,
    CouponInvalid,
    CouponNotForThis,
    CouponNotValidNow,
    CouponUsedUp,
    Discount,
    Line,
    LineDiscount,
    Redemption,
)
from farebox.kernel.amounts import is_amount
from farebox.kernel.refusals import ValueRefused
from farebox.kernel.rounding import Rounding, allocate, rounded, spread

_ALL: Final = 100
_MOST_PLACES: Final = 9


def check_coupon(coupon: Coupon) -> None:
    """Refuse (`coupon_invalid`) a coupon that could never be applied as it says."""
    if (coupon.percent is None) == (coupon.amount is None):
        raise CouponInvalid("a coupon takes off either a percentage or an amount")
    if coupon.percent is not None and not (
        coupon.percent.is_finite() and 0 < coupon.percent <= _ALL
    ):
        raise CouponInvalid("a percentage is above 0 and at most 100")
    if coupon.amount is not None and not (is_amount(coupon.amount) and coupon.currency):
        raise CouponInvalid("a fixed amount is at least 1 and has a currency")
    counts = (coupon.periods, coupon.most_uses, coupon.most_uses_each)
    if any(count is not None and count < 1 for count in counts):
        raise CouponInvalid("a coupon applies, and may be used, at least once")
    begins, ends = coupon.valid_from_us, coupon.valid_until_us
    if begins is not None and ends is not None and ends <= begins:
        raise CouponInvalid("a coupon is valid from before it is valid until")


def check_redeemable(
    coupon: Coupon, lines: Iterable[Line], *, currency: str, now: int, uses: int, uses_each: int
) -> None:
    """Refuse a coupon that may not be redeemed now for any of these lines.

    `uses` counts redemptions so far, `uses_each` those of this consumer. Refuses with
    `coupon_not_valid_now`, `coupon_used_up` or `coupon_not_for_this`.
    """
    begins, ends = coupon.valid_from_us, coupon.valid_until_us
    if (begins is not None and now < begins) or (ends is not None and now >= ends):
        raise CouponNotValidNow
    if coupon.most_uses is not None and uses >= coupon.most_uses:
        raise CouponUsedUp
    if coupon.most_uses_each is not None and uses_each >= coupon.most_uses_each:
        raise CouponUsedUp("this consumer has used the coupon as often as anybody may")
    if coupon.currency is not None and coupon.currency != currency:
        raise CouponNotForThis(f"the coupon takes off {coupon.currency}, not {currency}")
    if not any(covers(coupon, line) for line in lines):
        raise CouponNotForThis


def covers(coupon: Coupon, line: Line) -> bool:
    """Tell whether a coupon may take something off a line."""
    if not (coupon.products or coupon.plans or coupon.items):
        return True
    return line.product in coupon.products or line.plan in coupon.plans or line.item in coupon.items


def still_applies(redemption: Redemption) -> bool:
    """Tell whether a redeemed coupon has a billed period left."""
    most = redemption.coupon.periods
    return most is None or redemption.periods_used < most


def in_order(redemptions: Iterable[Redemption]) -> list[Redemption]:
    """Return redemptions in the order in which they apply, without those that are used up."""
    return sorted(filter(still_applies, redemptions), key=_rank)


def _rank(redemption: Redemption) -> tuple[int, bool, int, str]:
    coupon = redemption.coupon
    narrow = 0 if coupon.products or coupon.items else 1 if coupon.plans else 2
    return narrow, coupon.percent is None, redemption.redeemed_at_us, coupon.code


def discount(
    lines: Sequence[Line],
    redemptions: Iterable[Redemption],
    *,
    places: int = 0,
    rounding: Rounding = "half_up",
) -> Discount:
    """Return what coupons take off each line, in the order of this page.

    The parts by code add up to a line's discount, the lines to the coupons' total. A line below 0
    (a credit for what was not used) is never discounted. Refuses (`value_invalid`) `places` that
    are not from 0 to 9, and two lines or two coupons of one name.
    """
    if not 0 <= places <= _MOST_PLACES:
        raise ValueRefused("shares are kept to at most 9 decimal places")
    ordered = in_order(redemptions)
    _check_names([line.id for line in lines])
    _check_names([each.coupon.code for each in ordered])
    grains = 10**places
    left = {line.id: max(line.amount, 0) * grains for line in lines}
    taken: dict[str, dict[str, int]] = {line.id: {} for line in lines}
    for redemption in ordered:
        coupon = redemption.coupon
        meant = [line.id for line in lines if covers(coupon, line) and left[line.id]]
        shares = _shares(coupon, [left[name] for name in meant], grains, rounding)
        for name, share in zip(meant, shares, strict=True):
            left[name] -= share
            if share:
                taken[name][coupon.code] = share
    return _summed(lines, taken, places)


def _shares(coupon: Coupon, left: list[int], grains: int, rounding: Rounding) -> list[int]:
    if coupon.percent is not None:
        part = Fraction(coupon.percent) / _ALL
        return [min(rounded(each * part, rounding), each) for each in left]
    assert coupon.amount is not None
    return allocate(min(coupon.amount * grains, sum(left)), left)


def _summed(lines: Sequence[Line], taken: dict[str, dict[str, int]], places: int) -> Discount:
    by_line = tuple(
        LineDiscount(
            id=line.id, amount=sum(taken[line.id].values()), by_code=taken[line.id], places=places
        )
        for line in lines
    )
    sums: dict[str, Fraction] = {}
    for each in by_line:
        for code, share in each.by_code.items():
            sums[code] = sums.get(code, Fraction(0)) + Fraction(share, 10**places)
    # Percentages kept to places may leave a fraction in all: it is rounded here, once.
    total = rounded(sum(sums.values()))
    by_code = dict(zip(sums, spread(total, list(sums.values())), strict=True))
    return Discount(lines=by_line, by_code=by_code, total=total)


def _check_names(names: list[str]) -> None:
    if len(set(names)) != len(names):
        raise ValueRefused("two lines, or two coupons, have the same name")
