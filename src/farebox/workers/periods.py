"""The loop that closes periods of consumers and tells what was used in them."""

from farebox.access.flows.aggregate_usage import close_due_periods
from farebox.access.usage.model import GRACE_US
from farebox.access.usage.service_periods import is_something_due
from farebox.storage import Database


class Periods:
    """Closes periods whose end and grace have passed. Two at once are harmless.

    Which periods there are it learns from the rollups.
    """

    def __init__(self, database: Database, *, grace_us: int = GRACE_US) -> None:
        self._database = database
        self._grace_us = grace_us

    def step(self) -> int:
        """Close some periods; returns how many, so that more may follow at once."""
        with self._database.read() as tx:
            if not is_something_due(tx):
                return 0
        return close_due_periods(self._database, grace_us=self._grace_us)
