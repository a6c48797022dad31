"""What becomes of a subscription whose invoice a person ends: voided, credited, given up."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from farebox.billing.flows.end_invoice import end_invoice
from farebox.billing.flows.issue_invoices import credit_invoice, pay_invoice
from farebox.billing.invoices import service_issue
from farebox.billing.invoices.service_settings import close_period
from farebox.billing.schedules.service_usage import list_usage
from tests.support.invoicing import a_line, issued
from tests.support.prices import per_unit
from tests.support.renewals import Renewals
from tests.support.services import ADA, run

BY_HAND: dict[str, Callable[..., Any]] = {
    "void": service_issue.void,
    "credited": partial(credit_invoice, reason="a gift", key="gift"),
    "uncollectible": service_issue.write_off,
}
FORGIVEN = ["void", "credited"]


@pytest.fixture
def stage(billing, clock):
    return Renewals(billing, clock)


def late(stage):
    one = stage.late()
    assert stage.state(one) == "past_due"
    return one


def end_last(stage, one, way):
    """End the newest invoice of a subscription by hand."""
    last = stage.invoices(one)[-1].id
    stage.billing.run(lambda tx: end_invoice(tx, last, partial(BY_HAND[way], tx, last)))
    stage.work()


@pytest.mark.parametrize("way", FORGIVEN)
def test_it_goes_on_at_once_where_nothing_is_owed_any_more(stage, way):
    one = late(stage)
    stage.at("2027-03-01")
    end_last(stage, one, way)
    assert stage.state(one) == "active"
    assert stage.said(one)[-2:] == ["payment.succeeded", "subscription.renewed"]
    assert stage.told(one)[-1].data["amount"] == (0 if way == "void" else 1_000)


@pytest.mark.parametrize("way", FORGIVEN)
def test_its_next_period_is_billed_as_ever_and_nothing_of_the_last_is_tried_again(stage, way):
    one = late(stage)
    end_last(stage, one, way)
    stage.card()
    stage.live("2027-03-02", "2027-03-07", "2027-03-31", "2027-04-30")
    assert [(start, state) for start, _, _, state in stage.bills(one)] == [
        ("2027-01-31", "paid"), ("2027-02-28", "void" if way == "void" else "paid"),
        ("2027-03-31", "paid"), ("2027-04-30", "paid"),
    ]  # fmt: skip
    assert sum(each.amount for each in stage.payments(one) if each.state == "succeeded") == 3_000
    assert sum(stage.trial_balance().values()) == 0


def test_it_ends_at_once_where_its_invoice_is_given_up(stage):
    one = late(stage)
    end_last(stage, one, "uncollectible")
    assert stage.state(one) == "canceled"
    assert stage.said(one)[-1] == "subscription.canceled"
    stage.card()
    stage.live("2027-03-02", "2027-03-21", "2027-06-01")
    assert [state for _, _, _, state in stage.bills(one)] == ["paid", "uncollectible"]
    assert sum(each.amount for each in stage.payments(one) if each.state == "succeeded") == 1_000


def test_by_its_terms_it_stays_shut_until_what_was_given_up_is_paid_after_all(stage):
    stage.terms(at_end="suspend")
    one = late(stage)
    end_last(stage, one, "uncollectible")
    assert stage.state(one) == "suspended"
    assert stage.told(one)[-1].data["amount"] == 1_000
    stage.live("2027-03-02", "2027-06-10")
    assert stage.state(one) == "suspended"
    stage.card()
    stage.pay(one)
    assert stage.state(one) == "active"


@pytest.mark.parametrize("way", FORGIVEN)
def test_one_that_stays_shut_comes_back_where_nothing_is_owed_any_more(stage, way):
    stage.terms(retry_days=(1,), at_end="suspend")
    one = late(stage)
    stage.live("2027-03-01")
    assert stage.state(one) == "suspended"
    stage.at("2027-06-10")
    stage.card()
    end_last(stage, one, way)
    assert stage.state(one) == "active"
    # April and May were not usable: the next period counts from the day it came back.
    assert [start for start, _, _, _ in stage.bills(one)][2:] == ["2027-06-10"]


@pytest.mark.parametrize("way", ["void", "uncollectible"])
def test_who_never_paid_anything_has_not_subscribed(stage, way):
    stage.card("sandbox_decline")
    one = stage.subscribe()
    assert stage.state(one) == "pending_payment"
    end_last(stage, one, way)
    assert stage.state(one) == "canceled"
    assert stage.said(one)[-1] == "subscription.canceled"
    stage.live("2027-02-28", "2027-06-01")
    assert [state for _, _, _, state in stage.bills(one)] == [way]


def upgraded(stage):
    """Return a subscription to basic whose change to pro waits for its money."""
    stage.card()
    one = stage.subscribe()
    stage.card("sandbox_pending")
    stage.at("2027-02-14")
    stage.wish(one, "plan", plan="pro")
    assert stage.schedule(one).change_invoice is not None
    return one


def test_a_change_of_plan_whose_invoice_is_voided_is_taken_back(stage):
    one = upgraded(stage)
    end_last(stage, one, "void")
    found = stage.schedule(one)
    assert (found.plan, found.change_invoice) == ("basic", None)
    assert stage.told(one)[-1].data["declined"] == "plan"
    stage.card()
    stage.live("2027-02-28")
    assert stage.bills(one)[-1][2:] == (1_000, "paid")
    assert sum(each.amount for each in stage.payments(one) if each.state == "succeeded") == 2_000


@pytest.mark.parametrize("way", ["credited", "uncollectible"])
def test_a_change_of_plan_of_which_nothing_is_owed_any_more_holds(stage, way):
    one = upgraded(stage)
    end_last(stage, one, way)
    found = stage.schedule(one)
    assert (found.plan, found.change_invoice) == ("pro", None)
    stage.card()
    stage.live("2027-02-28")
    assert stage.bills(one)[-1][2] == 2_000


def test_a_change_that_fails_after_its_month_was_closed_gives_the_credit_back(stage):
    one = upgraded(stage)
    waiting = stage.payments(one)[-1].id
    stage.at("2027-02-15")
    run(stage.billing, close_period, ADA, stage.clock.now_us())
    stage.till.tell(id="evt_1", payment=waiting, outcome="declined")
    stage.work()
    assert stage.schedule(one).plan == "basic"
    # The rest of the month is basic again, and paid by what the change had used of it.
    assert [state for _, _, _, state in stage.bills(one)] == ["paid", "paid", "paid"]
    assert sum(each.amount for each in stage.payments(one) if each.state == "succeeded") == 1_000
    assert "bad_debt" not in stage.trial_balance()


@pytest.mark.parametrize("way", BY_HAND)
def test_a_subscription_whose_last_invoice_was_ended_can_be_canceled(stage, way):
    stage.terms(at_end="suspend")
    one = late(stage)
    end_last(stage, one, way)
    stage.wish(one, "cancel")
    assert stage.state(one) == "canceled"


def test_an_invoice_of_use_that_is_voided_renews_nothing(stage):
    stage.meter("films", per_unit("0.50"))
    stage.card()
    one = stage.subscribe()
    stage.live("2027-03-31")
    stage.card("sandbox_decline")
    stage.used("films", 4)
    stage.live("2027-04-01T02:00")
    assert stage.state(one) == "past_due"
    renewals = stage.said(one).count("subscription.renewed")
    end_last(stage, one, "void")
    assert stage.state(one) == "active"
    assert stage.said(one).count("subscription.renewed") == renewals
    assert stage.said(one)[-1] == "payment.succeeded"


@pytest.mark.parametrize("way", BY_HAND)
@pytest.mark.parametrize(("outcome", "state"), [("succeeded", "succeeded"), ("declined", "failed")])
def test_what_a_gateway_says_of_it_later_is_recorded(stage, way, outcome, state):
    one = upgraded(stage)
    waiting = stage.payments(one)[-1]
    end_last(stage, one, way)
    stage.till.tell(id="evt_1", payment=waiting.id, outcome=outcome)
    assert stage.till.read(waiting).state == state
    assert sum(stage.trial_balance().values()) == 0


@pytest.mark.parametrize("way", FORGIVEN)
def test_a_payment_that_waits_for_the_customer_is_called_off(stage, way):
    made = issued(stage.billing, a_line(1_000))
    paying = run(stage.billing, pay_invoice, made.id, key="k", gateway="manual")
    stage.billing.run(lambda tx: end_invoice(tx, made.id, partial(BY_HAND[way], tx, made.id)))
    stage.work()
    assert stage.till.read(paying).state == "failed"


def test_usage_that_waited_for_a_voided_invoice_is_billed(stage):
    stage.meter("films", per_unit("0.50"))
    stage.card()
    one = stage.subscribe()
    stage.forget_cards()
    stage.live("2027-03-01")
    stage.used("films", 4, period="2027-03")
    stage.live("2027-04-01")
    stage.card()
    end_last(stage, one, "void")
    stage.live("2027-04-01T02:00", "2027-04-02")
    [total] = run(stage.billing, list_usage, customer=stage.who).items
    assert total.state == "billed"


@pytest.mark.parametrize("way", BY_HAND)
def test_ended_without_its_subscription_the_next_step_finds_it(stage, way):
    one = late(stage)
    last = stage.invoices(one)[-1].id
    run(stage.billing, BY_HAND[way], last)
    stage.live("2027-03-02")
    assert stage.state(one) == ("canceled" if way == "uncollectible" else "active")
