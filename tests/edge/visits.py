"""A service to be charged, and visits to it over ASGI and over WSGI, as servers make them."""

import asyncio
import contextlib
import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import msgspec

from farebox.edge import Charging, asgi, wsgi


def costing(cost, **terms):
    """Terms by which every visit costs the same."""
    return Charging(cost=lambda request, response: cost, **terms)


def accman(credential):
    return [("ACCMAN", credential)]


@dataclass
class Service:
    """A web service in a few words, for both protocols."""

    status: int = 200
    headers: tuple = ()
    chunks: tuple = (b"hello",)
    crash: Exception | None = None
    meanwhile: Callable[[], object] | None = None
    calls: int = 0
    asked_with: bytes = b""

    def _fields(self):
        return [("Content-Type", "text/plain"), *self.headers]

    def _work(self, body):
        self.calls += 1
        self.asked_with = body
        if self.meanwhile:
            self.meanwhile()
        if self.crash:
            raise self.crash

    async def asgi(self, scope, receive, send):
        body, more = b"", True
        while more:
            message = await receive()
            body += message["body"]
            more = message["more_body"]
        self._work(body)
        await asyncio.sleep(0)
        fields = [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in self._fields()
        ]
        await send({"type": "http.response.start", "status": self.status, "headers": fields})
        for chunk in self.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def wsgi(self, environment, start_response):
        self._work(environment["wsgi.input"].read(int(environment.get("CONTENT_LENGTH") or 0)))
        start_response(f"{self.status} Planned", self._fields())
        return iter(self.chunks)


@dataclass
class Answer:
    status: int
    headers: list
    body: bytes = b""
    messages: list = field(default_factory=list)

    def every(self, name):
        return [value for known, value in self.headers if known.lower() == name.lower()]

    @property
    def balance(self):
        values = self.every("accman")
        assert len(values) <= 1
        return int(values[0]) if values else None

    @property
    def problem(self):
        assert self.every("content-type") == ["application/problem+json"]
        problem = msgspec.json.decode(self.body)
        assert problem["status"] == self.status
        assert {"type", "title", "detail"} <= problem.keys()
        return problem["code"]


class Asgi:
    """Visits through the ASGI middleware."""

    def __init__(self, stage):
        self.stage = stage

    def visit(self, service, charging, **request):
        return self.visits(service, charging, [request])[0]

    def visits(self, service, charging, requests):
        async def all_at_once():
            async with self.stage.async_farebox() as farebox:
                app = asgi.AccManMiddleware(service.asgi, farebox=farebox, charging=charging)
                return await asyncio.gather(*(asgi_visit(app, **request) for request in requests))

        return asyncio.run(all_at_once())


def scope_of(method="GET", path="/", query="", headers=(), extensions=None):
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), _bytes(value)) for name, value in headers],
        "extensions": extensions or {},
    }


def _bytes(value):
    return value if isinstance(value, bytes) else value.encode()


async def asgi_visit(app, *, body=b"", leaves=None, sent=None, **request):
    """Visit as a server does; `leaves` is an event after which the client is gone."""
    messages = [{"type": "http.request", "body": body, "more_body": False}]
    sent = [] if sent is None else sent
    leaves = leaves or asyncio.Event()

    async def receive():
        if messages:
            return messages.pop(0)
        await leaves.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)

    await app(scope_of(**request), receive, send)
    return answer_of(sent)


def answer_of(sent):
    """Read what was sent as a server would, and refuse what it would refuse."""
    if not sent:
        return None
    head, *bodies = sent
    assert head["type"] == "http.response.start"
    assert [message["type"] for message in bodies] == ["http.response.body"] * len(bodies)
    more = [message.get("more_body", False) for message in bodies]
    assert more == [True] * (len(bodies) - 1) + [False] * (len(bodies) > 0)
    return Answer(
        status=head["status"],
        headers=[
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in head["headers"]
        ],
        body=b"".join(message["body"] for message in bodies),
        messages=sent,
    )


class Wsgi:
    """Visits through the WSGI middleware, with the standard library's validator on both sides."""

    def __init__(self, stage):
        self.stage = stage

    def visit(self, service, charging, **request):
        with self.stage.farebox() as farebox:
            app = self.app(service, charging, farebox)
            return wsgi_visit(app, **request)

    def visits(self, service, charging, requests):
        with self.stage.farebox() as farebox, ThreadPoolExecutor(len(requests)) as threads:
            app = self.app(service, charging, farebox)
            begin = threading.Barrier(len(requests))

            def visit(request):
                begin.wait()
                return wsgi_visit(app, **request)

            return list(threads.map(visit, requests))

    @staticmethod
    def app(service, charging, farebox):
        inner = validator(service.wsgi)
        return validator(wsgi.AccManMiddleware(inner, farebox=farebox, charging=charging))


def wsgi_visit(app, **request):
    """Visit as a server does: read to the end, and close whatever happens."""
    server = WsgiServer()
    result = app(environment_of(**request), server.start_response)
    with contextlib.closing(result):
        for chunk in result:
            server.send(chunk)
    return server.answer()


def environment_of(method="GET", path="/", query="", headers=(), body=b""):
    environment = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
    }
    setup_testing_defaults(environment)
    if body:
        environment["CONTENT_LENGTH"] = str(len(body))
    for name, value in headers:
        field_name = "HTTP_" + name.upper().replace("-", "_")
        environment[field_name] = _bytes(value).decode("latin-1")
    return environment


class WsgiServer:
    """The server's half of PEP 3333: the head leaves with the first byte, and can change before."""

    def __init__(self):
        self.head: tuple[int, list[tuple[str, str]]] | None = None
        self.sent = False
        self.body: list[bytes] = []

    def start_response(self, status, headers, exc_info=None):
        if exc_info and self.sent:
            raise exc_info[1]
        assert self.head is None or exc_info
        self.head = (int(status[:3]), headers)
        return self.send

    def send(self, chunk):
        assert self.head is not None
        if chunk:
            self.sent = True
            self.body.append(chunk)

    def answer(self):
        assert self.head is not None
        return Answer(status=self.head[0], headers=self.head[1], body=b"".join(self.body))
