"""Publishing facts in the transaction of the fact, and reading them in order."""

from typing import Any

import msgspec
import sqlalchemy as sa

from farebox.events import store
from farebox.events.bell import BELL
from farebox.events.model import (
    LARGEST_PAGE,
    SOURCE,
    SPEC_VERSION,
    Event,
    Feed,
    Position,
    PositionRefused,
)
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

    Events of one subject are ordered: a second writer waits here until the first has committed.
    """
    event = Event(
        specversion=SPEC_VERSION,
        id=record_id("evt"),
        source=SOURCE,
        type=type,
        subject=subject,
        time=show_time(tx.now_us),
        datacontenttype="application/json",
        subjectversion=_next_version(tx, subject),
        data=data,
    )
    row = {
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "subject_version": event.subjectversion,
        "at": tx.now_us,
        "payload": _encode(data).decode(),
    }
    tx.run(store.outbox.insert(), row)
    tx.after_commit(BELL.ring)
    return event


def events_after(tx: Tx, position: Position, limit: int = 100) -> Feed:
    """Return the events after a position, as far as no earlier one can appear any more."""
    if not 1 <= limit <= LARGEST_PAGE:
        raise ValueRefused(f"a page has 1 to {LARGEST_PAGE} entries")
    outbox = store.outbox
    here = sa.tuple_(outbox.c.txid, outbox.c.seq)
    statement = sa.select(outbox).where(here > (position.txid, position.seq))
    if (safe := tx.safe_position) is not None:
        statement = statement.where(safe)
    rows = tx.run(statement.order_by(outbox.c.txid, outbox.c.seq).limit(limit)).all()
    if rows:
        position = Position(rows[-1].txid, rows[-1].seq)
    return Feed(events=tuple(store.event_of(row) for row in rows), position=position)


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
    table = store.subject_version
    statement = tx.insert_of(table).values(subject=subject, version=1)
    raised = statement.on_conflict_do_update(
        index_elements=["subject"], set_={"version": table.c.version + 1}
    )
    return int(tx.run(raised.returning(table.c.version)).scalar_one())
