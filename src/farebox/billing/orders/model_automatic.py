"""Credits that are bought by themselves when a bucket is low."""

from typing import ClassVar

import msgspec

from farebox.kernel.periods import Unit
from farebox.kernel.refusals import Refusal


class AutomaticPurchase(msgspec.Struct, frozen=True, kw_only=True):
    """What is bought when a bucket is told to be low: at most `most` is spent in a period.

    Periods of `unit_count` units are counted from `anchor_at` in UTC.
    """

    bucket: str
    customer: str
    product: str
    quantity: int
    currency: str
    most: int
    unit: Unit
    unit_count: int
    anchor_at: int


class AutomaticPurchaseUnknown(Refusal):
    """Nothing is bought by itself for this bucket."""

    code: ClassVar[str] = "automatic_purchase_unknown"
