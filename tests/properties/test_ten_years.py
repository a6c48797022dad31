"""Ten years of renewals by the real workers, in zones whose clocks jump: each period once."""

import random
from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from farebox.billing.flows.renew_subscription import DueSchedules
from farebox.billing.schedules import service as schedules
from farebox.kernel.clock import SECOND_US
from farebox.kernel.periods import period_start
from farebox.wiring.loops import billing_due
from tests.support.renewals import Renewals
from tests.support.services import now, run

DAY_US = 86_400 * SECOND_US
YEARS = 10
# Berlin's clock has no half past two on two days on which a month begins, Casablanca's changes for
# Ramadan too, and Apia's calendar has left a day out. More zones: tests/rules/test_schedule_rules.
ZONES = [
    ("Europe/Berlin", "2017-01-31T01:30"),
    ("Africa/Casablanca", "2017-05-30T23:30"),
    ("Pacific/Apia", "2011-11-30T10:00"),
]


@pytest.mark.parametrize(("zone", "begins"), ZONES)
def test_each_month_of_ten_years_is_billed_exactly_once(billing, clock, zone, begins):
    stage = Renewals(billing, clock, at=begins)
    stage.zone(zone)
    stage.card()
    one = stage.subscribe("basic")
    anchor = now(billing)
    chance = random.Random(zone)
    until = anchor + YEARS * 366 * DAY_US
    while now(billing) < until:
        # Workers come daily, or were away for weeks; twice at once is as good as once.
        clock.move(chance.choice([1, 1, 9, 40, 75]) * DAY_US + chance.randint(0, DAY_US))
        for _ in range(2):
            for worker in (DueSchedules(billing), *billing_due(billing)):
                worker.step()
        stage.work()

    charges = run(billing, schedules.charges_of, one)
    assert {each.state for each in charges} == {"paid"}
    assert charges[0].starts_at == anchor
    assert charges[-1].ends_at > now(billing) >= charges[-1].starts_at
    for earlier, later in pairwise(charges):
        assert later.starts_at == earlier.ends_at, "no time is left out, none is billed twice"
    ends = [period_start("month", 1, anchor, zone, index) for index in range(len(charges) + 1)]
    assert [each.starts_at for each in charges] == ends[:-1]
    assert len(charges) in {YEARS * 12 + 1, YEARS * 12 + 2, YEARS * 12 + 3}
    # On the customer's own calendar a month begins on the same day at the same hour, but where the
    # month is shorter, or the clock has no such hour then.
    local = [at_home(each.starts_at, zone) for each in charges]
    hours = [each.strftime("%H:%M") for each in local]
    assert sum(hour != hours[0] for hour in hours) <= 2
    days = [each.day for each in local]
    assert all(day == local[0].day or day >= 28 or day == 1 for day in days)
    invoices = stage.invoices(one, most=1000)
    assert [each.period_start for each in invoices] == [each.starts_at for each in charges]
    assert {each.total for each in invoices} == {1000}
    assert sum(stage.trial_balance().values()) == 0


def at_home(at, zone):
    return datetime.fromtimestamp(at // SECOND_US, UTC).astimezone(ZoneInfo(zone))
