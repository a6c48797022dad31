"""The loop that closes periods of consumers and tells what was used in them."""

from farebox.access.flows.aggregate_usage import close_due_periods
from farebox.access.usage.model import GRACE_US
from farebox.storage import Database


class Periods:
    """Closes periods whose end and grace have passed. Two at once are harmless."""

    def __init__(self, database: Database, *, grace_us: int = GRACE_US) -> None:
        self._database = database
        self._grace_us = grace_us

    def step(self) -> int:
        """Close some periods; returns how many, so that more may follow at once."""
        return close_due_periods(self._database, grace_us=self._grace_us)
