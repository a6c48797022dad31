"""How long events are kept: the log behind everybody who follows it, the inbox behind its work."""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from farebox.events import store
from farebox.events.model import Position
from farebox.events.service import log_after
from farebox.events.service_positions import floor_of_log, list_standings, set_position
from farebox.storage import Tx

AT_ONCE: Final = 1_000


def trim_log(tx: Tx, before_us: int) -> int:
    """Remove the log's oldest events, up to a thousand, and note how far; returns how many.

    What is younger stays, and what a sender or follower has not passed: an event behind one that
    stays, stays too, so that the log has no holes.
    """
    reached = [each.position for each in list_standings(tx) if each.kind in {"sender", "follower"}]
    rows = _removable(log_after(tx, floor_of_log(tx), AT_ONCE), before_us, reached)
    if not rows:
        return 0
    last = rows[-1]
    table = store.outbox
    gone = sa.tuple_(table.c.txid, table.c.seq) <= (last.txid, last.seq)
    tx.run(table.delete().where(gone))
    set_position(tx, "floor", "", Position(last.txid, last.seq))
    return len(rows)


def trim_inbox(tx: Tx, before_us: int) -> int:
    """Remove events that were over before an instant, up to a thousand; returns how many.

    One that came again would still be known by its subject's version.
    """
    table = store.inbox
    over = sa.select(table.c.seq).where(table.c.ended_at < before_us, table.c.subject_version > 0)
    oldest = over.order_by(table.c.ended_at).limit(AT_ONCE)
    gone = table.delete().where(table.c.seq.in_(oldest.scalar_subquery()))
    return len(tx.run(gone.returning(table.c.seq)).all())


def _removable(
    rows: Sequence[sa.Row[Any]], before_us: int, reached: Sequence[Position]
) -> Sequence[sa.Row[Any]]:
    """Return the rows before the first that must stay."""
    limit = min(reached, default=None)
    for count, row in enumerate(rows):
        if row.at >= before_us or (limit is not None and Position(row.txid, row.seq) > limit):
            return rows[:count]
    return rows
