"""The real server."""

import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx2
import psutil  # type: ignore[import-untyped]

from tests.support.commands import Farebox, Process, answers, line_of, stop, until
from tests.support.nursery import Nursery

ADMIN_KEY = "admin-key-for-the-tests-0123456789abcdef"


class Real(NamedTuple):
    """A running Farebox, and the key of an operator with the role edge."""

    url: str
    key: str
    process: Process

    @contextmanager
    def halted(self) -> Iterator[None]:
        """Keep all of its processes from running for as long as a block lasts."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        for one in family:
            one.suspend()
        try:
            yield
        finally:
            for one in family:
                one.resume()


@contextmanager
def real_farebox(nursery: Nursery, folder: Path, *arguments: str) -> Iterator[Real]:
    """Run Farebox on SQLite."""
    # Nobody reads what it says, and a pipe that is full would hold it up.
    said = {"FAREBOX_LOG_LEVEL": "error"}
    farebox = Farebox(nursery, folder, FAREBOX_ADMIN_KEY=ADMIN_KEY, FAREBOX_PORT="0", **said)
    with farebox.started("serve", *arguments) as process:
        url = line_of(process, r"^Farebox listens on (http\S+)$")[1]
        until(lambda: answers(f"{url}/readyz"), process)
        yield Real(url, edge_key(url), process)
        assert stop(process, signal.SIGTERM)[0] == 0


def edge_key(url: str) -> str:
    headers = {"authorization": f"Bearer {ADMIN_KEY}"}
    with httpx2.Client(base_url=url, headers=headers, timeout=20) as admin:

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
    said = httpx2.post(f"{url}/v1/test-clock", json=body, headers=headers, timeout=20)
    said.raise_for_status()
