"""Dead letters: events set aside after their last try, looked at, re-sent or discarded."""

from typing import Any

import sqlalchemy as sa

from farebox.events import store
from farebox.events.model import DeadLetter, DeadLetterUnknown
from farebox.events.service_inbox import Picked, end_event, go_on, lock_subject
from farebox.kernel import ids
from farebox.storage import Tx

_DEAD = sa.text("state = 'dead'")


def list_dead_letters(
    tx: Tx, *, after: str | None = None, limit: int = 100
) -> tuple[DeadLetter, ...]:
    """Return dead letters in the order in which their events came."""
    table = store.inbox
    statement = sa.select(table).where(_DEAD).order_by(table.c.seq).limit(limit)
    if after is not None:
        statement = statement.where(table.c.seq > _number(after))
    return tuple(_letter(tx, row) for row in tx.run(statement).all())


def read_dead_letter(tx: Tx, letter: str) -> DeadLetter:
    """Return a dead letter; refuses one that is not there (`dead_letter_unknown`)."""
    return _letter(tx, _row(tx, letter))


def resend(tx: Tx, letter: str) -> DeadLetter:
    """Let an event be tried again, three times; its subject's others follow once it succeeds."""
    row = _locked(tx, letter)
    found = _letter(tx, row)
    again = {"state": "waiting", "tries": 0, "due_at": tx.now_us}
    tx.run(store.inbox.update().where(store.inbox.c.seq == row.seq).values(again))
    go_on(tx, (row.source, row.subject))
    return found


def discard(tx: Tx, letter: str) -> DeadLetter:
    """Give an event up: its handler never runs, its subject's others follow."""
    row = _locked(tx, letter)
    found = _letter(tx, row)
    event = store.received_of(row)
    picked = Picked(seq=row.seq, event=event, tries=row.tries, copies_only=False, last_version=0)
    end_event(tx, picked, "discarded")
    go_on(tx, (row.source, row.subject))
    return found


def _number(letter: str) -> int:
    number = ids.parse("dlt", letter)
    if number is None:
        raise DeadLetterUnknown
    return number


def _row(tx: Tx, letter: str) -> sa.Row[Any]:
    row = tx.one(sa.select(store.inbox).where(store.inbox.c.seq == _number(letter), _DEAD))
    if row is None:
        raise DeadLetterUnknown
    return row


def _locked(tx: Tx, letter: str) -> sa.Row[Any]:
    """Return a dead letter that nobody else resolves: read again under its subject's lock."""
    row = _row(tx, letter)
    lock_subject(tx, (row.source, row.subject))
    return _row(tx, letter)


def _letter(tx: Tx, row: sa.Row[Any]) -> DeadLetter:
    table = store.inbox
    behind = sa.select(sa.func.count()).where(
        table.c.source == row.source,
        table.c.subject == row.subject,
        sa.text("state IN ('waiting', 'dead')"),
        table.c.seq != row.seq,
    )
    return DeadLetter(
        id=ids.show("dlt", row.seq),
        event=store.received_of(row),
        error=row.error or "",
        tries=row.tries,
        received_at=row.received_at,
        waiting=int(tx.run(behind).scalar_one()),
    )
