"""Kill -9 between any two steps of taking a payment and giving it back: the card is charged once.

A child makes one whole journey and dies before its n-th statement, for every n: before the claim,
between the claim and the call, between the call and its record, in the middle of the record. The
next one finds what is left, when the claim has ended.
"""

import signal

import pytest

from farebox.billing.books import service as books
from farebox.billing.payments.service import list_payments
from farebox.billing.payments.service_methods import add_method
from farebox.billing.payments.service_refunds import list_refunds
from farebox.kernel.clock import ManualClock
from farebox.ledger.verify import verify
from tests.support.engines import BILLING
from tests.support.fake_stripe import FakeStripe
from tests.support.nursery import Nursery
from tests.support.payment_roles import BASE_US
from tests.support.services import ADA, run


@pytest.fixture(scope="module")
def payers():
    made = Nursery("tests.support.payment_roles")
    yield made
    made.close()


@pytest.fixture
def url(engine):
    found = engine.migrated(BILLING)
    yield found
    engine.drop(found)


@pytest.fixture
def database(engine, url):
    made = engine.open(url, ManualClock(BASE_US), "billing")
    yield made
    made.close()


@pytest.fixture
def stripe():
    made = FakeStripe()
    yield made
    made.close()


def test_a_kill_between_any_two_statements_charges_and_gives_back_once(
    payers, url, database, stripe
):
    terms = {"customer": "con_1", "gateway": "stripe", "token": "pm_ok"}
    run(database, add_method, ADA, **terms)
    journey = 0

    def travel(at):
        nonlocal journey
        journey += 1
        child = payers.start("pay_and_give_back", url=url, stripe=stripe.url, number=journey, at=at)
        return child.wait()

    deaths = 0
    while (status := travel(deaths + 1)) == -signal.SIGKILL:
        deaths += 1
        # Left to grow, what is under way would soon be all that a journey meets before it dies.
        if deaths % 6 == 0:
            assert travel(0) == 0
    assert status == 0
    assert deaths > 40
    for _ in range(3):
        assert travel(0) == 0

    paid = run(database, list_payments, limit=1000).items
    assert {one.state for one in paid} == {"succeeded"}
    assert len(stripe.of("payment_intent")) == len(paid)
    assert stripe.charged == 1000 * len(paid)
    refunds = run(database, list_refunds, limit=1000).items
    given = stripe.of("refund")
    assert {one.state for one in refunds} == {"succeeded"}
    assert sorted(str(one.provider_reference) for one in refunds) == sorted(
        one["id"] for one in given
    )
    fees = 59 * len(paid)
    assert run(database, books.balances, "USD") == {
        "cash:stripe": -1000 * len(paid) + fees + 400 * len(refunds),
        "fees:stripe": -fees,
        "suspense": 1000 * len(paid),
        "refunds": -400 * len(refunds),
    }
    [*_, report] = verify(database)
    assert report.faults == []
