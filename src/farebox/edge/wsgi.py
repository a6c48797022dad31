"""Charge for the visits of a WSGI service (PEP 3333).

    app = AccManMiddleware(
        app,
        farebox=Farebox("http://127.0.0.1:8080", key="..."),
        charging=Charging(cost=lambda request, response: response.size // 1000, maximum_cost=50),
    )

The service's result is read when the server asks for ours, so that a server which closes it unread
charges nobody. The head of the response leaves only after the charge, with the
balance in `ACCMAN`. A visit that crashes or answers 5xx is not charged. WSGI has no word for a
client that leaves while the service works: that visit is charged.
"""

import contextlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Final, Self, TypeAlias
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from farebox.edge.charging import Charging, Held, abandon, reserve, settle
from farebox.edge.client import Farebox
from farebox.edge.desk import converse
from farebox.edge.messages import (
    BALANCE_HEADER,
    Answer,
    Body,
    Headers,
    Request,
    Response,
    ResponseTooLarge,
    text_of,
)

ExceptionInfo: TypeAlias = (
    tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
)
Fields = list[tuple[str, str]]

# Granian takes status and headers as they are when the application returns. PEP 3333 lets us set
# them until the first piece of the body, which is when the charge is known; on this server the
# service runs before the result is returned, and a result closed unread is charged.
_READS_HEAD_EARLY: Final = "Granian"


class AccManMiddleware:
    """Let a visit through to `app` if its account can pay, and charge it."""

    def __init__(self, app: WSGIApplication, *, farebox: Farebox, charging: Charging) -> None:
        self._app = app
        self._farebox = farebox
        self._charging = charging

    def __call__(
        self, environment: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        """Serve one request."""
        request = _request_of(environment)
        if self._charging.free(request):
            return self._app(environment, start_response)
        held = converse(self._farebox, reserve(self._charging, request))
        if isinstance(held, Answer):
            start_response(held.status_line, list(held.headers))
            return [held.body]
        visit = _Visit(
            charging=self._charging,
            farebox=self._farebox,
            request=request,
            held=held,
            start_response=start_response,
        )
        environment["wsgi.input"] = _CountedInput(environment["wsgi.input"], request)
        visit.call(self._app, environment)
        if environment.get("SERVER_SOFTWARE", "").startswith(_READS_HEAD_EARLY):
            visit.begin()
        return visit


class _Visit:
    """One charged request: keeps the head of the response back until its price is paid."""

    def __init__(
        self,
        *,
        charging: Charging,
        farebox: Farebox,
        request: Request,
        held: Held,
        start_response: StartResponse,
    ) -> None:
        self._charging = charging
        self._farebox = farebox
        self._request = request
        self._held = held
        self._start_response = start_response
        self._head: tuple[str, Fields] | None = None
        self._body = Body(
            memory_bytes=charging.memory_bytes, largest_bytes=charging.largest_body_bytes
        )
        self._result: Iterable[bytes] = ()
        self._settled = False
        self._head_is_out = False
        self._withheld = False
        self._pieces = self._passed() if charging.cost_from_head else self._kept()

    def call(self, app: WSGIApplication, environment: WSGIEnvironment) -> None:
        """Call the service; what it returns is read when the server asks."""
        try:
            self._result = app(environment, self._on_start)
        except ResponseTooLarge:
            pass  # it stopped the service; the refusal follows when the server asks
        except BaseException:
            self.close()
            raise

    def begin(self) -> None:
        """Go on until the head is out, without waiting for the server to ask."""
        try:
            first = [piece for piece in (next(self._pieces, None),) if piece is not None]
        except BaseException:
            self.close()
            raise
        self._pieces = itertools.chain(first, self._pieces)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> bytes:
        return next(self._pieces)

    def close(self) -> None:
        """Give back what was not charged, and let the service clean up."""
        self._abandon()
        self._body.close()
        self._close_result()

    def _on_start(
        self, status: str, headers: Fields, exc_info: ExceptionInfo | None = None, /
    ) -> Callable[[bytes], object]:
        assert exc_info is not None or self._head is None, "start_response twice without exc_info"
        self._head = (status, headers)
        # With the head charged and handed on, only the server knows if it can still be replaced.
        if exc_info is not None and self._head_is_out and not self._withheld:
            self._start_response(status, _with_balance(headers, None), exc_info)
        # What is written is kept, with or without cost_from_head: PEP 3333 lets a middleware queue
        # it, and not every server has a `write` to pass it on to.
        return self._body.write

    def _kept(self) -> Iterator[bytes]:
        """Collect the whole body and charge, then let it go."""
        try:
            with contextlib.suppress(ResponseTooLarge):
                for chunk in self._result:
                    self._body.write(chunk)
            # Failing to clean up is a crash like any other, so it comes before the charge.
            self._close_result()
        except BaseException:
            self._abandon()
            raise
        yield from self._settle(self._body)
        if not self._withheld:
            yield from self._body.pieces()

    def _passed(self) -> Iterator[bytes]:
        """Charge at the first piece, then let each pass as it comes."""
        try:
            if self._body.too_large:
                yield from self._settle(self._body)
                return
            for chunk in itertools.chain(self._body.pieces(), self._result):
                if not self._settled:
                    yield from self._settle(None)
                if self._withheld:
                    return
                yield chunk
            if not self._settled:
                yield from self._settle(None)
        except BaseException:
            self._abandon()
            raise

    def _settle(self, body: Body | None) -> list[bytes]:
        """Charge and begin the response; return the body of the refusal, if it is one."""
        assert self._head is not None, "the service did not call start_response"
        status, fields = self._head
        self._settled = True
        response = Response(status=int(status[:3]), headers=_headers_of(fields), body=body)
        steps = settle(self._charging, self._request, response, self._held)
        verdict = converse(self._farebox, steps)
        self._head_is_out = True
        if verdict.instead is None:
            self._start_response(status, _with_balance(fields, verdict.balance))
            return []
        self._withheld = True
        self._start_response(verdict.instead.status_line, list(verdict.instead.headers))
        return [verdict.instead.body]

    def _abandon(self) -> None:
        if not self._settled:
            self._settled = True
            converse(self._farebox, abandon(self._held))

    def _close_result(self) -> None:
        result, self._result = self._result, ()
        close = getattr(result, "close", None)
        if close is not None:
            close()


class _CountedInput:
    """The request's body, counted while the service reads it."""

    def __init__(self, stream: Any, request: Request) -> None:  # noqa: ANN401 - PEP 3333 has no type
        self._stream = stream
        self._request = request

    def read(self, *size: int) -> bytes:
        """Read up to `size` bytes."""
        return self._counted(self._stream.read(*size))

    def readline(self, *size: int) -> bytes:
        """Read a line."""
        return self._counted(self._stream.readline(*size))

    def readlines(self, *hint: int) -> list[bytes]:
        """Read lines."""
        return [self._counted(line) for line in self._stream.readlines(*hint)]

    def __iter__(self) -> Iterator[bytes]:
        return (self._counted(line) for line in self._stream)

    def _counted(self, chunk: bytes) -> bytes:
        self._request.received(chunk)
        return chunk


def _request_of(environment: WSGIEnvironment) -> Request:
    fields = [
        (name[5:].replace("_", "-"), _text(value))
        for name, value in environment.items()
        if name.startswith("HTTP_")
    ]
    fields += [
        (name.replace("_", "-"), environment[name])
        for name in ("CONTENT_TYPE", "CONTENT_LENGTH")
        if environment.get(name)
    ]
    path = environment.get("SCRIPT_NAME", "") + environment.get("PATH_INFO", "")
    return Request(
        method=environment["REQUEST_METHOD"],
        path=_text(path),
        query=environment.get("QUERY_STRING", ""),
        headers=Headers(fields),
    )


def _text(native: str) -> str:
    """Return what PEP 3333 squeezes into a Latin-1 string."""
    return text_of(native.encode("latin-1"))


def _headers_of(fields: Fields) -> Headers:
    return Headers((name, _text(value)) for name, value in fields)


def _with_balance(fields: Fields, balance: int | None) -> Fields:
    kept = [(name, value) for name, value in fields if name.lower() != BALANCE_HEADER.lower()]
    if balance is not None:
        kept.append((BALANCE_HEADER, str(balance)))
    return kept
