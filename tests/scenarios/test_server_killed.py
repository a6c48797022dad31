"""`kill -9` of the process that serves: its family ends, and what was answered is kept."""

import threading
from urllib.parse import urlsplit

import httpx2
import psutil  # type: ignore[import-untyped]
import pytest

from farebox.wiring.ports import port_to_listen_on
from tests.support.commands import Farebox, answers, line_of, until

ADMIN = "the-admin-of-the-killed-server-0123456789"
GRANTED = 1_000_000
CALLERS = 4
ENOUGH = 20
PATIENCE_S = 30.0


def client_of(url):
    return httpx2.Client(
        base_url=url, headers={"X-API-Key": ADMIN}, trust_env=False, verify=False, timeout=20
    )


def consume(client, credential, key):
    ask = {"mode": "consume", "product": "films", "credential": credential}
    return client.post("/v1/access/decide", json=ask, headers={"Idempotency-Key": key})


class Caller:
    """Somebody who consumes one unit after the other until nobody answers."""

    def __init__(self, url, credential, number):
        self._url, self._credential, self._number = url, credential, number
        self.answered = 0
        self.enough = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def key(self, count):
        return f"caller-{self._number}-{count}"

    def _run(self):
        with client_of(self._url) as client:
            while True:
                try:
                    answer = consume(client, self._credential, self.key(self.answered))
                except httpx2.TransportError:
                    break
                if not answer.is_success:
                    break
                self.answered += 1
                if self.answered == ENOUGH:
                    self.enough.set()
        self.enough.set()

    def end(self):
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "a caller hangs"

    def ask_all_again(self, client):
        """Repeat what was answered, and ask once more what was not."""
        for count in range(self.answered + 1):
            assert consume(client, self._credential, self.key(count)).json()["allowed"] is True


@pytest.fixture
def farebox(command_nursery, tmp_path, database_url):
    """Return the command with two processes that answer."""
    settings = {
        "FAREBOX_ACCESS_DATABASE_URL": database_url,
        "FAREBOX_ADMIN_KEY": ADMIN,
        "FAREBOX_WORKERS": "2",
    }
    return Farebox(command_nursery, tmp_path, FAREBOX_PORT="0", **settings)


def begun(process):
    """Return the URL of a server that has started, once it answers."""
    url = line_of(process, r"^Farebox listens on (http\S+)$")[1]
    until(lambda: answers(f"{url}/readyz"), process)
    return url


def opened_account(client):
    """Return a bucket and a key of its holder."""

    def post(path, body):
        answer = client.post(path, json=body, headers={"Idempotency-Key": path})
        assert answer.is_success, answer.text
        return answer.json()

    post("/v1/products", {"code": "films", "name": "Films"})
    ada = post("/v1/consumers", {"name": "Ada"})["id"]
    body = {"product": "films", "holder": ada, "grant": {"amount": GRANTED}}
    return post("/v1/buckets", body)["id"], post(f"/v1/consumers/{ada}/keys", {})["key"]


def test_the_family_of_a_killed_server_ends_and_loses_nothing_that_was_answered(farebox):
    with farebox.started("serve") as process:
        url = begun(process)
        with client_of(url) as client:
            bucket, credential = opened_account(client)
        callers = [Caller(url, credential, number) for number in range(CALLERS)]
        for caller in callers:
            assert caller.enough.wait(PATIENCE_S)
        family = psutil.Process(process.pid).children(recursive=True)
        # Two that answer, the ledger, the loops.
        assert len(family) == 4
        process.kill()

        _, alive = psutil.wait_procs(family, PATIENCE_S)
        assert alive == []
        port = urlsplit(url).port
        assert port_to_listen_on("127.0.0.1", port) == port
        for caller in callers:
            caller.end()

    with farebox.started("serve", "--port", str(port)) as process:
        assert begun(process) == url
        with client_of(url) as client:
            for caller in callers:
                caller.ask_all_again(client)
            used = client.get(f"/v1/buckets/{bucket}").json()["used"]
        assert used == sum(caller.answered + 1 for caller in callers)
        family = psutil.Process(process.pid).children(recursive=True)
        process.terminate()
        _, alive = psutil.wait_procs(family, PATIENCE_S)
        assert alive == []
    assert farebox.done("verify").endswith(" 0 faults\n")
