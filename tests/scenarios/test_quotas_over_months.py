"""Quotas over months: where a period begins and ends, what goes on into the next, what is lost."""

import pytest

from farebox.access.catalog.model import Quota
from farebox.kernel.periods import Unit
from tests.support.proof import faults
from tests.support.subscribers import Subscribers, when


@pytest.fixture
def start(database, clock):
    """Return a function that begins a story at a moment, and proves the ledger at its end."""
    made = []

    def begin(at: str) -> Subscribers:
        made.append(Subscribers(database, clock, at))
        return made[-1]

    yield begin
    assert faults(database) == []


def films(limit: int = 10, unit: Unit = "month", **named) -> Quota:
    return Quota(product="films", limit=limit, unit=unit, **named)


def test_a_quota_is_anew_on_the_anniversary_of_the_first_payment(start):
    story = start("2027-01-15")
    story.plan("pro", films(10))
    story.active("pro")
    assert story.use(10)
    assert not story.use(1)
    story.at("2027-02-14T23:59:59.999999")
    assert not story.use(1)
    story.at("2027-02-15")
    assert story.use(10)
    assert not story.use(1)


def test_a_calendar_quota_is_anew_on_the_first_wherever_it_began(start):
    story = start("2027-01-30T12:00")
    story.plan("pro", films(10, anchor="calendar"))
    story.active("pro")
    story.use(7)
    assert (story.quota().used, story.quota().resets_at) == (7, when("2027-02-01"))
    story.at("2027-02-01")
    assert (story.quota().used, story.quota().remaining) == (0, 10)


@pytest.mark.parametrize(
    ("year", "ends"), [(2028, "02-29"), (2027, "02-28")], ids=["leap", "common"]
)
def test_a_month_from_the_31st_ends_on_the_last_of_february_and_returns_to_the_31st(
    start, year, ends
):
    story = start(f"{year}-01-31")
    story.plan("pro", films(10))
    story.active("pro")
    story.use(10)
    assert story.quota().resets_at == when(f"{year}-{ends}")
    story.at(f"{year}-{ends}")
    assert story.use(10)
    assert story.quota().resets_at == when(f"{year}-03-31")
    story.at(f"{year}-03-30")
    assert not story.use(1)
    story.at(f"{year}-03-31")
    assert story.use(10)


def test_a_day_in_berlin_is_23_hours_long_when_clocks_go_forward(start):
    # On 28 March 2027 at 02:00 clocks in Berlin go to 03:00.
    story = start("2027-03-27T23:30")
    story.plan("day", films(3, "day", anchor="calendar", zone="Europe/Berlin"))
    story.active("day")
    assert story.quota().period_from == when("2027-03-27T23:00")
    assert story.quota().resets_at == when("2027-03-28T22:00")
    story.use(3)
    story.at("2027-03-28T21:59:59")
    assert not story.use(1)
    story.at("2027-03-28T22:00")
    assert story.use(3)


def test_a_month_in_new_york_begins_at_its_own_midnight_in_winter_and_summer(start):
    story = start("2027-03-01T12:00")
    story.plan("pro", films(5, anchor="calendar", zone="America/New_York"))
    story.active("pro")
    assert story.quota().period_from == when("2027-03-01T05:00")
    assert story.quota().resets_at == when("2027-04-01T04:00")


def test_a_rest_goes_on_once_and_no_more_than_the_limit(start):
    story = start("2027-01-01")
    story.plan("pro", films(10, rollover=True))
    story.active("pro")
    story.use(4)
    story.at("2027-02-01")
    assert (story.quota().limit, story.left()) == (16, 16)
    story.at("2027-03-01")
    # 16 were left, of which 10 go on.
    assert story.left() == 20
    assert story.use(20)
    assert (story.quota().limit, story.quota().used) == (20, 20)
    story.at("2027-04-01")
    assert story.left() == 10


def test_a_quota_for_life_never_comes_back(start):
    story = start("2027-01-01")
    story.plan("once", films(5, "lifetime"))
    story.active("once")
    story.use(5)
    story.at("2037-01-01")
    assert not story.use(1)
    assert (story.quota().used, story.quota().resets_at) == (5, None)


def test_what_goes_above_a_quota_is_counted_apart_and_never_denied(start):
    story = start("2027-01-01")
    story.plan("pro", films(10, hard=False, overage=True))
    story.active("pro")
    assert story.use(13)
    stands = story.quota()
    assert (stands.used, stands.remaining, stands.overage, stands.hard) == (10, 0, 3, False)
    story.at("2027-02-01")
    assert (story.quota().remaining, story.quota().overage) == (10, 0)
    assert story.use(12)
    assert story.quota().overage == 2


def test_of_a_product_without_overage_nothing_goes_above_the_quota(start):
    story = start("2027-01-01")
    story.plan(
        "pro", films(10, hard=False, overage=True), Quota(product="books", limit=1, unit="month")
    )
    story.active("pro")
    assert story.use(1, product="books")
    assert not story.use(1, product="books")


def test_a_change_of_plan_in_the_middle_counts_what_was_used(start):
    story = start("2027-01-01")
    story.plan("pro", films(100))
    story.plan("small", films(50))
    mine = story.active("pro")
    story.use(30)
    story.at("2027-01-20")
    story.billing("subscription.changed", mine, change="plan", plan="small")
    assert (story.quota().limit, story.quota().used, story.left()) == (50, 30, 20)
    assert story.use(20)
    assert not story.use(1)
    story.at("2027-02-01")
    assert story.left() == 50


def test_changing_to_and_fro_brings_nothing(start):
    story = start("2027-01-01")
    for code, limit in (("pro", 100), ("small", 50)):
        story.plan(code, films(limit))
    mine = story.active("pro")
    story.use(40)
    for place, plan in enumerate(("small", "pro", "small", "pro")):
        story.at(f"2027-01-1{place}")
        story.billing("subscription.changed", mine, change="plan", plan=plan)
    assert story.left() == 60
    story.billing("subscription.changed", mine, change="plan", plan="small")
    assert story.left() == 10


def test_a_smaller_plan_takes_nothing_back_that_was_used(start):
    story = start("2027-01-01")
    story.plan("pro", films(100))
    story.plan("small", films(50))
    mine = story.active("pro")
    story.use(80)
    story.billing("subscription.changed", mine, change="plan", plan="small")
    assert (story.quota().used, story.left()) == (50, 0)
    assert not story.use(1)


def test_a_change_from_a_month_to_a_day_counts_what_was_used_today(start):
    story = start("2027-01-01")
    story.plan("month", films(100))
    story.plan("day", films(10, "day", anchor="calendar"))
    mine = story.active("month")
    story.use(50)
    story.at("2027-01-20T09:00")
    story.use(4)
    story.at("2027-01-20T10:00")
    story.billing("subscription.changed", mine, change="plan", plan="day")
    assert story.left() == 6


@pytest.mark.parametrize("worker", [True, False], ids=["worker on time", "no worker"])
def test_a_change_at_period_end_is_exact_without_anybody(start, worker):
    story = start("2027-01-10")
    story.plan("pro", films(100))
    story.plan("small", films(50), features={"hd": True})
    mine = story.active("pro")
    story.billing(
        "subscription.changed", mine, change="plan", plan="small",
        effectiveAt="2027-02-10T00:00:00Z",
    )  # fmt: skip
    story.use(90)
    story.at("2027-02-09T23:59:59")
    assert (story.left(), story.read(mine).plan, story.rights()) == (10, "pro", ["films"])
    story.at("2027-02-10")
    if worker:
        assert story.worker() == 1
    assert (story.left(), story.read(mine).plan) == (50, "small")
    assert story.rights() == ["films", "hd"]
    assert story.use(50)
    assert not story.use(1)
    story.worker()
    assert story.left() == 0
    story.at("2027-03-10")
    assert story.left() == 50


def test_a_planned_change_that_is_taken_back_leaves_all_as_it_was(start):
    story = start("2027-01-10")
    story.plan("pro", films(100), features={"hd": True})
    story.plan("small", films(50))
    mine = story.active("pro")
    later = {"effectiveAt": "2027-02-10T00:00:00Z"}
    story.billing("subscription.changed", mine, change="plan", plan="small", **later)
    story.billing("subscription.changed", mine, change="plan", plan="pro")
    story.at("2027-03-01")
    story.worker()
    assert (story.left(), story.rights(), story.read(mine).plan) == (100, ["films", "hd"], "pro")


def test_a_new_version_of_a_plan_is_for_new_subscribers(start):
    story = start("2027-01-01")
    story.plan("pro", films(10))
    story.active("pro")
    story.change_plan("pro", films(20))
    bob = story.consumer("Bob")
    story.active("pro", holder=bob)
    story.at("2027-02-01")
    assert (story.left(), story.left(consumer=bob)) == (10, 20)


def test_a_year_of_nobody_looking_is_no_year_of_quotas(start):
    story = start("2027-01-31")
    story.plan("pro", films(10, rollover=True))
    story.active("pro")
    story.at("2028-02-29")
    assert story.left() == 20
