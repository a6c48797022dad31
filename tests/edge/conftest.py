"""Farebox as the edge sees it, of two kinds: the dictionary model, and the real server."""

import threading
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import httpx2
import msgspec
import pytest

from tests.edge.model import Model
from tests.edge.real import move_clock, real_farebox
from tests.edge.stage import Stage
from tests.edge.visits import Asgi, Wsgi

EDGE_KEY = "edge-key-for-the-tests-0123456789abcdef"


def _move_clock_of(model):
    def move_clock(seconds):
        model.now += timedelta(seconds=seconds)

    return move_clock


@contextmanager
def modelled(request):
    """Offer the model to clients in this process."""
    model = Model(EDGE_KEY)

    def handle(asked):
        query = asked.url.query.decode()
        status, said = model.answer(
            asked.method, asked.url.path, query, asked.headers, asked.content
        )
        return httpx2.Response(status, json=said)

    stage = Stage(
        url="http://farebox.test",
        key=EDGE_KEY,
        transport=httpx2.MockTransport(handle),
        move_clock=_move_clock_of(model),
    )
    yield stage
    stage.close()


@contextmanager
def modelled_over_http(request):
    """Offer the model to programs outside this process."""
    model = Model(EDGE_KEY)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            status, said = model.answer(self.command, url.path, url.query, self.headers, body)
            content = msgspec.json.encode(said)
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = answer  # noqa: N815 - names of the standard library

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    stage = Stage(
        url=f"http://127.0.0.1:{server.server_port}",
        key=EDGE_KEY,
        move_clock=_move_clock_of(model),
    )
    yield stage
    stage.close()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="session")
def real_server(command_nursery, tmp_path_factory):
    """The one real server of this run, and the key of an edge operator; started when asked for."""
    folder = tmp_path_factory.mktemp("farebox")
    with real_farebox(command_nursery, folder, "--test-clock") as real:
        yield real.url, real.key


@contextmanager
def real(request):
    """Offer the real server to whoever can reach a port."""
    url, key = request.getfixturevalue("real_server")
    stage = Stage(url=url, key=key, move_clock=partial(move_clock, url))
    yield stage
    stage.close()


@pytest.fixture(params=[modelled, real], ids=["model", "real"])
def stage(request):
    with request.param(request) as stage:
        yield stage


@pytest.fixture(params=[modelled_over_http, real], ids=["model", "real"])
def served_stage(request):
    """A stage whose Farebox other processes can reach."""
    with request.param(request) as stage:
        yield stage


@pytest.fixture(params=[Asgi, Wsgi], ids=["asgi", "wsgi"])
def protocol(request, stage):
    return request.param(stage)
