"""Stripe by its own SDK against localstripe, somebody else's idea of Stripe, over real HTTP."""

import socket
import subprocess
import sys
import time

import httpx2
import pytest

from farebox.billing.flows.gateway_webhooks import take_notice
from farebox.billing.payments import service_refunds
from farebox.billing.payments.gateways.stripe import Stripe
from farebox.billing.payments.service_methods import add_method
from tests.support.payments import Till
from tests.support.ports import free_port
from tests.support.receiver import Receiver
from tests.support.services import ADA, run

KEY = "sk_test_12345"
SECRET = "whsec_local"


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """Return the address of a localstripe of this module."""
    port = free_port()
    folder = tmp_path_factory.mktemp("localstripe")
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "localstripe", "--port", str(port), "--from-scratch"],
            cwd=folder, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            _wait_for(port, server)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(30)


def _wait_for(port, server):
    end = time.monotonic() + 60
    while True:
        assert server.poll() is None, "localstripe has ended"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < end, "localstripe does not listen"
        time.sleep(0.05)


@pytest.fixture
def till(billing, local):
    made = Till(billing, Stripe(KEY, secret=SECRET, url=local))
    yield made
    made.close()


@pytest.fixture
def receiver(local):
    made = Receiver()
    hook = {"url": made.url, "secret": SECRET}
    httpx2.post(f"{local}/_config/webhooks/w1", data=hook, timeout=20).raise_for_status()
    yield made
    made.close()


def call(local, path, **form):
    found = httpx2.post(f"{local}/v1/{path}", data=form, auth=(KEY, ""), timeout=20)
    found.raise_for_status()
    return found.json()


def card(till, local, number):
    """Return our method for a card that Stripe was told of, as its own page would."""
    customer = call(local, "customers", email="anna@example.com")["id"]
    details = {
        "type": "card", "card[number]": number, "card[exp_month]": "4", "card[exp_year]": "2030",
        "card[cvc]": "123",
    }  # fmt: skip
    token = call(local, "payment_methods", **details)["id"]
    call(local, f"payment_methods/{token}/attach", customer=customer)
    terms = {"customer": "con_1", "gateway": "stripe", "token": token, "account": customer}
    return run(till.database, add_method, ADA, **terms).id


def notice_about(receiver, intent):
    """Return the notice that an intent has succeeded; others come before it."""
    seen = 0
    while True:
        found = receiver.wait_for(seen + 1)
        for one in found[seen:]:
            about = one.event["data"]["object"]["id"]
            if one.event["type"] == "payment_intent.succeeded" and about == intent:
                return one
        seen = len(found)


def test_a_card_is_charged_and_given_back_in_parts(till, local):
    paid = till.pay(method=card(till, local, "4242424242424242"))
    assert paid.state == "succeeded"
    intent = httpx2.get(
        f"{local}/v1/payment_intents/{paid.provider_reference}", auth=(KEY, ""), timeout=20
    ).json()
    assert (intent["amount"], intent["currency"]) == (1000, "usd")
    assert intent["metadata"] == {"farebox_payment": paid.id}
    for amount in (300, 700):
        till.refund(paid, amount)
        till.work()
    refunds = run(till.database, service_refunds.refunds_of, paid.id)
    assert [one.state for one in refunds] == ["succeeded", "succeeded"]
    assert till.read(paid).refunded == 1000


def test_a_card_that_is_declined_takes_nothing(till, local):
    paid = till.pay(method=card(till, local, "4000000000000341"))
    assert (paid.state, paid.reason) == ("failed", "card_declined")
    assert till.trial() == {}


def test_a_card_that_needs_its_owner_is_confirmed_by_a_signed_notice(till, local, receiver):
    paid = till.pay(method=card(till, local, "4000002500003155"))
    assert paid.state == "action_required"
    intent = httpx2.get(
        f"{local}/v1/payment_intents/{paid.provider_reference}", auth=(KEY, ""), timeout=20
    ).json()
    call(
        local, f"payment_intents/{intent['id']}/_authenticate",
        client_secret=intent["client_secret"], success="true",
    )  # fmt: skip
    told = notice_about(receiver, intent["id"])
    assert take_notice(till.database, till.gateways, "stripe", told.body, told.headers)
    till.work()
    assert till.read(paid).state == "succeeded"


def test_a_card_that_stripe_does_not_know_is_declined(till):
    terms = {"customer": "con_1", "gateway": "stripe", "token": "pm_of_nobody"}
    paid = till.pay(method=run(till.database, add_method, ADA, **terms).id)
    assert paid.state == "failed"
