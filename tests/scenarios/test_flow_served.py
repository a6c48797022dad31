"""Source 002, flows 1, 3 and 4 through a served Farebox: its processes, its loops, its clock."""

import signal

import httpx2
import pytest

from farebox.kernel.clock import SystemClock
from farebox.platform.service_test_clock import follow_test_clock, settle_test_clock
from tests.support.commands import Farebox, answers, line_of, stop, until
from tests.support.flows import Billing
from tests.support.services import run

ADMIN = "the-admin-of-the-served-flows-0123456789"
API = "wayang-core-api"
PRO = {
    "code": "pro",
    "name": "Pro",
    "quotas": [{"product": API, "limit": 10_000, "unit": "month"}],
}
A_MONTH_S = 32 * 86_400
# What billing has heard in the end: as much as happened, and nothing twice.
COUNTED = {
    "subscription.created": 1,
    "subscription.updated": 3,
    "usage.aggregated": 1,
    "access.suspended": 1,
}


@pytest.fixture
def farebox(command_nursery, tmp_path, empty_url, billing_url):
    """Return access's command on an empty database, with two processes that answer."""
    settings = {
        "FAREBOX_ACCESS_DATABASE_URL": empty_url,
        "FAREBOX_BILLING_DATABASE_URL": billing_url,
        "FAREBOX_ONLY": "access",
        "FAREBOX_ADMIN_KEY": ADMIN,
        "FAREBOX_WORKERS": "2",
    }
    return Farebox(command_nursery, tmp_path, FAREBOX_PORT="0", **settings)


class Served:
    """A running server, and calls to it; each on a connection of its own, so to either process."""

    def __init__(self, process):
        self.process = process
        self.url = line_of(process, r"^Farebox listens on (http\S+)$")[1]
        until(lambda: answers(f"{self.url}/readyz"), process)
        alone = {"Connection": "close"}
        self._client = httpx2.Client(
            base_url=self.url, headers=alone, trust_env=False, verify=False, timeout=20
        )
        self._calls = 0

    def post(self, path, body=None, *, key=ADMIN):
        self._calls += 1
        headers = {"X-API-Key": key, "Idempotency-Key": f"{self.url}-{self._calls}"}
        answer = self._client.post(path, json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json()

    def get(self, path, *, key=ADMIN):
        answer = self._client.get(path, headers={"X-API-Key": key})
        assert answer.is_success, answer.text
        return answer.json()

    def decide(self, key):
        return self.post(
            "/v1/access/decide", {"mode": "consume", "product": API, "credential": key}
        )

    def codes(self, key):
        """Return what a dozen calls are told, whichever process answers them."""
        return {self.decide(key)["code"] for _ in range(12)}

    def end(self):
        self._client.close()
        assert stop(self.process, signal.SIGTERM)[0] == 0


class Beside:
    """Billing beside the server, in this process: its outbox is read by the server itself."""

    def __init__(self, access, billing):
        self.billing = Billing(billing, access)

    def step(self):
        while sum(worker.step() for worker in self.billing.workers):
            pass

    def told(self, type_, process):
        """Wait until billing has heard something of a type, and return the data of all of it."""

        def is_heard():
            self.step()
            return bool(self.billing.told(type_))

        until(is_heard, process)
        return self.billing.told(type_)

    def says(self, type_, subscription, **data):
        self.billing.say(type_, subscription, subscriptionId=subscription, **data)
        self.step()


@pytest.fixture
def opened(open_database_at, empty_url, billing_url):
    """Return a function that opens both sides' databases as the server has set their clocks."""

    def beside():
        access = open_database_at(empty_url, SystemClock())
        billing = open_database_at(billing_url, SystemClock(), name="billing")
        run(billing, settle_test_clock, wanted=True)
        for database in (access, billing):
            follow_test_clock(database)
        return Beside(access, billing)

    return beside


def test_a_month_of_a_subscription_through_a_served_farebox(farebox, opened):
    with farebox.started("serve", "--test-clock") as process:
        served = Served(process)
        served.post("/v1/products", {"code": API, "name": "Core API", "type": "api"})
        served.post("/v1/plans", PRO)
        ada = served.post("/v1/consumers", {"name": "Ada"})["id"]
        key = served.post(f"/v1/consumers/{ada}/keys", {})["key"]
        mine = served.post("/v1/subscriptions", {"plan": "pro"}, key=key)["id"]
        assert served.codes(key) == {"subscription_pending_payment"}

        def state():
            return served.get(f"/v1/subscriptions/{mine}", key=key)["state"]

        beside = opened()
        [wish] = beside.told("subscription.created", process)
        assert (wish["subscriptionId"], wish["consumerId"]) == (mine, ada)
        beside.says("payment.succeeded", mine, orderId="ord_1")
        until(lambda: state() == "active", process)
        assert served.codes(key) == {"allowed"}

        body = {"id": "e1", "consumer": ada, "product": API, "quantity": 7_000}
        assert served.post("/v1/usage", body)["quota"]["used"] == 7_012
        served.post("/v1/test-clock", {"advance_seconds": A_MONTH_S})
        [used] = beside.told("usage.aggregated", process)
        [line] = used["totals"]
        assert (used["consumerId"], line["productCode"], line["total"]) == (ada, API, 7_012)
        assert served.decide(key)["remaining"] == 9_999
        served.end()

    # What billing says while access is down is there when it is up again.
    beside.billing.say("payment.failed", mine, subscriptionId=mine, reason="card_declined")
    with farebox.started("serve", "--test-clock") as process:
        served = Served(process)
        beside.step()
        until(lambda: state() == "suspended", process)
        assert served.codes(key) == {"subscription_suspended"}
        [told] = beside.told("access.suspended", process)
        assert (told["consumerId"], told["subscriptionId"]) == (ada, mine)
        beside.says("payment.succeeded", mine, orderId="ord_2")
        until(lambda: state() == "active", process)
        assert served.codes(key) == {"allowed"}
        beside.step()
        counts = {type_: len(beside.billing.told(type_)) for type_ in COUNTED}
        assert counts == COUNTED
        served.end()
    farebox.done("verify")
