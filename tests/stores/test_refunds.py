"""Refunds and chargebacks: never more than was paid, and what the bank says is a fact."""

from functools import partial

import pytest

from farebox.billing.flows import settle_payment
from farebox.billing.flows.say_by_hand import say_payment, say_refund
from farebox.billing.payments import service, service_refunds
from farebox.billing.payments.model import (
    PaymentNotSo,
    RefundDiffers,
    RefundNotSo,
)
from farebox.billing.payments.model_outcomes import Declined, Lost, Unreached
from farebox.billing.payments.rules import HOUR_US, MINUTE_US
from farebox.billing.pricing.model_money import RefundRefused
from farebox.billing.wallets.model import WalletShort
from tests.support.payments import ANNA, Till
from tests.support.services import ADA, at_once, run


@pytest.fixture
def till(billing):
    made = Till(billing)
    yield made
    made.close()


@pytest.fixture
def paid(till):
    """Return a payment of 10.00 that succeeded."""
    return till.pay()


@pytest.fixture
def topped_up(till):
    """Return the payment that filled Anna's wallet with 10.00."""
    return till.top_up()


def refunds(till, payment):
    return run(till.database, service_refunds.refunds_of, payment.id)


# -- refunds -------------------------------------------------------------------------------------


def test_parts_are_given_back_until_nothing_is_left(till, paid):
    for amount in (300, 700):
        till.refund(paid, amount)
        till.work()
    assert [(one.amount, one.state) for one in refunds(till, paid)] == [
        (300, "succeeded"),
        (700, "succeeded"),
    ]
    assert till.read(paid).refunded == 1000
    assert till.trial() == {"suspense": 1000, "refunds": -1000}
    with pytest.raises(RefundRefused):
        till.refund(paid, 1)


def test_more_than_was_paid_is_refused_and_changes_nothing(till, paid):
    with pytest.raises(RefundRefused):
        till.refund(paid, 1001)
    till.refund(paid, 600)
    with pytest.raises(RefundRefused) as refused:
        till.refund(paid, 401)
    assert refused.value.facts == {"left": 400}
    assert len(refunds(till, paid)) == 1


def test_two_refunds_at_once_give_back_once(till, paid):
    works = [partial(till.refund, paid, 1000, f"r{n}") for n in range(4)]
    answers = at_once(works)
    assert sum(isinstance(one, RefundRefused) for one in answers) == 3
    till.work()
    assert till.read(paid).refunded == 1000
    assert till.trial() == {"suspense": 1000, "refunds": -1000}


def test_under_the_same_key_is_the_same_refund(till, paid):
    answers = at_once([lambda: till.refund(paid, 400, "one")] * 4)
    assert len({getattr(one, "id", one) for one in answers}) == 1
    with pytest.raises(RefundDiffers):
        till.refund(paid, 401, "one")
    till.work()
    assert till.read(paid).refunded == 400


@pytest.mark.parametrize("script", ["sandbox_decline", "sandbox_unknown", "sandbox_action"])
def test_what_was_not_paid_is_not_given_back(till, script):
    made = till.pay(method=till.method(script))
    with pytest.raises(PaymentNotSo):
        till.refund(made, 1)


def outcome_once(till, monkeypatch, *outcomes):
    """Let the sandbox answer the next calls about refunds so."""
    left = list(outcomes)
    gateway = till.gateways["sandbox"]
    usual = gateway.ask
    answer = lambda ask: left.pop(0) if left else usual(ask)  # noqa: E731
    monkeypatch.setattr(gateway, "ask", answer)
    monkeypatch.setattr(gateway, "look", answer)


def test_a_refund_that_is_declined_may_be_asked_for_again(till, paid, monkeypatch):
    outcome_once(till, monkeypatch, Declined(code="insufficient_funds"))
    refund = till.refund(paid, 1000)
    till.work()
    [failed] = refunds(till, paid)
    assert (failed.id, failed.state, failed.reason) == (refund.id, "failed", "insufficient_funds")
    assert (till.read(paid).refunding, till.read(paid).refunded) == (0, 0)
    till.refund(paid, 1000)
    till.work()
    assert till.read(paid).refunded == 1000


def test_a_refund_of_unknown_outcome_keeps_its_place_until_it_is_found(
    till, paid, monkeypatch, clock
):
    outcome_once(till, monkeypatch, Lost(reason="timeout"), Lost(reason="timeout"))
    till.refund(paid, 700)
    till.work()
    assert refunds(till, paid)[0].state == "unknown"
    with pytest.raises(RefundRefused):
        till.refund(paid, 400)
    clock.move(5 * MINUTE_US)
    till.work()
    clock.move(HOUR_US)
    till.work()
    assert refunds(till, paid)[0].state == "succeeded"
    assert till.read(paid).refunded == 700


def test_a_gateway_that_is_down_is_asked_for_the_refund_later(till, paid, monkeypatch, clock):
    outcome_once(till, monkeypatch, Unreached(reason="down"))
    till.refund(paid, 700)
    till.work()
    assert refunds(till, paid)[0].state == "processing"
    clock.move(MINUTE_US)
    till.work()
    assert refunds(till, paid)[0].state == "succeeded"


def test_what_the_bank_sends_back_is_ours_again(till, paid):
    refund = till.refund(paid, 1000)
    till.work()
    assert till.tell(id="e1", refund=refund.id, outcome="declined")
    [back] = refunds(till, paid)
    assert back.state == "returned"
    assert till.read(paid).refundable == 1000
    assert till.trial() == {"cash:sandbox": -1000, "suspense": 1000}


def test_what_the_refund_settler_puts_into_suspense_is_what_leaves_it(till, paid, monkeypatch):
    told = []
    settler = lambda tx, payment, refund: told.append((payment.id, refund.state))  # noqa: E731
    monkeypatch.setitem(settle_payment.REFUND_SETTLERS, "invoice", settler)
    till.refund(paid, 1000)
    till.work()
    assert told == [(paid.id, "succeeded")]
    assert till.trial() == {}


# -- top-ups -------------------------------------------------------------------------------------


def test_a_top_up_fills_the_wallet(till, topped_up):
    assert (till.wallet().paid, till.wallet().bonus) == (1000, 0)
    assert till.trial() == {"cash:sandbox": -1000, "wallet": 1000}


def test_a_top_up_that_is_given_back_leaves_the_wallet_first(till, topped_up):
    till.refund(topped_up, 400)
    assert till.wallet().paid == 600
    till.work()
    assert till.trial() == {"cash:sandbox": -600, "wallet": 600}


def test_what_was_spent_of_a_top_up_is_not_given_back(till, topped_up):
    till.spend(700)
    with pytest.raises(WalletShort):
        till.refund(topped_up, 301)
    assert refunds(till, topped_up) == []
    assert till.read(topped_up).refunding == 0


def test_a_refund_of_a_top_up_that_failed_fills_the_wallet_again(till, topped_up, monkeypatch):
    outcome_once(till, monkeypatch, Declined(code="no"))
    till.refund(topped_up, 400)
    till.work()
    assert till.wallet().paid == 1000
    assert till.trial() == {"cash:sandbox": -1000, "wallet": 1000}


# -- the wallet and transfers by hand -----------------------------------------------------------


def test_a_wallet_pays_and_is_given_back_to(till, topped_up):
    made = till.pay(customer=ANNA, gateway="wallet", amount=600)
    assert made.state == "succeeded"
    assert till.wallet().paid == 400
    assert till.trial() == {"cash:sandbox": -1000, "wallet": 400, "suspense": 600}
    till.refund(made, 250)
    till.work()
    assert till.wallet().paid == 650
    assert till.trial()["suspense"] == 600


def test_a_wallet_that_is_short_pays_nothing(till, topped_up):
    made = till.pay(customer=ANNA, gateway="wallet", amount=1001)
    assert (made.state, made.reason) == ("failed", "wallet_short")
    assert till.wallet().paid == 1000


def test_a_wallet_pays_in_the_transaction_of_whoever_asks(till, topped_up, monkeypatch):
    # There is no such order: nobody is to be told of its payment.
    monkeypatch.delitem(settle_payment.SETTLERS, "order", raising=False)

    def work(tx):
        made = service.open_intent(
            tx, customer=ANNA, amount=100, currency="USD", purpose="order", reference="ord_1",
            gateway="wallet", key="ord_1",
        )  # fmt: skip
        return settle_payment.pay_from_wallet(tx, made.id)

    assert run(till.database, work).state == "succeeded"
    assert till.work() == 0
    assert till.wallet().paid == 900


def test_a_transfer_waits_for_a_person_for_ever(till, clock):
    made = till.pay(gateway="manual")
    assert made.state == "action_required"
    clock.move(400 * 24 * HOUR_US)
    assert till.work() == 0
    said = run(till.database, say_payment, ADA, made.id, reference="MT103-77")
    assert (said.state, said.provider_reference) == ("succeeded", "MT103-77")
    again = run(till.database, say_payment, ADA, made.id, reference="MT103-77")
    assert again == said
    assert till.trial() == {"cash:manual": -1000, "suspense": 1000}
    with pytest.raises(PaymentNotSo):
        run(till.database, say_payment, ADA, made.id, reference=None)


def test_a_person_says_nothing_of_what_the_gateway_decides(till):
    made = till.pay(method=till.method("sandbox_pending"))
    with pytest.raises(PaymentNotSo):
        run(till.database, say_payment, ADA, made.id, reference="x")


def test_a_refund_by_transfer_is_said_by_a_person(till):
    made = till.pay(gateway="manual")
    run(till.database, say_payment, ADA, made.id, reference="in")
    refund = till.refund(made, 400)
    with pytest.raises(RefundNotSo):
        run(till.database, say_refund, ADA, refund.id, reference="too soon")
    till.work()
    assert run(till.database, say_refund, ADA, refund.id, reference="out").state == "succeeded"
    assert till.trial() == {"cash:manual": -600, "suspense": 1000, "refunds": -400}
