"""Schedules, their charges and terms of payment: loaded, locked, written."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from farebox.billing.schedules import store
from farebox.billing.schedules.model import (
    EVERY_PLAN,
    Charge,
    PaymentTerms,
    Schedule,
    ScheduleUnknown,
    State,
)
from farebox.billing.schedules.rules import check_terms, next_due
from farebox.platform.model import Actor, Page
from farebox.platform.rules import checked_limit, page_of
from farebox.platform.service_audit import record
from farebox.storage import Tx

_schedule, _charge = store.schedule, store.charge


# -- schedules -------------------------------------------------------------------------------------


def insert_schedule(tx: Tx, one: Schedule) -> bool:
    """Note a new schedule; tells whether there was none of this subscription."""
    return tx.insert_once(_schedule, _row(one), key=("subscription",))


def find_schedule(tx: Tx, subscription: str) -> Schedule | None:
    """Return the schedule of a subscription or None."""
    row = tx.one(sa.select(_schedule).where(_schedule.c.subscription == subscription))
    return None if row is None else store.schedule_of(row)


def read_schedule(tx: Tx, subscription: str) -> Schedule:
    """Return the schedule of a subscription; refuses `subscription_unknown`."""
    found = find_schedule(tx, subscription)
    if found is None:
        raise ScheduleUnknown
    return found


def lock_schedule(tx: Tx, subscription: str) -> Schedule:
    """Return a schedule that nobody else changes until the commit; refuses as `read_schedule`."""
    here = _schedule.c.subscription == subscription
    row = tx.one(sa.select(_schedule).where(here).with_for_update())
    if row is None:
        raise ScheduleUnknown
    return store.schedule_of(row)


def schedule_of_invoice(tx: Tx, invoice: str) -> str | None:
    """Return the subscription that waits for an invoice, or None."""
    here = sa.or_(_schedule.c.invoice == invoice, _schedule.c.change_invoice == invoice)
    row = tx.one(sa.select(_schedule.c.subscription).where(here))
    return None if row is None else row.subscription


def schedules_of(tx: Tx, customer: str) -> list[Schedule]:
    """Return a customer's schedules, oldest first."""
    here = _schedule.c.customer == customer
    rows = tx.run(sa.select(_schedule).where(here).order_by(_schedule.c.subscription))
    return [store.schedule_of(row) for row in rows]


def lock_schedules_of(tx: Tx, customer: str) -> list[Schedule]:
    """Return a customer's schedules, oldest first, which nobody else changes until the commit."""
    here = _schedule.c.customer == customer
    rows = tx.run(
        sa.select(_schedule).where(here).order_by(_schedule.c.subscription).with_for_update()
    )
    return [store.schedule_of(row) for row in rows]


def lock_on_price(
    tx: Tx, price: str, version: int, *, after: str | None, limit: int
) -> list[Schedule]:
    """Return who is on another version of a price and has not ended, locked, by subscription."""
    here = sa.and_(
        _schedule.c.price == price,
        _schedule.c.price_version != version,
        _schedule.c.state != "canceled",
        _schedule.c.subscription > (after or ""),
    )
    rows = tx.run(
        sa.select(_schedule).where(here).order_by(_schedule.c.subscription)
        .limit(limit).with_for_update()
    )  # fmt: skip
    return [store.schedule_of(row) for row in rows]


def list_schedules(
    tx: Tx,
    *,
    customer: str | None = None,
    state: State | None = None,
    after: str | None = None,
    limit: int = 100,
) -> Page[Schedule]:
    """Return schedules in the order of their subscriptions' ids."""
    statement = sa.select(_schedule).order_by(_schedule.c.subscription)
    if customer is not None:
        statement = statement.where(_schedule.c.customer == customer)
    if state is not None:
        statement = statement.where(_schedule.c.state == state)
    if after is not None:
        statement = statement.where(_schedule.c.subscription > after)
    rows = tx.run(statement.limit(checked_limit(limit) + 1))
    return page_of([store.schedule_of(row) for row in rows], limit, lambda one: one.subscription)


def due_schedules(tx: Tx, limit: int = 100) -> list[str]:
    """Return subscriptions whose schedule has something to do, longest due first."""
    here = _schedule.c.due_at <= tx.now_us
    rows = tx.run(
        sa.select(_schedule.c.subscription).where(here).order_by(_schedule.c.due_at).limit(limit)
    )
    return [row.subscription for row in rows]


def write_schedule(tx: Tx, before: Schedule, after: Schedule) -> Schedule:
    """Write a schedule that is locked, its version one higher; the same one writes nothing."""
    if after == before:
        return before
    after = msgspec.structs.replace(after, version=before.version + 1)
    was, now = _row(before), _row(after)
    names = [name for name in now if now[name] != was[name]]
    changed = (before.subscription, *(now[name] for name in names))
    tx.update_many(_schedule, names, [changed], key=("subscription",))
    return after


def had_trial(tx: Tx, customer: str, plan: str, *, besides: str) -> bool:
    """Tell whether a customer had a trial of a plan before, under another subscription."""
    here = (
        _schedule.c.customer == customer,
        _schedule.c.plan == plan,
        _schedule.c.subscription != besides,
        _schedule.c.trial_ends_at.is_not(None),
    )
    return tx.one(sa.select(_schedule.c.subscription).where(*here).limit(1)) is not None


def _row(one: Schedule) -> dict[str, object]:
    due = next_due(one)
    return store.row_of(one, due_at=None if due is None else due[0])


# -- charges ---------------------------------------------------------------------------------------


def insert_charge(tx: Tx, one: Charge) -> None:
    """Note a stretch as billed. The database takes each once, however often somebody tries."""
    tx.run(_charge.insert(), msgspec.structs.asdict(one))


def write_charge(tx: Tx, one: Charge) -> None:
    """Write a charge; whoever does holds the lock of its schedule."""
    tx.run(_charge.update().where(_charge.c.id == one.id).values(msgspec.structs.asdict(one)))


def charges_of(tx: Tx, subscription: str) -> list[Charge]:
    """Return what was billed of a subscription, by time."""
    here = _charge.c.subscription == subscription
    rows = tx.run(sa.select(_charge).where(here).order_by(_charge.c.starts_at, _charge.c.id))
    return [store.charge_of(row) for row in rows]


def charges_of_invoice(tx: Tx, invoice: str) -> list[Charge]:
    """Return the charges of an invoice."""
    rows = tx.run(sa.select(_charge).where(_charge.c.invoice == invoice).order_by(_charge.c.id))
    return [store.charge_of(row) for row in rows]


def running_charge(tx: Tx, subscription: str, at: int) -> Charge | None:
    """Return the charge whose stretch holds an instant, or begins next, of those not given back."""
    here = (
        _charge.c.subscription == subscription,
        _charge.c.ends_at > at,
        _charge.c.cut_at.is_(None),
        _charge.c.state.in_(("open", "paid")),
    )
    row = tx.one(sa.select(_charge).where(*here).order_by(_charge.c.starts_at).limit(1))
    return None if row is None else store.charge_of(row)


# -- terms of payment ------------------------------------------------------------------------------


def terms_for(tx: Tx, plan: str) -> PaymentTerms:
    """Return the terms of payment of a plan: its own, those of every plan, or Farebox's."""
    table = store.terms
    rows = {
        row.plan: row
        for row in tx.run(sa.select(table).where(table.c.plan.in_((plan, EVERY_PLAN))))
    }
    row = rows.get(plan, rows.get(EVERY_PLAN))
    return PaymentTerms() if row is None else store.terms_of(row)


def set_terms(tx: Tx, actor: Actor, plan: str, wished: PaymentTerms) -> PaymentTerms:
    """Set the terms of payment of a plan, or of every plan that has none (`*`).

    They hold from the next step of each schedule on. Refuses `payment_terms_invalid`.
    """
    check_terms(wished)
    before = terms_for(tx, plan)
    tx.upsert(store.terms, store.terms_row(plan, wished), key=("plan",))
    record(
        tx, actor, "payment_terms.set", plan,
        before=msgspec.to_builtins(before), after=msgspec.to_builtins(wished),
    )  # fmt: skip
    return wished


def known_terms(tx: Tx) -> Sequence[tuple[str, PaymentTerms]]:
    """Return all terms of payment that were set, by plan."""
    rows = tx.run(sa.select(store.terms).order_by(store.terms.c.plan))
    return [(row.plan, store.terms_of(row)) for row in rows]
