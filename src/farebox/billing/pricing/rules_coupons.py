"""What a coupon may look like beside what it takes off, and how it is told."""

import re
from typing import Any, Final

import msgspec

from farebox.billing.pricing.model_coupons import (
    LONGEST_COUPON,
    MOST_CODES,
    CouponLimits,
    CouponRecord,
)
from farebox.billing.pricing.model_money import Coupon, CouponInvalid
from farebox.billing.pricing.rules_currency import places_of
from farebox.billing.pricing.rules_discounts import check_coupon
from farebox.billing.pricing.rules_prices import check_code
from farebox.kernel.clock import show_time
from farebox.kernel.refusals import ValueRefused

_CODE: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._:-]{{0,{LONGEST_COUPON - 1}}}")
_MOST_PLACES: Final = 12


def check_new(coupon: Coupon) -> None:
    """Refuse (`value_invalid`, `coupon_invalid`, `currency_unknown`) what is no coupon."""
    if _CODE.fullmatch(coupon.code) is None:
        raise ValueRefused(
            f"a coupon's code is 1 to {LONGEST_COUPON} letters, digits and . _ : - in ASCII"
        )
    check_coupon(coupon)
    if coupon.currency is not None:
        places_of(coupon.currency)
    if (coupon.amount is None) != (coupon.currency is None):
        raise CouponInvalid("a fixed amount has a currency, a percentage has none")
    percent = coupon.percent
    if percent is not None and int(percent.as_tuple().exponent) < -_MOST_PLACES:
        raise CouponInvalid(f"a percentage has at most {_MOST_PLACES} decimal places")
    for codes in (coupon.products, coupon.plans, coupon.items):
        if len(codes) > MOST_CODES:
            raise CouponInvalid(f"a coupon names at most {MOST_CODES} codes of a kind")
        for code in codes:
            check_code(code)


def limited(old: CouponRecord, limits: CouponLimits) -> CouponRecord:
    """Return a coupon with other limits; refuses (`coupon_invalid`) fewer uses than there were."""
    if limits.most_uses is not None and limits.most_uses < old.uses:
        raise CouponInvalid(f"the coupon was redeemed {old.uses} times already")
    coupon = msgspec.structs.replace(old.coupon, **msgspec.structs.asdict(limits))
    return msgspec.structs.replace(old, coupon=coupon, version=old.version + 1)


def facts_of(made: CouponRecord) -> dict[str, Any]:
    """Return a coupon as the audit log tells it."""
    coupon = made.coupon
    return {
        "coupon": coupon.code,
        "percent": None if coupon.percent is None else f"{coupon.percent:f}",
        "amount": coupon.amount,
        "currency": coupon.currency,
        "periods": coupon.periods,
        "products": sorted(coupon.products),
        "plans": sorted(coupon.plans),
        "items": sorted(coupon.items),
        "validFrom": _time(coupon.valid_from_us),
        "validUntil": _time(coupon.valid_until_us),
        "mostUses": coupon.most_uses,
        "mostUsesEach": coupon.most_uses_each,
        "uses": made.uses,
        "state": made.state,
        "version": made.version,
    }


def _time(at_us: int | None) -> str | None:
    return None if at_us is None else show_time(at_us)
