"""Chargebacks and notices of gateways: facts, each counted once, in whatever order they come."""

import threading

import pytest

from farebox.billing.books.model import About
from farebox.billing.flows import settle_payment
from farebox.billing.flows.gateway_webhooks import take_notice
from farebox.billing.payments import service, service_chargebacks, service_refunds
from farebox.billing.payments.model import NoticeRefused
from farebox.billing.payments.model_outcomes import Disputed
from farebox.billing.payments.service_work import claim_due
from farebox.billing.pricing.model_money import RefundRefused
from farebox.billing.wallets import service as wallets
from tests.support.payments import ANNA, Till
from tests.support.services import PATIENCE_S, at_once, run
from tests.support.threads import Worker, wait_until_it_waits


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


# -- chargebacks ---------------------------------------------------------------------------------


def dispute(till, payment, state="opened", *, event=None, amount=1000, name="dp_1"):
    return till.tell(
        id=event or f"{name}:{state}", payment=payment.id, chargeback=name,
        chargeback_state=state, amount=amount,
    )  # fmt: skip


def test_a_chargeback_takes_the_money_and_a_won_one_brings_it_again(till, paid):
    dispute(till, paid)
    assert till.read(paid).charged_back == 1000
    assert till.trial() == {"chargebacks": -1000, "suspense": 1000}
    with pytest.raises(RefundRefused):
        till.refund(paid, 1)
    dispute(till, paid, "won")
    assert till.read(paid).charged_back == 0
    assert till.trial() == {"cash:sandbox": -1000, "suspense": 1000}


def test_of_two_chargebacks_of_a_payment_a_won_one_brings_its_own_alone(till, paid):
    dispute(till, paid)
    dispute(till, paid, name="dp_2")
    assert till.read(paid).attention == "chargeback_amount"
    dispute(till, paid, "won", name="dp_2")
    assert till.read(paid).charged_back == 1000
    with pytest.raises(RefundRefused):
        till.refund(paid, 1)
    assert till.trial() == {"chargebacks": -1000, "suspense": 1000}
    dispute(till, paid, "won")
    assert till.read(paid).charged_back == 0
    assert till.trial() == {"cash:sandbox": -1000, "suspense": 1000}


@pytest.mark.parametrize(
    ("order", "state", "books"),
    [
        (("opened", "lost"), "lost", {"chargebacks": -1000, "suspense": 1000}),
        (("won", "opened"), "won", {"cash:sandbox": -1000, "suspense": 1000}),
        (("lost", "opened", "won"), "lost", {"chargebacks": -1000, "suspense": 1000}),
        (("opened", "opened", "won", "won"), "won", {"cash:sandbox": -1000, "suspense": 1000}),
    ],
)
def test_words_about_a_chargeback_count_once_in_whatever_order(till, paid, order, state, books):
    for place, word in enumerate(order):
        dispute(till, paid, word, event=f"e{place}")
    page = run(till.database, service_chargebacks.list_chargebacks, payment=paid.id)
    assert [one.state for one in page.items] == [state]
    assert till.trial() == books


def test_a_chargeback_cancels_a_refund_that_nobody_was_asked_for(till, paid):
    refund = till.refund(paid, 600)
    assert till.hear(id="e", payment=paid.id, chargeback="dp_1", amount=1000)
    # Notices are followed first, but both are claimed at once: then the gateway has the last word.
    run(till.database, service_chargebacks.note_chargeback, "sandbox", disputed(paid, 1000))
    till.work()
    [canceled] = refunds(till, paid)
    assert (canceled.id, canceled.state, canceled.reason) == (refund.id, "canceled", "charged_back")
    assert till.read(paid).attention is None
    assert till.trial() == {"chargebacks": -1000, "suspense": 1000}


def disputed(paid, amount):
    return Disputed(reference="dp_1", state="opened", amount=amount, payment=paid.id)


def test_a_refund_under_way_and_a_chargeback_are_seen_by_a_person(till, paid):
    till.refund(paid, 600)
    [task] = run(till.database, claim_due, 8)
    run(till.database, service_chargebacks.note_chargeback, "sandbox", disputed(paid, 1000))
    outcome = till.gateways["sandbox"].ask(task.ask)
    run(till.database, settle_payment.record_outcome, task, outcome)
    now = till.read(paid)
    assert (now.refunded, now.charged_back, now.attention) == (600, 1000, "returned_twice")
    assert till.trial() == {
        "cash:sandbox": 600, "chargebacks": -1000, "refunds": -600, "suspense": 1000,
    }  # fmt: skip
    run(till.database, service.set_aside, paid.id)
    assert till.read(paid).attention is None


def test_refunds_and_a_chargeback_at_once_never_lose_a_word(till, paid):
    works = [
        lambda: till.refund(paid, 500, "a"),
        lambda: run(
            till.database, service_chargebacks.note_chargeback, "sandbox", disputed(paid, 1000)
        ),
        lambda: till.refund(paid, 500, "b"),
    ]
    at_once(works)
    till.work()
    now = till.read(paid)
    assert now.charged_back == 1000
    assert now.refunded + now.refunding == 0 or now.attention == "returned_twice"


def test_a_chargeback_of_a_top_up_takes_what_is_left_in_the_wallet(till, topped_up):
    till.spend(700)
    dispute(till, topped_up)
    assert till.wallet().paid == 0
    assert till.trial() == {"chargebacks": -700, "revenue": 700}
    dispute(till, topped_up, "won")
    assert till.wallet().paid == 300
    assert till.trial() == {"cash:sandbox": -1000, "revenue": 700, "wallet": 300}


# -- notices -------------------------------------------------------------------------------------


def test_a_notice_ends_what_waits_for_the_customer(till):
    made = till.pay(method=till.method("sandbox_action"))
    assert till.tell(id="e1", payment=made.id, outcome="succeeded")
    assert till.read(made).state == "succeeded"


def test_a_notice_counts_once(till):
    made = till.pay(method=till.method("sandbox_action"))
    answers = at_once([lambda: till.hear(id="e1", payment=made.id, outcome="succeeded")] * 4)
    assert [answer for answer in answers if answer] == [True]
    till.work()
    assert till.trial() == {"cash:sandbox": -1000, "suspense": 1000}
    assert not till.tell(id="e1", payment=made.id, outcome="declined")
    assert till.read(made).state == "succeeded"


def test_a_late_word_of_failure_undoes_no_success(till, paid):
    assert till.tell(id="e1", payment=paid.id, outcome="declined")
    assert till.read(paid).state == "succeeded"


def test_what_was_paid_after_it_had_failed_is_paid(till):
    made = till.pay(method=till.method("sandbox_decline"))
    assert made.state == "failed"
    till.tell(id="e1", payment=made.id, outcome="succeeded")
    assert till.read(made).state == "succeeded"
    assert till.trial() == {"cash:sandbox": -1000, "suspense": 1000}


def test_a_forged_notice_is_refused(till, paid, billing):
    made = till.pay(method=till.method("sandbox_action"))
    for headers in (
        {},
        {"farebox-sandbox-signature": "0" * 64},
        {"farebox-sandbox-signature": "é"},
    ):
        with pytest.raises(NoticeRefused):
            from_outside(till, made, headers)
    till.work()
    assert till.read(made).state == "action_required"


def from_outside(till, made, headers):
    body = f'{{"id":"x","payment":"{made.id}","outcome":"succeeded"}}'.encode()

    return take_notice(till.database, till.gateways, "sandbox", body, headers)


def test_a_notice_about_nobody_of_ours_is_not_kept(till):
    assert not till.tell(id="e1", payment="pay_of_others", outcome="succeeded")
    assert not till.tell(id="e2", refund="rfd_of_others", outcome="succeeded")
    assert till.tell(id="e3", payment="pay_of_others", chargeback="dp_9", amount=5)
    assert till.trial() == {}


def test_a_chargeback_takes_what_a_payment_at_the_same_moment_leaves(till, topped_up):
    began, may_end = threading.Event(), threading.Event()

    def spend(tx):
        about = About(kind="order", customer=ANNA)
        wallets.take(
            tx, ANNA, "USD", 700, part="paid", to_account="revenue", about=about, key="spent"
        )
        began.set()
        assert may_end.wait(PATIENCE_S)

    spending = Worker(till.database.run, spend)
    spending.start()
    assert began.wait(PATIENCE_S)
    # The wallet still shows 10.00 to whoever does not wait for the payment to end.
    charging = Worker(
        run, till.database, service_chargebacks.note_chargeback, "sandbox",
        disputed(topped_up, 1000),
    )  # fmt: skip
    charging.start()
    wait_until_it_waits(till.database, charging)
    may_end.set()
    spending.result()
    made = charging.result()

    assert made.recovered == 300
    assert till.wallet().paid == 0
    assert till.trial() == {"chargebacks": -700, "revenue": 700}
