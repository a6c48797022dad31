"""Payments over the API: methods, notices, refunds, payouts, and what is nobody's business."""

import dataclasses
import json
import uuid

import pytest

from farebox.billing.books import service as books
from farebox.billing.books.model import About, Line
from farebox.billing.flows import gateway_webhooks
from farebox.billing.payments.gateways.sandbox import SIGNATURE, Sandbox
from tests.support.payments import SECRET, Till
from tests.support.services import run

CARD = "4242424242424242"


@pytest.fixture
def till(billing, services, client):
    """Return the worker of payments; its gateways hear notices by the API."""
    made = Till(billing)
    client.app.state.services = dataclasses.replace(services, payment_gateways=made.gateways)
    yield made
    made.close()


@pytest.fixture
def anna(consumer, hear):
    found = consumer("Anna")
    hear()
    return found


@pytest.fixture
def desk(caller):
    """Return the calls of who keeps the books."""
    return caller("billing")


def refusal(answer):
    return answer.status_code, answer.json()["code"]


def method(api, who, script="sandbox_ok", **more):
    body = {"gateway": "sandbox", "token": script, "label": "Visa 4242", **more}
    return api.post(f"/v1/customers/{who}/payment-methods", body)


def pay(till, who, **more):
    return till.pay(customer=who, **more)


# -- methods -------------------------------------------------------------------------------------


def test_a_consumer_keeps_their_methods_and_sees_no_token(till, anna):
    who, own = anna
    first = method(own, who)
    second = method(own, who, "sandbox_decline", expires="2030-04")
    assert (first["standard"], second["standard"]) == (True, False)
    assert "token" not in first
    own.post(f"/v1/payment-methods/{second['id']}/standard")
    listed = own.get(f"/v1/customers/{who}/payment-methods")["items"]
    assert [one["standard"] for one in listed] == [False, True]
    own.delete(f"/v1/payment-methods/{second['id']}")
    assert own.get(f"/v1/payment-methods/{second['id']}")["state"] == "removed"
    left = own.get(f"/v1/customers/{who}/payment-methods")["items"]
    assert [one["id"] for one in left] == [first["id"]]


@pytest.mark.parametrize(
    "body",
    [
        {"token": CARD},
        {"token": "4242-4242-4242-4242"},
        {"token": "tok_1", "label": f"my card {CARD}"},
        {"token": "tok_1", "label": "4242 4242 4242 4242"},
        {"token": "tok_1", "account": CARD},
        {"token": "1234567890123"},
    ],
)
def test_a_cards_number_is_refused_and_kept_nowhere(till, anna, tables, body):
    who, own = anna
    path = f"/v1/customers/{who}/payment-methods"
    answer = own.call("POST", path, json={"gateway": "sandbox", **body})
    assert refusal(answer) == (422, "card_number_refused")
    assert "4242" not in answer.text
    assert CARD not in json.dumps(tables())


@pytest.mark.parametrize("field", ["number", "cvc", "card"])
def test_a_field_for_a_card_is_unknown(till, anna, field):
    who, own = anna
    body = {"gateway": "sandbox", "token": "tok_1", field: "123"}
    answer = own.call("POST", f"/v1/customers/{who}/payment-methods", json=body)
    assert refusal(answer) == (422, "fields_invalid")


def test_a_token_is_one_method(till, anna, consumer, hear):
    who, own = anna
    other, theirs = consumer("Boris")
    hear()
    method(own, who)
    body = {"gateway": "sandbox", "token": "sandbox_ok"}
    answer = theirs.call("POST", f"/v1/customers/{other}/payment-methods", json=body)
    assert refusal(answer) == (409, "payment_method_taken")


def test_what_is_a_strangers_is_not_there(till, anna, consumer):
    who, own = anna
    _, stranger = consumer("Boris")
    made = method(own, who)
    paid = pay(till, who)
    for verb, path in (
        ("GET", f"/v1/payments/{paid.id}"),
        ("GET", f"/v1/payments/{paid.id}/refunds"),
        ("POST", f"/v1/payments/{paid.id}/cancel"),
        ("GET", f"/v1/payments?customer={who}"),
        ("GET", f"/v1/payment-methods/{made['id']}"),
        ("POST", f"/v1/payment-methods/{made['id']}/standard"),
        ("DELETE", f"/v1/payment-methods/{made['id']}"),
        ("GET", f"/v1/customers/{who}/payment-methods"),
    ):
        assert stranger.call(verb, path).status_code == 404, path
    assert stranger.get("/v1/payments")["items"] == []
    assert own.get(f"/v1/payment-methods/{made['id']}")["state"] == "active"


# -- payments ------------------------------------------------------------------------------------


def test_a_customer_sees_where_to_go_on_and_calls_off(till, anna, desk):
    who, own = anna
    waits = pay(till, who, method=method(own, who, "sandbox_action")["id"])
    seen = own.get(f"/v1/payments/{waits.id}")
    assert (seen["state"], seen["amount"]) == ("action_required", 1000)
    assert seen["action_url"].startswith("https://")
    assert [one["id"] for one in own.get("/v1/payments")["items"]] == [waits.id]
    own.post(f"/v1/payments/{waits.id}/cancel")
    till.work()
    assert own.get(f"/v1/payments/{waits.id}")["reason"] == "canceled"
    calls = desk.get(f"/v1/payments/{waits.id}/calls")["items"]
    assert [(one["verb"], one["outcome"]) for one in calls] == [
        ("ask", "action_required"),
        ("abandon", "declined"),
    ]


def test_what_a_person_must_look_at_is_listed_and_decided(till, anna, desk, clock):
    who, own = anna
    lost = pay(till, who, method=method(own, who, "sandbox_unknown")["id"])
    assert desk.get("/v1/payments", attention="true")["items"] == []
    answer = desk.call("POST", f"/v1/payments/{lost.id}/confirm", json={"reference": "x"})
    assert refusal(answer) == (409, "payment_state_refused")
    for _ in range(8):
        clock.move(86_400_000_000)
        till.work()
    [waits] = desk.get("/v1/payments", attention="true")["items"]
    assert (waits["id"], waits["state"], waits["attention"]) == (lost.id, "unknown", "timeout")
    done = desk.post(f"/v1/payments/{lost.id}/confirm", {"reference": "seen at the bank"})
    assert (done["state"], done["attention"]) == ("succeeded", None)


def test_a_transfer_is_confirmed_once_under_its_key(till, anna, desk):
    who, _ = anna
    waits = pay(till, who, gateway="manual")
    key = uuid.uuid4().hex
    body = {"reference": "MT103-77"}
    path = f"/v1/payments/{waits.id}/confirm"
    answers = [desk.post(path, body, key=key) for _ in range(2)]
    assert answers[0] == answers[1]
    answer = desk.call("POST", path, json={"reference": "other"}, key=key)
    assert refusal(answer) == (422, "idempotency_key_reused")
    assert refusal(desk.call("POST", f"/v1/payments/{waits.id}/deny")) == (
        409,
        "payment_state_refused",
    )


@pytest.mark.parametrize("role", ["viewer", "support", "vendor", "owner"])
def test_only_who_keeps_the_books_moves_money(till, anna, caller, role):
    who, own = anna
    paid = pay(till, who)
    for api in (caller(role), own):
        for path, body in (
            (f"/v1/payments/{paid.id}/refunds", {"amount": 1}),
            (f"/v1/payments/{paid.id}/confirm", {"reference": "x"}),
            (f"/v1/payments/{paid.id}/chargebacks", {"reference": "x", "amount": 1}),
            ("/v1/payouts", None),
        ):
            assert api.call("POST", path, json=body).status_code == 403


# -- refunds and chargebacks -----------------------------------------------------------------


def test_a_payment_is_given_back_within_what_was_paid(till, anna, desk):
    who, own = anna
    paid = pay(till, who)
    path = f"/v1/payments/{paid.id}/refunds"
    made = desk.post(path, {"amount": 400})
    answer = desk.call("POST", path, json={"amount": 601})
    assert refusal(answer) == (409, "refund_exceeds_payment")
    assert answer.json()["left"] == 600
    till.work()
    [seen] = own.get(path)["items"]
    assert (seen["id"], seen["state"]) == (made["id"], "succeeded")
    assert own.get(f"/v1/payments/{paid.id}")["refundable"] == 600


def test_a_refund_is_asked_for_once_under_its_key(till, anna, desk):
    who, _ = anna
    paid = pay(till, who)
    path = f"/v1/payments/{paid.id}/refunds"
    assert refusal(desk.call("POST", path, json={"amount": 1}, key=None)) == (
        400,
        "idempotency_key_missing",
    )
    first, again = (desk.post(path, {"amount": 400}, key="k") for _ in range(2))
    assert first == again
    assert len(desk.get(path)["items"]) == 1


def test_what_an_order_gives_back_the_order_decides(till, anna, desk):
    who, _ = anna
    paid = pay(till, who, purpose="order", reference="ord_unknown")
    answer = desk.call("POST", f"/v1/payments/{paid.id}/refunds", json={"amount": 1})
    assert refusal(answer) == (409, "refund_elsewhere")


def test_a_chargeback_that_no_gateway_tells_is_noted_and_closed(till, anna, desk):
    who, _ = anna
    paid = pay(till, who)
    said = {"reference": "CB-1", "amount": 1000, "reason": "fraud"}
    made = desk.post(f"/v1/payments/{paid.id}/chargebacks", said)
    assert desk.post(f"/v1/payments/{paid.id}/chargebacks", said) == made
    assert desk.get(f"/v1/payments/{paid.id}")["charged_back"] == 1000
    won = desk.post(f"/v1/chargebacks/{made['id']}/close", {"state": "won"})
    assert won["state"] == "won"
    answer = desk.call("POST", f"/v1/chargebacks/{made['id']}/close", json={"state": "lost"})
    assert refusal(answer) == (409, "payment_state_refused")
    assert [one["id"] for one in desk.get("/v1/chargebacks", state="won")["items"]] == [made["id"]]


# -- notices -----------------------------------------------------------------------------------


def notify(client, said, signature=None, gateway="sandbox"):
    body = json.dumps(said).encode()
    signed = Sandbox(SECRET).sign(body) if signature is None else signature
    headers = {SIGNATURE: signed, "content-type": "application/json"}
    return client.post(f"/v1/gateways/{gateway}/webhook", content=body, headers=headers)


def test_a_gateway_tells_without_a_credential_and_is_heard_once(till, anna, client):
    who, own = anna
    waits = pay(till, who, method=method(own, who, "sandbox_action")["id"])
    said = {"id": "e1", "payment": waits.id, "outcome": "succeeded"}
    for _ in range(3):
        assert notify(client, said).json() == {"taken": True}
    till.work()
    assert own.get(f"/v1/payments/{waits.id}")["state"] == "succeeded"
    assert till.trial()["cash:sandbox"] == -1000


@pytest.mark.parametrize("signature", ["", "0" * 64, "x"])
def test_a_forged_notice_is_refused_and_kept_nowhere(till, anna, client, billing, signature):
    who, own = anna
    waits = pay(till, who, method=method(own, who, "sandbox_action")["id"])
    said = {"id": "e1", "payment": waits.id, "outcome": "succeeded"}
    assert refusal(notify(client, said, signature)) == (400, "notice_unverified")
    assert till.work() == 0
    assert own.get(f"/v1/payments/{waits.id}")["state"] == "action_required"


def test_a_gateway_that_is_not_set_up_hears_nothing(till, client):
    for gateway in ("stripe", "nobody", "wallet"):
        answer = notify(client, {"id": "e1"}, gateway=gateway)
        assert refusal(answer) == (404, "payment_gateway_unknown")
    assert refusal(notify(client, {"id": "e1"}, gateway="manual")) == (400, "notice_unverified")


def test_a_notice_that_is_too_long_is_refused(till, client, monkeypatch):
    said = {"id": "x" * (gateway_webhooks.LARGEST_NOTICE + 1)}
    assert refusal(notify(client, said)) == (400, "notice_unverified")


# -- payouts -----------------------------------------------------------------------------------


def test_a_payout_takes_two_people(till, caller, billing):
    line = Line("cash:sandbox", "payable:opr_owner", 5000)
    run(billing, books.post, "USD", [line], About(kind="order", owner="opr_owner"))
    ada, boris = caller("billing"), caller("billing")
    body = {
        "owner": "opr_owner", "amount": 5000, "currency": "USD", "gateway": "sandbox",
        "destination": "sandbox_ok",
    }  # fmt: skip
    made = ada.post("/v1/payouts", body)
    answer = ada.call("POST", "/v1/payouts", json={**body, "amount": 1})
    assert refusal(answer) == (409, "payout_exceeds_owed")
    answer = ada.call("POST", f"/v1/payouts/{made['id']}/approve")
    assert refusal(answer) == (409, "second_person_needed")
    till.work()
    assert ada.get(f"/v1/payouts/{made['id']}")["state"] == "requested"
    boris.post(f"/v1/payouts/{made['id']}/approve")
    till.work()
    assert ada.get(f"/v1/payouts/{made['id']}")["state"] == "succeeded"
    assert refusal(ada.call("POST", f"/v1/payouts/{made['id']}/reject")) == (
        409,
        "payout_state_refused",
    )
    card = {**body, "destination": CARD}
    assert refusal(ada.call("POST", "/v1/payouts", json=card)) == (422, "card_number_refused")


@pytest.mark.parametrize(
    "path",
    [
        "/v1/payments/x",
        "/v1/refunds/x",
        "/v1/chargebacks/x",
        "/v1/payouts/x",
        "/v1/payment-methods/x",
    ],
)
def test_what_is_unknown_is_not_found(till, desk, path):
    assert desk.call("GET", path).status_code == 404
