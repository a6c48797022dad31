"""The relay: what stands in the log goes out by every sender, in order, until it has arrived.

Each sender has a relay and a position of its own, so one that is down holds up nobody else. The
position moves after the sending: whoever dies in between sends a page again, and its messages are
known by their ids.
"""

from typing import Final

import structlog

from farebox.events.lease import Lease
from farebox.events.model import Feed, Position, Standing
from farebox.events.rules import error_text
from farebox.events.service import events_after
from farebox.events.service_positions import (
    advance,
    find_standing,
    floor_of_log,
    note_down,
    set_position,
)
from farebox.events.transports import Sender
from farebox.storage import Database, Tx

PAGE: Final = 100
_log = structlog.get_logger("farebox.events")


class Relay:
    """Sends a service's log by one sender. With a `lease`, only its holder moves the position."""

    def __init__(
        self, database: Database, sender: Sender, *, lease: Lease | None = None, page: int = PAGE
    ) -> None:
        self.name = f"relay:{sender.name}"
        self._database = database
        self._sender = sender
        self._lease = lease
        self._page = page

    def step(self) -> int:
        """Send the next page; returns how many events were sent, 0 also while the sender is down.

        A sender that failed is left alone for half a second, then for twice as long each time, up
        to a minute. The pause is kept with the position, so another process keeps it too.
        """
        position = self._begin()
        if position is None:
            return 0
        with self._database.read() as tx:
            feed = events_after(tx, position, self._page)
        if not feed.events:
            return 0
        try:
            self._sender.send(feed.events)
        except Exception as error:  # noqa: BLE001 - a sender's own fault must not stop the others
            self._note_down(error)
            return 0
        return self._move(position, feed)

    def _begin(self) -> Position | None:
        """Return where to go on; None while the sender is left alone."""
        with self._database.read() as tx:
            standing = find_standing(tx, "sender", self._sender.name)
            if standing is not None:
                return standing.position if standing.due_at <= tx.now_us else None
        # A new sender begins with the oldest event that is kept; its row keeps the log from here.
        return self._database.run(self._enrol)

    def _enrol(self, tx: Tx) -> Position:
        floor = floor_of_log(tx)
        if find_standing(tx, "sender", self._sender.name) is None:
            set_position(tx, "sender", self._sender.name, floor)
        return floor

    def _move(self, position: Position, feed: Feed) -> int:
        def work(tx: Tx) -> int:
            if self._lease is not None:
                self._lease.confirm(tx)
            moved = advance(tx, "sender", self._sender.name, position, feed.position)
            return len(feed.events) if moved else 0

        return self._database.run(work)

    def _note_down(self, error: Exception) -> None:
        def work(tx: Tx) -> Standing:
            return note_down(tx, "sender", self._sender.name, error_text(error))

        standing = self._database.run(work)
        _log.warning("sender_down", sender=self._sender.name, failures=standing.failures)
        _log.debug("sender_down", exc_info=error)
