"""Source 002, flows 1 to 4 by two real services, each with its own processes and database.

Neither reaches the other's database: each reads the other's log over HTTP. Billing is killed in the
middle of every flow, at once with all its processes, and started again.
"""

from contextlib import ExitStack

import httpx2
import msgspec
import pytest

from farebox.billing.payments.gateways.sandbox import SIGNATURE, Sandbox
from farebox.billing.schedules.service_usage import list_usage
from farebox.events import store as events
from farebox.events.service_leases import LONGEST_TTL_US, take_lease
from farebox.kernel.clock import SystemClock, show_time
from farebox.platform.service_test_clock import follow_test_clock
from farebox.wiring.loops import LEASE
from tests.support.both_sides import API, NODE, Money, open_catalogue, open_shop, show_card
from tests.support.commands import Farebox, until
from tests.support.payments import SECRET
from tests.support.ports import free_port
from tests.support.proof import faults
from tests.support.served import ADMIN, Service
from tests.support.services import run

MINUTE_S = 60
HOUR_S = 60 * MINUTE_S
DAY_S = 24 * HOUR_S
WAITS = "processing"
PATIENCE_S = 180
"""Whoever found billing gone asks again after a pause that doubles up to a minute."""


@pytest.fixture
def urls(engine):
    """Return the URLs of two empty databases: access's and billing's."""
    made = engine.empty(), engine.empty()
    yield made
    for url in made:
        engine.drop(url)


@pytest.fixture
def pair(command_nursery, tmp_path, urls, open_database_at):
    with ExitStack() as closing:
        yield Pair(command_nursery, tmp_path, urls, open_database_at, closing)


class Pair:
    """Access, which stays up, and billing, which comes and goes; and four who buy."""

    def __init__(self, nursery, folder, urls, open_database_at, closing):
        self._closing = closing
        ports = [free_port(), free_port()]
        addresses = [f"http://127.0.0.1:{port}" for port in ports]
        common = {
            "FAREBOX_ADMIN_KEY": ADMIN,
            "FAREBOX_TEST_CLOCK": "true",
            # Nobody reads what they say; a pipe full of warnings that billing is gone would stop
            # whoever warns.
            "FAREBOX_LOG_LEVEL": "error",
        }
        self.of_access = Farebox(
            nursery, folder, FAREBOX_ONLY="access", FAREBOX_ACCESS_DATABASE_URL=urls[0],
            FAREBOX_PORT=str(ports[0]), FAREBOX_BILLING_URL=addresses[1],
            FAREBOX_BILLING_KEY=ADMIN, **common,
        )  # fmt: skip
        self.of_billing = Farebox(
            nursery, folder, FAREBOX_ONLY="billing", FAREBOX_BILLING_DATABASE_URL=urls[1],
            FAREBOX_PORT=str(ports[1]), FAREBOX_ACCESS_URL=addresses[0],
            FAREBOX_ACCESS_KEY=ADMIN, FAREBOX_SANDBOX_SECRET=SECRET, **common,
        )  # fmt: skip
        self.access = Service(closing.enter_context(self.of_access.started("serve")))
        self.start()
        database = open_database_at(urls[1], SystemClock(), name="billing")
        follow_test_clock(database)
        self.money = Money(database)

    def start(self):
        self.billing = Service(self._closing.enter_context(self.of_billing.started("serve")))

    def kill(self):
        """End all of billing at once. Its lease would end by itself, ten seconds later."""
        self.billing.kill()
        self.money.database.run(lambda tx: tx.run(events.lease.delete()))

    def start_without_loops(self):
        """Start billing while its loops are another's: it hears, and does nothing about it."""
        another = ("another", LONGEST_TTL_US)
        assert self.money.database.run(lambda tx: take_lease(tx, LEASE, *another))
        self.start()

    def end(self):
        self.billing.end()
        self.access.end()

    def notify(self, customer):
        """Let the gateway say of somebody's last payment that it has succeeded."""
        payment = self.money.payments(customer.id)[-1].id
        said = {"id": f"evt_{payment}", "payment": payment, "outcome": "succeeded"}
        body = msgspec.json.encode(said)
        signed = {SIGNATURE: Sandbox(SECRET).sign(body)}
        url = f"{self.billing.url}/v1/gateways/sandbox/webhook"
        assert httpx2.post(
            url, content=body, headers=signed, trust_env=False, timeout=20
        ).is_success

    def until(self, is_true):
        until(is_true, self.billing.process, patience_s=PATIENCE_S)

    def on(self, seconds):
        """Let time go on at access, and at billing once it hears of it."""
        self.access.post("/v1/test-clock", {"advance_seconds": seconds})

    def customer(self, name, script="sandbox_ok"):
        return Customer(self, name, script)


class Customer:
    """A consumer with a key of their own, whom billing knows, with a card that plays a script."""

    def __init__(self, pair, name, script):
        self._pair = pair
        self.id = pair.access.post("/v1/consumers", {"name": name})["id"]
        self.key = pair.access.post(f"/v1/consumers/{self.id}/keys", {})["key"]
        pair.until(lambda: pair.money.knows(self.id))
        self.card(script)

    def card(self, script):
        show_card(self._pair.billing.post, self.id, script)

    def subscribe(self):
        made = self._pair.access.post("/v1/subscriptions", {"plan": "pro"}, key=self.key)
        self.subscription = made["id"]

    def buy(self):
        body = {"item": NODE, "offer": "forever"}
        self.purchase = self._pair.access.post("/v1/purchases", body, key=self.key)["id"]

    def state(self):
        path = f"/v1/subscriptions/{self.subscription}"
        return self._pair.access.get(path, key=self.key)["state"]

    def purchase_state(self):
        return self._pair.access.get(f"/v1/purchases/{self.purchase}", key=self.key)["state"]

    def decided(self, **of):
        """Return what access decides, whether billing is there or not."""
        ask = {"mode": "check", "credential": self.key, **(of or {"product": API})}
        return self._pair.access.post("/v1/access/decide", ask)["code"]

    def bills(self):
        return self._pair.money.bills(self.id)

    def paid(self):
        return self._pair.money.paid(self.id)


def test_flows_1_to_4_end_the_same_though_billing_is_killed_in_the_middle_of_each(pair):
    access, money = pair.access, pair.money
    open_catalogue(access.post)
    carol, dan = pair.customer("Carol"), pair.customer("Dan")
    ada, bob = pair.customer("Ada", "sandbox_pending"), pair.customer("Bob", "sandbox_pending")
    open_shop(pair.billing.post, pair.billing.put)
    for one in (carol, dan):
        one.subscribe()
    pair.until(lambda: [carol.state(), dan.state()] == ["active", "active"])
    used = {"id": "u1", "consumer": carol.id, "product": API, "quantity": 12_500}
    assert access.post("/v1/usage", used)["quota"]["overage"] == 2_500
    dan.card("sandbox_decline")

    # Gone before it hears that a month of Carol and Dan ends.
    pair.kill()
    ends = max(each.period_end for one in (carol, dan) for each in money.invoices(one.id))
    access.post("/v1/test-clock", {"to": show_time(ends)})
    assert [carol.decided(), dan.decided()] == ["allowed", "allowed"]
    pair.start()
    pair.until(lambda: dan.state() == "suspended" and carol.bills()[1:] == [(9_900, "paid")])
    carol.card("sandbox_timeout")
    pair.on(4 * HOUR_S)
    pair.until(lambda: len(run(money.database, list_usage).items) == 1)
    pair.on(2 * HOUR_S)
    pair.until(lambda: carol.paid()[2:] == [(250, "unknown")])

    ada.subscribe()
    bob.buy()
    pair.until(lambda: [ada.paid(), bob.paid()] == [[(9_900, WAITS)], [(4_999, WAITS)]])

    # Gone again: the gateway has said that Ada and Bob have paid, and nothing was done about it
    # yet; it has Carol's money, and nobody knows; Dan's card is to be tried again.
    pair.kill()
    pair.start_without_loops()
    for one in (ada, bob):
        pair.notify(one)
    pair.kill()
    assert ada.decided() == "subscription_pending_payment"
    assert [carol.decided(), dan.decided()] == ["allowed", "subscription_suspended"]
    assert access.post("/v1/usage", {**used, "id": "u2"})["accepted"]
    pair.on(6 * MINUTE_S)
    pair.start()
    pair.until(lambda: (ada.state(), bob.purchase_state()) == ("active", "fulfilled"))
    pair.until(lambda: carol.bills()[2:] == [(250, "paid")])
    dan.card("sandbox_ok")
    pair.on(2 * DAY_S)
    pair.until(lambda: dan.state() == "active")

    # As the same flows end where nobody is killed (test_flows_of_both), and nothing twice.
    assert [ada.bills(), ada.paid()] == [[(9_900, "paid")], [(9_900, "succeeded")]]
    assert bob.paid() == [(4_999, "succeeded")]
    pair.until(lambda: [each.state for each in money.orders(bob.id)] == ["fulfilled"])
    assert carol.bills() == [(9_900, "paid"), (9_900, "paid"), (250, "paid")]
    assert carol.paid() == [(9_900, "succeeded"), (9_900, "succeeded"), (250, "succeeded")]
    assert dan.bills() == [(9_900, "paid"), (9_900, "paid")]
    assert dan.paid() == [(9_900, "succeeded"), (9_900, "failed"), (9_900, "succeeded")]
    assert money.trial()["cash:sandbox"] == -(5 * 9_900 + 4_999 + 250)
    assert [one.decided() for one in (ada, carol, dan)] == ["allowed"] * 3
    assert bob.decided(item=NODE) == "allowed"
    assert [len(money.told(type_)) for type_ in ("order.completed", "payment.failed")] == [1, 1]
    pair.end()
    assert faults(money.database) == []


def test_who_subscribes_at_a_served_farebox_is_charged_and_let_in(command_nursery, tmp_path, urls):
    farebox = Farebox(
        command_nursery, tmp_path, FAREBOX_PORT="0", FAREBOX_ADMIN_KEY=ADMIN,
        FAREBOX_ACCESS_DATABASE_URL=urls[0], FAREBOX_BILLING_DATABASE_URL=urls[1],
        FAREBOX_SANDBOX_SECRET=SECRET,
    )  # fmt: skip
    with farebox.started("serve") as process:
        both = Service(process)
        open_catalogue(both.post)
        ada = both.post("/v1/consumers", {"name": "Ada"})["id"]
        key = both.post(f"/v1/consumers/{ada}/keys", {})["key"]
        # Billing hears of her a moment later, and of the catalogue before.
        path = f"/v1/customers/{ada}/payment-methods"
        body = {"gateway": "sandbox", "token": "sandbox_ok"}
        until(lambda: both.answer("POST", path, body).is_success, process)
        open_shop(both.post, both.put)
        mine = both.post("/v1/subscriptions", {"plan": "pro"}, key=key)["id"]
        ask = {"mode": "consume", "product": API, "credential": key}
        until(lambda: both.post("/v1/access/decide", ask)["allowed"], process)
        assert both.get(f"/v1/subscriptions/{mine}", key=key)["state"] == "active"
        [bill] = both.get("/v1/invoices", customer=ada)["items"]
        assert (bill["total"], bill["state"]) == (9_900, "paid")
        [paid] = both.get("/v1/payments", customer=ada)["items"]
        assert (paid["amount"], paid["gateway"], paid["state"]) == (9_900, "sandbox", "succeeded")
        both.end()
