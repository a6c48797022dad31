"""The loop that adds usage up: it reads the logs a little at a time, and stores now and then."""

import time
from typing import Final

from farebox.access.flows.aggregate_usage import gather_usage, roll_up
from farebox.access.usage.model import GRACE_US
from farebox.access.usage.service_rollups import Gathered
from farebox.storage import Database

ROWS_A_PART: Final = 20_000
"""So many are read in about twenty milliseconds, in which decisions have a processor less."""
MOST_ROWS: Final = 10 * ROWS_A_PART
FEW_SUMS: Final = 5_000
"""So many are stored in a few milliseconds, for which everybody who writes waits."""
LONGEST_S: Final = 5.0
"""What was read is stored after so long at the latest."""
STORING_SHARE: Final = 0.02
_MANY_ROWS: Final = 1_000


class Rollups:
    """Keeps the rollups of usage near the ends of the logs. Two at once are harmless.

    Storing costs by the sums, however many uses they come from. So what was read is kept until
    storing has taken no more than `STORING_SHARE` of a processor since the last time. Reading costs
    by the uses: under load it is done in small parts, because a long one makes everybody wait.
    """

    def __init__(self, database: Database, *, grace_us: int = GRACE_US) -> None:
        self._database = database
        self._grace_us = grace_us
        self._gathered: Gathered | None = None
        self._store_at = 0.0
        self._latest = 0

    @property
    def rest_s(self) -> float:
        """Return how long to rest before the next part."""
        return 0.5 if self._latest > _MANY_ROWS else 1.0

    def step(self) -> bool:
        """Read a part, and store what was read when it is time; returns whether more follows."""
        if time.monotonic() >= self._store_at:
            return self._store()
        gathered = gather_usage(self._database, rows=ROWS_A_PART, before=self._gathered)
        self._gathered, self._latest = gathered, gathered.latest
        if gathered.sums > FEW_SUMS or gathered.rows >= MOST_ROWS:
            return self._store()
        return gathered.latest >= ROWS_A_PART

    def _store(self) -> bool:
        before, self._gathered = self._gathered, None
        begun = time.thread_time()
        done = roll_up(self._database, grace_us=self._grace_us, rows=ROWS_A_PART, before=before)
        cost = time.thread_time() - begun
        self._store_at = time.monotonic() + min(cost / STORING_SHARE, LONGEST_S)
        self._latest = done.latest
        return done.latest >= ROWS_A_PART
