"""Service plans: a service for a group, up to a limit on one bucket (shared pre-paid service)."""

from typing import Annotated

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from farebox.access.buckets import service_plans as service
from farebox.access.buckets.model import ServicePlan
from farebox.http.deps import Command, Desk
from farebox.http.roles import MOVES_VALUE
from farebox.http.wire import (
    Amount,
    Body,
    Id,
    IdFilter,
    Limit,
    Page,
    TextCursor,
    Time,
    View,
    read_end,
    show_time,
)
from farebox.kernel import ids
from farebox.storage import Tx

TAGS = ["Service plans"]


class CreateServicePlan(Body, frozen=True):
    """Give a group `bucket_limit` units of a product, on a bucket made for it."""

    product: Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[!-~]+$")]
    group: Id
    bucket_limit: Amount
    expires_at: Time | None = None


class ServicePlanView(View, frozen=True):
    """What a vendor provisioned, and the bucket that was made for it."""

    id: str
    product: str
    group: str
    bucket: str
    bucket_limit: int
    created_at: Time


def show_plan(plan: ServicePlan) -> ServicePlanView:
    """Return a service plan as the API shows it."""
    return ServicePlanView(
        id=plan.id,
        product=plan.product,
        group=plan.group,
        bucket=ids.show("bkt", plan.bucket),
        bucket_limit=plan.bucket_limit,
        created_at=show_time(plan.created_at),
    )


@post(
    "/v1/service-plans",
    operation_id="createServicePlan",
    tags=TAGS,
    opt=MOVES_VALUE,
    sync_to_thread=True,
)
def create_service_plan(
    data: JSONBody[CreateServicePlan], command: NamedDependency[Command]
) -> ServicePlanView:
    """Provision a service for a group."""

    def work(tx: Tx) -> ServicePlanView:
        made = service.provision(
            tx,
            command.actor,
            product=data.product,
            group=data.group,
            bucket_limit=data.bucket_limit,
            expires_at=read_end(data.expires_at, now_us=tx.now_us),
        )
        return show_plan(made)

    return command.answer(ServicePlanView, work)


@get("/v1/service-plans", operation_id="listServicePlans", tags=TAGS, sync_to_thread=True)
def list_service_plans(
    desk: NamedDependency[Desk],
    group: IdFilter = None,
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[ServicePlanView]:
    """List service plans in the order of their ids."""
    page = desk.read(lambda tx: service.list_plans(tx, group=group, after=cursor, limit=limit))
    return Page(items=[show_plan(plan) for plan in page.items], next=page.next)


@get("/v1/service-plans/{plan:str}", operation_id="readServicePlan", tags=TAGS, sync_to_thread=True)
def read_service_plan(plan: FromPath[str], desk: NamedDependency[Desk]) -> ServicePlanView:
    """Read a service plan."""
    return show_plan(desk.read(lambda tx: service.read_plan(tx, plan)))


HANDLERS = (create_service_plan, list_service_plans, read_service_plan)
