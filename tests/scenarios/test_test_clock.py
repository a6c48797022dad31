"""A year in a second: `farebox serve --test-clock`, through the real server and its processes."""

import re
import signal

import httpx2
import pytest

from farebox.kernel.clock import SystemClock, parse_time
from farebox.ledger.service import Ledger
from farebox.storage import open_database
from farebox.storage.opening import url_of_file
from tests.support.commands import Farebox, answers, line_of, stop, until

KEY = "the-admin-of-the-test-clock-0123456789"
QUOTA = 10
STARTS = [f"2031-{month:02}-01T00:00:00Z" for month in range(1, 13)]


@pytest.fixture
def farebox(command_nursery, tmp_path, empty_url):
    """Return the command on an empty database, once for each engine; it shows no proxy."""
    settings = {"FAREBOX_ACCESS_DATABASE_URL": empty_url, "FAREBOX_ADMIN_KEY": KEY}
    return Farebox(command_nursery, tmp_path, FAREBOX_PORT="0", **settings)


class Served:
    """A running server, and an admin's calls to it."""

    def __init__(self, process):
        self.process = process
        self.url = line_of(process, r"^Farebox listens on (http\S+)$")[1]
        until(lambda: answers(f"{self.url}/readyz"), process)
        self._calls = 0

    def call(self, method, path, body=None):
        self._calls += 1
        headers = {"X-API-Key": KEY, "Idempotency-Key": f"{self.url}-{self._calls}"}
        url = f"{self.url}{path}"
        return httpx2.request(method, url, json=body, headers=headers, trust_env=False, timeout=20)

    def done(self, method, path, body=None):
        answer = self.call(method, path, body)
        assert answer.is_success, answer.text
        return answer.json()

    def move(self, **how):
        return self.done("POST", "/v1/test-clock", how)

    def decide(self, consumer, quantity):
        question = {"product": "films", "consumer": consumer, "quantity": quantity}
        return self.done("POST", "/v1/access/decide", {**question, "mode": "consume"})

    def stop(self):
        assert stop(self.process, signal.SIGTERM)[0] == 0


def let_it_renew_each_month(url, bucket):
    """Give a bucket its monthly grant, from a process of our own beside the server's."""
    database = open_database("access", url, SystemClock())
    number = int(bucket.removeprefix("bkt_"), 16)
    anchor = parse_time(STARTS[0])
    database.run(
        lambda tx: Ledger().add_schedule(tx, number, QUOTA, unit="month", anchor_at=anchor)
    )
    database.close()


def test_a_year_of_monthly_grants_renews_in_twelve_steps(farebox, empty_url):
    with farebox.started("serve", "--test-clock") as process:
        served = Served(process)
        served.done("POST", "/v1/products", {"code": "films", "name": "Films"})
        ada = served.done("POST", "/v1/consumers", {"name": "Ada"})["id"]
        bucket = served.done(
            "POST",
            "/v1/buckets",
            {"product": "films", "holder": ada},
        )["id"]
        let_it_renew_each_month(empty_url, bucket)
        assert not served.decide(ada, 1)["allowed"]

        for month, start in enumerate(STARTS):
            assert served.move(to=start)["now"] >= start.removesuffix("Z")
            # All of it is used, and nothing of it goes on into the next month.
            assert served.decide(ada, QUOTA)["allowed"], month
            assert not served.decide(ada, 1)["allowed"], month
        moved = served.move(advance_seconds=31 * 86_400)
        assert moved["now"].startswith("2032-01-01T")
        assert served.decide(ada, 1)["allowed"]
        history = served.done("GET", f"/v1/buckets/{bucket}/history?limit=1000")["items"]
        uses = sorted({entry["at"][:7] for entry in history if entry["kind"] == "use"})
        assert uses == [*(start[:7] for start in STARTS), "2032-01"]
        served.stop()

    farebox.done("verify")
    with farebox.started("serve", "--test-clock") as process:
        # A restart goes on where the clock was.
        served = Served(process)
        assert served.done("GET", "/v1/test-clock")["now"].startswith("2032-01-01T")
        assert served.decide(ada, 1)["allowed"]
        served.stop()


def test_data_with_a_test_clock_refuses_a_start_without_it(farebox):
    with farebox.started("serve", "--test-clock") as process:
        Served(process).stop()
    why = farebox.refused("serve")
    assert why == (
        "this data was begun with a test clock and does not tell the real time: "
        "start with --test-clock, or with another data folder or database"
    )
    # Commands have the same time as the server.
    farebox.done("verify")


def test_data_of_production_never_gets_a_test_clock(farebox):
    with farebox.started("serve") as process:
        served = Served(process)
        missing = served.call("POST", "/v1/test-clock", {"advance_seconds": 60})
        assert (missing.status_code, missing.json()["code"]) == (404, "route_unknown")
        served.stop()
    why = farebox.refused("serve", "--test-clock")
    assert re.match("this data was begun without a test clock, so its time cannot be moved", why)


def test_the_default_folder_keeps_its_test_clock_too(command_nursery, tmp_path):
    plain = Farebox(command_nursery, tmp_path, FAREBOX_PORT="0", FAREBOX_ADMIN_KEY=KEY)
    with plain.started("serve", "--test-clock") as process:
        Served(process).stop()
    database = tmp_path / "farebox-data" / "access.db"
    assert url_of_file(database).startswith("sqlite://")
    assert plain.refused("serve").startswith("this data was begun with a test clock")
    assert plain.refused("serve", FAREBOX_TEST_CLOCK="perhaps") == (
        "settings: test_clock (FAREBOX_TEST_CLOCK) must be true or false"
    )
