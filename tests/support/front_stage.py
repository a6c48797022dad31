"""A server with the protocol of our own in a thread, and clients that speak to it in bytes.

`/now` answers where it is read, `/soon` in the loop's next turn, `/later` when the test says so,
`/twice` tries to answer three times; a small app tells what it got, on `/much` with many bytes.
"""

import asyncio
import json
import queue
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import uvloop
from uvicorn import Server

from farebox.http.front import configuration

PATIENCE_S = 10
STOP_S = 10
SHORT_S = 0.2
MUCH = 16 * 1024 * 1024
RESET = struct.pack("ii", 1, 0)
FIELDS = b"content-type: text/plain\r\n"


class Answer(NamedTuple):
    """One answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes


class Client:
    """A connection, spoken to in bytes."""

    def __init__(self, port):
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._lines = self._socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._lines.close()
        self._socket.close()

    def send(self, *parts):
        for part in parts:
            self._socket.sendall(part)

    def offer(self, part):
        """Send as much of this as is taken; return how much, 0 if nothing is for a while."""
        self._socket.settimeout(SHORT_S)
        try:
            return self._socket.send(part)
        except TimeoutError:
            return 0
        finally:
            self._socket.settimeout(PATIENCE_S)

    def read(self):
        """Return the next answer; None at the end of the connection."""
        first = self._lines.readline()
        if not first:
            return None
        version, status, _ = first.decode().split(" ", 2)
        assert version == "HTTP/1.1"
        headers = {}
        while (line := self._lines.readline().decode().strip()) != "":
            name, value = line.split(": ", 1)
            assert name not in headers
            headers[name] = value
        return Answer(int(status), headers, self._lines.read(int(headers.get("content-length", 0))))

    def ended(self):
        """Wait until the other side hangs up; tell whether it has said nothing more."""
        return self.rest() == b""

    def rest(self):
        """Read until the other side hangs up; return what it still said."""
        parts = []
        # Who hangs up before it has read what was sent to it ends the connection by a reset.
        with suppress(ConnectionResetError):
            while part := self._lines.read1():
                parts.append(part)
        return b"".join(parts)

    def is_left_within(self, seconds):
        """Tell whether the other side hangs up, or says something, in this time."""
        self._socket.settimeout(seconds)
        try:
            self._socket.recv(1)
        except TimeoutError:
            return False
        except ConnectionResetError:
            return True
        return True

    def vanish(self):
        """Go as a client does that was killed with something unread."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._lines.close()
        self._socket.close()


class Stage:
    """A server in a thread; `asked` has what `/later` and the app's `/held` wait with."""

    def __init__(self):
        self.asked: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self.gone: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.queued = []
        self.ran = []
        hot = {
            b"/now": self._now,
            b"/soon": self._soon,
            b"/later": self._later,
            b"/twice": self._twice,
        }
        self.server = Server(configuration(self._app, hot, stop_seconds=STOP_S))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(
            target=lambda: uvloop.run(self.server.serve([self._listener]))
        )
        self._thread.start()

    def stop(self):
        self.server.should_exit = True

    def close(self):
        self.stop()
        self._thread.join(PATIENCE_S)
        self._listener.close()
        assert not self._thread.is_alive()

    def client(self):
        return Client(self.port)

    def next_asked(self):
        """Wait for a request that waits for us; return what lets it be answered."""
        return self.asked.get(timeout=PATIENCE_S)

    def _now(self, headers, body, reply):
        self.ran.append(body)
        reply(200, FIELDS, b"now " + body)

    def _soon(self, headers, body, reply):
        asyncio.get_running_loop().call_soon(reply, 200, FIELDS, b"soon " + body)

    def _later(self, headers, body, reply):
        self.ran.append(body)
        loop = asyncio.get_running_loop()
        self.asked.put(
            lambda: loop.call_soon_threadsafe(reply, 201, FIELDS, b"later " + body),
        )

    def _twice(self, headers, body, reply):
        reply(200, FIELDS, b"first " + body)
        reply(500, FIELDS, b"second " + body)
        asyncio.get_running_loop().call_soon(reply, 500, FIELDS, b"third " + body)

    async def _app(self, scope, receive, send):
        if scope["type"] == "lifespan":
            for kind in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{kind}.complete"})
            return
        fronts: Any = self.server.server_state.connections
        self.queued += [len(each.pipeline) for each in fronts]
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                self.gone.put(scope["query_string"])
                return
            body += message["body"]
            more = message["more_body"]
        self.ran.append(body)
        if scope["path"] == "/held":
            loop, go = asyncio.get_running_loop(), asyncio.Event()
            self.asked.put(lambda: loop.call_soon_threadsafe(go.set))
            await go.wait()
        told = json.dumps(
            {
                "method": scope["method"],
                "path": scope["path"],
                "query": scope["query_string"].decode(),
                "headers": [[name.decode(), value.decode()] for name, value in scope["headers"]],
                "body": body.decode(),
            }
        ).encode()
        if scope["path"] == "/much":
            told = bytes(MUCH)
        length = str(len(told)).encode()
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-length", length)],
            }
        )
        await send({"type": "http.response.body", "body": told})


def post(path, body=b"", *headers, length=None):
    size = len(body) if length is None else length
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: farebox.test",
        f"Content-Length: {size}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def told(answer):
    """Return what the app got; fails for what a hot route has answered."""
    assert answer.status == 200
    return json.loads(answer.body)


def said(answer):
    """Return the request's body out of either's answer."""
    if answer.body.startswith(b"{"):
        return json.loads(answer.body)["body"].encode()
    return answer.body.split(b" ")[1]


CHUNKS = (
    b"POST /now HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
)
KINDS = {
    "now": lambda body: post("/now", body),
    "soon": lambda body: post("/soon", body),
    "later": lambda body: post("/later", body),
    "app": lambda body: post("/app", body),
    "held": lambda body: post("/held", body),
}
