"""Billing, played by events: what it says of orders, taken in by access's inbox."""

import itertools
from typing import Any, Final

from farebox.access.flows.handlers import BILLING, HANDLERS
from farebox.events.inbox import Inbox
from farebox.events.model import Event, Position
from farebox.events.service import events_after
from farebox.kernel.clock import show_time
from farebox.kernel.ids import record_id
from farebox.storage import Database
from tests.support.services import now, run

_LARGEST: Final = 1_000


class OrderDesk:
    """Tells what billing tells, and reads what access tells."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.inbox = Inbox(database, HANDLERS)
        self._versions: dict[str, Any] = {}

    def event(self, type_: str, subject: str, **data: Any) -> Event:
        """Return an event of billing, the next one of its subject."""
        count = self._versions.setdefault(subject, itertools.count(1))
        return Event(
            specversion="1.0",
            id=record_id("evt"),
            source=BILLING,
            type=type_,
            subject=subject,
            time=show_time(now(self.database)),
            datacontenttype="application/json",
            subjectversion=next(count),
            data=data,
        )

    def tell(self, type_: str, order: str, **data: Any) -> Event:
        """Let access hear of an order, and act on it."""
        return self.hear(self.event(type_, order, orderId=order, **data))

    def hear(self, event: Event) -> Event:
        """Let access hear an event, and act on it."""
        assert self.inbox.take([event]) == ()
        while self.inbox.step():
            pass
        return event

    def told(self, *types: str) -> list[Event]:
        """Return what access told, of these types."""
        feed = run(self.database, events_after, Position(), _LARGEST)
        return [event for event in feed.events if event.type in types]
