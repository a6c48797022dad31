"""Kill -9 between the steps of renewals: each month is billed and paid for once."""

import signal

import pytest

from farebox.billing.schedules import service as schedules
from farebox.billing.schedules.model import DAY_US
from farebox.kernel.clock import ManualClock
from farebox.kernel.periods import period_start
from farebox.ledger.verify import verify
from tests.support.nursery import Nursery
from tests.support.renewal_roles import BEGIN_US, month
from tests.support.renewals import Renewals
from tests.support.services import run

STRIDE = 31  # a death a month, each further on; months differ in what is left under way


@pytest.fixture(scope="module")
def travellers():
    made = Nursery("tests.support.renewal_roles")
    yield made
    made.close()


def test_a_kill_anywhere_bills_no_month_twice_and_leaves_none_out(
    travellers, billing_urls, open_database_at
):
    clock = ManualClock(BEGIN_US)
    url = billing_urls()
    stage = Renewals(open_database_at(url, clock, "billing"), clock)
    clock.set(BEGIN_US)
    stage.card()
    ones = [stage.subscribe("basic"), stage.subscribe("pro")]
    deaths = number = 0
    while True:
        number += 1
        child = travellers.start("renew", url=url, number=number, at=1 + deaths * STRIDE)
        if child.wait() != -signal.SIGKILL:
            break
        deaths += 1
    assert deaths > 4
    # What a dead process had claimed is looked for when its claim has ended.
    for days in range(8):
        clock.set(month(number) + days * DAY_US)
        stage.work()
    assert run(stage.billing, schedules.due_schedules) == []
    expected = [period_start("month", 1, BEGIN_US, "UTC", index) for index in range(number + 1)]
    for one in ones:
        charges = run(stage.billing, schedules.charges_of, one)
        assert [each.starts_at for each in charges] == expected
        assert {each.state for each in charges} == {"paid"}
        assert {state for _, _, _, state in stage.bills(one, 1_000)} == {"paid"}
    balance = stage.trial_balance()
    assert balance["cash:sandbox"] == -(1000 + 2000) * len(expected)
    assert sum(balance.values()) == 0
    *_, report = verify(stage.billing)
    assert report.faults == []
