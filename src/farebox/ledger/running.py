"""Running batches: together in one transaction, alone where that fails.

Nobody pays for a stranger's input: when a batch fails for a reason of its own (a value the engine
refuses, a fired CHECK, a fault of ours), each request is run again alone. A request whose balances
the database refuses although the deciding function allowed them freezes its buckets and raises an
alarm; it is answered 503 and its companions are not touched.
"""

from collections.abc import Callable, Sequence
from typing import Final

import sqlalchemy as sa
import structlog

from farebox.kernel.refusals import Refusal, TryAgain, ValueRefused
from farebox.ledger.loading import Memory
from farebox.ledger.model import Outcome, Refused, Request
from farebox.ledger.service import Ledger
from farebox.storage import Database, Problem, problem_of

ATTEMPTS: Final = 8
_log = structlog.get_logger("farebox.ledger")
Answer = tuple[Outcome, ...]


class BucketFault(Refusal):
    """Database and decision disagree about a balance; the bucket waits for an operator."""

    code = "bucket_fault"


class Runner:
    """Runs batches of requests, one after the other. `writes=False` is for looks alone."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        *,
        writes: bool = True,
        on_alarm: Callable[[Sequence[int]], None] | None = None,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._writes = writes
        self._on_alarm = on_alarm
        self._memory = Memory()
        self.batches = 0
        self.requests = 0

    def run(self, requests: Sequence[Request]) -> Sequence[Answer | Exception]:
        """Run requests as one batch; what is answered is durable. Never raises."""
        self.batches += 1
        self.requests += len(requests)
        try:
            return self._together(requests)
        except Refusal as refusal:
            return [refusal] * len(requests)
        except Exception as error:  # noqa: BLE001 - whatever it is, each request is tried alone
            if len(requests) > 1:
                _log.warning("batch_failed", requests=len(requests), error=repr(error))
            return [self._alone(request) for request in requests]

    def _together(self, requests: Sequence[Request]) -> list[Answer]:
        """Run requests in one transaction, again while the database says so."""
        for _ in range(ATTEMPTS):
            try:
                return self._once(requests)
            except TryAgain:
                self._memory.forget()
            except sa.exc.DBAPIError as error:
                self._memory.forget()
                if problem_of(error) not in {Problem.TRANSIENT, Problem.UNIQUE}:
                    raise
        raise TryAgain

    def _once(self, requests: Sequence[Request]) -> list[Answer]:
        memory = self._memory
        opened = self._database.write() if self._writes else self._database.read()
        with opened as tx:
            answers, books = self._ledger.run(tx, requests, memory, writes=self._writes)
            epoch = tx.epoch_after if self._writes else tx.epoch
        memory.keep(books, epoch)
        return answers

    def _alone(self, request: Request) -> Answer | Exception:
        try:
            return self._together([request])[0]
        except Refusal as refusal:
            return refusal
        except sa.exc.DBAPIError as error:
            problem = problem_of(error)
            if problem is Problem.VALUE:
                return ValueRefused("a value in this request cannot be stored")
            if problem is Problem.CHECK:
                return self._fault(request, error)
            _log.exception("request_failed", error=repr(error))
            return TryAgain()
        except Exception as error:  # noqa: BLE001 - our own fault must not stop the lane
            _log.exception("request_failed", error=repr(error))
            return error

    def _fault(self, request: Request, error: sa.exc.DBAPIError) -> Answer:
        buckets: Sequence[int] = getattr(error, "touched_buckets", ())
        _log.error("balance_check_fired", buckets=[f"{bucket:x}" for bucket in buckets])
        self._memory.forget()
        self._database.run(lambda tx: self._ledger.declare_fault(tx, buckets))
        if self._on_alarm is not None:
            self._on_alarm(buckets)
        return (Refused(code="bucket_fault"),) * len(request.commands)
