"""Subscribe: a wish of a customer or an operator, which waits for payment (source 002, flow 1)."""

from farebox.access.buckets.model import HolderKind
from farebox.access.catalog.model import PlanArchived
from farebox.access.catalog.service_plans import read_plan
from farebox.access.consumers.model import DeviceRefused
from farebox.access.consumers.service import read_consumer
from farebox.access.consumers.service_groups import lock_group
from farebox.access.subscriptions.model import AlreadySubscribed, Subscription
from farebox.access.subscriptions.rules import ENDED
from farebox.access.subscriptions.service import facts_of, insert_subscription, subscriptions_of
from farebox.events.service import publish
from farebox.kernel.ids import record_id
from farebox.kernel.periods import Unit, check_terms
from farebox.ledger.service import Ledger
from farebox.platform.model import Actor
from farebox.storage import Tx

_ledger = Ledger()


def subscribe(
    tx: Tx,
    actor: Actor,
    *,
    plan: str,
    holder_kind: HolderKind,
    holder: str,
    period_unit: Unit = "month",
    period_count: int = 1,
) -> Subscription:
    """Note a subscription that gives no access yet; billing hears of it by `subscription.created`.

    It gets the plan's newest version. The paid period is what billing renews. Refuses unknown
    plans and holders, an archived plan (`plan_archived`), a device (`device_draws_as_owner`), and
    a plan that the holder has or is about to have (`already_subscribed`).
    """
    check_terms(period_unit, period_count, "UTC")
    terms = read_plan(tx, plan)
    if terms.state == "archived":
        raise PlanArchived
    if holder_kind == "group":
        lock_group(tx, holder)
    elif read_consumer(tx, holder).owner is not None:
        raise DeviceRefused
    # The revision's row is locked from here on, so that of two wishes at once one sees the other.
    _ledger.advance_revision(tx, holder)
    check_not_subscribed(tx, holder, plan)
    made = Subscription(
        id=record_id("sub"),
        holder_kind=holder_kind,
        holder=holder,
        plan=terms.code,
        plan_version=terms.version,
        state="pending_payment",
        created_at=tx.now_us,
        period_unit=period_unit,
        period_count=period_count,
    )
    insert_subscription(tx, actor, made)
    data = {**facts_of(made), "trialDays": terms.trial_days}
    publish(tx, type="subscription.created", subject=made.id, data=data)
    return made


def check_not_subscribed(tx: Tx, holder: str, plan: str, *, besides: str | None = None) -> None:
    """Refuse (`already_subscribed`) a plan that the holder has or will have by a planned change."""
    for each in subscriptions_of(tx, [holder]):
        if (
            each.id != besides
            and each.state not in ENDED
            and plan in (each.plan, each.pending_plan)
        ):
            raise AlreadySubscribed(subscription=each.id)
