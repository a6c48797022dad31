"""Service plans: a service for a group, up to a limit on one bucket."""

from farebox.access.buckets.model import ServicePlan
from farebox.platform.model import Actor, Page
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
    """Make a group's bucket of a product with a grant of `bucket_limit`, and the plan that says so."""
    raise NotImplementedError


def read_plan(tx: Tx, plan_id: str) -> ServicePlan:
    """Return a service plan; refuses an unknown one (`service_plan_unknown`)."""
    raise NotImplementedError


def list_plans(
    tx: Tx, *, group: str | None = None, after: str | None = None, limit: int = 100
) -> Page[ServicePlan]:
    """Return service plans in the order of their ids."""
    raise NotImplementedError
