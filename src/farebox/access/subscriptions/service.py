"""Subscriptions read and written, one row each.

Whatever is read here is as of the transaction's instant: what has fallen due counts, written down
or not. Each write advances the holder's revision, so that no remembered state outlives it; a
group's revision reaches every member.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from farebox.access.catalog.model import Plan
from farebox.access.catalog.service_plans import read_plan
from farebox.access.subscriptions import store
from farebox.access.subscriptions.model import Step, Subscription, SubscriptionUnknown
from farebox.access.subscriptions.rules import next_due, opens, settled
from farebox.events.service import publish
from farebox.kernel.clock import LAST_US, show_time
from farebox.ledger.service import Ledger
from farebox.platform.model import Actor, Page
from farebox.platform.rules import checked_limit, page_of
from farebox.platform.service_audit import record
from farebox.storage import Tx

_ledger = Ledger()


def find_subscription(tx: Tx, subscription_id: str) -> Subscription | None:
    """Return a subscription or None."""
    row = tx.one(sa.select(store.subscription).where(store.subscription.c.id == subscription_id))
    return None if row is None else settled(store.subscription_of(row), tx.now_us)[0]


def read_subscription(tx: Tx, subscription_id: str) -> Subscription:
    """Return a subscription; refuses an unknown one (`subscription_unknown`)."""
    found = find_subscription(tx, subscription_id)
    if found is None:
        raise SubscriptionUnknown
    return found


def subscriptions_of(tx: Tx, holders: Sequence[str]) -> tuple[Subscription, ...]:
    """Return all subscriptions of consumers and groups, ended ones too, oldest first."""
    here = store.subscription.c.holder.in_(holders)
    rows = tx.run(sa.select(store.subscription).where(here).order_by(store.subscription.c.id))
    return tuple(settled(store.subscription_of(row), tx.now_us)[0] for row in rows)


def list_subscriptions(
    tx: Tx,
    *,
    holders: Sequence[str] | None = None,
    plan: str | None = None,
    after: str | None = None,
    limit: int = 100,
) -> Page[Subscription]:
    """Return subscriptions in the order of their ids."""
    table = store.subscription
    statement = sa.select(table).order_by(table.c.id)
    if holders is not None:
        statement = statement.where(table.c.holder.in_(holders))
    if plan is not None:
        statement = statement.where(table.c.plan == plan)
    if after is not None:
        statement = statement.where(table.c.id > after)
    rows = tx.run(statement.limit(checked_limit(limit) + 1))
    found = [settled(store.subscription_of(row), tx.now_us)[0] for row in rows]
    return page_of(found, limit, lambda one: one.id)


def terms_of(tx: Tx, subscription: Subscription) -> Plan:
    """Return the version of its plan that the subscriber has."""
    return read_plan(tx, subscription.plan, subscription.plan_version)


def gives_access(subscription: Subscription) -> bool:
    """Tell whether a subscription gives access as it stands."""
    return opens(subscription.state)


def changes_at(subscriptions: Sequence[Subscription]) -> int | None:
    """Return when the first of them next changes by itself; None is never."""
    due = (next_due(one) for one in subscriptions)
    return min((each[0] for each in due if each is not None), default=None)


def locked_subscription(tx: Tx, subscription_id: str) -> tuple[Subscription, tuple[Step, ...]]:
    """Return a subscription that nobody else changes until the commit, with what is due on it.

    Whoever writes it writes the due steps as well. Refuses an unknown one (`subscription_unknown`).
    """
    here = store.subscription.c.id == subscription_id
    row = tx.one(sa.select(store.subscription).where(here).with_for_update())
    if row is None:
        raise SubscriptionUnknown
    return settled(store.subscription_of(row), tx.now_us)


def due_subscriptions(tx: Tx, limit: int = 100) -> tuple[str, ...]:
    """Return the ids of subscriptions on which something has fallen due, the longest due first."""
    table = store.subscription
    statement = sa.select(table.c.id).where(table.c.due_at <= tx.now_us).order_by(table.c.due_at)
    return tuple(row.id for row in tx.run(statement.limit(limit)))


def insert_subscription(tx: Tx, actor: Actor, made: Subscription) -> None:
    """Write a new subscription."""
    tx.run(store.subscription.insert(), store.row_of(made, due_at=_due_at(made)))
    record(tx, actor, "subscription.created", made.id, after=made)


def write_subscription(tx: Tx, actor: Actor, before: Subscription, after: Subscription) -> None:
    """Write a changed subscription; tells of it by `subscription.updated`.

    `before` is what the audit log compares with. What has the same version (that billing was
    heard, or that something is wished) is nobody else's concern.
    """
    if before == after:
        return
    row = store.row_of(after, due_at=_due_at(after))
    tx.run(store.subscription.update().where(store.subscription.c.id == after.id).values(row))
    if before.version == after.version:
        return
    _ledger.advance_revision(tx, after.holder)
    record(tx, actor, "subscription.updated", after.id, before=before, after=after)
    data = {**facts_of(after), "previousState": before.state, "opensAccess": opens(after.state)}
    publish(tx, type="subscription.updated", subject=after.id, data=data)


def facts_of(one: Subscription) -> dict[str, str | int | None]:
    """Return what events say of a subscription; a group's names no consumer."""
    times = {
        "startedAt": one.started_at,
        "trialEndsAt": one.trial_ends_at,
        "cancelAt": one.cancel_at,
        "endedAt": one.ended_at,
        "shutAt": one.shut_at,
    }
    return {
        "subscriptionId": one.id,
        "holderKind": one.holder_kind,
        "consumerId": one.holder if one.holder_kind == "consumer" else None,
        "groupId": one.holder if one.holder_kind == "group" else None,
        "planId": one.plan,
        "planVersion": one.plan_version,
        "periodUnit": one.period_unit,
        "periodCount": one.period_count,
        "state": one.state,
        **{name: shown_end(time) for name, time in times.items()},
    }


def shown_end(at_us: int | None) -> str | None:
    """Return an instant as events show it; what has no end is None."""
    return None if at_us is None or at_us > LAST_US else show_time(at_us)


def _due_at(one: Subscription) -> int | None:
    due = next_due(one)
    return None if due is None else due[0]
