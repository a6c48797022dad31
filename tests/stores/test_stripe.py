"""Stripe by its own SDK, over real HTTP, against a small Stripe of our own with faults."""

import pytest

from farebox.billing.flows.gateway_webhooks import take_notice
from farebox.billing.payments import service, service_chargebacks, service_refunds
from farebox.billing.payments.gateways.money import from_stripe, to_stripe
from farebox.billing.payments.gateways.stripe import Stripe
from farebox.billing.payments.model import NoticeRefused
from farebox.billing.payments.rules import DAY_US, MINUTE_US
from farebox.billing.payments.service_methods import add_method
from farebox.billing.pricing.model_money import RefundRefused
from tests.support.fake_stripe import SECRET, FakeStripe, sign
from tests.support.payments import Till
from tests.support.services import ADA, at_once, run

BACK = "https://shop.example/back"


@pytest.fixture
def fake():
    made = FakeStripe()
    yield made
    made.close()


@pytest.fixture
def till(billing, fake):
    gateway = Stripe("sk_test_1", secret=SECRET, return_url=BACK, url=fake.url, timeout_s=5)
    made = Till(billing, gateway)
    yield made
    made.close()


def method(till, card="pm_ok_1"):
    terms = {"customer": "con_1", "gateway": "stripe", "token": card, "account": "cus_1"}
    return run(till.database, add_method, ADA, **terms).id


def pay(till, card="pm_ok_1", **more):
    return till.pay(method=method(till, card), **more)


def hear(till, body, signature):
    headers = {"stripe-signature": signature}
    return take_notice(till.database, till.gateways, "stripe", body, headers)


def test_a_saved_card_is_charged_once_and_the_fee_is_ours(till, fake):
    paid = pay(till)
    assert (paid.state, fake.charged) == ("succeeded", 1000)
    assert till.trial() == {"cash:stripe": -941, "fees:stripe": -59, "suspense": 1000}


@pytest.mark.parametrize(
    ("card", "reason", "final"),
    [
        ("pm_decline_insufficient_funds", "insufficient_funds", False),
        ("pm_decline_stolen_card", "stolen_card", True),
    ],
)
def test_a_declined_card_fails_with_its_reason(till, card, reason, final):
    paid = pay(till, card)
    assert (paid.state, paid.reason, paid.final) == ("failed", reason, final)
    assert till.trial() == {}


@pytest.mark.parametrize(
    "fault", ["cut_before", "cut_after", "error_before", "error_after", "in_use"]
)
def test_whatever_hides_the_answer_the_card_is_charged_once(till, fake, clock, fault):
    fake.faults = [fault]
    paid = pay(till)
    assert paid.state == "unknown"
    clock.move(5 * MINUTE_US)
    till.work()
    assert till.read(paid).state == "succeeded"
    assert fake.charged == 1000
    assert len(fake.of("payment_intent")) == 1


def test_what_search_cannot_find_yet_is_asked_for_under_the_same_key(till, fake, clock):
    fake.faults = ["cut_after"]
    fake.search_works = False
    paid = pay(till)
    clock.move(5 * MINUTE_US)
    till.work()
    assert till.read(paid).state == "succeeded"
    assert fake.charged == 1000


def test_once_the_key_may_be_forgotten_nothing_is_asked_for_again(till, fake, clock):
    fake.faults = ["cut_before"]
    paid = pay(till)
    clock.move(2 * DAY_US)
    till.work()
    assert (till.read(paid).state, till.read(paid).reason) == ("failed", "never_arrived")
    assert fake.charged == 0


def test_without_search_an_old_outcome_stays_unknown(till, fake, clock):
    fake.faults = ["cut_after"]
    fake.search_works = False
    paid = pay(till)
    clock.move(2 * DAY_US)
    till.work()
    assert till.read(paid).state == "unknown"


def test_a_stripe_that_is_busy_or_away_is_asked_later(till, fake, clock):
    fake.faults = ["busy"]
    paid = pay(till)
    assert (paid.state, paid.reason) == ("processing", "RateLimitError")
    clock.move(MINUTE_US)
    till.work()
    assert till.read(paid).state == "succeeded"


def test_what_was_never_connected_was_never_charged(billing, fake):
    gateway = Stripe("sk_test_1", secret=SECRET, url="http://127.0.0.1:9", timeout_s=1)
    till = Till(billing, gateway)
    paid = till.pay(method=method(till))
    assert paid.state == "processing"
    [call] = run(till.database, service.calls_of, paid.id)
    assert call.outcome == "unreached"
    till.close()


def test_a_card_that_needs_its_owner_waits_for_them_and_a_notice_ends_it(till, fake):
    paid = pay(till, "pm_action")
    assert paid.state == "action_required"
    assert paid.action_url is not None
    [intent] = fake.of("payment_intent")
    fake.finish(intent)
    body, signature = fake.event("payment_intent.succeeded", intent)
    assert hear(till, body, signature)
    till.work()
    assert till.read(paid).state == "succeeded"
    assert not hear(till, body, signature)
    assert till.work() == 0


def test_without_a_card_the_customer_pays_on_stripes_page(till, fake):
    paid = till.pay(gateway="stripe")
    assert (paid.state, paid.action_url) == ("action_required", "https://checkout.stripe.test/1")
    [session] = fake.of("checkout.session")
    fake.complete(session)
    assert hear(till, *fake.event("checkout.session.completed", session))
    till.work()
    now = till.read(paid)
    assert now.state == "succeeded"
    till.refund(now, 400)
    till.work()
    assert [one["amount"] for one in fake.of("refund")] == [400]


def test_what_is_called_off_can_be_paid_no_more(till, fake):
    paid = till.pay(gateway="stripe")
    run(till.database, service.call_off, paid.id)
    till.work()
    assert till.read(paid).reason == "canceled"
    assert fake.of("checkout.session")[0]["status"] == "expired"


def test_what_was_paid_while_it_was_called_off_is_paid(till, fake):
    paid = pay(till, "pm_action")
    fake.finish(fake.of("payment_intent")[0])
    run(till.database, service.call_off, paid.id)
    till.work()
    assert till.read(paid).state == "succeeded"


def test_notices_in_the_wrong_order_end_where_stripe_stands(till, fake):
    paid = pay(till, "pm_slow")
    [intent] = fake.of("payment_intent")
    early = fake.event("payment_intent.payment_failed", {**intent, "status": "canceled"})
    fake.finish(intent)
    late = fake.event("payment_intent.succeeded", intent)
    for body, signature in (late, early):
        assert hear(till, body, signature)
    till.work()
    assert till.read(paid).state == "succeeded"
    assert till.trial()["suspense"] == 1000


def test_a_notice_that_comes_four_times_at_once_counts_once(till, fake):
    paid = pay(till, "pm_slow")
    [intent] = fake.of("payment_intent")
    fake.finish(intent)
    notice = fake.event("payment_intent.succeeded", intent)
    answers = at_once([lambda: hear(till, *notice)] * 4)
    assert [one for one in answers if one] == [True]
    till.work()
    assert till.read(paid).state == "succeeded"
    assert till.trial()["suspense"] == 1000


FORGED = [
    ("no signature", lambda body: ""),
    ("another secret", lambda body: sign(body, secret="whsec_other")),
    ("of another body", lambda body: sign(body + b" ")),
    ("an hour old", lambda body: sign(body, at=1)),
    ("no time", lambda body: "v1=" + sign(body).partition("v1=")[2]),
    ("nonsense", lambda body: "t=x,v1=é"),
]


@pytest.mark.parametrize("forge", [case[1] for case in FORGED], ids=[case[0] for case in FORGED])
def test_a_notice_that_is_not_stripes_is_refused(till, fake, forge):
    paid = pay(till, "pm_slow")
    body, _ = fake.event("payment_intent.succeeded", fake.of("payment_intent")[0])
    with pytest.raises(NoticeRefused):
        hear(till, body, forge(body))
    till.work()
    assert till.read(paid).state == "processing"


def test_a_signed_notice_that_lies_changes_nothing(till, fake):
    paid = pay(till, "pm_slow")
    intent = {**fake.of("payment_intent")[0], "status": "succeeded", "amount_received": 1000}
    assert hear(till, *fake.event("payment_intent.succeeded", intent))
    till.work()
    assert till.read(paid).state == "processing"


@pytest.mark.parametrize("fault", ["cut_before", "cut_after", "error_after"])
def test_a_refund_whose_answer_is_lost_is_made_once(till, fake, clock, fault):
    paid = pay(till)
    fake.faults = [fault]
    refund = till.refund(paid, 700)
    till.work()
    clock.move(5 * MINUTE_US)
    till.work()
    assert run(till.database, service_refunds.read_refund, refund.id).state == "succeeded"
    assert [one["amount"] for one in fake.of("refund")] == [700]
    with pytest.raises(RefundRefused):
        till.refund(paid, 301)


def test_a_refund_that_fails_at_the_bank_days_later_is_told(till, fake):
    paid = pay(till)
    refund = till.refund(paid, 700)
    till.work()
    [made] = fake.of("refund")
    made |= {"status": "failed", "failure_reason": "lost_or_stolen_card"}
    assert hear(till, *fake.event("refund.failed", made))
    till.work()
    now = run(till.database, service_refunds.read_refund, refund.id)
    assert (now.state, now.reason) == ("returned", "lost_or_stolen_card")
    assert till.read(paid).refundable == 1000


def test_a_dispute_is_a_chargeback_with_its_fee_and_blocks_refunds(till, fake):
    paid = pay(till)
    dispute = fake.dispute(paid.provider_reference, "needs_response")
    assert hear(till, *fake.event("charge.dispute.created", dispute))
    till.work()
    assert till.read(paid).charged_back == 1000
    assert till.trial() == {
        "cash:stripe": 1559, "fees:stripe": -1559, "chargebacks": -1000, "suspense": 1000,
    }  # fmt: skip
    fake.dispute(paid.provider_reference, "won")
    assert hear(till, *fake.event("charge.dispute.closed", dispute))
    till.work()
    [one] = run(till.database, service_chargebacks.list_chargebacks).items
    assert (one.state, till.read(paid).charged_back) == ("won", 0)


def test_a_refund_that_meets_a_dispute_at_stripe_is_not_made(till, fake):
    paid = pay(till)
    dispute = fake.dispute(paid.provider_reference, "needs_response")
    refund = till.refund(paid, 1000)
    till.work()
    now = run(till.database, service_refunds.read_refund, refund.id)
    assert (now.state, now.reason) == ("failed", "charge_disputed")
    assert hear(till, *fake.event("charge.dispute.created", dispute))
    till.work()
    assert (till.read(paid).charged_back, till.read(paid).attention) == (1000, None)


def test_an_inquiry_is_no_chargeback_yet(till, fake):
    paid = pay(till)
    dispute = fake.dispute(paid.provider_reference, "warning_needs_response")
    assert hear(till, *fake.event("charge.dispute.created", dispute))
    till.work()
    assert till.read(paid).charged_back == 0


@pytest.mark.parametrize(
    ("amount", "currency", "stripe"),
    [
        (1000, "USD", 1000),
        (1000, "JPY", 1000),
        (1000, "ISK", 100_000),  # two places to Stripe, none in ISO 4217
        (1000, "MGA", 10),  # none to Stripe, two in ISO 4217
        (1010, "KWD", 1010),
        (1005, "KWD", None),
        (1005, "MGA", None),
    ],
)
def test_amounts_are_in_stripes_unit_exactly(amount, currency, stripe):
    assert to_stripe(amount, currency) == stripe
    if stripe is not None:
        assert from_stripe(stripe, currency) == amount
