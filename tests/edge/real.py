"""The real server, as `farebox serve --test-clock` runs it."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from farebox.wiring.services import prepare
from farebox.wiring.settings import load_settings
from tests.edge.servers import served

ADMIN_KEY = "admin-key-for-the-tests-0123456789abcdef"


@contextmanager
def real_farebox(folder: Path) -> Iterator[tuple[str, str]]:
    """Run Farebox on SQLite; yields its URL and the key of an operator with the role edge."""
    environment = {
        "FAREBOX_DATA": str(folder),
        "FAREBOX_ADMIN_KEY": ADMIN_KEY,
        "FAREBOX_TEST_CLOCK": "true",
    }
    prepare(load_settings(environment), tell=lambda key: None)
    with served("farebox.wiring.application:application", "rsgi", **environment) as server:
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
    headers = {"authorization": f"Bearer {ADMIN_KEY}", "idempotency-key": uuid.uuid4().hex}
    body = {"advance_seconds": seconds}
    httpx2.post(f"{url}/v1/test-clock", json=body, headers=headers).raise_for_status()
