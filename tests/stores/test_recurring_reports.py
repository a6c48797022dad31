"""Recurring revenue at any instant, from what was charged then."""

import msgspec
import pytest

from farebox.billing.reports import service_recurring as reports
from farebox.billing.schedules.model import Charge, Schedule
from farebox.billing.schedules.service import insert_charge, insert_schedule, write_charge
from farebox.kernel.clock import parse_time
from tests.support.services import run


def at(text):
    return parse_time(f"{text}T00:00:00Z")


class Story:
    """Subscriptions and what was charged of them, month by month."""

    def __init__(self, billing):
        self.billing = billing
        self._charges = 0

    def subscribe(self, subscription, customer, *, currency="EUR", unit="month", **more):
        schedule = Schedule(
            subscription=subscription, holder_kind="consumer", customer=customer, plan="pro",
            plan_version=1, unit=unit, count=1, currency=currency, zone="UTC", state="active",
            created_at=at("2026-01-01"), price="prc_1", price_version=1, **more,
        )  # fmt: skip
        run(self.billing, insert_schedule, schedule)

    def charge(self, subscription, start, end, net, *, state="paid", **more):
        self._charges += 1
        starts, ends = at(start), at(end)
        made = Charge(
            id=f"chg_{self._charges}", subscription=subscription, starts_at=starts, ends_at=ends,
            period_starts_at=more.pop("period_starts_at", starts),
            period_ends_at=more.pop("period_ends_at", ends), plan="pro", plan_version=1,
            price="prc_1", price_version=1, amount=net, net=net, invoice="inv_1", line="l1",
            state=state, created_at=starts, **more,
        )  # fmt: skip
        run(self.billing, insert_charge, made)
        return made


@pytest.fixture
def story(billing, clock):
    """Ada from January on, Bob in January alone and again in March, Eve by the year in dollars."""
    made = Story(billing)
    made.subscribe("sub_a", "con_ada")
    made.subscribe("sub_b", "con_bob")
    made.subscribe("sub_c", "con_bob", cancel_at=at("2026-04-01"))
    made.subscribe("sub_e", "con_eve", currency="USD", unit="year")
    for start, end in (("01", "02"), ("02", "03"), ("03", "04")):
        made.charge("sub_a", f"2026-{start}-01", f"2026-{end}-01", 10_000)
    made.charge("sub_b", "2026-01-01", "2026-02-01", 5_000)
    made.charge("sub_c", "2026-03-01", "2026-04-01", 2_500, state="open")
    made.charge("sub_e", "2026-02-01", "2027-02-01", 120_000)
    clock.set(at("2026-03-20"))
    return made


def mrr(billing, instant=None):
    rows = run(billing, reports.recurring, at=None if instant is None else at(instant))
    return {row.currency: (row.subscriptions, row.customers, row.mrr) for row in rows}


def test_recurring_revenue_is_that_of_the_charges_of_the_instant(story, billing):
    assert mrr(billing, "2025-12-31") == {}
    assert mrr(billing, "2026-01-15") == {"EUR": (2, 2, 15_000)}
    assert mrr(billing, "2026-02-01") == {"EUR": (1, 1, 10_000), "USD": (1, 1, 10_000)}
    assert mrr(billing) == {"EUR": (2, 2, 12_500), "USD": (1, 1, 10_000)}
    [euros, dollars] = run(billing, reports.recurring)
    assert (euros.arr, dollars.arr) == (150_000, 120_000)


def test_what_is_set_to_end_is_not_committed(story, billing):
    [euros, _] = run(billing, reports.recurring)
    assert euros.committed == 10_000


def test_a_charge_that_was_cut_counts_until_then(story, billing):
    charge = story.charge("sub_b", "2026-03-01", "2026-04-01", 4_000)
    run(billing, write_charge, msgspec.structs.replace(charge, cut_at=at("2026-03-10")))
    assert mrr(billing, "2026-03-09")["EUR"] == (3, 2, 16_500)
    assert mrr(billing, "2026-03-10")["EUR"] == (2, 2, 12_500)


def test_a_part_of_a_period_stands_for_its_whole(story, billing):
    story.subscribe("sub_d", "con_dan")
    story.charge(
        "sub_d", "2026-03-16", "2026-03-31", 1_500,
        period_starts_at=at("2026-03-01"), period_ends_at=at("2026-03-31"),
    )  # fmt: skip
    assert mrr(billing)["EUR"] == (3, 3, 15_500)


def test_void_charges_count_nothing(story, billing):
    story.subscribe("sub_v", "con_v")
    story.charge("sub_v", "2026-03-01", "2026-04-01", 9, state="void")
    assert mrr(billing)["EUR"] == (2, 2, 12_500)


def test_movements_add_up_and_name_who_came_and_went(story, billing):
    rows = run(billing, reports.movements, since=at("2026-01-15"), before=at("2026-02-15"))
    euros = next(row for row in rows if row.currency == "EUR")
    assert (euros.moved.start, euros.moved.churn, euros.moved.end) == (15_000, -5_000, 10_000)
    assert (euros.customers_at_start, euros.customers_lost) == (2, 1)
    assert (euros.customer_churn, euros.revenue_churn) == ("0.5000", "0.3333")
    rows = run(billing, reports.movements, since=at("2026-02-15"), before=at("2026-03-15"))
    euros = next(row for row in rows if row.currency == "EUR")
    assert (euros.moved.new, euros.moved.reactivation, euros.moved.end) == (0, 2_500, 12_500)


def test_cohorts_are_followed_month_by_month(story, billing):
    rows = run(billing, reports.cohort_table)
    assert [(row.cohort, row.currency, row.size, row.customers, row.mrr) for row in rows] == [
        ("2026-01", "EUR", 2, [2, 1, 2], [15_000, 10_000, 12_500]),
        ("2026-02", "USD", 1, [1, 1], [10_000, 10_000]),
    ]


def test_who_leaves_in_their_first_month_is_of_its_cohort(story, billing):
    story.subscribe("sub_f", "con_fay")
    charge = story.charge("sub_f", "2026-02-03", "2026-03-03", 4_000)
    run(billing, write_charge, msgspec.structs.replace(charge, cut_at=at("2026-02-20")))
    rows = run(billing, reports.cohort_table)
    february = next(row for row in rows if (row.cohort, row.currency) == ("2026-02", "EUR"))
    assert (february.size, february.customers, february.mrr) == (1, [0, 0], [0, 0])
