"""Group commit: commands that arrive together are decided together and share one fsync.

A lane is a thread with a queue. It takes whatever waits, runs it as one batch, commits, and only
then answers. Nothing waits for a timer: a lone command commits at once, and while one batch is on
its way to the disk the next one gathers.
"""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, Final, Protocol

from farebox.kernel.refusals import TryAgain
from farebox.ledger.model import Request
from farebox.ledger.running import Answer, Runner
from farebox.ledger.service import Ledger
from farebox.storage import Database

MOST_IN_BATCH: Final = 512
Tell = Callable[[Answer | Exception], None]
_Waiting = tuple[Request, "asyncio.Future[Answer] | Future[Answer]"]


class Queue(Protocol):
    """Where an event loop hands requests in: a lane of this process or of another one."""

    def ask(self, request: Request, tell: Tell) -> None:
        """Queue a request; `tell`, which never raises, hears its outcomes after the commit."""
        ...

    def submit(self, request: Request) -> "asyncio.Future[Answer]":
        """Queue a request; the future has its outcomes after the commit."""
        ...


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
        self.runner = Runner(database, ledger, writes=writes, on_alarm=on_alarm)
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="ledger-lane", daemon=True)
        self._thread.start()

    def ask(self, request: Request, tell: Tell) -> None:
        """Queue a request from the event loop; `tell` hears its outcomes there."""
        self.submit(request).add_done_callback(
            lambda future: tell(future.exception() or future.result())  # type: ignore[arg-type]
        )

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
            _deliver(batch, self.runner.run([request for request, _ in batch]))
            if stop:
                break


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
        settle(future, answer)


def settle(future: "asyncio.Future[Answer]", answer: Answer | Exception) -> None:
    """Let a future have its answer, if somebody still waits for it."""
    if not future.done():
        _resolve(future, answer)


def _resolve(future: Any, answer: Answer | Exception) -> None:  # noqa: ANN401 - both kinds of Future
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)
