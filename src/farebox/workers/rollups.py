"""The loop that adds usage up, a stretch of the logs a step."""

from farebox.access.flows.aggregate_usage import roll_up
from farebox.access.usage.model import GRACE_US
from farebox.access.usage.service_rollups import ROWS_A_STEP
from farebox.storage import Database


class Rollups:
    """Keeps the rollups of usage near the ends of the logs. Two at once are harmless."""

    def __init__(self, database: Database, *, grace_us: int = GRACE_US) -> None:
        self._database = database
        self._grace_us = grace_us

    def step(self) -> bool:
        """Add one stretch up; tells whether it was a full one, so that more follows at once.

        Under load a few rows are always there: following them closely would cost, for each of
        their consumers, what a long stretch costs once.
        """
        return roll_up(self._database, grace_us=self._grace_us) >= ROWS_A_STEP
