"""What is offered: products, the features that are named, the plans that bring both."""

from typing import ClassVar, Final, Literal, get_args

import msgspec

from farebox.kernel.periods import Unit
from farebox.kernel.refusals import Refusal

ProductState = Literal["active", "archived"]
ProductType = Literal["api", "subscription", "one_off", "add_on", "service", "item"]
FeatureKind = Literal["switch", "number", "choice"]
FeatureState = Literal["active", "archived"]
PlanState = Literal["active", "archived"]
OnPaymentFailed = Literal["suspend", "grace", "ignore"]
Anchor = Literal["calendar", "anniversary"]
FeatureValue = bool | int | str

PRODUCT_TYPES: Final[tuple[ProductType, ...]] = get_args(ProductType)
LONGEST_CODE: Final = 128
LONGEST_NAME: Final = 256
LONGEST_WORD: Final = 64
LONGEST_DESCRIPTION: Final = 2_000
LONGEST_QUERY: Final = 128
MOST_LINES: Final = 100
"""Most entitlements or add-ons of a product, lines of one sort in a plan, choices of a feature."""
LONGEST_COUNT: Final = 1_000
"""Most units in one period, and most days of a validity, a trial or a grace are bounded alike."""
MOST_DAYS: Final = 36_500
MOST_SECONDS: Final = 366 * 86_400


class ProductEntitlement(msgspec.Struct, frozen=True, kw_only=True):
    """What owning a product brings: the right to use a feature or product by its code.

    `limit` uses in each `period` (no period: in all; no limit: as many as one likes), for these
    `roles` (none: for everyone), for so many `days` (None: as long as what brings it).
    """

    key: str
    limit: int | None = None
    period: Unit | None = None
    roles: tuple[str, ...] = ()
    days: int | None = None


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """What is used. Its ledger asset has the product's code and scale.

    An archived product gets no new buckets; what was sold of it stays usable. `version` counts
    its changes from 1.
    """

    code: str
    name: str
    type: ProductType
    unit: str
    scale: int
    state: ProductState
    created_at: int
    description: str = ""
    billable: bool = True
    entitlements: tuple[ProductEntitlement, ...] = ()
    add_ons: tuple[str, ...] = ()
    version: int = 1


class Feature(msgspec.Struct, frozen=True, kw_only=True):
    """A named capability: on or off, a whole number, or one of its `choices`."""

    code: str
    name: str
    kind: FeatureKind
    state: FeatureState
    created_at: int
    description: str = ""
    choices: tuple[str, ...] = ()
    version: int = 1


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a product a plan brings in each period of `count` units.

    A `calendar` period begins with the unit in `zone` (a month on the first), an `anniversary`
    one with the subscription. `rollover` carries what is left on. `overage` lets uses go on above
    the limit, counted apart; `hard` denies there. One of the two holds, or neither: then uses go
    on from other buckets.
    """

    product: str
    limit: int
    unit: Unit
    count: int = 1
    anchor: Anchor = "anniversary"
    zone: str = "UTC"
    rollover: bool = False
    overage: bool = False
    hard: bool = True


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """At most `limit` calls in `seconds`, `burst` of them at once; of one product or of all."""

    limit: int
    seconds: int
    burst: int
    product: str | None = None


class PlanFeature(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan says of a feature: a switch, a number or a choice, as the feature's kind is."""

    feature: str
    value: FeatureValue


class PlanTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What subscribers of a plan have: quotas, rate limits, features, and how they are treated."""

    name: str
    description: str = ""
    trial_days: int = 0
    on_payment_failed: OnPaymentFailed = "suspend"
    grace_days: int = 0
    quotas: tuple[Quota, ...] = ()
    rate_limits: tuple[RateLimit, ...] = ()
    features: tuple[PlanFeature, ...] = ()


class Plan(PlanTerms, frozen=True, kw_only=True):
    """One version of a plan.

    A version never changes: a change makes the next one, and subscribers keep theirs. `state` is
    the plan's own, the same in all versions; an archived plan gets no new subscribers.
    `created_at` is when this version was made.
    """

    code: str
    version: int
    state: PlanState
    created_at: int


class ProductUnknown(Refusal):
    """There is no such product."""

    code: ClassVar[str] = "product_unknown"


class ProductTaken(Refusal):
    """A product of this code exists."""

    code: ClassVar[str] = "product_taken"


class ProductArchived(Refusal):
    """The product is archived, so nothing new is sold of it."""

    code: ClassVar[str] = "product_archived"


class AddOnRefused(Refusal):
    """An add-on is a product of type add_on, and no product is its own add-on, near or far."""

    code: ClassVar[str] = "add_on_refused"


class ProductIsAddOn(Refusal):
    """The product is an add-on of others, so its type stays."""

    code: ClassVar[str] = "product_is_add_on"


class EntitlementKeyUnknown(Refusal):
    """An entitlement names a feature or a product that exists."""

    code: ClassVar[str] = "entitlement_key_unknown"


class FeatureUnknown(Refusal):
    """There is no such feature."""

    code: ClassVar[str] = "feature_unknown"


class FeatureTaken(Refusal):
    """A feature of this code exists."""

    code: ClassVar[str] = "feature_taken"


class FeatureArchived(Refusal):
    """The feature is archived, so nothing new gets it."""

    code: ClassVar[str] = "feature_archived"


class FeatureValueRefused(Refusal):
    """A feature's value is of the feature's kind."""

    code: ClassVar[str] = "feature_value_invalid"


class PlanUnknown(Refusal):
    """There is no such plan, or no such version of it."""

    code: ClassVar[str] = "plan_unknown"


class PlanTaken(Refusal):
    """A plan of this code exists."""

    code: ClassVar[str] = "plan_taken"


class PlanArchived(Refusal):
    """The plan is archived: it does not change and gets no new subscribers."""

    code: ClassVar[str] = "plan_archived"


class QuotaRefused(Refusal):
    """The quotas and rate limits of a plan contradict neither themselves nor each other."""

    code: ClassVar[str] = "quota_refused"


class TermsRefused(Refusal):
    """What is given contradicts itself."""

    code: ClassVar[str] = "terms_refused"


class VersionPassed(Refusal):
    """Another change was first; read it, then change again."""

    code: ClassVar[str] = "version_passed"
