"""A real HTTP server that receives webhooks, answers as told, and keeps what it got."""

import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
from standardwebhooks.webhooks import Webhook


class Got(msgspec.Struct):
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.decode(self.body)
        return found

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    def verified_by(self, secret: str) -> bool:
        """Tell whether the independent library takes the signature for ours."""
        try:
            Webhook(secret).verify(self.body, self.headers)
        except Exception:  # noqa: BLE001 - the library has several
            return False
        return True


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing: a caller that hangs up is what some tests are about."""


class Receiver:
    """Listens on a free port of this machine until closed."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.answer: Callable[[Got, BaseHTTPRequestHandler], None] = self.say(204)
        self._came = threading.Condition()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                got = Got(self.path, headers, body)
                with outer._came:
                    outer.got.append(got)
                    outer._came.notify_all()
                outer.answer(got, self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def serve_tls(self, context: ssl.SSLContext) -> None:
        """Speak TLS from now on."""
        self._server.socket = context.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @staticmethod
    def say(
        status: int, body: bytes = b"", **headers: str
    ) -> Callable[[Got, BaseHTTPRequestHandler], None]:
        """Return an answer of a status, a body and headers (`retry_after` is Retry-After)."""

        def answer(_: Got, handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(status)
            for name, value in headers.items():
                handler.send_header(name.replace("_", "-"), value)
            handler.send_header("content-length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body)

        return answer

    def wait_for(self, count: int, seconds: float = 30) -> list[Got]:
        """Wait until so many requests have come, and return them."""
        end = time.monotonic() + seconds
        with self._came:
            while len(self.got) < count:
                assert self._came.wait(end - time.monotonic()), f"only {len(self.got)} came"
        return list(self.got)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
