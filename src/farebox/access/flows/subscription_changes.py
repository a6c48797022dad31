"""What a change of a subscription brings with it: quotas, rights, and who is told.

Every change goes through `change_subscription`: the row is locked, what has fallen due is written
first, each step as of its own instant, then the change itself. So the order in which a worker,
billing and a customer arrive makes no difference to what holds when.
"""

from collections.abc import Callable

from farebox.access.catalog.model import Plan
from farebox.access.catalog.service_plans import read_plan
from farebox.access.entitlements.service_plan_rights import (
    begin_rights,
    end_rights,
    withdraw_rights,
)
from farebox.access.subscriptions.model import Subscription
from farebox.access.subscriptions.rules import ENDED
from farebox.access.subscriptions.service import (
    facts_of,
    locked_subscription,
    terms_of,
    write_subscription,
)
from farebox.access.subscriptions.service_terms import (
    begin_quotas,
    close_ended,
    end_quotas,
    pause_quotas,
    quotas_from,
    withdraw_quotas,
)
from farebox.events.service import publish
from farebox.platform.model import Actor
from farebox.storage import Tx


def change_subscription(
    tx: Tx, actor: Actor, subscription_id: str, work: Callable[[Subscription], Subscription]
) -> Subscription:
    """Change a subscription as `work` says, with everything that hangs on it.

    `work` is given the subscription as it is at this instant and returns it as it shall be.
    """
    current, due = locked_subscription(tx, subscription_id)
    for step in due:
        _follow(tx, actor, step.before, step.after)
    wished = work(current)
    _follow(tx, actor, current, wished)
    return wished


def settle_subscription(tx: Tx, actor: Actor, subscription_id: str) -> Subscription:
    """Write what has fallen due on a subscription. Repeating changes nothing."""
    return change_subscription(tx, actor, subscription_id, lambda current: current)


def _follow(tx: Tx, actor: Actor, before: Subscription, after: Subscription) -> None:
    """Write a change and do what follows from it."""
    write_subscription(tx, actor, before, after)
    if before.version == after.version:
        return
    if after.state in ENDED and before.state not in ENDED:
        end_quotas(tx, quotas_from(tx, after.id), at=tx.now_us)
        end_rights(tx, actor, after.id, after.state)
    elif after.state != "pending_payment":
        _follow_terms(tx, actor, before, after)
    if after.state == "suspended" and before.state != "suspended":
        data = {**facts_of(after), "reason": "payment_failed"}
        publish(tx, type="access.suspended", subject=after.holder, data=data)


def _follow_terms(tx: Tx, actor: Actor, before: Subscription, after: Subscription) -> None:
    """Let quotas and rights follow the terms of a subscription that has begun."""
    planned = before.pending_at is not None and before.pending_at > tx.now_us
    replanned = _plan_ahead(before) != _plan_ahead(after)
    if planned and replanned:
        assert before.pending_at is not None, "it is what makes a change planned"
        withdraw_quotas(tx, after.id, planned_at=before.pending_at)
        withdraw_rights(tx, actor, after.id, planned_at=before.pending_at)
    begins = before.started_at is None or before.state in ENDED or before.state == "paused"
    same_terms = (before.plan, before.plan_version) == (after.plan, after.plan_version)
    fell_due = before.pending_at is not None and not planned
    if after.state == "paused" and before.state != "paused":
        pause_quotas(tx, after.id)
    elif fell_due and not same_terms:
        # They lay ready since the change was planned.
        close_ended(tx, after.id)
    elif (begins and after.state != "paused") or not same_terms:
        begin_terms(tx, actor, after, terms_of(tx, after), at=tx.now_us)
    if after.pending_plan is not None and after.pending_at is not None and replanned:
        plan = read_plan(tx, after.pending_plan, after.pending_version)
        begin_terms(tx, actor, after, plan, at=after.pending_at)


def begin_terms(tx: Tx, actor: Actor, one: Subscription, plan: Plan, *, at: int) -> None:
    """Let a plan's quotas and rights begin at an instant, now or later."""
    quotas = begin_quotas(tx, actor, one, plan, at=at)
    begin_rights(tx, actor, one, plan, quotas, at=at)


def _plan_ahead(one: Subscription) -> tuple[str | None, int | None, int | None]:
    return one.pending_plan, one.pending_version, one.pending_at
