"""Positions in logs: of our senders and followers in our own, of our readers in others'."""

from typing import Final

import sqlalchemy as sa

from farebox.events import store
from farebox.events.model import Position, PositionKind, Standing
from farebox.events.rules import pause_us
from farebox.kernel.clock import SECOND_US
from farebox.storage import Tx

FOLLOWED_EVERY_US: Final = 60 * SECOND_US
"""A follower's position is written down so often: only retention needs it."""


def find_standing(tx: Tx, kind: PositionKind, name: str) -> Standing | None:
    """Return how somebody stands, or None before their first step."""
    row = tx.one(sa.select(store.log_position).where(_is(kind, name)))
    return None if row is None else store.standing_of(row)


def list_standings(tx: Tx) -> tuple[Standing, ...]:
    """Return everybody's standing."""
    table = store.log_position
    rows = tx.run(sa.select(table).order_by(table.c.kind, table.c.name))
    return tuple(store.standing_of(row) for row in rows)


def floor_of_log(tx: Tx) -> Position:
    """Return the position up to which the log was removed: the first that can be read after."""
    found = find_standing(tx, "floor", "")
    return Position() if found is None else found.position


def set_position(
    tx: Tx, kind: PositionKind, name: str, position: Position, *, until: Position | None = None
) -> None:
    """Put somebody at a position, wherever they were."""
    values = {
        "kind": kind,
        "name": name,
        "txid": position.txid,
        "seq": position.seq,
        "until_txid": None if until is None else until.txid,
        "until_seq": None if until is None else until.seq,
        "at": tx.now_us,
        "failures": 0,
        "due_at": 0,
        "error": None,
    }
    tx.upsert(store.log_position, values, key=("kind", "name"))


def advance(tx: Tx, kind: PositionKind, name: str, old: Position, new: Position) -> bool:
    """Move somebody on if they are still where they were; tells whether they were.

    The row stays locked until the commit, so of two who read one page, one stores it.
    """
    if find_standing(tx, kind, name) is None:
        set_position(tx, kind, name, Position())
    table = store.log_position
    here = _is(kind, name) & (table.c.txid == old.txid) & (table.c.seq == old.seq)
    place = {"txid": new.txid, "seq": new.seq, "at": tx.now_us}
    moved = table.update().where(here).values(**place, failures=0, due_at=0, error=None)
    return tx.one(moved.returning(table.c.seq)) is not None


def note_down(tx: Tx, kind: PositionKind, name: str, error: str) -> Standing:
    """Count a failure and say when to try again; the position stays."""
    standing = find_standing(tx, kind, name)
    if standing is None:
        set_position(tx, kind, name, Position())
    failures = 1 if standing is None else standing.failures + 1
    values = {"failures": failures, "due_at": tx.now_us + pause_us(failures), "error": error}
    tx.run(store.log_position.update().where(_is(kind, name)).values(values))
    found = find_standing(tx, kind, name)
    assert found is not None
    return found


def next_try(after_us: sa.ColumnElement[int]) -> sa.ColumnElement[int | None]:
    """Return when the next pause of a sender ends, for a statement that asks more at once."""
    table = store.log_position
    down = sa.select(sa.func.min(table.c.due_at))
    return down.where(table.c.kind == "sender", table.c.due_at > after_us).scalar_subquery()


def is_news_of_follower(tx: Tx, name: str, position: Position) -> bool:
    """Tell whether a follower's position should be written down again."""
    found = find_standing(tx, "follower", name)
    if found is None:
        return True
    return position > found.position and tx.now_us >= found.at + FOLLOWED_EVERY_US


def follow(tx: Tx, name: str, position: Position) -> None:
    """Write down that a follower has stored everything up to a position."""
    set_position(tx, "follower", name, position)


def expect_follower(tx: Tx, name: str) -> None:
    """Keep the log for a follower that has not asked yet, from the oldest event that is kept."""
    if find_standing(tx, "follower", name) is None:
        follow(tx, name, floor_of_log(tx))


def forget_standing(tx: Tx, kind: PositionKind, name: str) -> bool:
    """Forget a sender or follower that will not come back, so that the log need not wait."""
    table = store.log_position
    gone = table.delete().where(_is(kind, name)).returning(table.c.name)
    return tx.one(gone) is not None


def _is(kind: PositionKind, name: str) -> sa.ColumnElement[bool]:
    return (store.log_position.c.kind == kind) & (store.log_position.c.name == name)
