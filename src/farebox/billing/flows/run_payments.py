"""The worker of payments: claim what is due, ask the gateway, record what came of it.

The three steps are a transaction, a call with no transaction open, and a transaction.
"""

import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import partial
from typing import Final

import structlog

from farebox.billing.flows.gateway_webhooks import read_gateway, record_heard
from farebox.billing.flows.settle_payment import ask_wallet, record_outcome
from farebox.billing.payments.gateways.protocol import Gateway
from farebox.billing.payments.model import WALLET
from farebox.billing.payments.model_outcomes import Claimed, Declined, Lost, Outcome, Task
from farebox.billing.payments.service_notices import any_notice_due, claim_notices
from farebox.billing.payments.service_work import anything_due, claim_due
from farebox.storage import Database, Tx

AT_ONCE: Final = 8
Gateways = Mapping[str, Gateway]
_log: Final = structlog.get_logger("farebox.payments")


class Payments:
    """Claims what is due, calls gateways, records. Several may work on one database at once."""

    name: Final = "payments"

    def __init__(self, database: Database, gateways: Gateways, *, at_once: int = AT_ONCE) -> None:
        self._database = database
        self._gateways = gateways
        self._at_once = at_once
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="payments")
        self._under_way: set[Future[None]] = set()
        self._turn = threading.Lock()

    def step(self) -> int:
        """Begin what is due, as far as threads are free; returns how many calls."""
        with self._turn:
            free = self._at_once - len(self._under_way)
        if free <= 0:
            return 0
        # Looked at first: a writing transaction would make every other writer wait its turn.
        with self._database.read() as tx:
            if not (anything_due(tx) or any_notice_due(tx)):
                return 0
        notices, tasks = self._database.run(partial(_claim, most=free))
        for notice in notices:
            self._begin(self._threads.submit(self._follow, notice))
        for task in tasks:
            self._begin(self._threads.submit(self._do, task))
        return len(notices) + len(tasks)

    def finish(self) -> None:
        """Wait until the calls under way are recorded."""
        with self._turn:
            under_way = set(self._under_way)
        wait(under_way)

    def close(self) -> None:
        """Let the calls under way end, and stop the threads."""
        self._threads.shutdown(wait=True)

    def _begin(self, call: Future[None]) -> None:
        with self._turn:
            self._under_way.add(call)
        call.add_done_callback(self._ended)

    def _ended(self, call: Future[None]) -> None:
        with self._turn:
            self._under_way.discard(call)

    def _do(self, task: Task) -> None:
        try:
            if task.gateway == WALLET:
                self._database.run(lambda tx: record_outcome(tx, task, ask_wallet(tx, task)))
                return
            outcome = ask_gateway(self._gateways, task)
            self._database.run(lambda tx: record_outcome(tx, task, outcome))
        except Exception:  # noqa: BLE001 - it is due again when its claim ends
            _log.warning("payment_not_recorded", subject=task.id, exc_info=True)

    def _follow(self, claimed: Claimed) -> None:
        try:
            heard = read_gateway(self._gateways, claimed)
            self._database.run(lambda tx: record_heard(tx, claimed, heard))
        except Exception:  # noqa: BLE001 - as above
            _log.warning("notice_not_recorded", notice=claimed.id, exc_info=True)


def _claim(tx: Tx, most: int) -> tuple[tuple[Claimed, ...], tuple[Task, ...]]:
    """Take what is due; notices first, because they end what else would be asked for."""
    notices = claim_notices(tx, most)
    return notices, claim_due(tx, most - len(notices))


def ask_gateway(gateways: Gateways, task: Task) -> Outcome:
    """Make one call. What a gateway raises is our bug, and may have come after the money moved."""
    gateway = gateways.get(task.gateway)
    if gateway is None:
        # It was taken out of the settings; what was never asked for is certainly not done.
        return Lost(reason="gateway_missing") if task.asked_before else _MISSING
    try:
        match task.verb:
            case "ask":
                return gateway.ask(task.ask)
            case "look":
                return gateway.look(task.ask)
            case "abandon":
                return gateway.abandon(task.ask)
    except Exception as error:  # noqa: BLE001 - as said above
        _log.warning("gateway_failed", gateway=task.gateway, subject=task.id, exc_info=True)
        return Lost(reason=type(error).__name__)


_MISSING: Final = Declined(code="gateway_missing")
