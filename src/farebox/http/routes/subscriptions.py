"""Subscriptions: wishes of customers and operators, and how a subscription and its quotas stand."""

from typing import Annotated, Literal

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from farebox.access.catalog.model import LONGEST_COUNT
from farebox.access.consumers.model import GroupUnknown
from farebox.access.consumers.service_lookup import holders_of
from farebox.access.flows.change_subscription import request_change
from farebox.access.flows.subscribe import subscribe
from farebox.access.subscriptions import service, service_quotas
from farebox.access.subscriptions.model import (
    Change,
    QuotaStanding,
    State,
    Subscription,
    SubscriptionUnknown,
    When,
)
from farebox.http.deps import Command, Desk
from farebox.http.refusals import HolderAmbiguous
from farebox.http.wire import (
    Body,
    Id,
    IdFilter,
    Limit,
    Page,
    TextCursor,
    Time,
    View,
    show_end,
    show_time,
)
from farebox.kernel import ids
from farebox.storage import Tx

TAGS = ["Subscriptions"]
PlanCode = Annotated[
    str, Meta(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")
]


class Subscribe(Body, frozen=True):
    """For whom: a consumer subscribes for themselves, an operator for a consumer or a group."""

    plan: PlanCode
    consumer: Id | None = None
    group: Id | None = None
    period: Literal["day", "week", "month", "year"] = "month"
    period_count: Annotated[int, Meta(ge=1, le=LONGEST_COUNT)] = 1


class CancelSubscription(Body, frozen=True):
    """When it shall end."""

    at: When = "period_end"


class ChangePlan(Body, frozen=True):
    """Which plan, in its newest version, and when."""

    plan: PlanCode
    at: When = "now"


class SubscriptionView(View, frozen=True):
    """A subscription as it stands now.

    `requested` is a wish that billing has not confirmed yet: the change, when, and a plan.
    """

    id: str
    consumer: str | None
    group: str | None
    plan: str
    plan_version: int
    state: State
    opens_access: bool
    period: str
    period_count: int
    created_at: Time
    started_at: Time | None
    trial_ends_at: Time | None
    grace_ends_at: Time | None
    cancel_at: Time | None
    paused_at: Time | None
    ended_at: Time | None
    pending_plan: str | None
    pending_plan_version: int | None
    pending_at: Time | None
    requested: str | None
    version: int


class QuotaView(View, frozen=True):
    """A quota in its present period; held units count as used, `overage` is what went above it."""

    product: str
    bucket: str
    limit: int
    used: int
    remaining: int
    overage: int
    hard: bool
    period_from: Time
    resets_at: Time | None


def show_subscription(one: Subscription) -> SubscriptionView:
    """Return a subscription as the API shows it."""
    return SubscriptionView(
        id=one.id,
        consumer=one.holder if one.holder_kind == "consumer" else None,
        group=one.holder if one.holder_kind == "group" else None,
        plan=one.plan,
        plan_version=one.plan_version,
        state=one.state,
        opens_access=service.gives_access(one),
        period=one.period_unit,
        period_count=one.period_count,
        created_at=show_time(one.created_at),
        started_at=show_end(one.started_at),
        trial_ends_at=show_end(one.trial_ends_at),
        grace_ends_at=show_end(one.grace_ends_at),
        cancel_at=show_end(one.cancel_at),
        paused_at=show_end(one.paused_at),
        ended_at=show_end(one.ended_at),
        pending_plan=one.pending_plan,
        pending_plan_version=one.pending_version,
        pending_at=show_end(one.pending_at),
        requested=one.requested,
        version=one.version,
    )


def show_quota(one: QuotaStanding) -> QuotaView:
    """Return a quota's standing as the API shows it."""
    return QuotaView(
        product=one.product,
        bucket=ids.show("bkt", one.bucket),
        limit=one.limit,
        used=one.used,
        remaining=one.remaining,
        overage=one.overage,
        hard=one.hard,
        period_from=show_time(one.period_from),
        resets_at=show_end(one.resets_at),
    )


def may_see(tx: Tx, desk: Desk, holder: str) -> bool:
    """Tell whether what a holder has is the caller's to see: their own, and their groups'."""
    if desk.principal.kind != "consumer":
        return True
    return holder in holders_of(tx, desk.principal.id)


@post("/v1/subscriptions", operation_id="createSubscription", tags=TAGS, sync_to_thread=True)
def create_subscription(
    data: JSONBody[Subscribe], command: NamedDependency[Command]
) -> SubscriptionView:
    """Subscribe to a plan's newest version. It gives access when billing says that it is paid."""
    own = command.principal.kind == "consumer"
    if own and data.group is not None:
        raise GroupUnknown
    consumer = data.consumer
    if own and consumer is None:
        consumer = command.principal.id
    if (consumer is None) == (data.group is None):
        raise HolderAmbiguous
    if consumer is not None:
        command.must_own(consumer, SubscriptionUnknown)

    def work(tx: Tx) -> SubscriptionView:
        made = subscribe(
            tx,
            command.actor,
            plan=data.plan,
            holder_kind="consumer" if data.group is None else "group",
            holder=consumer or data.group or "",
            period_unit=data.period,
            period_count=data.period_count,
        )
        return show_subscription(made)

    return command.answer(SubscriptionView, work)


@get("/v1/subscriptions", operation_id="listSubscriptions", tags=TAGS, sync_to_thread=True)
def list_subscriptions(
    desk: NamedDependency[Desk],
    *,
    consumer: IdFilter = None,
    group: IdFilter = None,
    plan: IdFilter = None,
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[SubscriptionView]:
    """List subscriptions in the order of their ids; consumers see their own and their groups'."""

    def work(tx: Tx) -> Page[SubscriptionView]:
        wanted = [each for each in (consumer, group) if each is not None]
        if desk.principal.kind == "consumer":
            own = holders_of(tx, desk.principal.id)
            wanted = [each for each in wanted or own if each in own]
        found = service.list_subscriptions(
            tx,
            holders=wanted if wanted or desk.principal.kind == "consumer" else None,
            plan=plan,
            after=cursor,
            limit=limit,
        )
        return Page(items=[show_subscription(one) for one in found.items], next=found.next)

    return desk.read(work)


@get(
    "/v1/subscriptions/{subscription:str}",
    operation_id="readSubscription",
    tags=TAGS,
    sync_to_thread=True,
)
def read_subscription(subscription: FromPath[str], desk: NamedDependency[Desk]) -> SubscriptionView:
    """Read a subscription as it stands now."""
    return desk.read(lambda tx: show_subscription(_seen(tx, desk, subscription)))


@get(
    "/v1/subscriptions/{subscription:str}/quotas",
    operation_id="listQuotasOfSubscription",
    tags=TAGS,
    sync_to_thread=True,
)
def list_quotas(subscription: FromPath[str], desk: NamedDependency[Desk]) -> Page[QuotaView]:
    """List how the quotas of a subscription stand; none while it gives no access."""

    def work(tx: Tx) -> Page[QuotaView]:
        one = _seen(tx, desk, subscription)
        found = service_quotas.quotas_of(tx, [one.holder])
        mine = [show_quota(each) for each in found if each.subscription == one.id]
        return Page(items=mine, next=None)

    return desk.read(work)


@post(
    "/v1/subscriptions/{subscription:str}/cancel",
    operation_id="cancelSubscription",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def cancel_subscription(
    subscription: FromPath[str],
    data: JSONBody[CancelSubscription],
    command: NamedDependency[Command],
) -> SubscriptionView:
    """Ask for the end, now or with the paid period; it ends when billing confirms."""
    return _ask(command, subscription, "cancel", at=data.at)


@post(
    "/v1/subscriptions/{subscription:str}/resume",
    operation_id="resumeSubscription",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def resume_subscription(
    subscription: FromPath[str], command: NamedDependency[Command]
) -> SubscriptionView:
    """Ask to leave a pause, or to take back a cancellation that is planned."""
    return _ask(command, subscription, "resume")


@post(
    "/v1/subscriptions/{subscription:str}/pause",
    operation_id="pauseSubscription",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def pause_subscription(
    subscription: FromPath[str], command: NamedDependency[Command]
) -> SubscriptionView:
    """Ask for a pause: rights stay, no quota begins anew."""
    return _ask(command, subscription, "pause")


@post(
    "/v1/subscriptions/{subscription:str}/change-plan",
    operation_id="changePlanOfSubscription",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def change_plan(
    subscription: FromPath[str], data: JSONBody[ChangePlan], command: NamedDependency[Command]
) -> SubscriptionView:
    """Ask for another plan, or the newest version of the same, now or with the next period."""
    return _ask(command, subscription, "plan", at=data.at, plan=data.plan)


def _ask(
    command: Command,
    subscription: str,
    change: Change,
    *,
    at: When = "now",
    plan: str | None = None,
) -> SubscriptionView:
    def work(tx: Tx) -> SubscriptionView:
        # A member sees the group's subscription; only an operator changes it.
        command.must_own(service.read_subscription(tx, subscription).holder, SubscriptionUnknown)
        asked = request_change(tx, command.actor, subscription, change=change, at=at, plan=plan)
        return show_subscription(asked)

    return command.answer(SubscriptionView, work)


def _seen(tx: Tx, desk: Desk, subscription: str) -> Subscription:
    one = service.read_subscription(tx, subscription)
    if not may_see(tx, desk, one.holder):
        raise SubscriptionUnknown
    return one


HANDLERS = (
    create_subscription,
    list_subscriptions,
    read_subscription,
    list_quotas,
    cancel_subscription,
    resume_subscription,
    pause_subscription,
    change_plan,
)
