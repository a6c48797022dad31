"""Leases in one transaction: a row that says who does a work, and until when."""

from typing import ClassVar, Final

import sqlalchemy as sa

from farebox.events import store
from farebox.kernel.clock import SECOND_US
from farebox.kernel.refusals import Refusal
from farebox.storage import Tx


class LeaseLost(Refusal):
    """Another process does this work now."""

    code: ClassVar[str] = "lease_lost"


LONGEST_TTL_US: Final = 300 * SECOND_US


def is_settled(tx: Tx, name: str, holder: str, ttl_us: int) -> bool | None:
    """Tell whether a lease is ours for a good while yet, or another's; None if it is to be taken.

    This only reads: asking now and then must cost those who write nothing.
    """
    row = tx.one(sa.select(store.lease).where(store.lease.c.name == name))
    left = 0 if row is None else row.until - tx.now_us
    if row is None or not 0 < left <= 2 * LONGEST_TTL_US:
        return None
    if row.holder != holder:
        return False
    return True if left > ttl_us // 2 else None


def take_lease(tx: Tx, name: str, holder: str, ttl_us: int) -> bool:
    """Take a lease that is free or over, or renew our own; tells whether it is ours now."""
    now, table = tx.now_us, store.lease
    tx.insert_once(table, {"name": name, "holder": "", "until": 0}, key=("name",))
    # No lease reaches so far ahead: one that does is from a time that was taken back.
    unreal = table.c.until > now + 2 * LONGEST_TTL_US
    free = sa.or_(table.c.holder == holder, table.c.until <= now, unreal)
    taken = table.update().where(table.c.name == name, free)
    taken = taken.values(holder=holder, until=now + ttl_us)
    return tx.one(taken.returning(table.c.name)) is not None


def confirm_lease(tx: Tx, name: str, holder: str) -> None:
    """Hold a lease until the commit; refuses (`lease_lost`) what is no longer ours.

    Whoever takes it over waits for this transaction, so what is written here was written by the
    one holder.
    """
    table = store.lease
    ours = sa.select(table.c.until).where(table.c.name == name, table.c.holder == holder)
    row = tx.one(ours.with_for_update())
    if row is None or row.until <= tx.now_us:
        raise LeaseLost


def give_up_lease(tx: Tx, name: str, holder: str) -> None:
    """Let another take the lease at once."""
    table = store.lease
    tx.run(table.update().where(table.c.name == name, table.c.holder == holder).values(until=0))
