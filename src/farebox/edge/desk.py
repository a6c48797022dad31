"""Does the I/O of the conversations of `farebox.edge.charging`, in a thread or on a loop."""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

from farebox.edge.calls import Call
from farebox.edge.charging import Charging, Held, Settled, abandon, reserve
from farebox.edge.client import AsyncFarebox, Farebox
from farebox.edge.errors import FareboxError
from farebox.edge.messages import Answer, Request

Asked = TypeVar("Asked")
Outcome = TypeVar("Outcome")


def converse(farebox: Farebox, steps: Generator[Call[Asked], Asked, Outcome]) -> Outcome:
    """Carry a conversation to its end in this thread."""
    try:
        call = next(steps)
        while True:
            try:
                said = farebox.send(call)
            except FareboxError as error:
                call = steps.throw(error)
            else:
                call = steps.send(said)
    except StopIteration as end:
        outcome: Outcome = end.value
        return outcome


class AsyncDesk:
    """Does the I/O of the conversations with Farebox, and finishes what it has begun."""

    def __init__(self, farebox: AsyncFarebox) -> None:
        self._farebox = farebox
        self._open: set[asyncio.Task[Any]] = set()

    async def reserve(self, charging: Charging, request: Request) -> Held | Answer:
        """Hold credit; a visit that is cancelled meanwhile leaves no hold behind."""
        task = self._begin(self._converse(reserve(charging, request)))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._begin(self._undo(task))
            raise

    async def finish(self, steps: Generator[Call[Settled], Settled, Outcome]) -> Outcome:
        """Carry a conversation to its end, even if the caller is cancelled meanwhile."""
        return await asyncio.shield(self._begin(self._converse(steps)))

    async def close(self) -> None:
        """Finish what is open and close the connections."""
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._farebox.close()

    def _begin(self, work: Coroutine[Any, Any, Outcome]) -> asyncio.Task[Outcome]:
        # The loop keeps only weak references to tasks.
        task = asyncio.get_running_loop().create_task(work)
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        return task

    async def _undo(self, reserving: asyncio.Task[Held | Answer]) -> None:
        held = await reserving
        if isinstance(held, Held):
            await self._converse(abandon(held))

    async def _converse(self, steps: Generator[Call[Asked], Asked, Outcome]) -> Outcome:
        try:
            call = next(steps)
            while True:
                try:
                    said = await self._farebox.send(call)
                except FareboxError as error:
                    call = steps.throw(error)
                else:
                    call = steps.send(said)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
