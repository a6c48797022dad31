"""The server's protocol: hot routes are answered where they are read, all else by the ASGI app.

uvicorn reads HTTP (by httptools, which is Node's parser) and carries ASGI; for a request to a hot
route the protocol makes no task, no scope and no messages, but calls the route and writes what it
answers. Whatever is not plain about such a request (a body in chunks or too large, a header given
twice, an expectation, a request sent before the last one was answered) goes to the ASGI app,
which has the same routes.

It is stricter than its base with those who keep us waiting: a connection that says nothing for
`IDLE_SECONDS` is closed, in the middle of a request too. A head, and what follows a body in chunks,
has a largest size and is to come within that time, however busily it drips. Who sends on without
waiting for answers, or without reading them, is not read on, and who reads nothing for that long
while there is something to read is hung up on.
"""

import asyncio
from collections.abc import Mapping, Sized
from functools import partial
from typing import Any, Final

from httptools import HttpParserError, HttpParserUpgrade
from uvicorn import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from farebox.http.hot import LARGEST_BODY, Body, Headers, HotRoute, Reply
from farebox.http.problems import problem
from farebox.http.refusals import RequestMalformed

IDLE_SECONDS: Final = 75
LARGEST_HEAD: Final = 2**16
_BY_THE_APP: Final = frozenset({b"expect", b"transfer-encoding", b"upgrade"})
# Of a request there are read: what the parser gathers until it is whole, and the body, in parts.
_BODY: Final = 0
_HEAD: Final = 1
_TAIL: Final = 2


def configuration(app: Any, hot: Mapping[bytes, HotRoute], *, stop_seconds: int) -> Config:  # noqa: ANN401 - an ASGI application
    """Return how uvicorn serves an application with hot routes in front of it."""
    return Config(
        app,
        http=partial(Front, hot, _Dated()),  # type: ignore[arg-type] # it is only called
        ws="none",
        interface="asgi3",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=2048,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=stop_seconds,
    )


class _Dated:
    """The header lines that every answer begins with, put together anew when the date changes."""

    def __init__(self) -> None:
        self._seen: object = None
        self._lines = b""

    def lines(self, headers: list[tuple[bytes, bytes]]) -> bytes:
        if headers is not self._seen:
            self._seen = headers
            self._lines = b"".join(b"%b: %b\r\n" % pair for pair in headers)
        return self._lines


class _Unheard:
    """An event that nobody waits for."""

    def set(self) -> None:
        pass


class _Flow(FlowControl):
    """Reads nothing more of a connection while requests wait there for their turn."""

    def __init__(self, transport: asyncio.Transport, pipeline: Sized) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        if not self._pipeline:
            super().resume_reading()


class _Exchange:
    """A request to a hot route and its answer; to uvicorn it is what a cycle of its own is."""

    __slots__ = (
        "_front",
        "_route",
        "body",
        "disconnected",
        "headers",
        "keep_alive",
        "more_body",
        "response_complete",
    )
    message_event = _Unheard()
    response_started = False

    def __init__(self, front: "Front", route: HotRoute, headers: Headers) -> None:
        self._front = front
        self._route = route
        self.headers = headers
        self.body: Body = b""
        self.more_body = True
        self.response_complete = False
        self.disconnected = False
        self.keep_alive = True

    def take(self, part: bytes) -> None:
        """Take a part of the body: mostly there is one, but somebody may send a byte a time."""
        if not self.body:
            self.body = part
        elif isinstance(self.body, bytearray):
            self.body += part
        else:
            self.body = bytearray(self.body) + part

    def run(self) -> None:
        """Let the route answer: the request is here whole."""
        self.more_body = False
        self._route(self.headers, self.body, self.reply)

    def reply(self, status: int, fields: bytes, body: bytes) -> None:
        """Send the answer, if the client is still there."""
        if self.response_complete:
            return
        self.response_complete = True
        front = self._front
        transport = front.transport
        if transport.is_closing():
            return
        if not self.keep_alive:
            fields += b"connection: close\r\n"
        transport.write(
            b"%b%b%bcontent-length: %d\r\n\r\n%b"
            % (STATUS_LINE[status], front.dated(), fields, len(body), body)
        )
        if not self.keep_alive:
            transport.close()
        elif front.pipeline:
            front.on_response_complete()


def _ignore(headers: Headers, body: Body, reply: Reply) -> None:
    """Answer nothing."""


class Front(HttpToolsProtocol):
    """One connection. Its `cycle` is the request that came last, None before the first."""

    cycle: Any

    def __init__(self, hot: Mapping[bytes, HotRoute], dated: _Dated, **given: Any) -> None:  # noqa: ANN401 - what uvicorn gives
        super().__init__(**given)
        self._hot = hot
        self._dated = dated
        self._exchange: _Exchange | None = None
        self._heard_at = 0.0
        self._part = _BODY
        self._gathered = 0
        self._is_mixed = False
        self._is_unread = False
        self._unsent = 0

    def dated(self) -> bytes:
        """Return the header lines that every answer begins with."""
        return self._dated.lines(self.server_state.default_headers)

    # -- the connection --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to watch a new connection."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline)
        self._heard_at = self.loop.time()
        self._watch(IDLE_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget a connection that has ended."""
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read what has come; refuses (`request_malformed`) a head or a tail that is too large."""
        if not self._part:
            self._heard_at = self.loop.time()
        self._is_mixed = False
        while data:
            try:
                self.parser.feed_data(data)
                break
            except HttpParserUpgrade as wish:
                # The parser has left it there, body and all; without the wish it goes on.
                data = self._head_without_wish() + data[wish.args[0] :]
            except HttpParserError:
                self.send_400_response("what was sent is not HTTP/1.1")
                return
        # Where something else has ended in these bytes, most of them may have been of that.
        if self._part and not self._is_mixed:
            self._gathered += len(data)
            if self._gathered > LARGEST_HEAD:
                what = "head" if self._part == _HEAD else "tail"
                self.send_400_response(f"the request's {what} is too large")

    def _head_without_wish(self) -> bytes:
        """Return the head that was read last, as if it asked for no other protocol."""
        kept = [b"%b: %b\r\n" % pair for pair in self.headers if pair[0] != b"upgrade"]
        first = b"%b %b HTTP/%b\r\n" % (
            self.parser.get_method(),
            self.url,
            self.parser.get_http_version().encode(),
        )
        return b"".join([first, *kept, b"\r\n"])

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, where that cannot be taken for the answer to a request."""
        self._part = _BODY
        cycle = self.cycle
        if self.transport.is_closing():
            return
        if cycle is not None and not cycle.response_complete:
            if not cycle.more_body:
                # It was whole, and is answered; then the connection closes.
                cycle.keep_alive = False
                self.flow.pause_reading()
                return
            if self.pipeline or cycle.response_started:
                self.transport.close()
                return
        status, body = problem(RequestMalformed(msg))
        self.transport.write(
            b"%b%bcontent-type: application/problem+json\r\ncontent-length: %d\r\n"
            b"connection: close\r\n\r\n%b" % (STATUS_LINE[status], self.dated(), len(body), body)
        )
        self.transport.close()

    def _unset_keepalive_if_required(self) -> None:
        """Leave the one timer: it looks when it rings, which costs less than setting it anew."""

    def _watch(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            seconds, self.timeout_keep_alive_handler
        )

    def pause_writing(self) -> None:
        """Read no more of who does not read: a hot request is answered as soon as it is read."""
        super().pause_writing()
        if isinstance(self.cycle, _Exchange):
            self._is_unread = True
            self.flow.pause_reading()

    def resume_writing(self) -> None:
        """Go on where the client reads again."""
        super().resume_writing()
        self._unsent = 0
        if self._is_unread:
            self._is_unread = False
            self.flow.resume_reading()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection on which we wait for the client, and have for too long."""
        cycle = self.cycle
        ours = (
            self.flow.read_paused
            or self.transport.is_closing()
            or (cycle is not None and not cycle.response_complete and not cycle.more_body)
        )
        left = IDLE_SECONDS if ours else self._heard_at + IDLE_SECONDS - self.loop.time()
        unsent = self.transport.get_write_buffer_size() if ours else 0
        if unsent and unsent == self._unsent:
            # Since the last look the client has not read a byte of what it asked for.
            self.transport.abort()
            return
        self._unsent = unsent
        if left > 0:
            self._watch(left)
        else:
            super().timeout_keep_alive_handler()

    def on_response_complete(self) -> None:
        """Begin with the next request, if it is here already."""
        if self.transport.is_closing():
            return
        self._heard_at = self.loop.time()
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._start_asgi_task(cycle, app)
        self.flow.resume_reading()

    # -- the parser's words ----------------------------------------------------------------------

    def on_message_begin(self) -> None:
        """Begin a request; its scope is made when it is known to need one."""
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self._gathered = 0
        self._part = _HEAD

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header; what follows a body in chunks is none, whatever it claims to be."""
        if self._part != _HEAD:
            return
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Choose who answers."""
        self._part = _BODY
        if self.transport.is_closing():
            # The last answer has been given: who asks again elsewhere must not be served twice.
            self._exchange = _Exchange(self, _ignore, {})
            return
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise RequestMalformed("there are no tunnels here")
            # It is answered as HTTP/1.1, as the standard says, when it is read again.
            self._exchange = _Exchange(self, _ignore, {})
            return
        route = self._hot.get(self.url)
        if route is not None and (headers := self._plain()) is not None:
            self.cycle = self._exchange = _Exchange(self, route, headers)
            return
        url, given, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers = self.scope["headers"] = given
        super().on_headers_complete()

    def _plain(self) -> Headers | None:
        """Return the headers by name, or None where the request is not for a hot route."""
        headers = dict(self.headers)
        parser, cycle = self.parser, self.cycle
        plain = (
            parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and len(headers) == len(self.headers)
            and headers.keys().isdisjoint(_BY_THE_APP)
            and int(headers.get(b"content-length", LARGEST_BODY + 1)) <= LARGEST_BODY
            and (cycle is None or cycle.response_complete)
        )
        return headers if plain else None

    def on_body(self, body: bytes) -> None:
        """Take a part of the body."""
        if self._exchange is not None:
            self._exchange.take(body)
        else:
            # A chunk with something in it is not the last one.
            self._part = _BODY
            super().on_body(body)

    def on_chunk_header(self) -> None:
        """Begin to count: behind the last chunk there may be trailers, which nobody here reads."""
        self._part = _TAIL
        self._gathered = 0
        self._is_mixed = True

    def on_chunk_complete(self) -> None:
        """Count no longer: it was a chunk like others, or the request is whole."""
        self._part = _BODY

    def on_message_complete(self) -> None:
        """Answer what is to be answered here."""
        self._is_mixed = True
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            exchange.run()
        else:
            super().on_message_complete()
