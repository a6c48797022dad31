"""The copies: of each subject what billing needs, under the names that access's events give it.

They are read as access told them: a field that is missing or of another kind makes the event a dead
letter, one that we do not know is passed over. Times stay in the words of the event (RFC 3339).
"""

from typing import Any, Literal

import msgspec

from farebox.kernel.periods import Unit

State = Literal["active", "archived"]


class ProductCopy(msgspec.Struct, frozen=True, kw_only=True):
    """What is used: a quantity of 150 with scale 2 is 1.50 units."""

    product: str
    name: str
    type: str
    unit: str
    scale: int
    state: State
    billable: bool
    version: int


class FeatureCopy(msgspec.Struct, frozen=True, kw_only=True):
    """A named capability."""

    feature: str
    name: str
    kind: str
    state: State
    version: int


class PlanCopy(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a plan, which never changes, and whether the plan is still sold."""

    plan: str
    version: int
    state: State
    name: str
    trial_days: int
    quotas: tuple[dict[str, Any], ...] = ()
    features: tuple[dict[str, Any], ...] = ()


class OfferCopy(msgspec.Struct, frozen=True, kw_only=True):
    """Terms that an item is sold on; periods are whole hours."""

    code: str
    kind: str
    periods: tuple[int, ...] = ()
    starts_at: str | None = None


class ItemCopy(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What an owner sells; `item_id` is its code."""

    item_id: str
    id: str
    owner: str
    kind: str
    title: dict[str, str]
    offers: tuple[OfferCopy, ...]
    state: str
    version: int


class ConsumerCopy(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Who uses. A device names the consumer that owns it."""

    consumer_id: str
    name: str
    state: str
    owner: str | None
    metadata: dict[str, Any]


class GroupCopy(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Consumers who share buckets, and may subscribe together."""

    group_id: str
    name: str


class SubscriptionCopy(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Which consumer or group has which plan; `state` is access's word.

    `shut_at` is since when access keeps it shut for a late payment; None also where that was told
    without saying since when.
    """

    subscription_id: str
    holder_kind: Literal["consumer", "group"]
    consumer_id: str | None
    group_id: str | None
    plan_id: str
    plan_version: int
    state: str
    period_unit: Unit
    period_count: int
    started_at: str | None
    trial_ends_at: str | None
    cancel_at: str | None
    ended_at: str | None
    shut_at: str | None = None
