"""Sparing a worker the look at a database in which nobody has written."""

import time
from typing import Final

from farebox.storage import Database
from farebox.workers.loops import Worker

AT_LEAST_EVERY_S: Final = 1.0
"""So often it looks all the same: what falls due by the clock changes nothing before."""


class WhenChanged:
    """A worker that looks at once after a write, and otherwise once a second.

    Asked several times a second it costs next to nothing while the database rests. Where the
    engine cannot tell of writes, the worker looks whenever it is asked.
    """

    def __init__(self, worker: Worker, database: Database) -> None:
        self.name = str(getattr(worker, "name", type(worker).__name__.lower()))
        self._worker = worker
        self._database = database
        self._mark: object | None = None
        self._until = 0.0

    def step(self) -> int:
        """Do one piece of work that is due; returns 0 when there was none."""
        # Taken before the look, so that a write meanwhile is not missed.
        mark = self._database.mark()
        now = time.monotonic()
        if mark is not None and mark == self._mark and now < self._until:
            return 0
        done = self._worker.step()
        self._mark = None if done else mark
        self._until = now + AT_LEAST_EVERY_S
        return done
