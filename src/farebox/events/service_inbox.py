"""The inbox in one transaction: storing what came, and taking a subject's next event.

Per subject (of a source) events are tried in the order of their versions, then of their arrival.
The row of `inbox_subject` is locked by whoever stores or applies an event of it, which makes the
order hold with any number of workers, and lets those of other subjects go on.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, Literal

import msgspec
import sqlalchemy as sa

from farebox.events import store
from farebox.events.bell import BELL
from farebox.events.model import Event
from farebox.events.rules import retry_at
from farebox.storage import Tx

Handler = Callable[[Tx, Event], None]
Ending = Literal["applied", "passed", "stale", "discarded"]
Key = tuple[str, str]

_encode = msgspec.json.Encoder().encode
_OPEN: Final = sa.text("state IN ('waiting', 'dead')")
_COLUMNS: Final = (
    "source", "id", "type", "subject", "subject_version", "time", "payload", "received_at",
    "state", "copies_only", "tries", "due_at", "ended_at",
)  # fmt: skip


class Picked(msgspec.Struct, frozen=True, kw_only=True):
    """A subject's next event, with the subject's row locked."""

    seq: int
    event: Event
    tries: int
    copies_only: bool
    last_version: int

    @property
    def is_stale(self) -> bool:
        """Tell whether a later event of the subject is over already."""
        version = self.event.subjectversion
        return not self.copies_only and 0 < version <= self.last_version


def store_events(
    tx: Tx,
    events: Sequence[Event],
    *,
    handled: Callable[[Event], bool],
    again: bool = False,
    patience_us: int = 0,
) -> None:
    """Store events that are not here yet; those that nobody handles are over at once.

    `again`: events that were here before (a replay) or that tell how things stand (a snapshot);
    only copies get them. With a patience an event waits so long for the versions before it, for
    transports that may deliver a later event first.
    """
    events = list({(event.source, event.id): event for event in events}.values())
    ordered = [event for event in events if handled(event) or (patience_us and not again)]
    chosen = {(event.source, event.id) for event in ordered}
    if not again:
        passed = [event for event in events if (event.source, event.id) not in chosen]
        rows = [_row(event, tx.now_us, state="passed") for event in passed]
        tx.insert_missing(store.inbox, "source, id", _COLUMNS, rows)
    if ordered:
        _store_in_order(tx, ordered, again=again, patience_us=patience_us)
    tx.after_commit(BELL.ring)


def _store_in_order(tx: Tx, events: Sequence[Event], *, again: bool, patience_us: int) -> None:
    now = tx.now_us
    subjects = _lock_subjects(tx, {(event.source, event.subject) for event in events})
    known = _known(tx, [(event.source, event.id) for event in events])
    seen = {key: max(row.seen, row.version) for key, row in subjects.items()}
    rows, touched = [], set()
    for event in events:
        key, version = (event.source, event.subject), event.subjectversion
        state = known.get((event.source, event.id))
        if state is not None:
            if again and state not in {"waiting", "dead"}:
                _open_again(tx, event)
                touched.add(key)
            continue
        early = patience_us > 0 and not again and version > seen[key] + 1
        due_at = now + patience_us if early else now
        if not early:
            # One that came early tells nothing of those between: they may be late by more.
            seen[key] = max(seen[key], version)
        rows.append(_row(event, now, copies_only=again, due_at=due_at))
        touched.add(key)
    tx.insert_missing(store.inbox, "source, id", _COLUMNS, rows)
    for key in sorted(touched):
        _set_due(tx, key, seen=seen[key], dead=bool(subjects[key].dead))


def has_due(tx: Tx) -> bool:
    """Tell whether a subject has waited long enough for its next event; this only reads."""
    table = store.inbox_subject
    due = sa.select(table.c.due_at).where(table.c.due_at <= tx.now_us).limit(1)
    return tx.one(due) is not None


def first_due() -> sa.ColumnElement[int | None]:
    """Return when the first open event is due, for a statement that asks more at once."""
    table = store.inbox_subject
    # The condition is that of the index.
    open_ones = sa.select(sa.func.min(table.c.due_at)).where(table.c.due_at.is_not(None))
    return open_ones.scalar_subquery()


def next_due(tx: Tx) -> Picked | None:
    """Lock the subject that has waited longest for its next event, and return that event."""
    table = store.inbox_subject
    ready = sa.select(table).where(table.c.due_at <= tx.now_us)
    # What came together is due at one instant: then the order of arrival holds over subjects too.
    due = ready.order_by(table.c.due_at, table.c.head).limit(1)
    # Subjects that another worker has in hand are passed over, not waited for.
    subject = tx.one(due.with_for_update(skip_locked=True))
    if subject is None:
        return None
    head = _head(tx, (subject.source, subject.subject))
    assert head is not None, "a subject is due without an open event"
    return Picked(
        seq=head.seq,
        event=store.received_of(head),
        tries=head.tries,
        copies_only=bool(head.copies_only),
        last_version=subject.version,
    )


def end_event(tx: Tx, picked: Picked, ending: Ending) -> None:
    """Mark an event as over, in the transaction of what its handler did, and let the next come."""
    event, here = picked.event, store.inbox.c.seq == picked.seq
    done = {"state": ending, "ended_at": tx.now_us, "copies_only": 0}
    tx.run(store.inbox.update().where(here).values(done))
    _advance(tx, (event.source, event.subject), event.subjectversion)


def note_failure(tx: Tx, picked: Picked, error: str) -> bool:
    """Count a failed try, in a transaction of its own; tells whether the event is dead now.

    Does nothing if somebody else has tried the event since.
    """
    key = (picked.event.source, picked.event.subject)
    _lock_subjects(tx, {key})
    table, tries = store.inbox, picked.tries + 1
    same = (table.c.seq == picked.seq) & (table.c.state == "waiting")
    due_at = retry_at(tries, tx.now_us)
    values: dict[str, Any] = {"tries": tries, "error": error}
    values |= {"state": "dead"} if due_at is None else {"due_at": due_at}
    noted = table.update().where(same & (table.c.tries == picked.tries)).values(values)
    if tx.one(noted.returning(table.c.seq)) is None:
        return False
    subject = store.inbox_subject.update().where(_is_subject(key))
    tx.run(subject.values(due_at=due_at, dead=int(due_at is None)))
    return due_at is None


def newer(tx: Tx, event: Event, *, copy: str = "") -> bool:
    """Tell whether an event is newer than what a copy holds of its subject, and note that it is.

    A copy upserts when this says so, and may then be replayed. Each copy has its own name.
    """
    table = store.copy_version
    statement = tx.insert_of(table).values(
        copy=copy, source=event.source, subject=event.subject, version=event.subjectversion
    )
    raised = statement.on_conflict_do_update(
        index_elements=["copy", "source", "subject"],
        set_={"version": statement.excluded.version},
        where=table.c.version < statement.excluded.version,
    )
    return tx.one(raised.returning(table.c.version)) is not None


def forget_copy(tx: Tx, copy: str) -> None:
    """Forget which versions a copy holds: whoever empties a copy to fill it anew calls this."""
    tx.run(store.copy_version.delete().where(store.copy_version.c.copy == copy))


def lock_subject(tx: Tx, key: Key) -> None:
    """Lock a subject's row, so that its events stand still until the commit."""
    _lock_subjects(tx, {key})


def go_on(tx: Tx, key: Key) -> None:
    """Let a subject's first open event be tried again as soon as it is due."""
    _set_due(tx, key, seen=0, dead=False)
    tx.after_commit(BELL.ring)


def _row(
    event: Event, now: int, *, state: str = "waiting", copies_only: bool = False, due_at: int = 0
) -> tuple[Any, ...]:
    return (
        event.source, event.id, event.type, event.subject, event.subjectversion, event.time,
        _encode(event.data).decode(), now, state, int(copies_only), 0, due_at,
        now if state == "passed" else None,
    )  # fmt: skip


def _lock_subjects(tx: Tx, keys: Iterable[Key]) -> dict[Key, sa.Row[Any]]:
    """Make the subjects' rows where they are missing and lock them, in order."""
    wanted = sorted(keys)
    table = store.inbox_subject
    columns = ("source", "subject", "version", "seen", "dead")
    tx.insert_missing(table, "source, subject", columns, [(*key, 0, 0, 0) for key in wanted])
    found = sa.select(table).where(sa.tuple_(table.c.source, table.c.subject).in_(wanted))
    rows = tx.run(found.order_by(table.c.source, table.c.subject).with_for_update())
    return {(row.source, row.subject): row for row in rows}


def _known(tx: Tx, ids: Sequence[Key]) -> dict[Key, str]:
    """Return the states of those events that are here already."""
    table = store.inbox
    here = sa.tuple_(table.c.source, table.c.id).in_(ids)
    rows = tx.run(sa.select(table.c.source, table.c.id, table.c.state).where(here))
    return {(row.source, row.id): row.state for row in rows}


def _open_again(tx: Tx, event: Event) -> None:
    table = store.inbox
    here = (table.c.source == event.source) & (table.c.id == event.id)
    values = {"state": "waiting", "copies_only": 1, "tries": 0, "due_at": tx.now_us}
    tx.run(table.update().where(here).values(**values, ended_at=None, error=None))


def _head(tx: Tx, key: Key) -> sa.Row[Any] | None:
    """Return a subject's first open event."""
    table = store.inbox
    here = (table.c.source == key[0]) & (table.c.subject == key[1])
    first = sa.select(table).where(here, _OPEN).order_by(table.c.subject_version, table.c.seq)
    return tx.one(first.limit(1))


def _is_subject(key: Key) -> sa.ColumnElement[bool]:
    table = store.inbox_subject
    return (table.c.source == key[0]) & (table.c.subject == key[1])


def _set_due(tx: Tx, key: Key, *, seen: int, dead: bool) -> None:
    """Set when a subject is due from its first open event; a dead letter keeps it waiting."""
    head = None if dead else _head(tx, key)
    table = store.inbox_subject
    higher = sa.case((table.c.seen < seen, seen), else_=table.c.seen)
    due_at = None if head is None else head.due_at
    first = 0 if head is None else head.seq
    values = {"due_at": due_at, "dead": int(dead), "seen": higher, "head": first}
    tx.run(table.update().where(_is_subject(key)).values(values))


def _advance(tx: Tx, key: Key, version: int) -> None:
    """Note a version as over; the next open event is due, at once if it only waited for this."""
    head = _head(tx, key)
    due_at = None if head is None else head.due_at
    if head is not None and head.tries == 0 and head.subject_version == version + 1:
        due_at = min(head.due_at, tx.now_us)
    if head is not None and head.subject_version < version:
        version = 0  # An earlier one came late: it is not stale while it is open.
    table = store.inbox_subject
    higher = sa.case((table.c.version < version, version), else_=table.c.version)
    first = 0 if head is None else head.seq
    values = {"due_at": due_at, "dead": 0, "version": higher, "head": first}
    tx.run(table.update().where(_is_subject(key)).values(values))
