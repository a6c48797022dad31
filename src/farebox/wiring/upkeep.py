"""What each process does from time to time, apart from whoever is waiting."""

import threading
from contextlib import suppress
from typing import Final

import sqlalchemy as sa
import structlog

from farebox.access.decisions import service_rates
from farebox.access.flows.rates import RateCounter
from farebox.kernel.clock import SystemClock
from farebox.kernel.ids import record_id
from farebox.ledger.service import Ledger
from farebox.ledger.verify import advance_sinks
from farebox.storage import Database

UPKEEP_SECONDS: Final = 1.0
BEAT_EVERY: Final = 2
"""Rounds of upkeep between two signs of life; see `service_rates.ALIVE_US`."""
CLOCK: Final = "clock"
_log = structlog.get_logger("farebox")


class Upkeep:
    """A thread for what must be done from time to time, apart from whoever is waiting.

    It trusts the wall clock again once an operator has confirmed it, and in the process that keeps
    the books (`books`) it moves the sinks' snapshots on. In a process that decides it keeps the
    share of each rate limit (`rates`).
    """

    def __init__(
        self,
        database: Database,
        clock: SystemClock,
        *,
        books: bool,
        rates: RateCounter | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._rates = rates
        self._process = record_id("prc")
        self._rounds = 0
        self._works = [self._watch_clock]
        if books:
            self._works.append(self._advance_sinks)
        if rates is not None:
            self._works.append(self._share_rates)
            self._share_rates()
        self._confirmed = self._confirmations()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop the thread; the other processes share the rate limits without this one."""
        self._stop.set()
        self._thread.join()
        if self._rates is not None:
            with suppress(sa.exc.DBAPIError):
                self._database.run(lambda tx: service_rates.leave(tx, self._process))

    def _run(self) -> None:
        while not self._stop.wait(UPKEEP_SECONDS):
            for work in self._works:
                try:
                    work()
                except Exception:  # noqa: BLE001 - the next round tries again
                    _log.warning("upkeep_failed", exc_info=True)

    def _confirmations(self) -> int:
        with self._database.read() as tx:
            return Ledger().revision(tx, CLOCK)

    def _watch_clock(self) -> None:
        confirmed = self._confirmations()
        if confirmed != self._confirmed:
            self._confirmed = confirmed
            _log.warning("clock_confirmed", jump_us=self._clock.confirm())

    def _share_rates(self) -> None:
        """Keep the share; seldom, because each write makes the ledger look at its books anew."""
        assert self._rates is not None
        self._rounds += 1
        if self._rounds % BEAT_EVERY != 1:
            return
        self._rates.share = self._database.run(lambda tx: service_rates.beat(tx, self._process))

    def _advance_sinks(self) -> None:
        advance_sinks(self._database)
