"""Promotions: list prices that are lower for a while, for everybody and without a code."""

from decimal import Decimal
from typing import ClassVar, Final

import msgspec

from farebox.billing.pricing.model_prices import Of, Price, Priced
from farebox.kernel.refusals import Refusal

LONGEST_NAME: Final = 128


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """A percentage or an amount off the list price of something, from one instant until another.

    Of an item it may be for one offer, and for one period of it (whole hours). An `amount` is in
    smallest units of its `currency`, once for a line. What it takes off never changes.
    """

    id: str
    name: str
    of: Of
    code: str
    offer: str | None = None
    period_hours: int | None = None
    percent: Decimal | None = None
    amount: int | None = None
    currency: str | None = None
    valid_from: int
    valid_until: int | None = None
    created_at: int

    @property
    def priced(self) -> Priced:
        """Return what the promotion is of."""
        return Priced(of=self.of, code=self.code, offer=self.offer, period_hours=self.period_hours)


class Promoted(msgspec.Struct, frozen=True, kw_only=True):
    """The promotion that a line was priced with, as it was then; `off` in smallest units."""

    id: str
    name: str
    off: int
    percent: str | None = None
    valid_until: int | None = None


class OnSale(msgspec.Struct, frozen=True, kw_only=True):
    """A price as something is sold on it now: `list_fee` less what its promotion takes is `fee`."""

    price: Price
    list_fee: int
    fee: int
    promotion: Promoted | None = None


class PromotionRefused(Refusal):
    """A promotion takes off either a percentage or an amount, and ends after it begins."""

    code: ClassVar[str] = "promotion_invalid"


class PromotionUnknown(Refusal):
    """There is no such promotion."""

    code: ClassVar[str] = "promotion_unknown"
