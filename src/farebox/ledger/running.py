"""Running batches: together in one transaction, alone where that fails.

Nobody pays for a stranger's input: when a batch fails for a reason of its own (a value the engine
refuses, a fired CHECK, a fault of ours), each request is run again alone. Where the database
refuses a balance although the deciding function allowed it, that bucket is frozen and an alarm is
raised; what asks for it is answered 503, and its companions are not touched.
"""

from collections.abc import Callable, Sequence
from typing import Final

import msgspec
import sqlalchemy as sa
import structlog

from farebox.kernel import ids
from farebox.kernel.refusals import ClockJumped, Refusal, TryAgain, ValueRefused
from farebox.ledger.books import Balances
from farebox.ledger.loading import Memory
from farebox.ledger.model import Outcome, Refused, Request
from farebox.ledger.service import Ledger
from farebox.storage import LOG_MB, Database, Problem, problem_of

ATTEMPTS: Final = 8
CROWD: Final = 24
"""Where batches are usually larger, throughput counts more than how long a single one takes."""
BRIEF_LOG_MB: Final = 4
LARGE_LOG_MB: Final = 128
"""For keys, each of which changes a page of its own: the more come together, the more share one."""
_MEMORY: Final = 32
_log = structlog.get_logger("farebox.ledger")
Answer = tuple[Outcome, ...]


class BucketFault(Refusal):
    """Database and decision disagree about a balance; the bucket waits for an operator."""

    code = "bucket_fault"


class DatabaseAway(TryAgain):
    """The database cannot be reached now; the same request may be sent again."""


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
        self._unsure = False
        self._usual = 0.0
        self._keyed = 0.0
        self.batches = 0
        self.requests = 0

    def run(self, requests: Sequence[Request]) -> Sequence[Answer | Exception]:
        """Run requests as one batch; what is answered is durable. Never raises."""
        self.batches += 1
        self.requests += len(requests)
        self._unsure = False
        self._watch(requests)
        try:
            return self._together(requests)
        except (ClockJumped, DatabaseAway) as refusal:
            return [refusal] * len(requests)
        except Exception as error:  # noqa: BLE001 - whatever it is, each request is tried alone
            if len(requests) > 1:
                _log.warning("batch_failed", requests=len(requests), error=repr(error))
            if _problem_of(error) is Problem.CHECK:
                self._freeze(error)
            return [self._alone(request) for request in requests]

    def _together(self, requests: Sequence[Request]) -> list[Answer]:
        """Run requests in one transaction, again while the database or the ledger says so."""
        failed = TryAgain()
        for attempt in range(ATTEMPTS):
            try:
                return self._once(requests)
            except TryAgain as error:
                failed = error
            except sa.exc.DBAPIError as error:
                problem = problem_of(error)
                if problem is Problem.TRANSIENT:
                    self._unsure = True
                    failed = DatabaseAway()
                elif problem is not Problem.UNIQUE or attempt:
                    # Ids that a run mints are new each time; one that stays taken is a request's.
                    raise
        raise failed

    def _once(self, requests: Sequence[Request]) -> list[Answer]:
        memory = self._memory
        if self._writes:
            opened = self._database.write(log_mb=self._log_mb())
        else:
            opened = self._database.read()
        try:
            with opened as tx:
                answers, books = self._ledger.run(tx, requests, memory, writes=self._writes)
                epoch = tx.epoch_after if self._writes else tx.epoch
        except BaseException:
            # Deciding has changed what is remembered; without the commit none of it is true.
            memory.forget()
            raise
        memory.keep(books, epoch)
        return answers

    def _watch(self, requests: Sequence[Request]) -> None:
        """Remember about how large batches are, and how many of their requests have keys."""
        keyed = sum(1 for request in requests if request.digest)
        self._usual += (len(requests) - self._usual) / _MEMORY
        self._keyed += (keyed - self._keyed) / _MEMORY

    def _log_mb(self) -> int:
        if self._usual < CROWD:
            return BRIEF_LOG_MB
        return LARGE_LOG_MB if self._keyed * 2 > self._usual else LOG_MB

    def _alone(self, request: Request, *, anew: bool = True) -> Answer | Exception:
        try:
            return self._together([request])[0]
        except Refusal as refusal:
            return refusal
        except Exception as error:  # noqa: BLE001 - our own fault must not stop the lane
            problem = _problem_of(error)
            if problem is Problem.VALUE:
                return ValueRefused("a value in this request cannot be stored")
            if problem is Problem.CHECK:
                self._freeze(error, alone=True)
                return (Refused(code="bucket_fault"),) * len(request.commands)
            if problem is Problem.UNIQUE and anew and (request.digest or not self._unsure):
                # Another process minted the same id. (After a commit of unknown fate it may be
                # this very request's; then only a key makes it safe to go on.)
                operations = tuple(ids.mint() for _ in request.operations)
                renewed = msgspec.structs.replace(request, operations=operations)
                return self._alone(renewed, anew=False)
            _log.exception("request_failed", error=repr(error))
            return error if problem is None else TryAgain()

    def _freeze(self, error: Exception, *, alone: bool = False) -> None:
        """Freeze the buckets on which database and decision disagree, and raise the alarm.

        Where the balances do not tell which these are, a request that was alone freezes all that
        it touched. Whatever fails here stops nobody: the CHECK has held, and will again.
        """
        balances: Balances = getattr(error, "balances", {})
        try:
            buckets = self._database.run(
                lambda tx: self._ledger.declare_fault(tx, balances, surely=alone)
            )
            _log.error("balance_check_fired", buckets=[f"{bucket:x}" for bucket in buckets])
            if self._on_alarm is not None and buckets:
                self._on_alarm(buckets)
        except Exception as trouble:  # noqa: BLE001 - an alarm's own fault is not the requests'
            _log.exception("balance_fault_unheard", error=repr(trouble))


def _problem_of(error: Exception) -> Problem | None:
    """Return what is wrong with the database; None for everything else."""
    return problem_of(error) if isinstance(error, sa.exc.DBAPIError) else None
