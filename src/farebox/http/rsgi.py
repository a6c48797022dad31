"""The server's entry: hot routes answer themselves, everything else goes on to the ASGI app.

Granian speaks RSGI, its own interface, which hands a request over in one call and takes the answer
in one call; measured, it carries a third more requests than ASGI does. This bridge lets Litestar,
an ASGI application, live behind the same server.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol
from urllib.parse import quote

Headers = list[tuple[str, str]]
AsgiApp = Callable[..., Awaitable[None]]
_LIFESPAN_TIMEOUT_S: Final = 30.0


class Exchange(Protocol):
    """What Granian gives for one HTTP request: its body, and the ways to answer."""

    async def __call__(self) -> bytes:
        """Return the whole body."""
        ...

    def __aiter__(self) -> Any:  # noqa: ANN401 - Granian's own iterator
        """Iterate over the body's chunks."""
        ...

    async def client_disconnect(self) -> None:
        """Wait until the client has gone."""
        ...

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer at once."""
        ...

    def response_empty(self, status: int, headers: Headers) -> None:
        """Answer without a body."""
        ...

    def response_stream(self, status: int, headers: Headers) -> Any:  # noqa: ANN401 - Granian's own
        """Begin an answer whose body follows."""
        ...


HotRoute = Callable[[Any, Exchange], Awaitable[None]]
Front = Callable[[str], HotRoute | None]


def nothing_in_front(_path: str) -> HotRoute | None:
    """Leave every path to the routes."""
    return None


class Application:
    """An RSGI application: a table of hot routes in front of an ASGI application.

    `front` answers what is no single method and path: all methods of some paths.
    """

    def __init__(
        self,
        asgi: AsgiApp,
        hot: Mapping[tuple[str, str], HotRoute],
        front: Front = nothing_in_front,
    ) -> None:
        self._asgi = asgi
        self._hot = dict(hot)
        self._front = front
        self._lifespan: _Lifespan | None = None

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the ASGI application's lifespan before the first request."""
        self._lifespan = _Lifespan(self._asgi)
        loop.run_until_complete(self._lifespan.start())

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the ASGI application's lifespan after the last request."""
        if self._lifespan is not None:
            loop.run_until_complete(self._lifespan.stop())

    async def __rsgi__(self, scope: Any, exchange: Exchange) -> None:  # noqa: ANN401 - Granian's own
        """Answer one request."""
        if scope.proto != "http":
            exchange.close(403)  # type: ignore[attr-defined] # a WebSocket; there are none
            return
        route = self._hot.get((scope.method, scope.path)) or self._front(scope.path)
        if route is not None:
            await route(scope, exchange)
        else:
            await _Bridge(scope, exchange).run(self._asgi)


class _Lifespan:
    """The ASGI lifespan protocol, driven from RSGI's two hooks."""

    def __init__(self, asgi: AsgiApp) -> None:
        self._asgi = asgi
        self._inbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._outbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        async def serve() -> None:
            scope = {
                "type": "lifespan",
                "asgi": {"version": "3.0", "spec_version": "2.0"},
                "state": {},
            }
            await self._asgi(scope, self._inbox.get, self._outbox.put)

        self._task = asyncio.create_task(serve())
        await self._say("lifespan.startup")

    async def stop(self) -> None:
        if self._task is not None and not self._task.done():
            await self._say("lifespan.shutdown")
            await self._task

    async def _say(self, word: str) -> None:
        assert self._task is not None
        await self._inbox.put({"type": word})
        answer = asyncio.create_task(self._outbox.get())
        done, _ = await asyncio.wait(
            {answer, self._task}, timeout=_LIFESPAN_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED
        )
        if answer not in done:
            answer.cancel()
            if self._task in done:
                self._task.result()
            raise RuntimeError(f"the application did not answer {word}")
        if answer.result()["type"].endswith("failed"):
            raise RuntimeError(answer.result().get("message", word))


class _Bridge:
    """One request carried from RSGI to ASGI and back."""

    def __init__(self, scope: Any, exchange: Exchange) -> None:  # noqa: ANN401 - Granian's own
        self._scope = scope
        self._exchange = exchange
        self._chunks: Any = None
        self._body_done = False
        self._status = 500
        self._headers: Headers = []
        self._stream: Any = None
        self._answered = False

    async def run(self, asgi: AsgiApp) -> None:
        await asgi(self._asgi_scope(), self._receive, self._send)
        if not self._answered:
            self._exchange.response_empty(500, [])

    def _asgi_scope(self) -> dict[str, Any]:
        scope = self._scope
        path = scope.path
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": scope.http_version,
            "method": scope.method,
            "scheme": scope.scheme,
            "path": path,
            "raw_path": quote(path).encode(),
            "root_path": "",
            "query_string": scope.query_string.encode("latin-1"),
            "headers": [
                (name.lower().encode("latin-1"), value.encode("latin-1", "replace"))
                for name, value in scope.headers.items()
            ],
            "client": _address(scope.client),
            "server": _address(scope.server),
            "state": {},
            "extensions": {},
        }

    async def _receive(self) -> dict[str, Any]:
        if self._body_done:
            await self._exchange.client_disconnect()
            return {"type": "http.disconnect"}
        if self._chunks is None:
            self._chunks = aiter(self._exchange)
        chunk = await anext(self._chunks, None)
        if not chunk:
            self._body_done = True
        return {"type": "http.request", "body": chunk or b"", "more_body": bool(chunk)}

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = [
                (bytes(name).decode("latin-1"), bytes(value).decode("latin-1"))
                for name, value in message.get("headers", ())
            ]
            return
        body, more = bytes(message.get("body", b"")), message.get("more_body", False)
        if self._stream is None and not more:
            self._answered = True
            if self._scope.method == "HEAD" or not body:
                self._exchange.response_empty(self._status, self._headers)
            else:
                self._exchange.response_bytes(self._status, self._headers, body)
            return
        if self._stream is None:
            self._answered = True
            self._stream = self._exchange.response_stream(self._status, self._headers)
        if body:
            await self._stream.send_bytes(body)


def _address(text: str | None) -> tuple[str, int] | None:
    """Read `host:port`; a Unix socket has no port."""
    host, colon, port = (text or "").rpartition(":")
    return (host, int(port)) if colon and port.isdigit() else None
