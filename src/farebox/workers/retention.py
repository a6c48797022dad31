"""Retention: what is older than its setting is removed, a little at a time."""

from collections.abc import Callable
from functools import partial
from typing import Final

from farebox.events.service_retention import trim_inbox, trim_log
from farebox.kernel.clock import SECOND_US
from farebox.ledger.forgetting import forget_denials
from farebox.platform.service_audit import expire_audit
from farebox.platform.service_posted import forget_answers
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


class Forgetting:
    """Forgets what keys remember, and old entries of the audit log.

    Denials of the ledger and answers of POSTs are kept for so many days; what the ledger has done
    is remembered for ever. `audit_days` of None keeps the audit log for ever.
    """

    name: Final = "forgetting"

    def __init__(
        self, database: Database, *, denials_days: int, answers_days: int, audit_days: int | None
    ) -> None:
        self._database = database
        self._works: list[tuple[str, int, Callable[[Tx, int], int]]] = [
            ("denials", denials_days, forget_denials),
            ("answers", answers_days, forget_answers),
        ]
        if audit_days is not None:
            self._works.append(("entries of the audit log", audit_days, expire_audit))
        assert all(days > 0 for _, days, _ in self._works)
        self.forgotten = {what: 0 for what, _, _ in self._works}

    def step(self) -> int:
        """Remove up to a thousand of one kind; returns how many, 0 when nothing is old enough."""
        for what, days, forget in self._works:
            if count := self._database.run(partial(_older, days, forget)):
                self.forgotten[what] += count
                return count
        return 0


def _older(days: int, forget: Callable[[Tx, int], int], tx: Tx) -> int:
    return forget(tx, tx.now_us - days * DAY_US)
