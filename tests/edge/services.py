"""Services behind the middleware, for a server to run: a slow one, and an echo over WSGI.

`/wait` answers when `/go` was visited, which is free; `/farewell` when the client has left.
"""

import asyncio
import os

from farebox.edge import AsyncFarebox, Charging, Farebox, asgi, wsgi


class Slow:
    def __init__(self):
        self._go = asyncio.Event()

    async def __call__(self, scope, receive, send):
        if scope["path"] == "/go":
            self._go.set()
        elif scope["path"] == "/farewell":
            while (await receive())["type"] != "http.disconnect":
                pass
        else:
            await self._go.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})


def from_environment():
    return asgi.AccManMiddleware(
        Slow(),
        farebox=AsyncFarebox(os.environ["FILMS_FAREBOX_URL"], key=os.environ["FILMS_FAREBOX_KEY"]),
        charging=Charging(
            cost=lambda request, response: 3,
            free=lambda request: request.path == "/go",
            hold_seconds=int(os.environ["HOLD_SECONDS"]),
        ),
    )


def echo(environment, start_response):
    """Answer with the request's body, in two pieces."""
    said = environment["wsgi.input"].read(int(environment.get("CONTENT_LENGTH") or 0))
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield said[:3]
    yield said[3:]


def wsgi_from_environment():
    return wsgi.AccManMiddleware(
        echo,
        farebox=Farebox(os.environ["FILMS_FAREBOX_URL"], key=os.environ["FILMS_FAREBOX_KEY"]),
        charging=Charging(cost=lambda request, response: response.size),
    )
