"""Plans: quotas, rate limits and features, in versions that never change."""

from typing import Annotated, Any

import msgspec
from litestar import delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from farebox.access.catalog import service_plans as service
from farebox.access.catalog.model import (
    LONGEST_COUNT,
    MOST_DAYS,
    MOST_LINES,
    MOST_SECONDS,
    Anchor,
    OnPaymentFailed,
    Plan,
    PlanFeature,
    PlanState,
    PlanTerms,
    Quota,
    RateLimit,
)
from farebox.contracts.decisions import LARGEST_QUANTITY
from farebox.http.deps import Command, Desk
from farebox.http.routes.products import Code, Description, StateFilter, Version
from farebox.http.wire import (
    Amount,
    Body,
    Limit,
    Name,
    NumberCursor,
    Page,
    TextCursor,
    Time,
    View,
    Word,
    show_time,
)
from farebox.kernel.periods import Unit
from farebox.storage import Tx

TAGS = ["Plans"]
Days = Annotated[int, Meta(ge=0, le=MOST_DAYS)]
Value = bool | Annotated[int, Meta(ge=0, le=LARGEST_QUANTITY)] | Word
WhichVersion = Annotated[
    int | None, QueryParameter(ge=1, le=LARGEST_QUANTITY, description="The newest unless given")
]


class QuotaLine(Body, frozen=True):
    """So much of a product in each period of `count` units.

    A calendar period begins with the unit in the zone, an anniversary with the subscription. A
    hard quota denies at its limit; with overage, uses go on and are counted apart.
    """

    product: Code
    limit: Amount
    unit: Unit
    count: Annotated[int, Meta(ge=1, le=LONGEST_COUNT)] = 1
    anchor: Anchor = "anniversary"
    zone: Word = "UTC"
    rollover: bool = False
    overage: bool = False
    hard: bool | None = None


class RateLimitLine(Body, frozen=True):
    """At most so many calls in so many seconds, `burst` of them at once; of one product or all."""

    limit: Amount
    seconds: Annotated[int, Meta(ge=1, le=MOST_SECONDS)]
    burst: Amount | None = None
    product: Code | None = None


class FeatureLine(Body, frozen=True):
    """A feature's value: true or false, a number, or a choice, as the feature's kind is."""

    feature: Code
    value: Value


class Terms(Body, frozen=True):
    """What subscribers of a plan have. `grace_days` go with `on_payment_failed: grace`."""

    name: Name
    description: Description = ""
    trial_days: Days = 0
    on_payment_failed: OnPaymentFailed = "suspend"
    grace_days: Days = 0
    quotas: Annotated[tuple[QuotaLine, ...], Meta(max_length=MOST_LINES)] = ()
    rate_limits: Annotated[tuple[RateLimitLine, ...], Meta(max_length=MOST_LINES)] = ()
    features: Annotated[tuple[FeatureLine, ...], Meta(max_length=MOST_LINES)] = ()


class CreatePlan(Terms, frozen=True, kw_only=True):
    """A plan's code and the terms of its first version."""

    code: Code


class ChangePlan(Terms, frozen=True, kw_only=True):
    """All terms of the next version, and the version that they were made from."""

    expected_version: Version


class QuotaView(View, frozen=True):
    """So much of a product in each period."""

    product: str
    limit: int
    unit: Unit
    count: int
    anchor: Anchor
    zone: str
    rollover: bool
    overage: bool
    hard: bool


class RateLimitView(View, frozen=True):
    """At most so many calls in so many seconds."""

    limit: int
    seconds: int
    burst: int
    product: str | None


class PlanFeatureView(View, frozen=True):
    """A feature's value."""

    feature: str
    value: bool | int | str


class PlanView(View, frozen=True):
    """One version of a plan. An archived plan gets no new subscribers."""

    code: str
    version: int
    state: PlanState
    name: str
    description: str
    trial_days: int
    on_payment_failed: OnPaymentFailed
    grace_days: int
    quotas: list[QuotaView]
    rate_limits: list[RateLimitView]
    features: list[PlanFeatureView]
    created_at: Time


def show_plan(plan: Plan) -> PlanView:
    """Return a version of a plan as the API shows it."""
    shown: dict[str, Any] = msgspec.to_builtins(plan)
    return msgspec.convert({**shown, "created_at": show_time(plan.created_at)}, PlanView)


def read_terms(data: Terms) -> PlanTerms:
    """Return the terms that a request speaks of.

    A quota that says nothing of `hard` is hard unless it has overage; a rate limit that says
    nothing of `burst` lets all of its calls come at once.
    """
    return PlanTerms(
        name=data.name,
        description=data.description,
        trial_days=data.trial_days,
        on_payment_failed=data.on_payment_failed,
        grace_days=data.grace_days,
        quotas=tuple(_quota_of(line) for line in data.quotas),
        rate_limits=tuple(
            RateLimit(
                limit=line.limit,
                seconds=line.seconds,
                burst=line.limit if line.burst is None else line.burst,
                product=line.product,
            )
            for line in data.rate_limits
        ),
        features=tuple(
            PlanFeature(feature=line.feature, value=line.value) for line in data.features
        ),
    )


def _quota_of(line: QuotaLine) -> Quota:
    return Quota(
        product=line.product,
        limit=line.limit,
        unit=line.unit,
        count=line.count,
        anchor=line.anchor,
        zone=line.zone,
        rollover=line.rollover,
        overage=line.overage,
        hard=not line.overage if line.hard is None else line.hard,
    )


@post("/v1/plans", operation_id="createPlan", tags=TAGS, sync_to_thread=True)
def create_plan(data: JSONBody[CreatePlan], command: NamedDependency[Command]) -> PlanView:
    """Create a plan in its version 1."""

    def work(tx: Tx) -> PlanView:
        terms = read_terms(data)
        return show_plan(service.create_plan(tx, command.actor, code=data.code, terms=terms))

    return command.answer(PlanView, work)


@get("/v1/plans", operation_id="listPlans", tags=TAGS, sync_to_thread=True)
def list_plans(
    desk: NamedDependency[Desk],
    in_state: StateFilter = "any",
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[PlanView]:
    """List plans in their newest versions, in the order of their codes."""
    wanted: Any = None if in_state == "any" else in_state
    page = desk.read(lambda tx: service.list_plans(tx, state=wanted, after=cursor, limit=limit))
    return Page(items=[show_plan(plan) for plan in page.items], next=page.next)


@get("/v1/plans/{code:str}", operation_id="readPlan", tags=TAGS, sync_to_thread=True)
def read_plan(
    code: FromPath[str], desk: NamedDependency[Desk], version: WhichVersion = None
) -> PlanView:
    """Read a plan in its newest version, or in the one that is named."""
    return show_plan(desk.read(lambda tx: service.read_plan(tx, code, version)))


@get(
    "/v1/plans/{code:str}/versions", operation_id="listPlanVersions", tags=TAGS, sync_to_thread=True
)
def list_versions(
    code: FromPath[str],
    desk: NamedDependency[Desk],
    limit: Limit = 100,
    cursor: NumberCursor = None,
) -> Page[PlanView]:
    """List the versions of a plan, newest first."""
    before = None if cursor is None else int(cursor)
    page = desk.read(lambda tx: service.list_versions(tx, code, before=before, limit=limit))
    return Page(items=[show_plan(plan) for plan in page.items], next=page.next)


@put("/v1/plans/{code:str}", operation_id="changePlan", tags=TAGS, sync_to_thread=True)
def change_plan(
    code: FromPath[str], data: JSONBody[ChangePlan], command: NamedDependency[Command]
) -> PlanView:
    """Make the next version of a plan; subscribers keep theirs."""

    def work(tx: Tx) -> PlanView:
        changed = service.change_plan(
            tx,
            command.actor,
            code,
            read_terms(data),
            expected_version=data.expected_version,
        )
        return show_plan(changed)

    return command.answer(PlanView, work)


@delete(
    "/v1/plans/{code:str}",
    operation_id="archivePlan",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def archive_plan(code: FromPath[str], command: NamedDependency[Command]) -> PlanView:
    """Take no new subscribers; those who have the plan keep it."""
    return command.answer(
        PlanView, lambda tx: show_plan(service.archive_plan(tx, command.actor, code))
    )


HANDLERS = (create_plan, list_plans, read_plan, list_versions, change_plan, archive_plan)
