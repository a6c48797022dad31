"""Kill -9 between any two statements of filling, paying and giving back: no money lost or made."""

import signal

import pytest

from farebox.billing.books import service as books
from farebox.billing.wallets import service as wallets
from farebox.kernel.clock import ManualClock
from farebox.ledger.verify import verify
from tests.support.nursery import Nursery
from tests.support.services import run
from tests.support.wallet_roles import (
    BACK,
    BASE_US,
    BONUS,
    FILLED,
    LEFT,
    SPENT,
    WHO,
    be_known,
    travel,
)


@pytest.fixture(scope="module")
def travellers():
    made = Nursery("tests.support.wallet_roles")
    yield made
    made.close()


@pytest.fixture
def wallet(billing_urls, open_database_at):
    """Return the URL of a database in which Anna is a customer, and the database."""
    url = billing_urls()
    database = open_database_at(url, ManualClock(BASE_US), "billing")
    be_known(database)
    return url, database


def test_a_kill_between_any_two_statements_moves_no_money_twice_or_by_half(travellers, wallet):
    url, database = wallet
    number = deaths = 0
    while True:
        child = travellers.start("journey", url=url, number=number, at=deaths + 1)
        number += 1
        if child.wait() != -signal.SIGKILL:
            break
        deaths += 1
    assert deaths > 60
    for each in range(number):
        travel(database, each)
    assert run(database, wallets.balance_of, WHO, "RUB").available == number * LEFT
    assert run(database, books.balances, "RUB") == {
        "cash:sandbox": -number * FILLED,
        "bonus": -number * BONUS,
        "wallet": number * LEFT,
        "revenue": number * SPENT,
        "refunds": -number * BACK,
    }
    [*_, report] = verify(database)
    assert report.faults == []


def test_two_processes_that_pay_at_once_never_overdraw(travellers, wallet):
    url, database = wallet
    travel(database, 0)
    for number in range(1, 8):
        travel(database, number)
    assert run(database, wallets.balance_of, WHO, "RUB").available == 8 * LEFT
    children = [travellers.start("rush", url=url, name=name, times=12) for name in ("a", "b")]
    for child in children:
        assert child.hear() == "ready"
    for child in children:
        child.say("go")
    assert sum(child.hear() for child in children) == 8 * LEFT // 7
    assert [child.wait() for child in children] == [0, 0]
    assert run(database, wallets.balance_of, WHO, "RUB").available == 8 * LEFT % 7
