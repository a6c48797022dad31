"""Payments by the sandbox: each outcome, entered in the books once, settled once."""

import pytest

from farebox.billing.books import service as books
from farebox.billing.flows import settle_payment
from farebox.billing.payments import service
from farebox.billing.payments.model import (
    GatewayUnknown,
    MethodUnknown,
    PaymentDiffers,
    PaymentNotSo,
    PaymentUnderWay,
)
from farebox.billing.payments.rules import DAY_US, HOUR_US, LEASE_US, LOOKS_US, MINUTE_US
from farebox.billing.payments.service_work import claim_due
from farebox.billing.pricing.model_money import CurrencyUnknown
from farebox.kernel.refusals import ValueRefused
from tests.support.payments import Till
from tests.support.services import at_once, run


@pytest.fixture
def till(billing):
    made = Till(billing)
    yield made
    made.close()


@pytest.fixture
def settled(monkeypatch):
    """Return the states that invoices' payments were settled with."""
    states = []
    settler = lambda tx, payment: states.append(payment.state)  # noqa: E731
    monkeypatch.setitem(settle_payment.SETTLERS, "invoice", settler)
    return states


def trial(till):
    return run(till.database, books.balances, "USD")


def test_a_payment_that_succeeds_is_in_suspense_and_settled_once(till, settled):
    paid = till.pay(method=till.method("sandbox_ok"))
    assert (paid.state, paid.provider_reference) == ("succeeded", f"sbx_{paid.id}")
    assert till.work() == 0
    assert settled == ["succeeded"]
    assert trial(till) == {"cash:sandbox": -1000, "suspense": 1000}


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("sandbox_decline", ("failed", "card_declined", False)),
        ("sandbox_decline_final", ("failed", "stolen_card", True)),
        ("sandbox_action", ("action_required", None, False)),
        ("sandbox_pending", ("processing", None, False)),
        ("sandbox_timeout", ("unknown", "timeout", False)),
        ("sandbox_lost", ("unknown", "timeout", False)),
        ("sandbox_unknown", ("unknown", "timeout", False)),
        ("sandbox_down", ("processing", "connection_refused", False)),
    ],
)
def test_what_did_not_succeed_is_no_money(till, settled, script, told):
    paid = till.pay(method=till.method(script))
    assert (paid.state, paid.reason, paid.final) == told
    assert trial(till) == {}
    assert "succeeded" not in settled


def test_under_the_same_key_is_the_same_payment_and_another_one_is_refused(till):
    first = till.open(reference="inv_a", key="one")
    assert till.open(reference="inv_a", key="one") == first
    with pytest.raises(PaymentDiffers):
        till.open(reference="inv_a", key="one", amount=999)
    assert till.work() == 1


def test_while_a_payment_is_under_way_there_is_no_second_one_for_the_same(till):
    first = till.pay(reference="inv_a", method=till.method("sandbox_unknown"))
    assert first.state == "unknown"
    with pytest.raises(PaymentUnderWay):
        till.open(reference="inv_a")
    other = till.open(reference="inv_b")
    assert other.reference == "inv_b"


def test_two_payments_for_one_invoice_at_once_are_one(till):
    works = [lambda n=n: till.open(reference="inv_a", key=f"k{n}") for n in range(4)]
    answers = at_once(works)
    refused = [one for one in answers if isinstance(one, PaymentUnderWay)]
    assert len(refused) == 3
    assert till.work() == 1


@pytest.mark.parametrize(
    ("wrong", "refusal"),
    [
        ({"amount": 0}, ValueRefused),
        ({"amount": 2**53}, ValueRefused),
        ({"amount": 1.5}, ValueRefused),
        ({"currency": "ZZZ"}, CurrencyUnknown),
        ({"gateway": "paypal"}, GatewayUnknown),
        ({"method": "pmt_none"}, MethodUnknown),
        ({"key": ""}, ValueRefused),
        ({"reference": "x" * 200}, ValueRefused),
    ],
)
def test_what_is_no_payment_is_refused(till, wrong, refusal):
    with pytest.raises(refusal):
        till.open(**wrong)
    assert till.work() == 0


def test_an_unknown_outcome_is_looked_for_and_found_after_five_minutes(till, clock, settled):
    paid = till.pay(method=till.method("sandbox_timeout"))
    clock.move(5 * MINUTE_US - 1)
    assert till.work() == 0
    clock.move(1)
    assert till.work() == 1
    assert till.read(paid).state == "succeeded"
    assert settled == ["unknown", "succeeded"]
    assert trial(till) == {"cash:sandbox": -1000, "suspense": 1000}


def test_what_was_certainly_not_taken_fails_and_may_be_tried_anew(till, clock):
    paid = till.pay(reference="inv_a", method=till.method("sandbox_lost"))
    clock.move(5 * MINUTE_US)
    till.work()
    assert (till.read(paid).state, till.read(paid).reason) == ("failed", "never_arrived")
    assert till.pay(reference="inv_a").state == "succeeded"


def test_after_five_minutes_an_hour_and_five_days_a_person_looks(till, clock):
    paid = till.pay(method=till.method("sandbox_unknown"))
    pauses = []
    while till.read(paid).attention is None:
        for pause in LOOKS_US:
            clock.move(pause)
            assert till.work() == 1
            pauses.append(pause)
    assert pauses == [5 * MINUTE_US, HOUR_US, *[DAY_US] * 5]
    assert till.read(paid).state == "unknown"
    clock.move(30 * DAY_US)
    assert till.work() == 0
    run(till.database, service.look_again, paid.id)
    assert till.work() == 1
    assert till.read(paid).attention is None


def test_a_gateway_that_is_down_is_called_again_and_given_up_in_the_end(till, clock):
    paid = till.pay(method=till.method("sandbox_down"))
    calls = 1
    while till.read(paid).state == "processing":
        clock.move(HOUR_US)
        calls += till.work()
    assert (till.read(paid).state, till.read(paid).reason) == ("failed", "gateway_unreachable")
    verbs = {call.verb for call in run(till.database, service.calls_of, paid.id)}
    assert verbs == {"ask"}
    assert calls > 10


def test_a_claim_that_nobody_recorded_ends_and_is_looked_for(till, clock):
    paid = till.open(method=till.method("sandbox_ok"))
    [lost] = run(till.database, claim_due, 8)
    assert lost.verb == "ask"
    assert till.work() == 0
    clock.move(LEASE_US)
    assert till.work() == 1
    assert till.read(paid).state == "succeeded"
    [call] = run(till.database, service.calls_of, paid.id)
    assert call.verb == "look"


def test_a_payment_that_was_not_asked_for_can_be_called_off(till, settled):
    paid = till.open()
    run(till.database, service.call_off, paid.id)
    assert till.work() == 0
    assert (till.read(paid).state, till.read(paid).reason) == ("failed", "canceled")
    unknown = till.pay(method=till.method("sandbox_unknown"))
    with pytest.raises(PaymentNotSo):
        run(till.database, service.call_off, unknown.id)


def test_what_waits_for_the_customer_is_called_off_by_its_gateway(till):
    paid = till.pay(method=till.method("sandbox_action"))
    assert paid.action_url is not None
    run(till.database, service.call_off, paid.id)
    assert till.work() == 1
    assert (till.read(paid).state, till.read(paid).reason) == ("failed", "canceled")


def test_what_waits_too_long_for_the_customer_is_called_off(till, clock):
    paid = till.pay(method=till.method("sandbox_action"))
    for pause in LOOKS_US:
        clock.move(pause)
        till.work()
    assert till.read(paid).state == "failed"


def test_a_gateway_that_is_not_set_up_declines_what_was_never_asked(till):
    paid = till.pay(gateway="stripe")
    assert (paid.state, paid.reason) == ("failed", "gateway_missing")
