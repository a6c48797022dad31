"""Rentals: begun, played, moved, extended, revoked; reminders of their ends.

A rental and its entitlement say the same: each change of a rental's end is one of the entitlement's
too, in the same transaction. Every change leaves as `rental.created`, `rental.changed` or
`rental.revoked` with all that a copy holds.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import sqlalchemy as sa

from farebox.access.entitlements.service import (
    read_entitlement,
    revoke_entitlement,
    write_entitlement,
)
from farebox.access.rentals import store
from farebox.access.rentals.model import Rental, RentalOver, RentalUnknown, Seen
from farebox.access.rentals.rules import ends_at, extended, moved, played, seen
from farebox.access.rentals.service_reminders import set_reminder
from farebox.events.service import publish
from farebox.kernel.clock import show_time
from farebox.kernel.ids import record_id
from farebox.platform.model import Actor, Page
from farebox.platform.rules import checked_limit, page_of
from farebox.platform.service_audit import record
from farebox.storage import Tx


def begin_rental(tx: Tx, actor: Actor, made: Rental) -> Seen:
    """Keep a new rental, whose entitlement was granted in this transaction."""
    made = msgspec.structs.replace(made, id=record_id("rnt"), created_at=tx.now_us)
    tx.run(store.rental.insert(), store.rental_row(made))
    set_reminder(tx, made)
    record(tx, actor, "rental.created", made.id, after=made)
    _tell(tx, "created", made)
    return seen(made, tx.now_us)


def read_rental(tx: Tx, rental_id: str, *, consumer: str | None = None) -> Seen:
    """Return a rental, of this consumer if one is named; refuses others (`rental_unknown`)."""
    row = tx.one(sa.select(store.rental).where(store.rental.c.id == rental_id))
    if row is None or consumer not in {None, row.consumer}:
        raise RentalUnknown
    return seen(store.rental_of(row), tx.now_us)


def rental_of_entitlement(tx: Tx, entitlement: str) -> Rental | None:
    """Return the rental that an entitlement is for, or None."""
    row = tx.one(sa.select(store.rental).where(store.rental.c.entitlement == entitlement))
    return None if row is None else store.rental_of(row)


def list_rentals(
    tx: Tx,
    *,
    consumer: str | None = None,
    item: str | None = None,
    after: str | None = None,
    limit: int = 100,
) -> Page[Seen]:
    """Return rentals in the order of their ids, also those that are over."""
    table, now = store.rental, tx.now_us
    statement = sa.select(table).order_by(table.c.id)
    for column, value in ((table.c.consumer, consumer), (table.c.item, item)):
        if value is not None:
            statement = statement.where(column == value)
    if after is not None:
        statement = statement.where(table.c.id > after)
    rows = tx.run(statement.limit(checked_limit(limit) + 1))
    found = [seen(store.rental_of(row), now) for row in rows]
    return page_of(found, limit, lambda one: one.rental.id)


def play_rental(
    tx: Tx,
    actor: Actor,
    rental_id: str,
    *,
    consumer: str | None = None,
    device: str | None = None,
    confirmed: bool = False,
    take_over: bool = False,
) -> Seen:
    """Play a rental; the first play starts the second clock, if it has one and that is confirmed.

    `device` is the key that the player shows. Another one has to say that it takes over, and is
    written down; nobody is told of it, since no end changes.
    Refuses `rental_not_started`, `rental_over`, `finish_clock_unconfirmed`, `playing_elsewhere`.
    """

    def change(rental: Rental) -> Rental:
        return played(rental, tx.now_us, device=device, confirmed=confirmed, take_over=take_over)

    old = _locked(tx, rental_id, consumer)
    action = "rental.played" if old.first_played_at is None else "rental.taken_over"
    return _change(tx, actor, action, old, change)


def move_rental(
    tx: Tx, actor: Actor, rental_id: str, starts_at: int, *, consumer: str | None = None
) -> Seen:
    """Give a rental another start, free of charge, before it starts; its period stays.

    Refuses `rental_started`, `rental_over`, `rental_window` and a start in the past.
    """

    def change(rental: Rental) -> Rental:
        return moved(rental, starts_at, tx.now_us)

    return _change(tx, actor, "rental.moved", _locked(tx, rental_id, consumer), change)


def extend_rental(
    tx: Tx, actor: Actor, rental_id: str, period_hours: int, *, beyond: bool = False
) -> Seen:
    """Give a rental another period in all; see `rules.extended`.

    Refuses `rental_over`, `rental_started` (it would get shorter), `rental_window`.
    """

    def change(rental: Rental) -> Rental:
        return extended(rental, period_hours, tx.now_us, beyond=beyond)

    return _change(tx, actor, "rental.extended", _locked(tx, rental_id, None), change)


def revoke_rental(tx: Tx, actor: Actor, rental_id: str, *, reason: str | None = None) -> Seen:
    """Take a rental back with its entitlement, at once. Repeating changes nothing."""
    old = _locked(tx, rental_id, None)
    if old.revoked_at is not None:
        return seen(old, tx.now_us)
    why = reason or actor.reason
    new = msgspec.structs.replace(old, revoked_at=tx.now_us, revoked_why=why)
    _write(tx, new)
    revoke_entitlement(tx, actor, new.entitlement, reason=why)
    record(tx, actor, "rental.revoked", new.id, before=old, after=new)
    _tell(tx, "revoked", new)
    return seen(new, tx.now_us)


def lock_rental(tx: Tx, rental_id: str) -> Rental:
    """Return a rental that nobody else changes until the commit; refuses an unknown one."""
    return _locked(tx, rental_id, None)


def _locked(tx: Tx, rental_id: str, consumer: str | None) -> Rental:
    row = tx.one(sa.select(store.rental).where(store.rental.c.id == rental_id).with_for_update())
    if row is None or consumer not in {None, row.consumer}:
        raise RentalUnknown
    return store.rental_of(row)


def _change(
    tx: Tx, actor: Actor, action: str, old: Rental, change: Callable[[Rental], Rental]
) -> Seen:
    """Change a locked rental and its entitlement alike; one that was taken back is over.

    What a copy would not hold, such as the device, is written down and told to nobody.
    """
    entitlement = read_entitlement(tx, old.entitlement)
    new = change(old)
    if entitlement.revoked_at is not None:
        raise RentalOver
    if new == old:
        return seen(old, tx.now_us)
    _write(tx, new)
    record(tx, actor, action, new.id, before=old, after=new)
    after = seen(new, tx.now_us)
    if facts_of(after) == facts_of(seen(old, tx.now_us)):
        return after
    set_reminder(tx, new)
    times = {"starts_at": new.starts_at, "expires_at": ends_at(new)}
    write_entitlement(tx, actor, entitlement, msgspec.structs.replace(entitlement, **times))
    _tell(
        tx, "changed", new,
        change=action.removeprefix("rental."),
        changedBy=actor.id if actor.kind == "system" else actor.kind,
        fromPeriodHours=old.period_hours,
    )  # fmt: skip
    return after


def _write(tx: Tx, rental: Rental) -> None:
    here = store.rental.c.id == rental.id
    tx.run(store.rental.update().where(here).values(store.rental_row(rental)))


def facts_of(one: Seen) -> dict[str, Any]:
    """Return what events say of a rental."""
    rental = one.rental
    return {
        "rentalId": rental.id,
        "orderId": rental.order,
        "itemId": rental.item,
        "offer": rental.offer,
        "consumerId": rental.consumer,
        "entitlementId": rental.entitlement,
        "state": one.state,
        "startsAt": show_time(rental.starts_at),
        "endsAt": show_time(one.ends_at),
        "periodHours": rental.period_hours,
        "finishWithinHours": rental.finish_within_hours,
        "firstPlayedAt": _shown(rental.first_played_at),
        "revokedAt": _shown(rental.revoked_at),
        "reason": rental.revoked_why,
        "version": rental.version,
    }


def _shown(at: int | None) -> str | None:
    return None if at is None else show_time(at)


def _tell(tx: Tx, what: str, rental: Rental, **more: str | int) -> None:
    """Tell how a rental stands; of a change also what was done, and by whom."""
    data = {**facts_of(seen(rental, tx.now_us)), **more}
    publish(tx, type=f"rental.{what}", subject=rental.id, data=data)
