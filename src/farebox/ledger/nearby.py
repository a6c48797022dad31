"""Looks answered where they are asked, while few are.

A look is over sooner than the way to the ledger's process and back, which wakes three threads. So
an event loop that is asked little looks by itself, in between. It gives a third of its time to
that at most: what is asked beyond goes to the ledger's process, which has a processor for it. For
databases only whose reading waits for nobody, neither a writer nor a network.
"""

import asyncio
import time
from functools import partial
from typing import Final

from farebox.ledger.batch import Tell, settle
from farebox.ledger.model import Request
from farebox.ledger.remote import RemoteQueue
from farebox.ledger.running import Answer, Runner

PAUSES: Final = 2
"""After a look of its own the loop does something else for so many times as long."""


class NearbyLooks:
    """The queue of one event loop for requests that only read."""

    def __init__(self, looks: Runner, queue: RemoteQueue) -> None:
        self._looks = looks
        self._queue = queue
        self._gathered: list[tuple[Request, Tell]] = []
        self._free_at = 0.0

    def submit(self, request: Request) -> "asyncio.Future[Answer]":
        """Look in this round of the loop, or let the ledger's process look."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.ask(request, partial(settle, future))
        return future

    def ask(self, request: Request, tell: Tell) -> None:
        """Look as `submit` does; `tell` hears what was seen."""
        if not self._gathered:
            asyncio.get_running_loop().call_soon(self._look)
        self._gathered.append((request, tell))

    def _look(self) -> None:
        gathered, self._gathered = self._gathered, []
        begun = time.perf_counter()
        if len(gathered) > 1 or begun < self._free_at:
            for request, tell in gathered:
                self._queue.send(request, tell, reads=True)
            return
        [(request, tell)] = gathered
        [answer] = self._looks.run([request])
        ended = time.perf_counter()
        self._free_at = ended + PAUSES * (ended - begun)
        tell(answer)
