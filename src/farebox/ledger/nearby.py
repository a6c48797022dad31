"""Looks answered where they are asked, while there are few of them.

A look is over sooner than the way to the ledger's process and back, which wakes three threads. So
an event loop that is asked little looks by itself, in between; what gathers while much is asked
goes to the ledger's process, which has a processor for it. For SQLite only: there a look waits for
nobody, neither a writer nor a network.
"""

import asyncio
from typing import Final

from farebox.ledger.model import Request
from farebox.ledger.remote import RemoteQueue
from farebox.ledger.running import Answer, Runner

MOST_NEARBY: Final = 4
"""So many looks of one round of the loop keep it for less time than the way would take."""
_Waiting = tuple[Request, "asyncio.Future[Answer]"]


class NearbyLooks:
    """The queue of one event loop for requests that only read."""

    def __init__(self, looks: Runner, queue: RemoteQueue) -> None:
        self._looks = looks
        self._queue = queue
        self._gathered: list[_Waiting] = []

    def submit(self, request: Request) -> "asyncio.Future[Answer]":
        """Look in this round of the loop, or let the ledger's process look."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        if not self._gathered:
            loop.call_soon(self._look)
        self._gathered.append((request, future))
        return future

    def _look(self) -> None:
        gathered, self._gathered = self._gathered, []
        if len(gathered) > MOST_NEARBY:
            for request, future in gathered:
                self._queue.send(request, future, reads=True)
            return
        answers = self._looks.run([request for request, _ in gathered])
        for (_, future), answer in zip(gathered, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
