"""Following another service's log: page by page into the inbox, the position beside what is stored.

    log.after(position) -> outside of any transaction -> inbox.store + position, one transaction

Whichever of the two sides dies, and whenever: the position stands where the stored events end.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import islice
from typing import Final

from farebox.events.inbox import Inbox
from farebox.events.model import Event, Feed, Position, PositionKind, Standing
from farebox.events.service_positions import (
    advance,
    find_standing,
    forget_standing,
    set_position,
)
from farebox.events.transports import Log
from farebox.storage import Tx

PAGE: Final = 200


class Reader:
    """Brings the events of one log into an inbox, in order, each page once.

    The database that keeps the position is the inbox's.
    """

    def __init__(self, log: Log, inbox: Inbox, *, page: int = PAGE) -> None:
        self.name = f"reader:{log.name}"
        self._log = log
        self._inbox = inbox
        self._database = inbox.database
        self._page = page

    def step(self) -> int:
        """Store the next page, and one of a replay that is under way; returns how many events.

        Raises `TransportDown` while the log cannot be reached, and `PositionGone` where it is no
        longer kept: then `restore` begins anew.
        """
        with self._database.read() as tx:
            here = find_standing(tx, "reader", self._log.name)
            again = find_standing(tx, "replay", self._log.name)
        count = self._store("reader", Position() if here is None else here.position)
        return count + (0 if again is None else self._replay(again))

    def replay(self, since: Position | int) -> None:
        """Let copies see events again, from a position or a time (microseconds) up to now.

        Processes are not run again. It goes on by steps; a second replay takes the first's place.
        """
        start = self._log.position_at(since) if isinstance(since, int) else since

        def work(tx: Tx) -> None:
            here = find_standing(tx, "reader", self._log.name)
            end = Position() if here is None else here.position
            set_position(tx, "replay", self._log.name, start, until=end)

        self._database.run(work)

    def restore(self, kinds: Sequence[str] = ()) -> int:
        """Begin with a snapshot of these kinds (all by default) and go on after it.

        For a reader that is new, or whose position is gone; returns how many events it told.
        """
        count = 0
        with self._log.snapshot(kinds) as (position, events):
            for chunk in _chunks(events, self._page):
                self._database.run(partial(self._inbox.store, events=chunk, again=True))
                count += len(chunk)
        self._database.run(lambda tx: set_position(tx, "reader", self._log.name, position))
        return count

    def _store(self, kind: PositionKind, position: Position, until: Position | None = None) -> int:
        feed = self._log.after(position, self._page)
        if until is not None and feed.position > until:
            feed = _before(self._log, position, until, feed)
        if feed.position == position:
            return 0

        def work(tx: Tx) -> int:
            if not advance(tx, kind, self._log.name, position, feed.position):
                return 0
            self._inbox.store(tx, feed.events, again=kind == "replay")
            return len(feed.events)

        return self._database.run(work)

    def _replay(self, standing: Standing) -> int:
        assert standing.until is not None
        count = 0
        if standing.position < standing.until:
            count = self._store("replay", standing.position, standing.until)
        if count == 0:
            self._database.run(lambda tx: forget_standing(tx, "replay", self._log.name))
        return count


def _before(log: Log, position: Position, until: Position, feed: Feed) -> Feed:
    """Return a page without what lies after a position."""
    fewer = len(feed.events)
    while fewer > 1 and feed.position > until:
        fewer //= 2
        feed = log.after(position, fewer)
    if feed.position > until:
        return Feed(events=(), position=position)
    return feed


def _chunks(events: Iterator[Event], size: int) -> Iterator[list[Event]]:
    while chunk := list(islice(events, size)):
        yield chunk
