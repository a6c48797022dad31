"""A vendor provisions a service plan (source 000)."""

from farebox.access.buckets.model import ServicePlan
from farebox.access.buckets.service_plans import provision
from farebox.platform.model import Actor, Once
from farebox.platform.service_posted import answer_once
from farebox.storage import Database, Tx


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
    """Provision a service plan for a group that exists.

    Refuses an unknown product or group, and an archived product (`product_archived`).
    """

    def work(tx: Tx) -> ServicePlan:
        return answer_once(
            tx,
            once,
            ServicePlan,
            lambda: provision(
                tx,
                actor,
                product=product,
                group=group,
                bucket_limit=bucket_limit,
                expires_at=expires_at,
            ),
        )

    return database.run(work)
