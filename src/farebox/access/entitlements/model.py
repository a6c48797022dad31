"""Entitlements: what somebody may use, what brought it, its limits, roles and validity."""

from typing import ClassVar, Final, Literal, get_args

import msgspec

from farebox.access.buckets.model import HolderKind
from farebox.access.catalog.model import FeatureValue
from farebox.kernel.periods import Unit
from farebox.kernel.refusals import Refusal

Kind = Literal["product", "feature", "item"]
SourceKind = Literal["plan", "subscription", "purchase", "add_on", "item", "operator"]
EntitlementState = Literal["scheduled", "active", "suspended", "expired", "revoked"]
Outcome = Literal["applied", "skipped", "stale"]
ExternalState = Literal["active", "paused", "canceled", "expired"]

STATES: Final[tuple[EntitlementState, ...]] = get_args(EntitlementState)
MOST_ROLES: Final = 32
LONGEST_ROLE: Final = 64
LONGEST_SOURCE: Final = 256


class Entitlement(msgspec.Struct, frozen=True, kw_only=True):
    """The right of a consumer or a group to use a feature, a product or an item by its code.

    `source` is what brought it: a subscription of ours (`plan`), one of another billing system
    (`subscription`), a purchase, an add-on, an item's order, an operator. Without `roles` it is
    for every role. `limit` uses are on `bucket`, anew in each `period` (None: in all). It holds
    from `starts_at` until `expires_at` unless it was revoked. Times are microseconds.
    """

    id: str
    holder_kind: HolderKind
    holder: str
    key: str
    kind: Kind
    source_kind: SourceKind
    source: str
    granted_at: int
    starts_at: int
    roles: tuple[str, ...] = ()
    value: FeatureValue | None = None
    limit: int | None = None
    period: Unit | None = None
    bucket: int | None = None
    expires_at: int | None = None
    revoked_at: int | None = None
    version: int = 1


class Consumption(msgspec.Struct, frozen=True, kw_only=True):
    """What is used of a limit in its present period, from the ledger; held counts as used."""

    limit: int
    used: int
    remaining: int
    resets_at: int | None


class Holding(msgspec.Struct, frozen=True, kw_only=True):
    """An entitlement as it stands now."""

    entitlement: Entitlement
    state: EntitlementState
    consumption: Consumption | None


class ExternalSubscription(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription that another billing system keeps, as of `applied_at`, by what it last said.

    `subscription` is that system's id, within its `source`.
    """

    source: str
    subscription: str
    consumer: str
    product: str
    add_ons: tuple[str, ...] = ()
    state: ExternalState = "active"
    period_ends_at: int | None = None
    applied_at: int = 0


class Processed(msgspec.Struct, frozen=True, kw_only=True):
    """What was done with an event of a billing system, now or when it first came."""

    event_id: str
    outcome: Outcome
    repeated: bool
    entitlements: tuple[str, ...] = ()


class EntitlementUnknown(Refusal):
    """There is no such entitlement."""

    code: ClassVar[str] = "entitlement_unknown"


class EntitlementOver(Refusal):
    """The entitlement was revoked or has expired; grant a new one."""

    code: ClassVar[str] = "entitlement_over"


class EntitlementOfPlan(Refusal):
    """What a plan brings changes with the subscription only."""

    code: ClassVar[str] = "entitlement_of_plan"


class LimitMissing(Refusal):
    """Only a limit has a period."""

    code: ClassVar[str] = "limit_missing"


class EventReused(Refusal):
    """An event of this id and source came before with another content."""

    code: ClassVar[str] = "event_id_reused"


class EventStale(Refusal):
    """A later event about this subscription was applied already."""

    code: ClassVar[str] = "event_stale"


class EventRefused(Refusal):
    """The event lacks what its type needs, or is of no known type."""

    code: ClassVar[str] = "event_refused"
