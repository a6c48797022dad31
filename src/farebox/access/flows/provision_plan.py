"""A vendor provisions a service plan (source 000)."""

from farebox.access.buckets.model import ServicePlan
from farebox.platform.model import Actor, Once
from farebox.storage import Database


def provision_plan(
    database: Database,
    actor: Actor,
    *,
    product: str,
    group: str,
    bucket_limit: int,
    expires_at: int | None = None,
    once: Once | None = None,
) -> ServicePlan:
    """Provision a service plan for a group that exists."""
    raise NotImplementedError
