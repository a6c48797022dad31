"""Service plans: a service for a group, up to a limit on one bucket."""

import msgspec
import sqlalchemy as sa

from farebox.access.buckets import store
from farebox.access.buckets.model import ServicePlan, ServicePlanUnknown, Terms
from farebox.access.buckets.service import create_bucket
from farebox.kernel.ids import record_id
from farebox.platform.model import Actor, Page
from farebox.platform.rules import checked_limit, page_of
from farebox.platform.service_audit import record
from farebox.storage import Tx


def provision(
    tx: Tx,
    actor: Actor,
    *,
    product: str,
    group: str,
    bucket_limit: int,
    expires_at: int | None = None,
) -> ServicePlan:
    """Make a group's bucket of a product with a grant of `bucket_limit`, and its plan.

    Another plan of the same product for the same group is another bucket beside the first.
    """
    bucket = create_bucket(
        tx,
        actor,
        product=product,
        holder_kind="group",
        holder=group,
        grant=Terms(amount=bucket_limit, expires_at=expires_at),
    )
    made = ServicePlan(
        id=record_id("spl"),
        product=product,
        group=group,
        bucket=bucket.id,
        bucket_limit=bucket_limit,
        created_at=tx.now_us,
    )
    row = msgspec.structs.asdict(made)
    row["consumer_group"] = row.pop("group")
    tx.run(store.plan.insert(), row)
    record(tx, actor, "service_plan.provisioned", made.id, after=made)
    return made


def read_plan(tx: Tx, plan_id: str) -> ServicePlan:
    """Return a service plan; refuses an unknown one (`service_plan_unknown`)."""
    row = tx.one(sa.select(store.plan).where(store.plan.c.id == plan_id))
    if row is None:
        raise ServicePlanUnknown
    return store.plan_of(row)


def list_plans(
    tx: Tx, *, group: str | None = None, after: str | None = None, limit: int = 100
) -> Page[ServicePlan]:
    """Return service plans in the order of their ids."""
    statement = sa.select(store.plan).order_by(store.plan.c.id)
    if group is not None:
        statement = statement.where(store.plan.c.consumer_group == group)
    if after is not None:
        statement = statement.where(store.plan.c.id > after)
    rows = tx.run(statement.limit(checked_limit(limit) + 1))
    return page_of([store.plan_of(row) for row in rows], limit, lambda plan: plan.id)
