"""YooKassa over real HTTP, against a small YooKassa of our own; its notices are not signed."""

import json

import pytest

from farebox.billing.flows.gateway_webhooks import take_notice
from farebox.billing.payments import service_methods, service_refunds
from farebox.billing.payments.gateways.yookassa import Yookassa
from farebox.billing.payments.model import NoticeRefused
from farebox.billing.payments.rules import DAY_US, MINUTE_US, REST_US
from farebox.billing.payments.service_methods import add_method
from tests.support.fake_yookassa import FakeYookassa
from tests.support.payments import Till
from tests.support.services import ADA, run

BACK = "https://shop.example/back"


@pytest.fixture
def fake():
    made = FakeYookassa()
    yield made
    made.close()


@pytest.fixture
def till(billing, fake):
    gateway = Yookassa("shop", "test_key", return_url=BACK, url=fake.address, timeout_s=5)
    made = Till(billing, gateway)
    yield made
    made.close()


def pay(till, card=None, **more):
    terms = {"currency": "RUB", "gateway": "yookassa", **more}
    if card is not None:
        method = {"customer": "con_1", "gateway": "yookassa", "token": card}
        terms["method"] = run(till.database, add_method, ADA, **method).id
    return till.pay(**terms)


def hear(till, body):
    return take_notice(till.database, till.gateways, "yookassa", body, {})


def test_a_customer_pays_on_its_page_and_an_unsigned_notice_is_the_hint(till, fake):
    paid = pay(till)
    assert paid.state == "action_required"
    [payment] = fake.of("payment")
    assert payment["amount"] == {"value": "10.00", "currency": "RUB"}
    assert paid.action_url == payment["confirmation"]["confirmation_url"]
    fake.pay(payment)
    assert hear(till, fake.notice("payment.succeeded", payment))
    till.work()
    assert till.read(paid).state == "succeeded"


def test_what_the_gateway_keeps_is_a_fee(till, fake):
    paid = pay(till, "ok-1234")
    assert paid.state == "succeeded"
    assert till.trial("RUB") == {"cash:yookassa": -965, "fees:yookassa": -35, "suspense": 1000}


@pytest.mark.parametrize(
    ("card", "reason", "final"),
    [
        ("decline-insufficient-funds", "insufficient_funds", False),
        ("decline-fraud-suspected", "fraud_suspected", True),
    ],
)
def test_a_declined_payment_fails_with_its_reason(till, card, reason, final):
    paid = pay(till, card)
    assert (paid.state, paid.reason, paid.final) == ("failed", reason, final)


def test_a_forged_notice_of_success_changes_nothing_and_hides_nothing(till, fake, clock):
    paid = pay(till)
    [payment] = fake.of("payment")
    forged = fake.notice("payment.succeeded", {**payment, "status": "succeeded"})
    assert hear(till, forged)
    till.work()
    assert till.read(paid).state == "action_required"
    assert not hear(till, forged)
    fake.pay(payment)
    clock.move(REST_US + 1)
    assert hear(till, fake.notice("payment.succeeded", payment))
    till.work()
    assert till.read(paid).state == "succeeded"


def test_a_notice_that_names_somebody_elses_payment_is_not_believed(till, fake):
    till.pay(currency="RUB", gateway="yookassa", reference="other")
    [theirs] = fake.of("payment")
    fake.pay(theirs)
    # Ours was asked for, and its answer was lost: its id at the gateway is not known here.
    fake.faults = ["cut_after"]
    ours = pay(till)
    assert (ours.state, ours.provider_reference) == ("unknown", None)
    lie = {**theirs, "metadata": {"farebox_payment": ours.id}}
    assert hear(till, fake.notice("payment.succeeded", lie))
    till.work()
    assert till.read(ours).state == "unknown"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        json.dumps({"type": "notification", "event": "payment.succeeded"}).encode(),
        json.dumps({"type": "n", "event": "e", "object": {"id": "1", "status": "x"}}).encode(),
        json.dumps(
            {"type": "notification", "event": "e", "object": {"id": "../x", "status": ""}}
        ).encode(),
    ],
)
def test_what_is_no_notice_is_refused(till, body):
    with pytest.raises(NoticeRefused):
        hear(till, body)


def test_a_notice_about_nobody_of_ours_is_not_kept(till, fake):
    thing = {"id": "23d9", "status": "succeeded", "metadata": {"farebox_payment": "pay_x"}}
    assert not hear(till, fake.notice("payment.succeeded", thing))
    assert not hear(till, fake.notice("payment.succeeded", {"id": "23d9", "status": "succeeded"}))
    assert not hear(till, fake.notice("payout.succeeded", {"id": "23d9", "status": "succeeded"}))


@pytest.mark.parametrize("fault", ["cut_before", "cut_after", "error_before", "error_after"])
@pytest.mark.parametrize("pause", [5 * MINUTE_US, 2 * DAY_US])
def test_whatever_hides_the_answer_the_customer_pays_once(till, fake, clock, fault, pause):
    fake.faults = [fault]
    paid = pay(till, "ok-1234")
    assert paid.state == "unknown"
    clock.move(pause)
    till.work()
    was_done = fault.endswith("after") or pause < DAY_US
    assert till.read(paid).state == ("succeeded" if was_done else "failed")
    assert fake.charged == (1000 if was_done else 0)


def test_a_yookassa_that_is_busy_or_away_is_asked_later(billing, till, fake, clock):
    fake.faults = ["busy"]
    paid = pay(till, "ok-1234")
    assert (paid.state, paid.reason) == ("processing", "status_429")
    clock.move(MINUTE_US)
    till.work()
    assert till.read(paid).state == "succeeded"
    away = Till(billing, Yookassa("shop", "key", url="http://127.0.0.1:9/v3", timeout_s=1))
    assert pay(away, "ok-5678", reference="inv_x", key="x").reason == "ConnectError"
    away.close()


@pytest.mark.parametrize("fault", ["cut_before", "cut_after", "error_after"])
@pytest.mark.parametrize("pause", [5 * MINUTE_US, 2 * DAY_US])
def test_a_refund_whose_answer_is_lost_is_made_once(till, fake, clock, fault, pause):
    paid = pay(till, "ok-1234")
    fake.faults = [fault]
    refund = till.refund(paid, 700)
    till.work()
    clock.move(pause)
    till.work()
    was_done = fault.endswith("after") or pause < DAY_US
    now = run(till.database, service_refunds.read_refund, refund.id)
    assert now.state == ("succeeded" if was_done else "failed")
    made = [one["amount"]["value"] for one in fake.of("refund")]
    assert made == (["7.00"] if was_done else [])


def test_a_method_that_the_customer_let_it_keep_is_theirs(till, fake):
    paid = pay(till)
    [payment] = fake.of("payment")
    fake.pay(payment, saved=True)
    hear(till, fake.notice("payment.succeeded", payment))
    till.work()
    [method] = run(till.database, service_methods.methods_of, "con_1").items
    assert (method.token, method.label, method.expires) == (payment["id"], "Mir 4444", "2030-07")
    assert till.pay(currency="RUB", gateway=None).state == "succeeded"
    assert till.read(paid).state == "succeeded"
