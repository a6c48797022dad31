"""Charge for the visits of an ASGI service.

    app = AccManMiddleware(
        app,
        farebox=AsyncFarebox("http://127.0.0.1:8080", key="..."),
        charging=Charging(cost=lambda request, response: response.size // 1000, maximum_cost=50),
    )

The head of the response leaves only after the charge, with the balance in `ACCMAN`. A visit that
crashes, is cancelled, answers 5xx or whose client leaves before the charge is not charged; once the
charge has begun it is finished, whoever leaves. What Farebox cannot be told (this process is
killed, Farebox is down) is mended by the hold, which expires by itself and gives the credit back.

Needs asyncio. A client that leaves is noticed when the service has read the request's body.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from farebox.edge.charging import (
    Charging,
    Held,
    Verdict,
    abandon,
    settle,
)
from farebox.edge.client import AsyncFarebox
from farebox.edge.desk import AsyncDesk
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

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

POLICY_VIOLATION: Final = 1008
_BALANCE_FIELD: Final = BALANCE_HEADER.lower().encode()


class AccManMiddleware:
    """Let a visit through to `app` if its account can pay, and charge it.

    WebSockets have no response to charge: they are closed unless `websockets` lets them pass
    uncharged. Lifespan passes; at its shutdown what is still being settled is finished and
    `farebox` is closed.
    """

    def __init__(
        self, app: App, *, farebox: AsyncFarebox, charging: Charging, websockets: bool = False
    ) -> None:
        self._app = app
        self._charging = charging
        self._websockets = websockets
        self._desk = AsyncDesk(farebox)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one ASGI scope."""
        match scope["type"]:
            case "http":
                await self._visit(scope, receive, send)
            case "lifespan":
                await self._app(scope, receive, self._at_shutdown(send))
            case "websocket" if not self._websockets:
                await receive()
                await send({"type": "websocket.close", "code": POLICY_VIOLATION})
            case _:
                await self._app(scope, receive, send)

    async def _visit(self, scope: Message, receive: Receive, send: Send) -> None:
        request = _request_of(scope)
        if self._charging.free(request):
            await self._app(scope, receive, send)
            return
        held = await self._desk.reserve(self._charging, request)
        if isinstance(held, Answer):
            await _send_answer(send, held)
            return
        inbox = _Inbox(receive, request)
        visit = _Visit(
            charging=self._charging,
            desk=self._desk,
            request=request,
            held=held,
            inbox=inbox,
            send=send,
        )
        try:
            await self._app(self._scope_of_visit(scope), inbox.receive, visit.on_message)
        except ResponseTooLarge:
            pass  # it stopped the service; `end` answers
        finally:
            await visit.end()

    def _at_shutdown(self, send: Send) -> Send:
        async def send_when_done(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown."):
                await self._desk.close()
            await send(message)

        return send_when_done

    def _scope_of_visit(self, scope: Message) -> Message:
        if self._charging.cost_from_head:
            return scope
        # A body that the server itself reads from a file, a push or a trailer would go past the
        # charge; a service that is not offered them sends a plain body.
        kept = {
            name: value
            for name, value in (scope.get("extensions") or {}).items()
            if not name.startswith("http.response.")
        }
        return {**scope, "extensions": kept}


class _Inbox:
    """Passes the request on, one message ahead of the service, and sees the client leave."""

    def __init__(self, receive: Receive, request: Request) -> None:
        self.client_left = False
        self._receive = receive
        self._request = request
        self._messages: asyncio.Queue[Message] = asyncio.Queue(maxsize=1)
        self._pump = asyncio.get_running_loop().create_task(self._read())

    async def receive(self) -> Message:
        """Return the next message. Whoever asks after the client has left is told so, each time."""
        message = await self._messages.get()
        if message["type"] == "http.disconnect":
            self._messages.put_nowait(message)
        return message

    def close(self) -> None:
        """Stop reading."""
        self._pump.cancel()

    async def _read(self) -> None:
        while not self.client_left:
            message = await self._next()
            self._request.received(message.get("body", b""))
            self.client_left = message["type"] == "http.disconnect"
            await self._messages.put(message)

    async def _next(self) -> Message:
        try:
            return await self._receive()
        except Exception:  # noqa: BLE001 - whatever the server means, nothing more will come
            return {"type": "http.disconnect"}


class _Visit:
    """One charged request: keeps the head of the response back until its price is paid."""

    def __init__(
        self,
        *,
        charging: Charging,
        desk: AsyncDesk,
        request: Request,
        held: Held,
        inbox: _Inbox,
        send: Send,
    ) -> None:
        self._charging = charging
        self._desk = desk
        self._request = request
        self._held = held
        self._inbox = inbox
        self._send = send
        self._head: Message | None = None
        self._body = Body(
            memory_bytes=charging.memory_bytes, largest_bytes=charging.largest_body_bytes
        )
        self._settled = False
        self._open_to_service = True

    async def on_message(self, message: Message) -> None:
        """Take what the service sends."""
        if not self._open_to_service:
            return
        if self._settled:
            await self._send(message)
        elif message["type"] == "http.response.start":
            self._head = message
            if self._charging.cost_from_head:
                await self._settle(None)
        else:
            await self._keep(message.get("body", b""))
            if not message.get("more_body", False):
                await self._settle(self._body)
                self._open_to_service = False

    async def end(self) -> None:
        """Give back what was not charged. The service has returned, crashed or was cancelled."""
        self._open_to_service = False
        try:
            if self._body.too_large and not self._settled:
                await self._settle(self._body)
            elif not self._settled:
                self._settled = True
                await self._desk.finish(abandon(self._held))
        finally:
            self._body.close()
            self._inbox.close()

    async def _keep(self, chunk: bytes) -> None:
        if self._body.waits_for_disk(chunk):
            await asyncio.to_thread(self._body.write, chunk)
        else:
            self._body.write(chunk)

    async def _settle(self, body: Body | None) -> None:
        assert self._head is not None, "a body before http.response.start"
        # From here on it is settled whatever happens: `end` must not release what is captured.
        self._settled = True
        if self._inbox.client_left:
            await self._desk.finish(abandon(self._held))
            self._open_to_service = False
            return
        response = Response(status=self._head["status"], headers=_headers_of(self._head), body=body)
        verdict = await self._desk.finish(
            settle(self._charging, self._request, response, self._held)
        )
        if verdict.instead is not None:
            self._open_to_service = False
            await _send_answer(self._send, verdict.instead)
            return
        await self._send(_with_balance(self._head, verdict))
        if body is not None:
            await self._send_kept(body)

    async def _send_kept(self, body: Body) -> None:
        pieces = body.pieces()
        sent, more_body = 0, True
        while more_body:
            piece = (
                await asyncio.to_thread(next, pieces, b"")
                if body.waits_for_disk()
                else next(pieces, b"")
            )
            sent += len(piece)
            more_body = sent < body.size
            await self._send({"type": "http.response.body", "body": piece, "more_body": more_body})


def _request_of(scope: Message) -> Request:
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=scope.get("query_string", b"").decode("latin-1"),
        headers=_headers_of(scope),
    )


def _headers_of(message: Message) -> Headers:
    fields = message.get("headers", ())
    return Headers((bytes(name).decode("latin-1"), text_of(bytes(value))) for name, value in fields)


def _with_balance(head: Message, verdict: Verdict) -> Message:
    fields = [
        (name, value)
        for name, value in head.get("headers", ())
        if bytes(name).lower() != _BALANCE_FIELD
    ]
    if verdict.balance is not None:
        fields.append((_BALANCE_FIELD, str(verdict.balance).encode()))
    return {**head, "headers": fields}


async def _send_answer(send: Send, answer: Answer) -> None:
    await send(
        {
            "type": "http.response.start",
            "status": answer.status,
            "headers": [(name.encode(), value.encode()) for name, value in answer.headers],
        }
    )
    await send({"type": "http.response.body", "body": answer.body})
