"""The movable test clock: how a year of renewals is watched in a second.

By how much the time is moved is one row of the database itself, so every process and every node
that works on it moves at once, from its next transaction on, and so does a restarted one. A
database is begun with a test clock or without and stays so: in one that was begun without, the
CHECK of the table refuses to be moved, and no transaction asks for the row at all.
"""

from typing import Final

import sqlalchemy as sa

from farebox.events.service import publish
from farebox.kernel.clock import SECOND_US
from farebox.kernel.refusals import SettingsRefused, TryAgain
from farebox.platform import store
from farebox.platform.model import (
    Actor,
    ClockGoesForward,
    ClockReading,
    ClockTooFar,
    TestClockAbsent,
)
from farebox.platform.service_audit import record
from farebox.storage import Database, Tx

FURTHEST_US: Final = 221_845_392_000_000_000  # the year 9000
SUBJECT: Final = "test-clock"
_OFFSET: Final = "SELECT offset_us FROM test_clock WHERE id = 1"


def settle_test_clock(tx: Tx, *, wanted: bool) -> None:
    """Say at a start whether the database has a test clock; the first start decides it for ever.

    Refuses (`settings_invalid`) a start that would change it.
    """
    row = {"id": 1, "movable": int(wanted), "offset_us": 0}
    tx.insert_once(store.test_clock, row, key=("id",))
    movable = bool(tx.run(sa.select(store.test_clock.c.movable)).scalar_one())
    if movable and not wanted:
        raise SettingsRefused(
            "this data was begun with a test clock and does not tell the real time: "
            "start with --test-clock, or with another data folder or database"
        )
    if wanted and not movable:
        raise SettingsRefused(
            "this data was begun without a test clock, so its time cannot be moved: "
            "start without --test-clock, or with another data folder or database"
        )


def follow_test_clock(database: Database) -> None:
    """Let every later transaction of this process have the moved time, if the database has one."""
    with database.read() as tx:
        movable = tx.run(sa.select(store.test_clock.c.movable)).scalar()
    database.moved_by = _OFFSET if movable else None


def read_test_clock(tx: Tx) -> ClockReading:
    """Return what the test clock shows; where there is none, the real time."""
    return ClockReading(now=tx.now_us, offset_us=tx.moved_us)


def advance_test_clock(tx: Tx, actor: Actor, by_us: int) -> ClockReading:
    """Move the test clock on by so many microseconds, and tell what it shows then.

    Refuses (`clock_goes_forward`) to step back or stand still, a time after the year 9000
    (`clock_too_far`), and a database that was begun without (`test_clock_absent`).
    """
    now = tx.now_us
    offset = _locked(tx)
    if offset != tx.moved_us:
        # Somebody moved it after this transaction took its time, which is no longer the time.
        raise TryAgain
    if by_us <= 0:
        raise ClockGoesForward
    if now + by_us > FURTHEST_US:
        raise ClockTooFar
    before = ClockReading(now=now, offset_us=offset)
    after = ClockReading(now=now + by_us, offset_us=offset + by_us)
    _set(tx, actor, before, after)
    return after


def set_test_clock(tx: Tx, actor: Actor, to_us: int) -> ClockReading:
    """Move the test clock on to an instant; refuses as `advance_test_clock` does."""
    return advance_test_clock(tx, actor, to_us - tx.now_us)


def catch_up_with(tx: Tx, actor: Actor, offset_us: int) -> ClockReading:
    """Move on as far as another service's test clock, or stay if this one is further."""
    by_us = offset_us - tx.moved_us
    return advance_test_clock(tx, actor, by_us) if by_us > 0 else read_test_clock(tx)


def _locked(tx: Tx) -> int:
    """Return by how much the clock is moved, which nobody else changes until the commit."""
    statement = sa.select(store.test_clock.c.movable, store.test_clock.c.offset_us)
    row = tx.one(statement.with_for_update())
    if row is None or not row.movable:
        raise TestClockAbsent
    return int(row.offset_us)


def _set(tx: Tx, actor: Actor, before: ClockReading, after: ClockReading) -> None:
    tx.run(store.test_clock.update().values(offset_us=after.offset_us))
    record(tx, actor, "test_clock.moved", SUBJECT, before=before, after=after)
    # The other services have databases, and so offsets, of their own.
    publish(tx, type="test_clock.moved", subject=SUBJECT, data=facts_of(after))


def facts_of(reading: ClockReading) -> dict[str, int]:
    """Return what other services are told of a clock that was moved."""
    return {"offsetUs": reading.offset_us, "offsetSeconds": reading.offset_us // SECOND_US}
