"""The loop that adds usage up, a stretch of the logs a step."""

from typing import Final

from farebox.access.flows.aggregate_usage import roll_up
from farebox.access.usage.model import GRACE_US
from farebox.access.usage.service_rollups import ROWS_A_STEP
from farebox.storage import Database

MOST_ROWS: Final = 5 * ROWS_A_STEP
FEW_SUMS: Final = 5_000
"""So many are stored in a few milliseconds, for which everybody who writes waits."""


class Rollups:
    """Keeps the rollups of usage near the ends of the logs. Two at once are harmless."""

    share: Final = 0.02
    """Of a processor, which decisions need: a long stretch costs less for each use than two."""

    def __init__(self, database: Database, *, grace_us: int = GRACE_US) -> None:
        self._database = database
        self._grace_us = grace_us
        self._rows = ROWS_A_STEP

    def step(self) -> bool:
        """Add one stretch up; tells whether it was a full one, so that more follows at once.

        Under load a few rows are always there: following them closely would cost, for each of
        their consumers, what a long stretch costs once. So the stretch grows while its rows come
        to few sums.
        """
        rows = self._rows
        done = roll_up(self._database, grace_us=self._grace_us, rows=rows)
        if done.sums > FEW_SUMS:
            self._rows = ROWS_A_STEP
        elif done.rows >= rows:
            self._rows = min(rows * 2, MOST_ROWS)
        return done.rows >= rows
