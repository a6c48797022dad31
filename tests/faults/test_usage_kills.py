"""Kill -9 between any two steps of reporting, adding up and closing: nothing lost or doubled."""

import signal

import pytest
import sqlalchemy as sa

from farebox.access.flows.aggregate_usage import close_due_periods
from farebox.kernel.clock import ManualClock
from farebox.ledger.verify import verify
from tests.support.metering import Metering
from tests.support.nursery import Nursery
from tests.support.usage_roles import QUANTITIES, STEP_US, TAKEN_BACK, now_of, send


@pytest.fixture(scope="module")
def travellers():
    made = Nursery("tests.support.usage_roles")
    yield made
    made.close()


def test_a_kill_between_any_two_statements_loses_no_use_and_counts_none_twice(
    travellers, database_url, open_database_at
):
    clock = ManualClock(now_of(0))
    metering = Metering(open_database_at(database_url, clock), clock)
    people = [metering.consumer(name) for name in ("Ada", "Bob")]
    for one in people:
        metering.bucket(one, 40)
    number = deaths = 0
    while True:
        child = travellers.start(
            "journey", url=database_url, consumers=people, number=number, at=deaths + 1
        )
        number += 1
        if child.wait() != -signal.SIGKILL:
            break
        deaths += 1
    assert deaths > 60
    clock.set(now_of(number))
    for journey in range(number):
        send(metering.database, people, journey)

    clock.set(now_of(number) + 20 * STEP_US)
    while close_due_periods(metering.database):
        pass
    each = number * sum(QUANTITIES)
    expected = {people[0]: each, people[1]: each - number * TAKEN_BACK}
    with metering.database.read() as tx:
        statement = "SELECT consumer, sum(quantity) AS total FROM usage_rollup GROUP BY consumer"
        counted = {row.consumer: int(row.total) for row in tx.run(sa.text(statement))}
        assert counted == expected
    told = dict.fromkeys(people, 0)
    seen = set()
    for event in metering.events("usage.aggregated"):
        assert event.subject not in seen
        seen.add(event.subject)
        told[event.data["consumerId"]] += sum(one["sum"] for one in event.data["totals"])
    assert told == expected
    *_, report = verify(metering.database)
    assert report.faults == []
