"""What recurs: which charges ran at an instant, for the reports of recurring revenue."""

import msgspec
import sqlalchemy as sa

from farebox.billing.schedules import store
from farebox.billing.schedules.model import Charge, Schedule
from farebox.storage import Tx


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription with the charge that covers an instant."""

    schedule: Schedule
    charge: Charge


def running_at(tx: Tx, at: int) -> list[Running]:
    """Return every subscription that was paid for, or owed, at an instant, with its charge then."""
    charge, schedule = store.charge, store.schedule
    rows = tx.run(
        sa.select(charge)
        .join(schedule, schedule.c.subscription == charge.c.subscription)
        .where(
            charge.c.state.in_(("open", "paid")),
            charge.c.starts_at <= at,
            charge.c.ends_at > at,
            sa.or_(charge.c.cut_at.is_(None), charge.c.cut_at > at),
            sa.or_(schedule.c.ended_at.is_(None), schedule.c.ended_at > at),
        )
        .order_by(charge.c.subscription, charge.c.starts_at)
    )
    charges = {row.subscription: store.charge_of(row) for row in rows}
    schedules = _schedules(tx, sorted(charges))
    return [Running(schedule=schedules[key], charge=one) for key, one in charges.items()]


def first_charged(tx: Tx, before: int) -> dict[str, int]:
    """Return since when each customer was charged for anything that recurs, before an instant."""
    charge, schedule = store.charge, store.schedule
    first = sa.func.min(charge.c.starts_at).label("first")
    rows = tx.run(
        sa.select(schedule.c.customer, first)
        .join(charge, charge.c.subscription == schedule.c.subscription)
        .where(charge.c.state.in_(("open", "paid")), charge.c.starts_at < before)
        .group_by(schedule.c.customer)
    )
    return {row.customer: int(row.first) for row in rows}


def charged_in(tx: Tx, before: int) -> dict[str, set[str]]:
    """Return who was charged in each currency for anything that recurs, before an instant."""
    charge, schedule = store.charge, store.schedule
    rows = tx.run(
        sa.select(schedule.c.currency, schedule.c.customer)
        .join(charge, charge.c.subscription == schedule.c.subscription)
        .where(charge.c.state.in_(("open", "paid")), charge.c.starts_at < before)
        .distinct()
    )
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row.currency, set()).add(row.customer)
    return found


def _schedules(tx: Tx, wanted: list[str]) -> dict[str, Schedule]:
    found: dict[str, Schedule] = {}
    for start in range(0, len(wanted), 1_000):
        here = store.schedule.c.subscription.in_(wanted[start : start + 1_000])
        for row in tx.run(sa.select(store.schedule).where(here)):
            found[row.subscription] = store.schedule_of(row)
    return found
