"""Another plan, a pause, an end: what is given back, what is charged, and what access hears."""

import pytest

from farebox.billing.flows.change_subscription import ChangeRequested, preview_change
from farebox.billing.flows.issue_invoices import credit_invoice
from farebox.billing.flows.preview_invoice import preview_next
from farebox.billing.invoices.service_credit import credit_of
from farebox.billing.invoices.service_notes import list_notes, notes_of
from farebox.billing.schedules.model import NothingToPay, ScheduleChangeRefused
from farebox.kernel.clock import show_time
from tests.api.conftest import rows_of
from tests.support.prices import per_unit
from tests.support.renewals import Renewals
from tests.support.services import run


@pytest.fixture
def stage(billing, clock):
    made = Renewals(billing, clock, at="2027-03-01")
    made.card()
    return made


def credit(stage):
    return run(stage.billing, credit_of, "con_1", "USD")


def notes(stage):
    return [each.total for each in run(stage.billing, list_notes, customer="con_1").items]


def preview(stage, subscription, change, **named):
    return preview_change(
        stage.billing, ChangeRequested(subscription_id=subscription, change=change, **named)
    )


# -- another plan ----------------------------------------------------------------------------------


def test_a_dearer_plan_costs_the_difference_for_the_rest_of_the_month(stage):
    one = stage.subscribe("basic")
    stage.at("2027-03-15")  # 17 of 31 days are left
    stage.wish(one, "plan", plan="pro")
    assert notes(stage) == [548]
    [_, new] = stage.invoices(one)
    assert (new.total, new.state) == (1097, "paid")
    assert [each.amount for each in stage.payments(one)] == [1000, 549]
    changed = stage.told(one)[-1]
    assert changed.type == "subscription.changed"
    assert (changed.data["change"], changed.data["plan"]) == ("plan", "pro")
    stage.live("2027-04-01")
    assert stage.bills(one)[-1] == ("2027-04-01", "2027-05-01", 2000, "paid")
    assert sum(stage.trial_balance().values()) == 0


def test_a_preview_says_to_the_unit_what_the_change_then_costs_and_changes_nothing(stage):
    one = stage.subscribe("basic")
    stage.at("2027-03-15T07:31:11")
    before = rows_of(stage.billing)
    seen = preview(stage, one, "plan", plan="pro")
    assert rows_of(stage.billing) == before
    stage.wish(one, "plan", plan="pro")
    [_, new] = stage.invoices(one)
    [note] = run(stage.billing, list_notes, customer="con_1").items
    assert (seen.invoice.total, seen.note.total) == (new.total, note.total)
    assert seen.invoice.due == stage.payments(one)[-1].amount
    assert seen.invoice.lines == new.lines


def test_the_next_invoice_is_shown_as_it_will_be(stage):
    one = stage.subscribe("basic")
    stage.meter("api", per_unit("0.02"))
    stage.wish(one, "plan", at="period_end", plan="pro")
    stage.used("api", 70, interim=True)
    before = rows_of(stage.billing)
    seen = preview_next(stage.billing, one)
    assert rows_of(stage.billing) == before
    assert seen.bills_at is not None
    assert seen.period is not None
    assert seen.usage is not None
    assert show_time(seen.bills_at)[:10] == "2027-04-01"
    stage.live("2027-04-01")
    stage.used("api", 70)
    stage.live("2027-04-02")
    [_, month, usage] = stage.invoices(one)
    assert [each.sold for each in seen.period.lines] == [each.sold for each in month.lines]
    assert [each.sold for each in seen.usage.lines] == [each.sold for each in usage.lines]
    assert (seen.period.total, seen.usage.total) == (month.total, usage.total) == (2000, 140)


def test_who_has_ended_is_shown_nothing_more(stage):
    one = stage.subscribe("basic")
    stage.wish(one, "cancel", at="period_end")
    with pytest.raises(NothingToPay):
        preview_next(stage.billing, one)


@pytest.mark.parametrize(
    ("plan", "at"), [("nothing", "now"), ("unpriced", "now"), ("later", "now")]
)
def test_a_plan_that_cannot_be_had_is_declined(stage, plan, at):
    stage.sell("unpriced", "5", every=("year", 1))
    stage.sell("later", "5", timing="arrears")
    one = stage.subscribe("basic")
    with pytest.raises(ScheduleChangeRefused):
        preview(stage, one, "plan", plan=plan, at=at)
    stage.wish(one, "plan", plan=plan, at=at)
    declined = stage.told(one)[-1]
    assert (declined.data["plan"], declined.data["declined"]) == ("basic", "plan")
    assert len(stage.bills(one)) == 1


def test_a_cheaper_plan_leaves_credit_which_pays_the_next_months(stage):
    one = stage.subscribe("pro")
    stage.at("2027-03-15")
    stage.wish(one, "plan", plan="basic")
    assert notes(stage) == [1097]
    assert credit(stage) == 549
    assert stage.bills(one)[-1] == ("2027-03-15", "2027-04-01", 548, "paid")
    assert stage.said(one)[-1] == "subscription.changed"
    stage.live("2027-04-01")
    assert credit(stage) == 0
    assert stage.payments(one)[-1].amount == 1000 - 549


def test_changes_back_and_forth_make_no_money(stage):
    one = stage.subscribe("basic")
    stage.at("2027-03-11T10:00")
    for plan in ("pro", "basic", "pro", "basic", "pro", "basic"):
        stage.wish(one, "plan", plan=plan)
    paid = sum(each.amount for each in stage.payments(one))
    assert paid - credit(stage) == 1000
    stage.wish(one, "cancel")
    assert credit(stage) <= paid
    assert sum(stage.trial_balance().values()) == 0


def test_a_change_that_is_not_paid_is_as_if_it_had_not_been(stage):
    one = stage.subscribe("basic")
    stage.at("2027-03-15")
    stage.card("sandbox_decline")
    stage.wish(one, "plan", plan="pro")
    schedule = stage.schedule(one)
    assert (schedule.plan, schedule.state, schedule.change_invoice) == ("basic", "active", None)
    [first, dropped, again] = stage.bills(one)
    assert (first[3], dropped[3]) == ("paid", "void")
    assert again == ("2027-03-15", "2027-04-01", 548, "paid")  # by the credit that came back
    assert credit(stage) == 0
    assert stage.said(one) == ["payment.succeeded", "subscription.changed"]
    assert stage.told(one)[-1].data["plan"] == "basic"
    assert stage.trial_balance()["cash:sandbox"] == -1000


def test_a_change_with_the_next_period_bills_nothing_now(stage):
    one = stage.subscribe("pro")
    stage.at("2027-03-15")
    stage.wish(one, "plan", at="period_end", plan="basic")
    planned = stage.told(one)[-1]
    assert planned.data["effectiveAt"] == "2027-04-01T00:00:00.000000Z"
    assert len(stage.bills(one)) == 1
    stage.live("2027-04-01", "2027-05-01")
    assert [total for _, _, total, _ in stage.bills(one)] == [2000, 1000, 1000]


def test_a_planned_change_is_taken_back_by_naming_the_present_plan(stage):
    one = stage.subscribe("pro")
    stage.wish(one, "plan", at="period_end", plan="basic")
    stage.wish(one, "plan", at="period_end", plan="pro")
    stage.live("2027-04-01")
    assert [total for _, _, total, _ in stage.bills(one)] == [2000, 2000]


def test_in_a_trial_another_plan_costs_nothing_yet(stage):
    one = stage.subscribe("basic", trialDays=14)
    stage.wish(one, "plan", plan="pro")
    assert stage.bills(one) == []
    stage.live("2027-03-15")
    assert [total for _, _, total, _ in stage.bills(one)] == [2000]


@pytest.mark.parametrize(
    ("fee", "used"), [("31", [("2027-03-01", "2027-03-11", 1000, "paid")]), ("0", [])]
)
def test_in_arrears_each_plan_is_billed_for_its_days(stage, fee, used):
    stage.sell("used", fee, timing="arrears")
    stage.sell("used_more", "62", timing="arrears")
    one = stage.subscribe("used")
    stage.at("2027-03-11")
    stage.wish(one, "plan", plan="used_more")
    assert stage.schedule(one).plan == "used_more"
    assert stage.bills(one) == used
    stage.live("2027-04-01")
    assert stage.bills(one) == [*used, ("2027-03-11", "2027-04-01", 4200, "paid")]
    stage.live("2027-05-01")
    assert stage.bills(one)[-1][2] == 6200


def test_the_price_that_was_agreed_stays_when_the_price_list_changes(stage):
    one = stage.subscribe("basic")
    stage.reprice("basic", "99")
    stage.live("2027-04-01")
    assert [total for _, _, total, _ in stage.bills(one)] == [1000, 1000]
    other = stage.subscribe("basic")
    assert [total for _, _, total, _ in stage.bills(other)] == [9900]


@pytest.mark.parametrize(
    ("proration", "back"), [("seconds", 532), ("days", 548), ("month_of_30", 533)]
)
def test_parts_are_counted_as_the_terms_say(stage, proration, back):
    stage.terms(proration=proration)
    one = stage.subscribe("basic")
    stage.at("2027-03-15T12:00")
    stage.wish(one, "plan", plan="pro")
    assert notes(stage) == [back]


# -- the end ---------------------------------------------------------------------------------------


def test_with_the_period_nothing_is_given_back_and_nothing_more_is_billed(stage):
    one = stage.subscribe("basic")
    stage.wish(one, "cancel", at="period_end")
    ended = stage.told(one)[-1]
    assert (ended.type, ended.data["effectiveAt"]) == (
        "subscription.canceled", "2027-04-01T00:00:00.000000Z",
    )  # fmt: skip
    stage.live("2027-03-31T23:59")
    assert stage.state(one) == "active"
    stage.live("2027-04-01", "2027-08-01")
    assert stage.state(one) == "canceled"
    assert len(stage.bills(one)) == 1
    assert credit(stage) == 0


def test_a_planned_end_can_be_taken_back(stage):
    one = stage.subscribe("basic")
    stage.wish(one, "cancel", at="period_end")
    stage.wish(one, "resume")
    assert stage.told(one)[-1].data["change"] == "resume"
    stage.live("2027-04-01")
    assert len(stage.bills(one)) == 2


def test_an_end_now_credits_what_is_not_used(stage):
    one = stage.subscribe("basic")
    stage.at("2027-03-15")
    stage.wish(one, "cancel")
    assert credit(stage) == 548
    assert stage.state(one) == "canceled"
    assert stage.told(one)[-1].data["effectiveAt"] == "2027-03-15T00:00:00.000000Z"
    stage.wish(one, "cancel")
    assert credit(stage) == 548


def test_by_its_terms_an_end_is_refunded_or_not_at_all(stage):
    stage.terms("basic", on_cancel="refund")
    stage.terms("pro", on_cancel="none")
    both = [stage.subscribe("basic"), stage.subscribe("pro")]
    stage.at("2027-03-15")
    for one in both:
        stage.wish(one, "cancel")
    assert credit(stage) == 0
    assert notes(stage) == [548]
    assert stage.trial_balance()["cash:sandbox"] == -3000 + 548


def test_no_more_is_given_back_than_was_paid(stage):
    one = stage.subscribe("basic")
    stage.card("sandbox_decline")
    stage.live("2027-04-01")
    assert stage.state(one) == "past_due"
    stage.at("2027-04-16")
    stage.wish(one, "cancel")
    assert credit(stage) == 0
    [note] = run(stage.billing, notes_of, stage.invoices(one)[1].id)
    assert (note.canceled, note.credit, note.refund) == (500, 0, 0)
    stage.live("2027-06-01")
    assert stage.invoices(one)[1].due == 500


def test_an_end_in_a_trial_costs_nothing(stage):
    one = stage.subscribe("basic", trialDays=14)
    stage.wish(one, "cancel", at="period_end")
    assert stage.told(one)[-1].data["effectiveAt"] == "2027-03-15T00:00:00.000000Z"
    stage.live("2027-03-14T23:30", "2027-03-15")
    assert stage.state(one) == "canceled"
    assert stage.bills(one) == []


def test_an_end_before_the_first_payment_takes_the_invoice_back(stage):
    stage.card("sandbox_decline")
    one = stage.subscribe("basic")
    stage.wish(one, "cancel")
    assert [state for _, _, _, state in stage.bills(one)] == ["void"]
    assert not any(stage.trial_balance().values())


def test_what_was_used_in_arrears_is_billed_at_the_end(stage):
    stage.sell("used", "31", timing="arrears")
    one = stage.subscribe("used")
    stage.at("2027-03-11")
    stage.wish(one, "cancel")
    assert stage.bills(one) == [("2027-03-01", "2027-03-11", 1000, "paid")]
    assert stage.state(one) == "canceled"
    assert stage.said(one) == ["payment.succeeded", "subscription.canceled"]


# -- pause -----------------------------------------------------------------------------------------


def test_a_pause_bills_nothing_and_periods_count_from_the_resumption(stage):
    one = stage.subscribe("basic")
    stage.at("2027-03-10")
    stage.wish(one, "pause")
    assert stage.told(one)[-1].data["change"] == "pause"
    stage.live("2027-04-01", "2027-07-17")
    assert len(stage.bills(one)) == 1
    stage.wish(one, "resume")
    assert stage.bills(one)[1] == ("2027-07-17", "2027-08-17", 1000, "paid")
    assert "resume" in [event.data.get("change") for event in stage.told(one)]


def test_a_pause_within_what_is_paid_changes_no_bill(stage):
    one = stage.subscribe("basic")
    stage.wish(one, "pause")
    stage.at("2027-03-20")
    stage.wish(one, "resume")
    stage.live("2027-04-01")
    assert [start for start, _, _, _ in stage.bills(one)] == ["2027-03-01", "2027-04-01"]


def test_a_pause_in_arrears_bills_the_month_in_which_it_began(stage):
    stage.sell("used", "31", timing="arrears")
    one = stage.subscribe("used")
    stage.at("2027-03-10")
    stage.wish(one, "pause")
    stage.live("2027-06-15")
    stage.wish(one, "resume")
    assert stage.bills(one) == [("2027-03-01", "2027-04-01", 3100, "paid")]
    stage.live("2027-07-15")
    assert stage.bills(one)[1][:2] == ("2027-06-15", "2027-07-15")


def test_what_waits_for_a_payment_is_not_paused(stage):
    one = stage.subscribe("basic")
    stage.card("sandbox_pending")
    stage.live("2027-04-01")
    stage.wish(one, "pause")
    assert stage.state(one) == "active"
    assert stage.told(one)[-1].data["reason"] == "payment_under_way"


def test_what_is_late_is_not_paused(stage):
    one = stage.subscribe("basic")
    stage.card("sandbox_decline")
    stage.live("2027-04-01")
    stage.wish(one, "pause")
    assert stage.state(one) == "past_due"
    assert stage.told(one)[-1].data["declined"] == "pause"


@pytest.mark.parametrize("change", ["plan", "cancel"])
def test_what_was_credited_by_hand_is_not_given_back_again(stage, change):
    one = stage.subscribe("basic")
    [bought] = stage.invoices(one)
    run(stage.billing, credit_invoice, bought.id, amount=800, reason="a bad day", key="by_hand")
    stage.at("2027-03-15")  # 5.48 are not used, 2.00 of the invoice are left

    stage.wish(one, change, plan="pro" if change == "plan" else None)

    notes = run(stage.billing, notes_of, bought.id)
    assert [each.total for each in notes] == [800, 200]
    assert stage.state(one) == ("active" if change == "plan" else "canceled")
