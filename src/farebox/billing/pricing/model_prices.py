"""Prices: what is priced, on which terms, in versions that never change once they are in use."""

from typing import ClassVar, Final, Literal

import msgspec

from farebox.billing.pricing.model_rating import ChargeTerms
from farebox.kernel.refusals import Refusal

Of = Literal["product", "plan", "item"]
PriceState = Literal["active", "archived"]
PriceUnit = Literal["day", "week", "month", "year"]
Timing = Literal["advance", "arrears"]
TaxBehaviour = Literal["exclusive", "inclusive"]
Scalar = str | int | bool | None

MOST_REFERENCES: Final = 20
MOST_METADATA: Final = 32
MOST_UNITS: Final = 366
LONGEST_CODE: Final = 128
LONGEST_REFERENCE: Final = 255
LONGEST_WORD: Final = 64
LONGEST_VALUE: Final = 512
LONGEST_PERIOD_HOURS: Final = 24 * 366
LONGEST_TERMS: Final = 100_000


class Priced(msgspec.Struct, frozen=True, kw_only=True):
    """What a price is for, by the catalogue's own code.

    An item's price may be that of one offer, and of one period of it (whole hours); without them
    it is the price of each.
    """

    of: Of
    code: str
    offer: str | None = None
    period_hours: int | None = None


class Recurring(msgspec.Struct, frozen=True, kw_only=True):
    """How often a price is due: every `count` units."""

    unit: PriceUnit
    count: int = 1


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """What a payment provider calls this price."""

    provider: str
    reference: str


class PriceTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What of a price may change, in a new version.

    Without `recurring` it is due once. `timing` says whether a period is paid in advance or in
    arrears. With `tax_behaviour` inclusive the price contains its taxes; `tax_category` chooses
    between the rates of a place.
    """

    terms: ChargeTerms
    recurring: Recurring | None = None
    timing: Timing = "advance"
    tax_behaviour: TaxBehaviour = "exclusive"
    tax_category: str | None = None
    providers: tuple[Reference, ...] = ()
    metadata: dict[str, Scalar] = msgspec.field(default_factory=dict)


class Price(PriceTerms, frozen=True, kw_only=True):
    """A version of a price. What it is for and its currency never change.

    `used` says that something was sold on this version: then it is kept as it is. `version` counts
    changes from 1; a version that nobody used is gone once there is a next one. `state` is the
    price's: an archived one is not sold any more, and holds for whoever has it.
    """

    id: str
    of: Of
    code: str
    offer: str | None = None
    period_hours: int | None = None
    currency: str
    version: int
    state: PriceState
    used: bool
    created_at: int
    changed_at: int

    @property
    def priced(self) -> Priced:
        """Return what the price is for."""
        return Priced(of=self.of, code=self.code, offer=self.offer, period_hours=self.period_hours)


class PriceUnknown(Refusal):
    """There is no such price, or no such version of it."""

    code: ClassVar[str] = "price_unknown"


class PriceArchived(Refusal):
    """An archived price is not changed."""

    code: ClassVar[str] = "price_archived"


class PriceRefused(Refusal):
    """The parts of a price do not go together."""

    code: ClassVar[str] = "price_refused"


class PricedUnknown(Refusal):
    """Billing knows of nothing of this kind and code that is sold."""

    code: ClassVar[str] = "priced_unknown"


class ReferenceTaken(Refusal):
    """A payment provider's name for a price is that of another price already."""

    code: ClassVar[str] = "price_reference_taken"


class VersionPassed(Refusal):
    """The price was changed meanwhile: look at its newest version first."""

    code: ClassVar[str] = "version_passed"
