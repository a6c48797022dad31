"""Rows that are due, each done alone: what fails rests, longer each time, and stops no other."""

import time
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from typing import TypeVar

from farebox.events.rules import pause_us
from farebox.kernel.clock import SECOND_US
from farebox.storage import Database, Tx

Key = TypeVar("Key", bound=Hashable)


class RowsFailed(Exception):
    """Some of what was due could not be done; it rests, and all the others were done."""


class Rests:
    """What a worker could not do of late, and until when it leaves that alone.

    It lives as long as its worker: a new process tries everything once.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._failed: dict[Hashable, tuple[int, float]] = {}

    def __len__(self) -> int:
        """Return how many rest: they are due before others, so so many more are to be read."""
        return len(self._failed)

    def each(self, works: Mapping[Key, Callable[[], object]]) -> int:
        """Do what does not rest, one after the other; returns how many there were.

        Raises `RowsFailed`, caused by the first failure, when all the others are done. Who called
        this may go on at once: what failed is left alone for a second at least, a minute at most.
        """
        now = self._monotonic()
        self._failed = {key: told for key, told in self._failed.items() if key in works}
        awake = {key: do for key, do in works.items() if not self._rests(key, now)}
        failures = []
        for key, do in awake.items():
            try:
                do()
            except Exception as error:  # noqa: BLE001 - it is raised when the others are done
                failures.append(error)
                self._fail(key, now)
            else:
                self._failed.pop(key, None)
        if failures:
            raise RowsFailed(f"{len(failures)}, first {failures[0]!r}") from failures[0]
        return len(awake)

    def each_in(self, database: Database, works: Mapping[Key, Callable[[Tx], object]]) -> int:
        """Do each in a transaction of its own, as `each` does."""
        return self.each({key: partial(database.run, work) for key, work in works.items()})

    def _rests(self, key: Hashable, now: float) -> bool:
        return key in self._failed and now < self._failed[key][1]

    def _fail(self, key: Hashable, now: float) -> None:
        times = 1 + (self._failed[key][0] if key in self._failed else 0)
        self._failed[key] = times, now + pause_us(times + 1) / SECOND_US
