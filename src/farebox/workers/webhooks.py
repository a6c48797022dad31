"""Deliveries of webhooks, made while they are due by a few threads at a time."""

import threading
from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Final, Protocol

import structlog

from farebox.events.webhooks.model import Answer, Parcel
from farebox.events.webhooks.service_deliveries import anything_due, claim, forget_before
from farebox.kernel.clock import SECOND_US
from farebox.platform.service_webhooks import record_answer
from farebox.storage import Database, Tx

AT_ONCE: Final = 16
DAY_US: Final = 86_400 * SECOND_US
_log: Final = structlog.get_logger("farebox.webhooks")


class Calls(Protocol):
    """What makes one attempt."""

    def call(self, parcel: Parcel) -> Answer:
        """Make one attempt and tell what it met."""
        ...


class Deliveries:
    """Claims what is due, calls, records. Several may work on one database at once."""

    name: Final = "webhooks"

    def __init__(self, database: Database, calls: Calls, *, at_once: int = AT_ONCE) -> None:
        self._database = database
        self._calls = calls
        self._at_once = at_once
        self._busy: Counter[str] = Counter()
        self._turn = threading.Lock()
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="webhooks")
        self._under_way: set[Future[None]] = set()

    def step(self) -> int:
        """Begin the attempts that are due, as far as threads are free; returns how many."""
        with self._turn:
            busy = +self._busy
        free = self._at_once - busy.total()
        if free <= 0:
            return 0
        # Looked at first: a writing transaction would make every other writer wait its turn.
        with self._database.read() as tx:
            if not anything_due(tx):
                return 0
        parcels = self._database.run(lambda tx: claim(tx, free, busy=busy))
        for parcel in parcels:
            with self._turn:
                self._busy[parcel.endpoint] += 1
            attempt = self._threads.submit(self._attempt, parcel)
            self._under_way.add(attempt)
            attempt.add_done_callback(self._under_way.discard)
        return len(parcels)

    def settle(self) -> None:
        """Wait until the attempts under way are recorded."""
        wait(set(self._under_way))

    def close(self) -> None:
        """Let the attempts under way end, and stop the threads."""
        self._threads.shutdown(wait=True)

    def _attempt(self, parcel: Parcel) -> None:
        try:
            answer = self._calls.call(parcel)
            self._database.run(lambda tx: record_answer(tx, parcel, answer))
        except Exception:  # noqa: BLE001 - it is due again when its claim ends
            _log.warning("webhook_attempt_failed", delivery=parcel.delivery, exc_info=True)
        finally:
            with self._turn:
                self._busy[parcel.endpoint] -= 1


class DeliveryRetention:
    """Forgets deliveries, with their attempts, so many days after they have ended."""

    name: Final = "webhook-retention"

    def __init__(self, database: Database, *, days: int) -> None:
        assert days > 0
        self._database = database
        self._days = days

    def step(self) -> int:
        """Forget up to a thousand deliveries; returns how many."""

        def work(tx: Tx) -> int:
            return forget_before(tx, tx.now_us - self._days * DAY_US)

        return self._database.run(work)
