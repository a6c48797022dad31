"""Group commit: commands that arrive together are decided together and share one fsync.

A lane is a thread with a queue. It takes whatever waits, runs it as one batch, commits, and only
then answers. Nothing waits for a timer: a lone command commits at once, and while one batch is on
its way to the disk the next one gathers.

Nobody pays for a stranger's input: when a batch fails for a reason of its own (a value the engine
refuses, a fired CHECK, a fault of ours), each request is run again alone. A request whose balances
the database refuses although the deciding function allowed them freezes its buckets and raises an
alarm; it is answered 503 and its companions are not touched.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Final

import sqlalchemy as sa
import structlog

from farebox.kernel.refusals import Refusal, TryAgain, ValueRefused
from farebox.ledger.loading import Memory
from farebox.ledger.model import Outcome, Refused, Request
from farebox.ledger.service import Ledger
from farebox.storage import Database, Problem, problem_of

MOST_IN_BATCH: Final = 512
ATTEMPTS: Final = 8
_log = structlog.get_logger("farebox.ledger")
Answer = tuple[Outcome, ...]
_Waiting = tuple[Request, "asyncio.Future[Answer] | Future[Answer]"]


class BucketFault(Refusal):
    """Database and decision disagree about a balance; the bucket waits for an operator."""

    code = "bucket_fault"


class LaneClosed(TryAgain):
    """The server is stopping."""


class Lane:
    """One queue of requests and the thread that runs them. `writes=False` is for looks alone."""

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
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._closed = False
        self.batches = 0
        self.requests = 0
        self._thread = threading.Thread(target=self._run, name="ledger-lane", daemon=True)
        self._thread.start()

    def submit(self, request: Request) -> "asyncio.Future[Answer]":
        """Queue a request from the event loop; the future has its outcomes after the commit."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._put((request, future))
        return future

    def call(self, request: Request) -> Answer:
        """Queue a request from another thread and wait for its outcomes."""
        future: Future[Answer] = Future()
        self._put((request, future))
        return future.result()

    def call_many(self, requests: Sequence[Request]) -> list[Answer]:
        """Queue requests from another thread and wait for all; each stands or falls alone."""
        futures: list[Future[Answer]] = [Future() for _ in requests]
        for waiting in zip(requests, futures, strict=True):
            self._put(waiting)
        return [future.result() for future in futures]

    def _put(self, waiting: _Waiting) -> None:
        if self._closed:
            raise LaneClosed
        self._queue.put(waiting)

    def close(self) -> None:
        """Answer what is queued, then stop."""
        self._closed = True
        self._queue.put(None)
        self._thread.join()

    # -- the lane's thread -----------------------------------------------------------------------

    def _run(self) -> None:
        while (first := self._queue.get()) is not None:
            batch = [first]
            stop = False
            with contextlib.suppress(queue.Empty):
                while len(batch) < MOST_IN_BATCH:
                    more = self._queue.get_nowait()
                    if more is None:
                        stop = True
                        break
                    batch.append(more)
            self._work(batch)
            if stop:
                break

    def _work(self, batch: list[_Waiting]) -> None:
        self.batches += 1
        self.requests += len(batch)
        try:
            answers: list[Answer | Exception] = list(self._together([r for r, _ in batch]))
        except Refusal as refusal:
            answers = [refusal] * len(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, each request is tried alone
            if len(batch) > 1:
                _log.warning("batch_failed", requests=len(batch), error=repr(error))
            answers = [self._alone(request) for request, _ in batch]
        _deliver(batch, answers)

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


def _deliver(batch: Sequence[_Waiting], answers: Sequence[Answer | Exception]) -> None:
    """Hand the answers over: one wake-up for each event loop, not one for each request."""
    loops: dict[asyncio.AbstractEventLoop, list[tuple[Any, Answer | Exception]]] = {}
    for (_, future), answer in zip(batch, answers, strict=True):
        if isinstance(future, Future):
            _resolve(future, answer)
        else:
            loops.setdefault(future.get_loop(), []).append((future, answer))
    for loop, pairs in loops.items():
        # The loop may have gone while the batch was on its way; then nobody waits any more.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_resolve_all, pairs)


def _resolve_all(pairs: Sequence[tuple[Any, Answer | Exception]]) -> None:
    for future, answer in pairs:
        if not future.done():
            _resolve(future, answer)


def _resolve(future: Any, answer: Answer | Exception) -> None:  # noqa: ANN401 - both kinds of Future
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)


__all__ = ["BucketFault", "Lane", "LaneClosed"]
