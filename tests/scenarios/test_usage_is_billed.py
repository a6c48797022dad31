"""Usage becomes an invoice: flow 3 of source 002, from the period's totals to the payment."""

import pytest

from farebox.billing.copies.service import keep_plan
from farebox.billing.flows.rate_usage import UsageDue, aggregate_usage
from farebox.billing.schedules.service_usage import list_usage
from tests.support.prices import per_unit
from tests.support.renewals import Renewals, told
from tests.support.services import at_once, run

TIERS = (
    '{"charge": {"model": "graduated", "tiers": ['
    '{"up_to": "100", "unit": "0.10"}, {"unit": "0.01"}]}}'
)


@pytest.fixture
def stage(billing, clock):
    made = Renewals(billing, clock, at="2027-03-01")
    made.card()
    return made


def usage_bills(stage, one):
    return [
        [(line.sold.product, line.sold.amount) for line in each.lines]
        for each in stage.invoices(one)
        if each.lines[0].sold.product
    ]


def held(stage):
    rows = run(stage.billing, list_usage).items
    return [(each.product, each.state, each.reason) for each in rows]


def test_a_months_usage_is_rated_invoiced_and_charged(stage):
    stage.meter("api", per_unit("0.02"))
    one = stage.subscribe("basic")
    stage.live("2027-04-01")
    stage.at("2027-04-01T01:00")
    stage.used("api", 85_000)
    stage.work()
    assert usage_bills(stage, one) == []  # it waits for the totals of other devices
    stage.live("2027-04-01T02:00")
    assert usage_bills(stage, one) == [[("api", 170_000)]]
    bill = stage.invoices(one)[-1]
    assert (bill.state, bill.lines[0].sold.quantity) == ("paid", "85000")
    assert stage.said(one)[-1] == "payment.succeeded"
    assert sum(stage.trial_balance().values()) == 0


def test_an_event_that_comes_twice_is_billed_once(stage):
    stage.meter("api", per_unit("0.02"))
    one = stage.subscribe("basic")
    event = stage.used("api", 100)
    run(stage.billing, aggregate_usage, event)
    stage.live("2027-03-02", "2027-03-03")
    assert usage_bills(stage, one) == [[("api", 200)]]


def test_two_workers_at_once_bill_usage_once(stage):
    stage.meter("api", per_unit("0.02"))
    one = stage.subscribe("basic")
    stage.used("api", 100)
    stage.at("2027-03-02")
    answers = at_once([UsageDue(stage.billing).step for _ in range(4)])
    assert not [each for each in answers if isinstance(each, Exception)]
    stage.work()
    assert usage_bills(stage, one) == [[("api", 200)]]


def test_devices_of_one_customer_share_tiers_and_an_invoice(stage):
    stage.meter("api", TIERS)
    one = stage.subscribe("basic")
    stage.used("api", 80)
    stage.used("api", 50, consumer="con_2", ownerId="con_1")
    stage.live("2027-03-02")
    assert usage_bills(stage, one) == [[("api", 1030)]]  # 100 at 0.10 and 30 at 0.01


def test_what_comes_later_of_a_period_bills_the_difference(stage):
    stage.meter("api", TIERS)
    one = stage.subscribe("basic")
    stage.used("api", 80)
    stage.live("2027-03-02")
    stage.used("api", 50, consumer="con_2", ownerId="con_1")
    stage.live("2027-03-03")
    assert usage_bills(stage, one) == [[("api", 800)], [("api", 230)]]


def test_an_interim_total_is_not_billed(stage):
    stage.meter("api", per_unit("0.02"))
    one = stage.subscribe("basic")
    stage.used("api", 70, interim=True)
    stage.used("api", 90, interim=True)
    stage.live("2027-03-20")
    assert usage_bills(stage, one) == []
    assert held(stage) == [("api", "interim", None)]
    stage.used("api", 100)
    stage.live("2027-04-01", "2027-04-02")
    assert usage_bills(stage, one) == [[("api", 200)]]
    assert held(stage) == [("api", "billed", None)]


@pytest.mark.parametrize(
    ("quota", "expected"),
    [
        ({"overage": True, "hard": False}, [[("api", 400)]]),  # 80 units are in the plan
        ({"overage": False, "hard": True}, []),
    ],
)
def test_what_the_plan_includes_costs_nothing(stage, quota, expected):
    stage.meter("api", per_unit("0.02"))
    terms = {"product": "api", "limit": 80, "unit": "month", "count": 1, **quota}
    data = {
        "plan": "basic", "version": 1_000_000, "state": "active", "name": "Basic", "trial_days": 0,
        "quotas": [terms], "features": [],
    }  # fmt: skip
    run(stage.billing, keep_plan, told("plan.updated", "plan:basic", data))
    one = stage.subscribe("basic", planVersion=1_000_000)
    stage.used("api", 280)
    stage.live("2027-03-02")
    assert usage_bills(stage, one) == expected


@pytest.mark.parametrize(
    ("charge", "metadata", "state", "reason"),
    [
        (None, {}, "free", "no_price"),
        ('{"charge": {"model": "windowed", "otherwise": {"unit": "1"}}}', {}, "held",
         "needs_each_event"),
        ('{"charge": {"model": "per_unit", "unit": "1"}}', {"aggregation": "users"}, "held",
         "needs_aggregation"),
    ],
)  # fmt: skip
def test_what_cannot_be_rated_is_kept_with_the_reason(stage, charge, metadata, state, reason):
    if charge is not None:
        stage.meter("api", charge, metadata=metadata)
    else:
        stage.meter("api", per_unit("1"), timing="advance")
    one = stage.subscribe("basic")
    stage.used("api", 100)
    stage.live("2027-03-02")
    assert usage_bills(stage, one) == []
    assert held(stage) == [("api", state, reason)]


def test_usage_of_somebody_without_a_subscription_is_held(stage):
    stage.meter("api", per_unit("1"))
    stage.used("api", 100)
    stage.live("2027-03-02")
    assert held(stage) == [("api", "held", "no_subscription")]


def test_a_price_may_charge_what_an_aggregation_counts(stage):
    stage.meter("api", per_unit("3"), metadata={"aggregation": "users"})
    one = stage.subscribe("basic")
    users = {
        "name": "users", "kind": "unique", "dimension": "user", "splitBy": None,
        "parts": [{"part": None, "value": 41}], "partsLeftOut": 0,
    }  # fmt: skip
    stage.used("api", 9_000, aggregations=[users])
    stage.live("2027-03-02")
    assert usage_bills(stage, one) == [[("api", 12_300)]]


def test_usage_that_is_not_paid_is_tried_again_like_a_renewal(stage):
    stage.meter("api", per_unit("0.02"))
    one = stage.subscribe("basic")
    stage.card("sandbox_decline")
    stage.used("api", 100)
    stage.live("2027-03-02")
    assert stage.state(one) == "past_due"
    stage.used("api", 50, consumer="con_2", ownerId="con_1")
    stage.live("2027-03-03")
    assert len(usage_bills(stage, one)) == 1
    stage.card()
    stage.live("2027-03-04", "2027-03-05")
    assert stage.state(one) == "active"
    assert usage_bills(stage, one) == [[("api", 200)], [("api", 100)]]
    assert "subscription.renewed" not in stage.said(one)


@pytest.mark.parametrize("quantity", [2**62, -1])
def test_a_quantity_that_no_invoice_can_say_holds_nobody_up(stage, quantity):
    stage.meter("api", per_unit("0.10"))
    stage.meter("films", per_unit("1"))
    one = stage.subscribe("basic")
    stage.used("api", quantity)
    stage.used("films", 3)
    stage.live("2027-04-02", "2027-04-02T02:00")
    assert [total for _, _, total, _ in stage.bills(one)] == [1000, 1000, 300]
