"""Publishing facts in the transaction of the fact, and reading them in order."""

from collections.abc import Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from farebox.events import store
from farebox.events.bell import BELL
from farebox.events.model import (
    LARGEST_PAGE,
    SPEC_VERSION,
    Event,
    Feed,
    Position,
    PositionGone,
    PositionRefused,
    source_of,
)
from farebox.events.rules import checked_event
from farebox.events.service_positions import floor_of_log
from farebox.kernel.clock import show_time
from farebox.kernel.ids import record_id
from farebox.kernel.refusals import ValueRefused
from farebox.storage import Tx

_encode = msgspec.json.Encoder().encode
_LONGEST_NUMBER = 18


def publish(
    tx: Tx,
    *,
    type: str,  # noqa: A002 - CloudEvents' word
    subject: str,
    data: dict[str, Any],
) -> Event:
    """Write an event about a subject; others see it when and only when this transaction commits.

    The event's source is the service whose database it is written in.
    Events of one subject are ordered: a second writer waits here until the first has committed.
    Refuses (`event_invalid`) a type or subject that not every transport can carry.
    """
    event = Event(
        specversion=SPEC_VERSION,
        id=record_id("evt"),
        source=source_of(tx.service),
        type=type,
        subject=subject,
        time=show_time(tx.now_us),
        datacontenttype="application/json",
        subjectversion=_next_version(tx, subject),
        data=data,
    )
    checked_event(event)
    row = {
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "subject_version": event.subjectversion,
        "at": tx.now_us,
        "payload": _encode(data).decode(),
    }
    tx.insert_many(store.outbox, tuple(row), [tuple(row.values())])
    tx.after_commit(BELL.ring)
    return event


def events_after(tx: Tx, position: Position, limit: int = 100) -> Feed:
    """Return the events after a position, as far as no earlier one can appear any more.

    Refuses (`position_gone`) a position whose next events are no longer kept.
    """
    if not 1 <= limit <= LARGEST_PAGE:
        raise ValueRefused(f"a page has 1 to {LARGEST_PAGE} entries")
    if position < floor_of_log(tx):
        raise PositionGone
    rows = log_after(tx, position, limit)
    if rows:
        position = Position(rows[-1].txid, rows[-1].seq)
    return Feed(events=tuple(store.event_of(row) for row in rows), position=position)


def log_after(tx: Tx, position: Position, limit: int) -> Sequence[sa.Row[Any]]:
    """Return the log's rows after a position, as far as they are certain."""
    outbox = store.outbox
    here = sa.tuple_(outbox.c.txid, outbox.c.seq) > (position.txid, position.seq)
    statement = _certain(tx, sa.select(outbox).where(here))
    return tx.run(statement.order_by(outbox.c.txid, outbox.c.seq).limit(limit)).all()


def end_of_log(tx: Tx) -> Position:
    """Return the position after the last certain event."""
    outbox = store.outbox
    statement = _certain(tx, sa.select(outbox.c.txid, outbox.c.seq))
    last = tx.one(statement.order_by(outbox.c.txid.desc(), outbox.c.seq.desc()).limit(1))
    return floor_of_log(tx) if last is None else Position(last.txid, last.seq)


def parts_of_end(tx: Tx) -> tuple[sa.ColumnElement[int | None], sa.ColumnElement[int | None]]:
    """Return the position after the last certain event, for a statement that asks more at once."""
    outbox = store.outbox
    order = outbox.c.txid.desc(), outbox.c.seq.desc()
    txid, seq = (
        _certain(tx, sa.select(part).order_by(*order).limit(1)).scalar_subquery()
        for part in (outbox.c.txid, outbox.c.seq)
    )
    return txid, seq


def position_at(tx: Tx, at_us: int) -> Position:
    """Return the position before the first event of an instant or later: nothing is skipped."""
    outbox = store.outbox
    later = _certain(tx, sa.select(outbox.c.txid, outbox.c.seq).where(outbox.c.at >= at_us))
    first = tx.one(later.order_by(outbox.c.txid, outbox.c.seq).limit(1))
    return end_of_log(tx) if first is None else Position(first.txid, first.seq - 1)


def _certain(tx: Tx, statement: sa.Select[Any]) -> sa.Select[Any]:
    """Leave out rows before which others may still appear."""
    safe = tx.safe_position
    return statement if safe is None else statement.where(safe)


def show_position(position: Position) -> str:
    """Write a position as a cursor."""
    return f"{position.txid}-{position.seq}"


def parse_position(text: str) -> Position:
    """Read a cursor back; refuses anything else (`position_invalid`)."""
    numbers = text.split("-")
    if len(numbers) != 2 or not all(_is_number(number) for number in numbers):  # noqa: PLR2004 - txid, seq
        raise PositionRefused
    return Position(int(numbers[0]), int(numbers[1]))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER


def _next_version(tx: Tx, subject: str) -> int:
    """Return the subject's next version; the row lock is held until the commit."""
    raising = tx.built("next_version", lambda: _raising(tx))
    return int(tx.run(raising, {"subject": subject, "version": 1}).scalar_one())


def _raising(tx: Tx) -> sa.Executable:
    table = store.subject_version
    raised = tx.insert_of(table).on_conflict_do_update(
        index_elements=["subject"], set_={"version": table.c.version + 1}
    )
    statement: sa.Executable = raised.returning(table.c.version)
    return statement
