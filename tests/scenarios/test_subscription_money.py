"""Flows 1, 3 and 4 of source 002 between access and billing: each has its own database."""

from functools import partial

import pytest

from farebox.access.flows.aggregate_usage import close_due_periods, snapshot_usage
from farebox.access.flows.record_usage import record_usage
from farebox.access.usage.model import Report
from farebox.billing.flows.end_invoice import end_invoice
from farebox.billing.flows.preview_invoice import preview_next
from farebox.billing.invoices.service_issue import void
from farebox.platform.service_dead_letters import list_dead_letters
from tests.support.prices import flat
from tests.support.services import ADA, run
from tests.support.subscribed import FILMS, Both


@pytest.fixture
def both(database, billing, clock):
    made = Both(database, billing, clock)
    yield made
    for each in (database, billing):
        assert run(each, list_dead_letters).items == ()


def test_flow_1_who_subscribes_and_pays_has_access(both):
    one = both.access.subscribe("gold")
    assert both.access.state(one) == "pending_payment"
    assert both.access.left() == -1
    both.talk()
    assert both.access.state(one) == "active"
    assert both.access.left() == 10
    assert both.billing.bills(one) == [("2027-03-01", "2027-04-01", 1000, "paid")]


def test_flow_1_a_trial_gives_access_before_money(both):
    both.access.plan("try", FILMS, trial_days=14)
    both.talk()
    both.price("plan", "try", flat("10"))
    one = both.subscribe("try")
    assert both.access.state(one) == "trialing"
    both.live("2027-03-14T23:00")
    assert both.access.state(one) == "active"
    both.live("2027-03-15", "2027-03-16", "2027-04-15")
    assert both.access.state(one) == "active"
    assert [start for start, _, _, _ in both.billing.bills(one)] == ["2027-03-15", "2027-04-15"]


def test_flow_3_what_was_used_beyond_the_plan_is_invoiced_and_charged(both):
    one = both.subscribe()
    both.use(14, "2027-03-10")
    snapshot_usage(both.access.database, both.access.ada)
    both.talk()
    shown = preview_next(both.billing.billing, one)
    assert shown.usage is not None
    assert shown.usage.total == 200
    both.live("2027-04-01")
    both.access.at("2027-04-01T01:30")
    assert close_due_periods(both.access.database) == 1
    both.live("2027-04-01T01:31", "2027-04-01T03:00")
    bills = both.billing.bills(one)
    assert [(total, state) for _, _, total, state in bills] == [
        (1000, "paid"), (1000, "paid"), (200, "paid"),
    ]  # fmt: skip
    assert close_due_periods(both.access.database) == 0


def test_flow_3_late_usage_is_billed_once_with_the_next_month(both):
    one = both.subscribe()
    both.use(12, "2027-03-10")
    both.live("2027-04-01")
    both.access.at("2027-04-01T01:30")
    close_due_periods(both.access.database)
    both.live("2027-04-01T03:00")
    both.access.at("2027-04-05")
    late = Report(
        source="/gw", event="late", consumer=both.access.ada, product="films", quantity=13,
        at=both.billing.schedule(one).anchor_at,
    )  # fmt: skip
    record_usage(both.access.database, ADA, [late])
    both.live("2027-05-01")
    both.access.at("2027-05-01T01:30")
    close_due_periods(both.access.database)
    both.live("2027-05-01T03:00", "2027-05-01T09:00")
    usage = [total for _, _, total, _ in both.billing.bills(one) if total != 1000]
    assert usage == [100, 150]  # 2 above the quota of March, and 3 above that of April


def test_flow_4_who_does_not_pay_loses_access_until_they_do(both):
    one = both.subscribe()
    both.billing.card("sandbox_decline")
    both.live("2027-04-01")
    assert both.access.state(one) == "suspended"
    [told] = both.access.told("access.suspended")
    assert told["subscriptionId"] == one
    assert both.access.left() == -1
    both.billing.card()
    both.live("2027-04-03")
    assert both.access.state(one) == "active"
    assert both.access.left() == 10


def test_flow_4_in_the_end_it_is_canceled(both):
    one = both.subscribe()
    both.billing.card("sandbox_decline")
    both.live("2027-04-01", "2027-04-03", "2027-04-08", "2027-04-15", "2027-04-22")
    assert both.access.state(one) == "canceled"
    assert both.billing.state(one) == "canceled"


def test_who_is_forgiven_an_invoice_has_access_again(both):
    one = both.subscribe()
    both.billing.card("sandbox_decline")
    both.live("2027-04-01")
    assert both.access.state(one) == "suspended"
    late = both.billing.invoices(one)[-1].id
    both.billing.billing.run(lambda tx: end_invoice(tx, late, partial(void, tx, late)))
    both.talk()
    assert both.access.state(one) == "active"
    assert both.access.left() == 10


def test_a_grace_that_billing_gives_holds_at_access(both):
    both.billing.terms(grace_days=4)
    one = both.subscribe()
    both.billing.card("sandbox_decline")
    both.live("2027-04-01", "2027-04-03", "2027-04-04T23:59")
    assert both.access.state(one) == "past_due"
    both.live("2027-04-05")
    assert both.access.state(one) == "suspended"


def test_a_wish_is_confirmed_by_billing(both):
    one = both.subscribe()
    both.access.at("2027-03-16")
    both.access.ask(one, "plan", plan="max")
    assert both.access.read(one).requested == "plan:now:max"
    both.talk()
    assert (both.access.read(one).plan, both.access.read(one).requested) == ("max", None)
    both.access.ask(one, "plan", plan="gold", at="period_end")
    both.talk()
    assert both.access.read(one).pending_plan == "gold"
    both.live("2027-04-01")
    assert both.access.read(one).plan == "gold"
    both.access.ask(one, "cancel", at="period_end")
    both.talk()
    both.live("2027-04-30T23:59")
    assert both.access.state(one) == "active"
    both.live("2027-05-01")
    assert (both.access.state(one), both.billing.state(one)) == ("canceled", "canceled")
    assert len(both.billing.bills(one)) == 3


def test_a_wish_that_billing_declines_is_no_longer_shown(both):
    one = both.subscribe()
    both.access.plan("unpriced", FILMS)
    both.access.ask(one, "plan", plan="unpriced")
    both.talk()
    assert (both.access.read(one).plan, both.access.read(one).requested) == ("gold", None)


def test_a_pause_and_a_resumption_are_confirmed(both):
    one = both.subscribe()
    both.access.ask(one, "pause")
    both.talk()
    assert both.access.state(one) == "paused"
    both.live("2027-06-10")
    both.access.ask(one, "resume")
    both.talk()
    assert both.access.state(one) == "active"
    assert [start for start, _, _, _ in both.billing.bills(one)] == ["2027-03-01", "2027-06-10"]
