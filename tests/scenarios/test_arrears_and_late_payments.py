"""What is paid after its use, when a payment is late: what access let them use is billed, no more.

The plan costs 30.00 a month in arrears, begins on 1 March, and has a grace of 3 days.
"""

import pytest

from farebox.access.flows.aggregate_usage import close_due_periods
from farebox.billing.books import service as books
from farebox.billing.flows.issue_invoices import pay_invoice
from farebox.platform.service_dead_letters import list_dead_letters
from tests.support.prices import flat
from tests.support.services import run
from tests.support.subscribed import FILMS, Both

MARCH = ("2027-03-01", "2027-04-01", 3000, "paid")


@pytest.fixture
def both(database, billing, clock):
    made = Both(database, billing, clock)
    made.access.plan("later", FILMS, on_payment_failed="grace", grace_days=3)
    made.access.plan("strict", FILMS)
    made.access.plan("dearer", FILMS)
    made.talk()
    for plan, fee in (("later", "30"), ("strict", "30"), ("dearer", "60")):
        made.price("plan", plan, flat(fee), timing="arrears")
    yield made
    assert sum(run(billing, books.balances, "USD").values()) == 0
    for each in (database, billing):
        assert run(each, list_dead_letters).items == ()


def late(both, plan="later"):
    """Return a subscription whose March could not be paid on 1 April."""
    one = both.subscribe(plan)
    both.billing.card("sandbox_decline")
    both.live("2027-04-01")
    assert both.billing.state(one) == "past_due"
    return one


def end(both, one, at):
    both.live(at)
    both.access.ask(one, "cancel")
    both.talk()
    assert (both.access.state(one), both.billing.state(one)) == ("canceled", "canceled")


def test_what_was_used_in_the_grace_is_billed_when_the_payment_comes(both):
    one = late(both)
    both.live("2027-04-03", "2027-04-04")
    assert both.access.state(one) == "suspended"
    both.billing.card()
    both.live("2027-04-08")
    assert both.access.state(one) == "active"
    grace = ("2027-04-01", "2027-04-04", 300, "paid")
    assert both.billing.bills(one) == [MARCH, grace]
    both.live("2027-05-07T23:59")
    assert len(both.billing.bills(one)) == 2
    both.live("2027-05-08", "2027-06-08")
    assert both.billing.bills(one) == [
        MARCH, grace,
        ("2027-04-08", "2027-05-08", 3000, "paid"), ("2027-05-08", "2027-06-08", 3000, "paid"),
    ]  # fmt: skip


def test_a_worker_who_is_late_makes_no_difference_to_what_the_grace_costs(both):
    one = late(both)
    both.live("2027-04-06")
    assert both.access.state(one) == "suspended"
    both.billing.card()
    both.live("2027-04-11")
    assert both.access.state(one) == "active"
    assert both.billing.bills(one)[1:] == [("2027-04-01", "2027-04-04", 300, "paid")]


def test_who_was_shut_out_at_once_owes_nothing_until_it_comes_back(both):
    one = late(both, "strict")
    assert both.access.state(one) == "suspended"
    both.billing.card()
    both.live("2027-04-03")
    assert both.access.state(one) == "active"
    assert both.billing.bills(one) == [MARCH]
    both.live("2027-05-03")
    assert both.billing.bills(one) == [MARCH, ("2027-04-03", "2027-05-03", 3000, "paid")]


def test_of_a_grace_longer_than_a_month_each_month_is_a_line(both):
    both.billing.terms(grace_days=40, retry_days=(60,))
    one = late(both)
    both.live("2027-05-10T23:59")
    assert both.access.state(one) == "past_due"
    both.live("2027-05-11")
    assert both.access.state(one) == "suspended"
    both.billing.card()
    both.live("2027-05-20")
    both.billing.pay(one)
    both.talk()
    assert both.access.state(one) == "active"
    [_, grace] = both.billing.invoices(one)
    # All of April, and 10 of the 31 days of May: 9.677.
    assert [each.gross for each in grace.lines] == [3000, 968]
    assert both.billing.bills(one) == [MARCH, ("2027-04-01", "2027-05-11", 3968, "paid")]
    both.live("2027-06-20")
    assert both.billing.bills(one)[2:] == [("2027-05-20", "2027-06-20", 3000, "paid")]


def test_what_the_grace_costs_is_owed_like_any_other_invoice(both):
    one = late(both)
    both.live("2027-04-04")
    march = both.billing.schedule(one).invoice
    good = both.billing.card()
    both.billing.card("sandbox_decline")
    run(both.billing.billing, pay_invoice, march, key="by another card", method=good)
    both.billing.work()
    both.talk()
    owed = ("2027-04-01", "2027-04-04", 300, "past_due")
    assert both.billing.bills(one) == [MARCH, owed]
    assert both.billing.schedule(one).invoice == both.billing.invoices(one)[1].id
    both.billing.card()
    both.live("2027-04-06")
    assert (both.access.state(one), both.billing.state(one)) == ("active", "active")
    paid = ("2027-04-01", "2027-04-04", 300, "paid")
    assert both.billing.bills(one) == [MARCH, paid]
    both.live("2027-05-04")
    assert both.billing.bills(one) == [MARCH, paid, ("2027-04-04", "2027-05-04", 3000, "paid")]


@pytest.mark.parametrize(
    ("at", "until", "total"),
    [
        ("2027-04-03", "2027-04-03", 200),
        ("2027-04-04", "2027-04-04", 300),
        ("2027-04-20", "2027-04-04", 300),
    ],
)
def test_whoever_ends_it_while_a_payment_is_late_pays_for_the_time_with_access(
    both, at, until, total
):
    both.billing.terms(retry_days=(60,))
    one = late(both)
    end(both, one, at)
    [_, last] = both.billing.invoices(one)
    assert both.billing.bills(one)[1][:3] == ("2027-04-01", until, total)
    assert last.total == total


def test_a_plan_that_ignores_failed_payments_is_billed_for_all_of_the_time(both):
    both.access.plan("trusted", FILMS, on_payment_failed="ignore")
    both.talk()
    both.price("plan", "trusted", flat("30"), timing="arrears")
    both.billing.terms(retry_days=(1,), at_end="suspend")
    one = late(both, "trusted")
    both.live("2027-04-02")
    assert (both.access.state(one), both.billing.state(one)) == ("active", "suspended")
    both.billing.card()
    both.live("2027-06-10")
    both.billing.pay(one)
    both.talk()
    april, may = (
        ("2027-04-01", "2027-05-01", 3000, "paid"),
        ("2027-05-01", "2027-06-01", 3000, "paid"),
    )
    assert both.billing.bills(one) == [MARCH, april, may]


def test_whoever_was_shut_out_at_once_ends_it_without_another_invoice(both):
    one = late(both, "strict")
    both.live("2027-04-02")
    end(both, one, "2027-04-02T12:00")
    assert len(both.billing.bills(one)) == 1


def test_an_end_in_the_second_month_of_a_grace_bills_both(both):
    both.billing.terms(grace_days=60, retry_days=(70,))
    one = late(both)
    end(both, one, "2027-05-11")
    [_, last] = both.billing.invoices(one)
    assert [each.gross for each in last.lines] == [3000, 968]


def test_a_plan_that_was_planned_for_the_end_of_a_month_holds_for_the_grace_after_it(both):
    one = both.subscribe("later")
    both.access.ask(one, "plan", plan="dearer", at="period_end")
    both.talk()
    both.billing.terms(grace_days=40, retry_days=(60,))
    both.billing.card("sandbox_decline")
    both.live("2027-04-01")
    assert both.access.read(one).plan == "dearer"
    end(both, one, "2027-04-11")
    lines = [line for each in both.billing.invoices(one) for line in each.lines]
    assert [(line.sold.plan, line.gross) for line in lines] == [("later", 3000), ("dearer", 2000)]


@pytest.mark.parametrize("first", ["billing", "access"])
def test_an_end_that_access_tells_first_bills_no_more_than_one_that_billing_finds_first(
    both, first
):
    both.billing.terms(retry_days=(60,))
    one = late(both)
    both.live("2027-04-04")
    assert both.access.state(one) == "suspended"
    both.access.ask(one, "cancel", at="period_end")
    both.talk()
    both.access.at("2027-05-01")
    if first == "access":
        while both.hear():
            pass
    both.billing.work()
    both.talk()
    assert (both.access.state(one), both.billing.state(one)) == ("canceled", "canceled")
    assert both.billing.bills(one)[1][:3] == ("2027-04-01", "2027-04-04", 300)


def shut_by_usage(both):
    """Return a subscription with a plan planned for 1 May, shut on 1 April for its usage."""
    both.billing.terms(retry_days=(60,))
    one = both.subscribe("strict")
    both.use(14, "2027-03-20")
    both.live("2027-04-01")
    both.access.at("2027-04-01T01:30")
    close_due_periods(both.access.database)
    both.live("2027-04-01T01:31")
    both.access.ask(one, "plan", plan="dearer", at="period_end")
    both.talk()
    both.billing.card("sandbox_decline")
    both.live("2027-04-01T03:00")
    assert (both.access.state(one), both.billing.state(one)) == ("suspended", "past_due")
    both.billing.card()
    return one


@pytest.mark.parametrize(
    ("paid_at", "billed"),
    [
        (
            "2027-04-10",
            [
                ("2027-04-10", "2027-05-10", 3000, "paid"),
                ("2027-05-10", "2027-06-10", 6000, "paid"),
            ],
        ),
        (
            "2027-05-05",
            [
                ("2027-05-05", "2027-06-05", 6000, "paid"),
                ("2027-06-05", "2027-07-05", 6000, "paid"),
            ],
        ),
    ],
)
def test_a_plan_that_was_planned_is_billed_from_when_it_is_used_after_a_late_payment(
    both, paid_at, billed
):
    one = shut_by_usage(both)
    both.live(paid_at)
    both.billing.pay(one)
    both.talk()
    assert both.access.state(one) == "active"
    both.live("2027-05-06")
    assert both.access.read(one).plan == both.billing.schedule(one).plan
    both.live("2027-05-10", "2027-06-05", "2027-06-10", "2027-07-05")
    months = [each for each in both.billing.bills(one) if each[2] in {3000, 6000}]
    assert months[1:] == billed
    assert both.access.read(one).plan == both.billing.schedule(one).plan == "dearer"
