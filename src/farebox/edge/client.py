"""Two thin senders of calls: one for threads, one for asyncio.

    with Farebox("http://127.0.0.1:8080", key="...") as farebox:
        farebox.send(tot("cinema-7")).tot

A call that may be repeated is sent again after growing pauses when the answer is lost, Farebox is
down or answers 5xx. What can be repeated says the call, not the caller (`farebox.edge.calls`).
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from types import TracebackType
from typing import Final, Self, TypeVar

import httpx2

from farebox.edge.calls import Call, read_answer
from farebox.edge.errors import FareboxUnavailable

T = TypeVar("T")

TIMEOUT: Final = httpx2.Timeout(connect=2.0, read=5.0, write=5.0, pool=5.0)
PAUSES: Final = (0.1, 0.3, 1.0)
"""Seconds before the second, third and fourth sending."""

# No byte has left in these cases, so even a call that must not be repeated may be sent again.
_NEVER_SENT: Final = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout)


class Farebox:
    """Send calls to Farebox; safe to share between threads.

    `key` is the caller's API key. The middleware and the account calls need the role edge,
    provider or admin.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str,
        transport: httpx2.BaseTransport | None = None,
        timeout: httpx2.Timeout = TIMEOUT,
        pauses: tuple[float, ...] = PAUSES,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._client = httpx2.Client(
            base_url=url, headers=_credential(key), transport=transport, timeout=timeout
        )
        self._pauses = pauses
        self._sleep = sleep

    def send(self, call: Call[T]) -> T:
        """Return the answer; raise `Refused`, or `FareboxUnavailable` after the last try."""
        for pause in _pauses_then_none(self._pauses):
            try:
                response = self._client.request(
                    call.method,
                    call.path,
                    params=call.query,
                    content=call.content,
                    headers=call.headers(),
                )
                return read_answer(call, status=response.status_code, content=response.content)
            except httpx2.TransportError as error:
                failure = _unavailable(error)
            except FareboxUnavailable as error:
                failure = error
            if pause is None or not call.may_follow(failure):
                raise failure
            self._sleep(pause)
        raise AssertionError("the last try returns or raises")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class AsyncFarebox:
    """Send calls to Farebox from asyncio; the same promises as `Farebox`. One event loop each."""

    def __init__(
        self,
        url: str,
        *,
        key: str,
        transport: httpx2.AsyncBaseTransport | None = None,
        timeout: httpx2.Timeout = TIMEOUT,
        pauses: tuple[float, ...] = PAUSES,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._client = httpx2.AsyncClient(
            base_url=url, headers=_credential(key), transport=transport, timeout=timeout
        )
        self._pauses = pauses
        self._sleep = sleep

    async def send(self, call: Call[T]) -> T:
        """Return the answer; raise `Refused`, or `FareboxUnavailable` after the last try."""
        for pause in _pauses_then_none(self._pauses):
            try:
                response = await self._client.request(
                    call.method,
                    call.path,
                    params=call.query,
                    content=call.content,
                    headers=call.headers(),
                )
                return read_answer(call, status=response.status_code, content=response.content)
            except httpx2.TransportError as error:
                failure = _unavailable(error)
            except FareboxUnavailable as error:
                failure = error
            if pause is None or not call.may_follow(failure):
                raise failure
            await self._sleep(pause)
        raise AssertionError("the last try returns or raises")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


def _credential(key: str) -> dict[str, str]:
    return {"authorization": f"Bearer {key}"}


def _pauses_then_none(pauses: tuple[float, ...]) -> Iterator[float | None]:
    yield from pauses
    yield None


def _unavailable(error: httpx2.TransportError) -> FareboxUnavailable:
    reason = f"{type(error).__name__}: {error}"
    failure = FareboxUnavailable(reason, never_sent=isinstance(error, _NEVER_SENT))
    failure.__cause__ = error
    return failure
