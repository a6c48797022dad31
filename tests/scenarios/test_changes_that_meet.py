"""Subscriptions in which two things meet: a change that waits, an end, a forgiven bill, a price."""

from decimal import Decimal
from functools import partial

import pytest

from farebox.billing.copies.service import find_plan, keep_plan
from farebox.billing.flows.end_invoice import end_invoice
from farebox.billing.flows.issue_invoices import credit_invoice, pay_invoice
from farebox.billing.flows.move_subscribers import move_subscribers
from farebox.billing.invoices import service_issue
from farebox.billing.pricing.model_promotions import Promotion
from farebox.billing.pricing.service_prices import prices_of
from farebox.billing.pricing.service_promotions import create_promotion, end_promotion
from farebox.kernel.ids import record_id
from tests.support.invoicing import DAY_US
from tests.support.prices import flat, per_unit, sell
from tests.support.renewals import Renewals, told
from tests.support.services import ADA, now, run


@pytest.fixture
def stage(billing, clock):
    made = Renewals(billing, clock, at="2027-03-01")
    made.card()
    return made


def end(stage, invoice, act):
    stage.billing.run(lambda tx: end_invoice(tx, invoice, partial(act, tx, invoice)))
    stage.work()


def part_back(stage, bought):
    """Give most of an invoice back by hand."""
    said = {"amount": 800, "settling": "refund", "reason": "a gift", "key": "gift"}
    run(stage.billing, credit_invoice, bought.id, **said)


def canceled_in_arrears(stage):
    stage.sell("later", "31", timing="arrears")
    one = stage.subscribe("later")
    stage.card("sandbox_decline")
    stage.live("2027-03-11")
    stage.wish(one, "cancel")
    return one, stage.invoices(one)[-1].id


@pytest.mark.parametrize("at_end", ["suspend", "cancel"])
def test_one_that_has_ended_stays_so_where_its_last_invoice_is_given_up(stage, at_end):
    stage.terms(at_end=at_end)
    one, last = canceled_in_arrears(stage)
    said, before = stage.said(one), stage.schedule(one)
    stage.at("2027-03-20")
    end(stage, last, service_issue.write_off)
    assert stage.said(one) == said
    after = stage.schedule(one)
    assert (after.state, after.ended_at) == ("canceled", before.ended_at)


def test_one_that_has_ended_is_not_billed_on_where_what_was_given_up_is_paid_after_all(stage):
    stage.terms(at_end="suspend")
    one, last = canceled_in_arrears(stage)
    end(stage, last, service_issue.write_off)
    stage.card()
    run(stage.billing, pay_invoice, last, key="after_all")
    stage.live("2027-03-11T12:00", "2027-06-01")
    assert stage.bills(one) == [("2027-03-01", "2027-03-11", 1_000, "paid")]


def test_usage_is_billed_in_the_currency_of_its_price(stage):
    sell(stage.billing, "plan", "euro", flat("9"), currency="EUR", every=("month", 1))
    stage.meter("api", per_unit("0.02"))
    stage.meter("api", per_unit("0.03"), currency="EUR")
    dollars = stage.subscribe("basic")
    stage.at("2027-03-20")
    stage.wish(dollars, "cancel")
    stage.at("2027-04-02")
    euros = stage.subscribe("euro")
    stage.at("2027-05-01T01:00")
    stage.used("api", 1_000, period="2027-03")
    stage.used("api", 1_000, period="2027-04")
    stage.live("2027-05-01T02:00", "2027-05-01T04:00")
    billed = [(each.currency, each.total) for each in stage.invoices(euros)]
    assert sorted(billed) == [("EUR", 900), ("EUR", 3_000), ("USD", 2_000)]


def test_what_was_forgiven_of_a_period_in_arrears_is_not_billed_with_its_rest(stage):
    stage.sell("later", "31", timing="arrears")
    stage.sell("dearer", "62", timing="arrears")
    one = stage.subscribe("later")
    stage.card("sandbox_decline")
    stage.at("2027-03-11")
    stage.wish(one, "plan", plan="dearer")
    end(stage, stage.invoices(one)[-1].id, service_issue.void)
    stage.card()
    stage.live("2027-04-01")
    assert stage.bills(one) == [
        ("2027-03-01", "2027-03-11", 1_000, "void"), ("2027-03-11", "2027-04-01", 4_200, "paid")
    ]  # fmt: skip


def gifted(stage):
    one = stage.subscribe("basic")
    part_back(stage, stage.invoices(one)[-1])
    return one


def forgiven(stage):
    one = stage.subscribe("basic")
    stage.card("sandbox_decline")
    stage.live("2027-04-01")
    end(stage, stage.invoices(one)[-1].id, service_issue.void)
    return one


def promoted(stage):
    spring = Promotion(
        id=record_id("prm"), name="Spring", of="plan", code="basic", percent=Decimal(50),
        valid_from=now(stage.billing), created_at=0,
    )  # fmt: skip
    run(stage.billing, create_promotion, ADA, spring)
    one = stage.subscribe("basic")
    run(stage.billing, end_promotion, ADA, spring.id)
    return one


@pytest.mark.parametrize("bought", [gifted, forgiven, promoted])
def test_a_change_that_fails_costs_nothing(stage, bought):
    one = bought(stage)
    stage.clock.move(14 * DAY_US)
    stage.card("sandbox_decline:2")
    stage.wish(one, "plan", plan="pro")
    assert stage.state(one) == "active"
    assert sum(each.due for each in stage.invoices(one) if each.state != "void") == 0


def test_a_change_that_fails_leaves_no_other_invoice_behind(stage):
    stage.meter("api", per_unit("0.02"))
    one = stage.subscribe("basic")
    [bought] = stage.invoices(one)
    run(
        stage.billing,
        credit_invoice,
        bought.id,
        amount=800,
        settling="refund",
        reason="a gift",
        key="gift",
    )
    stage.card("sandbox_pending")
    stage.at("2027-03-15")
    stage.wish(one, "plan", plan="pro")
    change = stage.payments(one)[-1].id
    stage.used("api", 100)
    stage.live("2027-03-15T02:00")
    usage = stage.payments(one)[-1].id
    assert usage != change
    stage.card()
    stage.till.tell(id="evt_1", payment=change, outcome="declined")
    stage.till.tell(id="evt_2", payment=usage, outcome="declined")
    stage.live("2027-04-03", "2027-04-10", "2027-04-20", "2027-04-30")
    assert {state for _, _, _, state in stage.bills(one)} == {"paid", "void"}


@pytest.mark.parametrize(
    ("outcome", "plan", "april"), [("succeeded", "pro", 2000), ("declined", "basic", 1000)]
)
def test_a_month_that_begins_while_a_slow_payment_decides_on_its_plan_is_billed_then(
    stage, outcome, plan, april
):
    one = stage.subscribe("basic")
    stage.card("sandbox_pending")
    stage.at("2027-03-25")
    stage.wish(one, "plan", plan="pro")
    change = stage.payments(one)[-1].id
    stage.card()
    stage.live("2027-04-01", "2027-04-01T01:00", "2027-04-03")
    assert len(stage.bills(one)) == 2
    assert stage.state(one) == "active"
    stage.till.tell(id="evt_1", payment=change, outcome=outcome)
    stage.work()
    assert stage.schedule(one).plan == plan
    assert stage.bills(one)[-1] == ("2027-04-01", "2027-05-01", april, "paid")
    stage.live("2027-05-01")
    assert stage.bills(one)[-1] == ("2027-05-01", "2027-06-01", april, "paid")


@pytest.mark.parametrize("way", ["ends", "given_up"])
def test_a_change_that_waits_is_taken_back_where_the_subscription_ends(stage, way):
    stage.meter("api", per_unit("0.02"))
    stage.terms(retry_days=(1,))
    one = stage.subscribe("basic")
    stage.card("sandbox_action" if way == "ends" else "sandbox_pending")
    stage.at("2027-03-25")
    stage.wish(one, "plan", plan="pro")
    if way == "ends":
        stage.wish(one, "cancel", at="period_end")
    else:
        stage.card("sandbox_decline")
        stage.used("api", 100)
    stage.live("2027-03-25T02:00", "2027-03-26T03:00", "2027-04-01")
    assert stage.state(one) == "canceled"
    assert stage.bills(one)[1][3] == "void"


@pytest.mark.parametrize("way", ["pause", "another_plan", "failed_change"])
def test_a_price_that_is_planned_is_not_the_customers_to_take_back(stage, way):
    plan = run(stage.billing, find_plan, "basic")
    assert plan is not None
    one = stage.subscribe("basic", planVersion=plan.version)
    stage.reprice("basic", "15")
    [price] = run(stage.billing, prices_of, "plan", "basic")
    run(stage.billing, move_subscribers, ADA, price.id, at="period_end")
    stage.at("2027-03-10")
    if way == "pause":
        stage.wish(one, "pause")
        stage.wish(one, "resume")
    elif way == "another_plan":
        stage.wish(one, "plan", at="period_end", plan="pro")
        stage.wish(one, "plan", plan="basic")
    else:
        stage.card("sandbox_decline")
        stage.wish(one, "plan", plan="pro")
        stage.card()
    stage.live("2027-04-01")
    assert stage.bills(one)[-1] == ("2027-04-01", "2027-05-01", 1_500, "paid")


def test_a_wish_that_comes_before_a_period_that_is_due_is_billed_is_answered(stage):
    one = stage.subscribe("basic")
    stage.at("2027-04-01T00:00:01")
    stage.wish(one, "plan", plan="pro")
    assert stage.said(one)[-1] == "subscription.renewed"


def test_usage_is_collected_by_the_subscription_that_is_billed_not_by_one_that_rests(stage):
    stage.meter("api", per_unit("0.02"))
    rests = stage.subscribe("basic")
    stage.wish(rests, "pause")
    stage.at("2027-03-10")
    billed = stage.subscribe("pro")
    stage.card("sandbox_decline")
    stage.at("2027-04-01")
    stage.used("api", 1_000)
    stage.live("2027-04-01T02:00")
    assert (stage.state(rests), stage.state(billed)) == ("paused", "past_due")
    stage.card()
    stage.live("2027-04-03T02:00")
    assert stage.state(billed) == "active"
    assert [state for _, _, _, state in stage.bills(billed)] == ["paid", "paid"]


def test_a_plan_without_a_price_is_looked_at_again_also_where_the_same_plan_is_wished_for(stage):
    plan = {
        "plan": "silver", "version": 1, "name": "Silver", "state": "active", "trial_days": 0,
    }  # fmt: skip
    run(stage.billing, keep_plan, told("plan.created", "plan:silver", plan))
    one = stage.subscribe("silver")
    assert stage.state(one) == "unpriced"
    stage.wish(one, "plan", plan="silver")
    stage.sell("silver", "5")
    stage.live("2027-03-01T02:00")
    assert stage.state(one) == "active"
