"""Retention: events older than a setting leave the log and the inbox."""

from typing import Final

from farebox.events.service_retention import trim_inbox, trim_log
from farebox.kernel.clock import SECOND_US
from farebox.storage import Database, Tx

DAY_US: Final = 86_400 * SECOND_US


class Retention:
    """Removes events that are `days` old, the log's only behind all senders and followers."""

    name: Final = "retention"

    def __init__(self, database: Database, *, days: int) -> None:
        assert days > 0
        self._database = database
        self._days = days

    def step(self) -> int:
        """Remove up to a thousand events of each; returns how many were removed."""

        def work(tx: Tx) -> int:
            before_us = tx.now_us - self._days * DAY_US
            return trim_log(tx, before_us) + trim_inbox(tx, before_us)

        return self._database.run(work)
