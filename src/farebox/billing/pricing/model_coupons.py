"""Coupons as they are kept, and what customers hold of them."""

from typing import ClassVar, Final, Literal

import msgspec

from farebox.billing.pricing.model_money import Coupon, Redemption
from farebox.kernel.refusals import Refusal

CouponState = Literal["active", "archived"]
MOST_CODES: Final = 1_000
LONGEST_COUPON: Final = 64
LONGEST_ID: Final = 128


class CouponRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A coupon: `uses` counts its redemptions, `version` its changes from 1."""

    coupon: Coupon
    uses: int
    state: CouponState
    version: int
    created_at: int


class CouponLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What of a coupon may change: when, and how often, it may be redeemed."""

    valid_from_us: int | None = None
    valid_until_us: int | None = None
    most_uses: int | None = None
    most_uses_each: int | None = None


class Redeemed(Redemption, frozen=True, kw_only=True):
    """A coupon in a customer's hands: for one subscription, or (None) for whatever they are billed.

    `claim` names what it was redeemed for.
    """

    id: str
    customer: str
    subscription: str | None
    claim: str


class CouponUnknown(Refusal):
    """There is no such coupon."""

    code: ClassVar[str] = "coupon_unknown"


class CouponTaken(Refusal):
    """Another coupon has this code."""

    code: ClassVar[str] = "coupon_taken"


class CouponArchived(Refusal):
    """An archived coupon is not changed."""

    code: ClassVar[str] = "coupon_archived"
