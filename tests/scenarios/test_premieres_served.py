"""The premiere store through a served Farebox: who writes reads what came of it within 2 s."""

import signal
import time

import httpx2
import pytest

from farebox.demo.premieres import furnish
from tests.api.conftest import bearer
from tests.support.commands import Farebox, answers, line_of, stop, until
from tests.support.premieres import Shopper

ADMIN = "the-admin-of-the-premieres-0123456789"


@pytest.fixture
def served(command_nursery, tmp_path, engine):
    """Return the address of a Farebox with all services and a test clock, on each engine."""
    urls = [engine.empty(), engine.empty()]
    farebox = Farebox(
        command_nursery,
        tmp_path,
        FAREBOX_PORT="0",
        FAREBOX_ADMIN_KEY=ADMIN,
        FAREBOX_ACCESS_DATABASE_URL=urls[0],
        FAREBOX_BILLING_DATABASE_URL=urls[1],
        FAREBOX_LOG_LEVEL="error",
    )
    with farebox.started("serve", "--test-clock") as process:
        url = line_of(process, r"^Farebox listens on (http\S+)$")[1]
        until(lambda: answers(f"{url}/readyz"), process)
        yield url
        stop(process, signal.SIGTERM)
    for each in urls:
        engine.drop(each)


@pytest.fixture
def client(served):
    with httpx2.Client(base_url=served, trust_env=False, verify=False, timeout=20) as made:
        yield made


@pytest.fixture
def anna(served, client):
    with httpx2.Client(
        base_url=served, headers=bearer(ADMIN), trust_env=False, verify=False, timeout=20
    ) as admin:
        store = furnish(admin)
        assert furnish(admin) == store
    return Shopper(client, store.people["Anna"], lambda: None)


def eventually(look, wanted):
    """Look until what is wanted is there, for 2 seconds."""
    until = time.monotonic() + 2
    while (seen := look()) != wanted and time.monotonic() < until:
        time.sleep(0.05)
    return seen


def test_a_purchase_and_a_longer_rental_are_there_within_two_seconds(anna):
    order = anna.buy("P1", 24, 36_000)
    assert (order["state"], anna.balance) == ("fulfilled", 64_000)
    [rental] = anna.rentals
    assert rental["state"] == "available"
    anna.extend(rental["id"], 48)
    assert eventually(lambda: anna.rentals[0]["period_hours"], 48) == 48
    assert anna.balance == 52_000
    anna.api.post("/v1/carts", {"currency": "RUB"})
    anna.put("P2")
    body = {"id": "P2", "summ": 50_000}
    anna.api.good(anna.api.call("POST", "/api/v1/billing/withdraw/", key=None, json=body))
    asked = {"id": "P2", "period": 24}
    given = anna.api.good(anna.api.call("POST", "/api/v1/rent/", key=None, json=asked))
    assert (given["paid"], given["rental"]["state"], anna.balance) == (True, "available", 2_000)
