"""Farebox as the edge sees it, of two kinds: the dictionary model, and the real server."""

from datetime import timedelta

import httpx2
import pytest

from tests.edge.model import Model
from tests.edge.stage import Asgi, Stage, Wsgi

EDGE_KEY = "edge-key-for-the-tests-0123456789abcdef"


def _modelled():
    model = Model(EDGE_KEY)

    def handle(request):
        status, answer = model.answer(
            request.method,
            request.url.path,
            request.url.query.decode(),
            request.headers,
            request.content,
        )
        return httpx2.Response(status, json=answer)

    def move_clock(seconds):
        model.now += timedelta(seconds=seconds)

    transport = httpx2.MockTransport(handle)
    return Stage(
        url="http://farebox.test",
        key=EDGE_KEY,
        transports=(lambda: transport, lambda: transport),
        move_clock=move_clock,
    )


@pytest.fixture(params=["model"])
def stage(request):
    stage = _modelled()
    yield stage
    stage.close()


@pytest.fixture(params=[Asgi, Wsgi], ids=["asgi", "wsgi"])
def protocol(request, stage):
    return request.param(stage)
