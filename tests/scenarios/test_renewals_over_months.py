"""Subscriptions at billing over months: each period once, paid or not, and access hears of it."""

import pytest

from farebox.billing.customers.service import update_customer
from farebox.billing.flows.begin_subscription import begin_subscription
from farebox.billing.flows.renew_subscription import DueSchedules
from farebox.kernel.clock import parse_time
from tests.support.renewals import Renewals
from tests.support.services import ADA, at_once, run


@pytest.fixture
def stage(billing, clock):
    return Renewals(billing, clock)


def test_a_subscription_is_paid_and_access_hears_that_it_is(stage):
    stage.card()
    one = stage.subscribe()
    assert stage.bills(one) == [("2027-01-31", "2027-02-28", 1000, "paid")]
    [paid] = stage.told(one)
    assert paid.type == "payment.succeeded"
    assert paid.data["subscriptionId"] == one
    assert paid.data["orderId"] == stage.invoices(one)[0].id
    assert paid.data["amount"] == 1000
    assert parse_time(paid.data["periodStart"]) == stage.schedule(one).anchor_at
    assert stage.state(one) == "active"


def test_a_year_of_renewals_keeps_the_day_and_bills_each_month_once(stage):
    stage.card()
    one = stage.subscribe()
    for month in range(2, 13):
        stage.live(f"2027-{month:02}-15", f"2027-{month:02}-28T12:00")
    stage.live("2028-01-31")
    bills = stage.bills(one)
    assert [start for start, _, _, _ in bills] == [
        "2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31", "2027-06-30",
        "2027-07-31", "2027-08-31", "2027-09-30", "2027-10-31", "2027-11-30", "2027-12-31",
        "2028-01-31",
    ]  # fmt: skip
    assert {(total, state) for _, _, total, state in bills} == {(1000, "paid")}
    assert stage.said(one).count("subscription.renewed") == 12
    anchors = {event.data["periodStart"] for event in stage.told(one)}
    assert anchors == {"2027-01-31T00:00:00.000000Z"}
    balance = stage.trial_balance()
    assert sum(balance.values()) == 0
    assert balance["cash:sandbox"] == -13_000


def test_months_in_which_nobody_worked_are_billed_one_by_one(stage):
    stage.card()
    one = stage.subscribe()
    stage.live("2027-06-10")
    starts = [start for start, _, _, _ in stage.bills(one)]
    assert starts == ["2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31"]


def test_a_month_in_arrears_is_billed_when_it_is_over(stage):
    stage.sell("later", "30", timing="arrears")
    stage.card()
    one = stage.subscribe("later")
    assert stage.bills(one) == []
    assert stage.said(one) == ["payment.succeeded"]
    stage.live("2027-02-27", "2027-02-28")
    assert stage.bills(one) == [("2027-01-31", "2027-02-28", 3000, "paid")]
    stage.wish(one, "cancel")
    stage.live("2027-12-01")
    assert len(stage.bills(one)) == 1


def test_a_trial_is_free_and_is_paid_for_before_it_ends(stage):
    stage.card()
    one = stage.subscribe(trialDays=14)
    [trial] = stage.told(one)
    assert trial.type == "subscription.trial_started"
    assert trial.data["trialEndsAt"] == "2027-02-14T00:00:00.000000Z"
    assert stage.bills(one) == []
    stage.live("2027-02-13T22:59")
    assert stage.bills(one) == []
    stage.live("2027-02-13T23:00")
    assert stage.bills(one) == [("2027-02-14", "2027-03-14", 1000, "paid")]
    assert stage.said(one)[1:] == ["payment.succeeded", "subscription.renewed"]
    stage.live("2027-03-14")
    assert len(stage.bills(one)) == 2


def test_a_plan_is_tried_once(stage):
    stage.card()
    first = stage.subscribe(trialDays=14)
    stage.wish(first, "cancel")
    again = stage.subscribe(trialDays=14)
    assert stage.bills(again) == [("2027-01-31", "2027-02-28", 1000, "paid")]


def test_a_free_plan_needs_no_invoice_and_is_open_at_once(stage):
    stage.sell("free", "0")
    one = stage.subscribe("free")
    assert stage.bills(one) == []
    assert stage.said(one) == ["payment.succeeded"]
    stage.live("2027-05-01")
    assert stage.bills(one) == []


def test_a_plan_without_a_price_waits_for_one_and_holds_nobody_up(stage):
    stage.card()
    one = stage.subscribe("unknown")
    assert stage.state(one) == "unpriced"
    assert stage.said(one) == []
    stage.sell("unknown", "7")
    stage.live("2027-01-31T01:00")
    assert stage.state(one) == "active"
    assert [total for _, _, total, _ in stage.bills(one)] == [700]


def test_an_event_that_comes_twice_bills_once(stage):
    stage.card()
    event = stage.created()
    for _ in range(2):
        run(stage.billing, begin_subscription, event)
        stage.work()
    assert len(stage.bills(event.subject)) == 1


def test_two_workers_at_once_bill_once(stage):
    stage.card()
    ones = [stage.subscribe("pro"), stage.subscribe("basic")]
    stage.at("2027-03-01")
    workers = [DueSchedules(stage.billing) for _ in range(4)]
    answers = at_once([worker.step for worker in workers])
    assert not [each for each in answers if isinstance(each, Exception)]
    stage.work()
    assert [len(stage.bills(one)) for one in ones] == [2, 2]


@pytest.mark.parametrize(
    ("zone", "start", "renewals"),
    [
        ("Europe/Berlin", "2027-02-27T23:00", ["2027-03-27T23:00", "2027-04-27T22:00"]),
        ("America/New_York", "2027-10-08T04:00", ["2027-11-08T05:00", "2027-12-08T05:00"]),
    ],
)
def test_a_period_ends_at_the_customers_midnight(stage, zone, start, renewals):
    stage.at(start)
    stage.card()
    stage.zone(zone)
    one = stage.subscribe()
    for count, moment in enumerate(renewals, 2):
        before = stage.schedule(one)
        stage.at(moment)
        stage.clock.move(-1)
        stage.work()
        assert stage.schedule(one) == before
        stage.live(moment)
        assert len(stage.bills(one)) == count


# -- payments that fail ----------------------------------------------------------------------------


def test_a_first_payment_that_fails_is_the_customers_to_try_again(stage):
    stage.card("sandbox_decline")
    one = stage.subscribe()
    [failed] = stage.told(one)
    assert (failed.type, failed.data["reason"]) == ("payment.failed", "card_declined")
    assert stage.state(one) == "pending_payment"
    stage.card("sandbox_ok")
    stage.pay(one)
    assert stage.said(one) == ["payment.failed", "payment.succeeded"]
    assert stage.state(one) == "active"


def test_who_never_pays_the_first_invoice_has_not_subscribed(stage):
    one = stage.subscribe()  # by transfer, which does not come
    stage.live("2027-02-02T23:59")
    assert stage.state(one) == "pending_payment"
    stage.live("2027-02-03")
    assert stage.state(one) == "canceled"
    assert stage.said(one) == ["subscription.canceled"]
    assert [state for _, _, _, state in stage.bills(one)] == ["void"]
    assert not any(stage.trial_balance().values())


def test_a_renewal_is_tried_again_after_2_5_7_and_7_days_and_then_canceled(stage):
    one = stage.late()
    assert stage.state(one) == "past_due"
    assert stage.said(one)[1:] == ["payment.failed"]
    stage.live("2027-03-02", "2027-03-07", "2027-03-14", "2027-03-20T23:59")
    attempts = [event.data.get("attempt") for event in stage.told(one)[1:]]
    assert attempts == [1, 2, 3, 4]
    assert stage.state(one) == "past_due"
    stage.live("2027-03-21")
    assert stage.said(one)[-2:] == ["payment.failed", "subscription.canceled"]
    assert stage.state(one) == "canceled"
    assert stage.bills(one)[1][3] == "uncollectible"
    stage.live("2027-12-01")
    assert len(stage.bills(one)) == 2


def test_a_retry_that_succeeds_brings_it_back_and_the_day_stays(stage):
    one = stage.late()
    stage.card()
    stage.live("2027-03-02")
    assert stage.state(one) == "active"
    assert stage.said(one)[-2:] == ["payment.succeeded", "subscription.renewed"]
    stage.live("2027-03-30T23:00")
    assert len(stage.bills(one)) == 2
    stage.live("2027-03-31")
    assert stage.bills(one)[2][:2] == ("2027-03-31", "2027-04-30")


def test_a_card_that_is_blocked_is_not_tried_again(stage):
    one = stage.late("sandbox_decline_final")
    stage.live("2027-03-02", "2027-03-07", "2027-03-20")
    assert stage.said(one).count("payment.failed") == 1
    stage.card()
    stage.pay(one)
    assert stage.state(one) == "active"


def test_an_unknown_outcome_is_waited_for_and_not_charged_again(stage):
    one = stage.late("sandbox_unknown")
    stage.live("2027-03-01", "2027-03-02", "2027-03-05")
    assert stage.state(one) == "active"
    assert stage.said(one)[1:] == []
    assert len(stage.payments(one)) == 2  # one a month


def test_with_a_grace_access_goes_on_until_it_ends(stage):
    stage.terms(grace_days=5)
    one = stage.late()
    grace = stage.told(one)[-1]
    assert grace.type == "subscription.past_due"
    assert grace.data["graceEndsAt"] == "2027-03-05T00:00:00.000000Z"
    stage.live("2027-03-02")
    assert stage.said(one)[-1] == "subscription.past_due"


def test_by_its_terms_a_subscription_stays_suspended_until_it_is_paid(stage):
    stage.terms("basic", retry_days=(1,), at_end="suspend")
    one = stage.late()
    stage.live("2027-03-01")
    assert stage.state(one) == "suspended"
    stage.live("2027-06-10")
    assert len(stage.bills(one)) == 2
    stage.card()
    stage.pay(one)
    assert stage.state(one) == "active"
    # April and May were not usable: the next period counts from the day it came back.
    starts = [start for start, _, _, _ in stage.bills(one)]
    assert starts == ["2027-01-31", "2027-02-28", "2027-06-10"]


def test_who_was_shut_out_is_not_billed_for_that_time(stage):
    stage.terms(retry_days=(40,))
    one = stage.late()
    stage.keep(one, "suspended")
    stage.card()
    stage.live("2027-04-09")
    assert [start for start, _, _, _ in stage.bills(one)][-1] == "2027-04-09"


def test_who_had_grace_is_billed_for_that_time(stage):
    stage.terms(retry_days=(40,))
    one = stage.late()
    stage.keep(one, "past_due")
    stage.card()
    stage.live("2027-04-09")
    assert [start for start, _, _, _ in stage.bills(one)][-1] == "2027-03-31"


def test_a_customers_own_time_to_pay_goes_before_that_of_the_plan(stage):
    stage.terms(due_days=2)
    stage.card()
    one = stage.subscribe()
    run(stage.billing, update_customer, ADA, "con_1", due_days=30)
    stage.forget_cards()
    stage.live("2027-02-28", "2027-03-29T23:59")
    assert stage.state(one) == "active"
    stage.live("2027-03-30")
    assert stage.state(one) == "past_due"


def test_a_transfer_that_does_not_come_is_late_after_its_days(stage):
    stage.terms(due_days=14)
    stage.card()
    one = stage.subscribe()
    stage.forget_cards()
    stage.live("2027-02-28", "2027-03-13T23:59")
    assert stage.state(one) == "active"
    stage.live("2027-03-14")
    assert stage.state(one) == "past_due"
    assert stage.told(one)[-1].data["reason"] == "overdue"
