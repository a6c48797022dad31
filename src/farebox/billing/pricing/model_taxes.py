"""Tax rates as they are kept, and what decides which of them a bill has."""

from decimal import Decimal
from typing import ClassVar, Final

import msgspec

from farebox.billing.pricing.model_money import Level, TaxedParty
from farebox.kernel.refusals import Refusal

LONGEST_TAX_CODE: Final = 64
LONGEST_REGION: Final = 64
NOWHERE: Final = ""


class TaxRate(msgspec.Struct, frozen=True, kw_only=True):
    """One tax of a country, or of one of its regions, for everything or for one category.

    It holds from `valid_from` until `valid_until` (None: without an end); its percentage never
    changes, another one is another rate from then on.
    """

    id: str
    code: str
    percent: Decimal
    country: str
    region: str | None
    category: str | None
    valid_from: int
    valid_until: int | None
    created_at: int


class TaxSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the seller is (None: it was never said), and where tax is rounded."""

    country: str | None = None
    level: Level = "line"
    version: int = 0


class Payer(TaxedParty, frozen=True, kw_only=True):
    """Who pays, as far as a bill needs to know. An unknown `country` is ""; `id` None is anybody.

    Where the country is unknown the seller's holds.
    """

    country: str = NOWHERE
    id: str | None = None


class TaxRateUnknown(Refusal):
    """There is no such tax rate."""

    code: ClassVar[str] = "tax_rate_unknown"


class TaxRateOverlaps(Refusal):
    """A tax of this code holds at that time already."""

    code: ClassVar[str] = "tax_rate_overlaps"


class TaxesMixed(Refusal):
    """Prices that contain their taxes and prices that do not are billed apart."""

    code: ClassVar[str] = "taxes_mixed"
