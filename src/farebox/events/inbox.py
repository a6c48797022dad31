"""A service's inbox: what others tell it, stored first, then applied exactly once and in order.

    transport -> take(events) -> stored, durably -> step() -> handler + marker, one transaction

So a transport may deliver twice, die after delivering, or deliver half a batch. A handler that
fails is rolled back and tried again after a pause; after its last try the event is a dead letter,
its subject waits, and all others go on. Example: `payment.failed` of `sub_1` has no consumer.
Three tries later it is a dead letter; `payment.succeeded` of `sub_1` waits behind it, those of
`sub_2` are applied. Somebody mends the cause and re-sends it: both of `sub_1` are applied in order.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import structlog

from farebox.events import service_inbox
from farebox.events.model import LARGEST_PAGE, Event, EventRefused
from farebox.events.rules import checked_event, error_text
from farebox.events.service_inbox import Ending, Handler, Picked
from farebox.storage import Database, Problem, Tx, problem_of

Handlers = Mapping[tuple[str, str], Handler]
"""Functions by (source, type)."""
AT_ONCE: Final = 100
_NONE: Final[Handlers] = {}
_log = structlog.get_logger("farebox.events")


class Inbox:
    """Stores and applies the events that reach one service. Any number may work on one database.

    `handlers` are processes: each runs once for an event, and never for one that is older than
    what its subject has seen. `copies` are projections: they upsert by `newer` and may be run again
    by a replay or a snapshot. An event that has neither is stored and passed. With `patience_us` an
    event waits so long for missing versions before it: for brokers that redeliver out of order.
    """

    name: Final = "inbox"

    def __init__(
        self,
        database: Database,
        handlers: Handlers,
        *,
        copies: Handlers = _NONE,
        patience_us: int = 0,
    ) -> None:
        self.database = database
        self._handlers = handlers
        self._copies = copies
        self._patience_us = patience_us

    def take(self, events: Sequence[Event]) -> tuple[str, ...]:
        """Store events durably; returns the ids of those that are not stored.

        Never raises: what cannot be stored now must be delivered again. After an event that is not
        stored, none of its subject is, so that the order stays.
        """
        good, bad = _well_formed(events)
        for start in range(0, len(good), LARGEST_PAGE):
            if failed := self._take_page(good[start : start + LARGEST_PAGE]):
                # What follows may be of the same subjects.
                return (*bad, *failed, *(event.id for event in good[start + LARGEST_PAGE :]))
        return tuple(bad)

    def _take_page(self, good: Sequence[Event]) -> tuple[str, ...]:
        try:
            self.database.run(lambda tx: self.store(tx, good))
        except Exception as error:  # noqa: BLE001 - the transport delivers them again
            if len(good) > 1 and problem_of(error) is Problem.VALUE:
                return self._take_each(good)
            _log.warning("events_not_stored", count=len(good), exc_info=True)
            return tuple(event.id for event in good)
        return ()

    def _take_each(self, events: Sequence[Event]) -> tuple[str, ...]:
        """Store each event alone: one that cannot be stored does not keep the others out."""
        failed: list[str] = []
        subjects = set()
        for event in events:
            key = (event.source, event.subject)
            if key in subjects or self._take_page([event]):
                subjects.add(key)
                failed.append(event.id)
        return tuple(failed)

    def store(self, tx: Tx, events: Sequence[Event], *, again: bool = False) -> None:
        """Store events in the transaction of a reader's position; `again` is for copies only."""
        service_inbox.store_events(
            tx,
            events,
            handled=self._is_copied if again else self._is_handled,
            again=again,
            patience_us=self._patience_us,
        )

    def step(self) -> int:
        """Apply what is due, up to a hundred events; returns how many were tried."""
        # Looking in vain, again and again, must not take a writer's turn.
        with self.database.read() as tx:
            if not service_inbox.has_due(tx):
                return 0
        for count in range(AT_ONCE):
            if not self._apply_next():
                return count
        return AT_ONCE

    def _is_handled(self, event: Event) -> bool:
        return (event.source, event.type) in self._handlers or self._is_copied(event)

    def _is_copied(self, event: Event) -> bool:
        return (event.source, event.type) in self._copies

    def _apply_next(self) -> bool:
        """Apply the next event that is due; tells whether there was one."""
        tried: list[Picked] = []

        def work(tx: Tx) -> bool:
            tried.clear()
            picked = service_inbox.next_due(tx)
            if picked is None:
                return False
            tried.append(picked)
            service_inbox.end_event(tx, picked, self._handle(tx, picked))
            return True

        try:
            return self.database.run(work)
        except Exception as error:
            if not tried:
                raise
            self._note_failure(tried[0], error)
            return True

    def _handle(self, tx: Tx, picked: Picked) -> Ending:
        event = picked.event
        if picked.is_stale:
            _log.warning("event_stale", id=event.id, source=event.source, subject=event.subject)
            return "stale"
        key = (event.source, event.type)
        process = None if picked.copies_only else self._handlers.get(key)
        wanted = [handler for handler in (self._copies.get(key), process) if handler is not None]
        for handler in wanted:
            handler(tx, event)
        return "applied" if wanted else "passed"

    def _note_failure(self, picked: Picked, error: Exception) -> None:
        event, text = picked.event, error_text(error)
        dead = self.database.run(lambda tx: service_inbox.note_failure(tx, picked, text))
        _log.warning(
            "event_is_dead" if dead else "event_failed",
            id=event.id,
            source=event.source,
            type=event.type,
            subject=event.subject,
            tries=picked.tries + 1,
            exc_info=error,
        )


def _well_formed(events: Sequence[Event]) -> tuple[list[Event], list[str]]:
    """Part events that can be stored from the ids of the others and of what follows them."""
    good: list[Event] = []
    bad: list[str] = []
    subjects = set()
    for event in events:
        key = (event.source, event.subject)
        try:
            checked_event(event)
        except EventRefused as refusal:
            _log.warning("event_refused", id=event.id, why=refusal.detail)
            subjects.add(key)
        if key in subjects:
            bad.append(event.id)
        else:
            good.append(event)
    return good, bad
