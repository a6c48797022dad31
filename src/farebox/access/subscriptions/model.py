"""Subscriptions: who has which plan since when, and what billing and customers say of it."""

from typing import ClassVar, Final, Literal, get_args

import msgspec

from farebox.access.buckets.model import HolderKind
from farebox.kernel.periods import Unit
from farebox.kernel.refusals import Refusal

State = Literal[
    "pending_payment",
    "trialing",
    "active",
    "past_due",
    "suspended",
    "paused",
    "canceled",
    "expired",
]
Fact = Literal[
    "paid", "trial_started", "trial_ended", "trial_ended_in_grace", "renewed", "payment_failed",
    "fell_past_due", "grace_ended", "paused", "resumed", "canceled",
]  # fmt: skip
Change = Literal["cancel", "resume", "pause", "plan"]
When = Literal["now", "period_end"]

STATES: Final[tuple[State, ...]] = get_args(State)
FACTS: Final[tuple[Fact, ...]] = get_args(Fact)


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """A consumer's or a group's plan.

    `plan` and `plan_version` are the terms that the subscriber has; from `pending_at` on they are
    the pending ones. `started_at` is when it first gave access. The paid period counts from
    `anchor_at`. `grace_ends_at` is until when a payment may be late, `shut_at` since when a late
    one keeps it shut, `cancel_at` when it ends by wish, `ended_at` when it ended. `requested` is a
    change that billing has not confirmed yet. `version` counts the changes from 1. Times are
    microseconds.
    """

    id: str
    holder_kind: HolderKind
    holder: str
    plan: str
    plan_version: int
    state: State
    created_at: int
    started_at: int | None = None
    period_unit: Unit = "month"
    period_count: int = 1
    anchor_at: int | None = None
    trial_ends_at: int | None = None
    grace_ends_at: int | None = None
    cancel_at: int | None = None
    pending_plan: str | None = None
    pending_version: int | None = None
    pending_at: int | None = None
    paused_at: int | None = None
    shut_at: int | None = None
    ended_at: int | None = None
    requested: str | None = None
    version: int = 1
    heard_at: int = 0


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One change of a subscription that fell due, and what it was before and after."""

    at: int
    what: Fact | Literal["plan_changed"]
    before: Subscription
    after: Subscription


class QuotaTerms(msgspec.Struct, frozen=True, kw_only=True):
    """A quota of a subscription, in the ledger: see `QuotaStanding` for what is left of it.

    `bucket` may be drawn from `starts_at` until `ends_at` (None: no end). `closed` says that its
    end was written into the ledger.
    """

    bucket: int
    overage_bucket: int | None
    subscription: str
    holder: str
    product: str
    quota_limit: int
    unit: Unit
    unit_count: int
    anchor_at: int
    zone: str
    hard: bool
    starts_at: int
    ends_at: int | None = None
    closed: bool = False


class QuotaStanding(msgspec.Struct, frozen=True, kw_only=True):
    """A quota in its present period, in the product's smallest unit.

    `limit` is what the period has, rolled-over rest included; `used` is what is gone or held of
    it, `remaining` what may be drawn; `overage` what was used above it. The period lasts from
    `period_from` until `resets_at` (None: for life). A `hard` quota denies at its limit.
    """

    subscription: str
    holder: str
    product: str
    bucket: int
    overage_bucket: int | None
    limit: int
    used: int
    remaining: int
    overage: int
    period_from: int
    resets_at: int | None
    hard: bool


class SubscriptionUnknown(Refusal):
    """There is no such subscription."""

    code: ClassVar[str] = "subscription_unknown"


class AlreadySubscribed(Refusal):
    """This plan is subscribed to already, or will be by a change that is planned."""

    code: ClassVar[str] = "already_subscribed"


class SubscriptionOver(Refusal):
    """The subscription has ended."""

    code: ClassVar[str] = "subscription_over"


class GroupHasSubscriptions(Refusal):
    """A subscription of the group has not ended."""

    code: ClassVar[str] = "group_has_subscriptions"


class ChangeRefused(Refusal):
    """The subscription's state does not allow this change."""

    code: ClassVar[str] = "subscription_change_refused"
