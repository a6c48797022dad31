"""Reminders: rows with a due time, each claimed and told in one transaction.

The key is rental, kind and version: a rental that is moved, extended or first played gets another
version and another row, and the row of the version before comes to nothing. So a reminder is told
once for each end, however many workers look and however often one of them dies.
"""

import sqlalchemy as sa

from farebox.access.entitlements.service import read_entitlement
from farebox.access.rentals import store
from farebox.access.rentals.model import Rental
from farebox.access.rentals.rules import ends_at, reminds_at, seen
from farebox.events.service import publish
from farebox.kernel.clock import show_time
from farebox.storage import Tx


def set_reminder(tx: Tx, rental: Rental) -> None:
    """Plan the reminder of a rental's present end; the one of its end before comes to nothing."""
    row = {
        "rental": rental.id,
        "kind": "expiring",
        "version": rental.version,
        "due_at": reminds_at(rental),
        "done_at": None,
        "told": 0,
    }
    tx.insert_once(store.reminder, row, key=("rental", "kind", "version"))


def tell_due(tx: Tx, *, limit: int = 100) -> int:
    """Tell what is due, by `entitlement.expiring`; returns how many rows were dealt with.

    What is due too late, when the rental is over, or for an end that is no more, is not told.
    """
    table, now = store.reminder, tx.now_us
    due = sa.select(table).where(table.c.done_at.is_(None), table.c.due_at <= now)
    ordered = due.order_by(table.c.due_at, table.c.rental).limit(limit)
    rows = tx.run(ordered.with_for_update(skip_locked=True)).all()
    for row in rows:
        told = _tell(tx, row.rental, row.version)
        here = (
            table.c.rental == row.rental, table.c.kind == row.kind, table.c.version == row.version,
        )  # fmt: skip
        tx.run(table.update().where(*here).values(done_at=now, told=int(told)))
    return len(rows)


def next_due(tx: Tx) -> int | None:
    """Return when the next reminder is due, in microseconds, or None."""
    table = store.reminder
    found = tx.one(
        sa.select(sa.func.min(table.c.due_at).label("at")).where(table.c.done_at.is_(None))
    )
    return None if found is None or found.at is None else int(found.at)


def _tell(tx: Tx, rental_id: str, version: int) -> bool:
    rental = store.rental_of(
        tx.run(sa.select(store.rental).where(store.rental.c.id == rental_id)).one()
    )
    one = seen(rental, tx.now_us)
    if rental.version != version or not one.expiring:
        return False
    # The right may have been taken back without its rental.
    if read_entitlement(tx, rental.entitlement).revoked_at is not None:
        return False
    data = {
        "entitlementId": rental.entitlement,
        "rentalId": rental.id,
        "consumerId": rental.consumer,
        "itemId": rental.item,
        "offer": rental.offer,
        "endsAt": show_time(ends_at(rental)),
        "version": version,
    }
    publish(tx, type="entitlement.expiring", subject=rental.entitlement, data=data)
    return True
