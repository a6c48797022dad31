"""The log of a service in this process, read straight from its database.

Readers are woken by the bell when something commits here; what other processes commit to the same
database is found by asking.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from farebox.events.model import Event, Feed, Position
from farebox.events.service import events_after, position_at
from farebox.events.service_positions import follow, is_news_of_follower
from farebox.events.service_snapshots import (
    Providers,
    kinds_of,
    read_snapshot,
    write_snapshot,
)
from farebox.storage import Database

IN_MEMORY: Final = 1 << 20
"""Bytes of a snapshot that are held in memory; a larger one is a temporary file."""
_NONE: Final[Providers] = {}


class DatabaseLog:
    """Another service's log, in a database that this process has open.

    `reader` is the name under which the log remembers how far we have come.
    """

    def __init__(
        self,
        database: Database,
        *,
        name: str,
        reader: str,
        providers: Providers = _NONE,
    ) -> None:
        self.name = name
        self._database = database
        self._reader = reader
        self._providers = providers

    def after(self, position: Position, limit: int) -> Feed:
        """Return the next events; refuses (`position_gone`) what is no longer kept."""
        with self._database.read() as tx:
            feed = events_after(tx, position, limit)
            is_news = is_news_of_follower(tx, self._reader, position)
        if is_news:
            self._database.run(lambda tx: follow(tx, self._reader, position))
        return feed

    def position_at(self, at_us: int) -> Position:
        """Return the position just before the first event of an instant or later."""
        with self._database.read() as tx:
            return position_at(tx, at_us)

    @contextmanager
    def snapshot(self, kinds: Sequence[str]) -> Iterator[tuple[Position, Iterator[Event]]]:
        """Return how things stand, in one consistent reading, and where the log goes on."""
        with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as file:
            with self._database.read() as tx:
                wanted = kinds_of(self._providers, kinds)
                write_snapshot(tx, self._providers, wanted, file)
            yield read_snapshot(file)
