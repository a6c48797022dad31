"""The real server, as `farebox serve` runs it, with a clock that a test may move.

`POST /move-clock?60` exists here only: it moves the clock of the whole process by 60 seconds.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from farebox.kernel.clock import SECOND_US
from farebox.wiring.server import application
from farebox.wiring.services import prepare
from farebox.wiring.settings import load_settings
from tests.edge.servers import served

ADMIN_KEY = "admin-key-for-the-tests-0123456789abcdef"


class Movable:
    """The server's own application, with one more path before it."""

    def __init__(self, worker):
        self._worker = worker

    def __rsgi_init__(self, loop):
        self._worker.__rsgi_init__(loop)

    def __rsgi_del__(self, loop):
        self._worker.__rsgi_del__(loop)

    async def __rsgi__(self, scope, exchange):
        if scope.path == "/move-clock":
            self._worker._services.clock.move(int(scope.query_string) * SECOND_US)
            exchange.response_empty(204, [])
        else:
            await self._worker.__rsgi__(scope, exchange)


def movable():
    return Movable(application())


@contextmanager
def real_farebox(folder: Path) -> Iterator[tuple[str, str]]:
    """Run Farebox on SQLite; yields its URL and the key of an operator with the role edge."""
    environment = {"FAREBOX_DATA": str(folder), "FAREBOX_ADMIN_KEY": ADMIN_KEY}
    prepare(load_settings(environment), tell=lambda key: None)
    with served("tests.edge.real:movable", "rsgi", **environment) as server:
        yield server.url, edge_key(server.url)


def edge_key(url: str) -> str:
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    with httpx2.Client(base_url=url, headers=headers) as admin:

        def post(path, body):
            said = admin.post(path, json=body, headers={"idempotency-key": uuid.uuid4().hex})
            assert said.is_success, said.text
            return said.json()

        operator = post("/v1/operators", {"name": "the service", "roles": ["edge"]})
        key: str = post(f"/v1/operators/{operator['id']}/keys", {"label": "edge"})["key"]
        return key


def move_clock(url: str, seconds: int) -> None:
    httpx2.post(f"{url}/move-clock?{seconds}").raise_for_status()
