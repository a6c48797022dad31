"""Payouts: two people for each, and never more than an owner is owed."""

import pytest

from farebox.billing.books import service as books
from farebox.billing.books.model import About, Line
from farebox.billing.flows.say_by_hand import say_payout
from farebox.billing.payments import service_payouts as payouts
from farebox.billing.payments.model import (
    CardNumberRefused,
    GatewayUnknown,
    PayoutExceeds,
    PayoutNotSo,
    PayoutUnknown,
    SecondPersonNeeded,
)
from farebox.billing.payments.rules import MINUTE_US
from farebox.kernel.refusals import ValueRefused
from farebox.platform.model import SYSTEM, Actor
from tests.support.payments import Till
from tests.support.services import ADA, at_once, run

BORIS = Actor(kind="operator", id="opr_boris")


@pytest.fixture
def till(billing):
    """Return the till of a marketplace that owes an owner 50.00."""
    made = Till(billing)
    line = Line("cash:sandbox", "payable:opr_owner", 5000)
    run(billing, books.post, "USD", [line], About(kind="order", owner="opr_owner"))
    yield made
    made.close()


def ask(till, amount=3000, actor=ADA, **more):
    terms = {"owner": "opr_owner", "currency": "USD", "gateway": "sandbox", **more}
    terms.setdefault("destination", "sandbox_ok")
    return run(till.database, payouts.request_payout, actor, amount=amount, **terms)


def approve(till, payout, actor=BORIS):
    return run(till.database, payouts.approve_payout, actor, payout.id)


def test_a_payout_leaves_once_two_people_have_said_so(till):
    made = ask(till)
    assert till.work() == 0
    approve(till, made)
    till.work()
    done = run(till.database, payouts.read_payout, made.id)
    assert (done.state, done.requested_by, done.approved_by) == ("succeeded", ADA.id, BORIS.id)
    assert till.trial() == {"cash:sandbox": -2000, "payable:opr_owner": 2000}
    assert approve(till, made) == done


@pytest.mark.parametrize("actor", [ADA, SYSTEM])
def test_who_asked_for_it_does_not_approve_it_nor_does_a_machine(till, actor):
    made = ask(till)
    with pytest.raises(SecondPersonNeeded):
        approve(till, made, actor)
    assert till.work() == 0
    assert run(till.database, payouts.read_payout, made.id).state == "requested"


def test_an_owner_is_paid_what_they_are_owed_and_no_more(till):
    ask(till, 3000)
    with pytest.raises(PayoutExceeds) as refused:
        ask(till, 2001)
    assert refused.value.facts == {"left": 2000}
    assert ask(till, 2000).state == "requested"
    with pytest.raises(PayoutExceeds):
        ask(till, 1, currency="EUR")


def test_two_requests_at_once_share_what_is_owed(till):
    answers = at_once([lambda: ask(till, 3000)] * 4)
    assert sum(isinstance(one, PayoutExceeds) for one in answers) == 3


def test_what_is_owed_no_longer_is_not_approved(till):
    made = ask(till, 5000)
    back = Line("payable:opr_owner", "cash:sandbox", 1)
    run(till.database, books.post, "USD", [back], About(kind="refund", owner="opr_owner"))
    with pytest.raises(PayoutExceeds):
        approve(till, made)


def test_a_payout_that_is_rejected_or_fails_is_owed_again(till):
    first = ask(till, 5000)
    for _ in range(2):
        run(till.database, payouts.reject_payout, BORIS, first.id)
    with pytest.raises(PayoutNotSo):
        approve(till, first)
    second = ask(till, 5000, destination="sandbox_decline")
    approve(till, second)
    till.work()
    assert run(till.database, payouts.read_payout, second.id).state == "failed"
    assert ask(till, 5000).state == "requested"
    assert till.trial() == {"cash:sandbox": -5000, "payable:opr_owner": 5000}


def test_a_payout_of_unknown_outcome_is_not_owed_twice(till, clock):
    made = ask(till, 5000, destination="sandbox_timeout")
    approve(till, made)
    till.work()
    assert run(till.database, payouts.read_payout, made.id).state == "unknown"
    with pytest.raises(PayoutExceeds):
        ask(till, 1)
    with pytest.raises(PayoutNotSo):
        run(till.database, payouts.reject_payout, BORIS, made.id)
    clock.move(5 * MINUTE_US)
    till.work()
    assert run(till.database, payouts.read_payout, made.id).state == "succeeded"
    assert till.trial() == {}


def test_a_transfer_to_an_owner_is_said_by_a_person(till):
    made = ask(till, 5000, gateway="manual", destination="IBAN DE89 3704 0044 0532 0130 00")
    with pytest.raises(PayoutNotSo):
        run(till.database, say_payout, ADA, made.id, reference="too soon")
    approve(till, made)
    till.work()
    assert run(till.database, say_payout, ADA, made.id, reference="out").state == "succeeded"
    assert till.trial() == {"cash:sandbox": -5000, "cash:manual": 5000}


@pytest.mark.parametrize(
    ("wrong", "refusal"),
    [
        ({"amount": 0}, ValueRefused),
        ({"gateway": "wallet"}, GatewayUnknown),
        ({"destination": "4242 4242 4242 4242"}, CardNumberRefused),
        ({"destination": ""}, ValueRefused),
    ],
)
def test_what_is_no_payout_is_refused(till, wrong, refusal):
    with pytest.raises(refusal):
        ask(till, **wrong)
    with pytest.raises(PayoutUnknown):
        run(till.database, payouts.approve_payout, BORIS, "pyo_none")
