"""Recurring revenue and its movements, churn, recognition: their definitions, and their sums."""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farebox.billing.reports.model import Life, Recurring
from farebox.billing.reports.rules import (
    arr,
    by_customer,
    churn,
    movements,
    mrr,
    recognised,
    revenue_churn,
)
from farebox.kernel.refusals import ValueRefused


def paid(amount, unit="month", count=1, **how):
    return Recurring(customer="c", amount=amount, unit=unit, count=count, **how)


@pytest.mark.parametrize(
    ("subscriptions", "wanted"),
    [
        ([paid(10000), paid(100000, "year")], 18333),
        ([paid(30000, count=3)], 10000),
        ([paid(240000, "year", 2)], 10000),
        ([paid(5000, "week", 2)], 10833),
        ([paid(100, "day")], 3042),
        ([paid(10000, off_percent=Decimal(50))], 5000),
        ([paid(10000, off_amount=2500)], 7500),
        ([paid(10000, off_amount=20000)], 0),
        ([paid(10000), paid(10000, trial=True)], 10000),
        ([], 0),
    ],
)
def test_recurring_revenue_is_the_price_of_a_month(subscriptions, wanted):
    assert mrr(subscriptions) == wanted


def test_what_is_set_to_end_and_trials_are_told_apart():
    each = [paid(100), paid(20, ends=True), paid(7, trial=True), paid(3, trial=True, ends=True)]
    assert (mrr(each), mrr(each, committed=True)) == (120, 100)
    assert (mrr(each, trial=True), mrr(each, trial=True, committed=True)) == (10, 7)
    assert (arr(each), arr([paid(100000, "year")])) == (1440, 100000)


@pytest.mark.parametrize(("unit", "count"), [("lifetime", 1), ("minute", 1), ("month", 0)])
def test_what_does_not_recur_is_refused(unit, count):
    with pytest.raises(ValueRefused):
        mrr([paid(1, unit, count)])


def test_each_customers_change_is_one_movement():
    before = {"stays": 100, "grows": 100, "shrinks": 100, "leaves": 100}
    after = {"stays": 100, "grows": 150, "shrinks": 60, "new": 30, "back": 20}
    found = movements(
        {name: Fraction(each) for name, each in before.items()},
        {name: Fraction(each) for name, each in after.items()},
        earlier={"back", *before},
    )
    assert (found.start, found.new, found.reactivation, found.expansion) == (400, 30, 20, 50)
    assert (found.contraction, found.churn, found.end) == (-40, -100, 360)
    assert revenue_churn(found) == Fraction(140, 400)


def test_a_customers_subscriptions_are_added():
    assert by_customer([paid(100), paid(50), paid(9, trial=True)]) == {"c": 150}


SHARES = st.dictionaries(st.sampled_from("abcdef"), st.fractions("1/9", 10**6, max_denominator=9))


@given(before=SHARES, after=SHARES, earlier=st.sets(st.sampled_from("abcdef")))
def test_movements_lead_from_the_start_to_the_end_to_the_last_unit(before, after, earlier):
    found = movements(before, after, earlier=earlier)
    moved = found.new + found.expansion + found.contraction + found.churn + found.reactivation
    assert found.start + moved == found.end


def day_us(text):
    return (date.fromisoformat(text) - date(1970, 1, 1)).days * 86_400_000_000


@pytest.mark.parametrize(
    ("start", "end", "by", "wanted"),
    [
        ("2024-01-02", "2024-02-01", "cancellation", 0),
        ("2024-01-03", "2024-02-02", "cancellation", Fraction(1, 5)),
        ("2024-02-01", "2024-03-02", "cancellation", Fraction(1, 5)),
        ("2024-02-02", "2024-03-03", "cancellation", 0),
        ("2024-02-01", "2024-03-01", "access_end", 0),
        ("2024-03-01", "2024-04-01", "access_end", Fraction(1, 5)),
        ("2024-04-01", "2024-05-01", "access_end", 0),
        ("2023-01-01", "2023-02-01", "access_end", 0),
    ],
)
def test_churn_names_its_event(start, end, by, wanted):
    since = day_us("2024-01-01")
    one = Life(started_us=since, canceled_us=day_us("2024-02-01"), ended_us=day_us("2024-03-01"))
    lives = [one, *[Life(started_us=since)] * 4]
    assert churn(lives, start_us=day_us(start), end_us=day_us(end), by=by) == wanted


@pytest.mark.parametrize(
    ("amount", "first", "until", "on", "earned"),
    [
        (120000, "2023-01-01", "2024-01-01", "2023-01-31", 10192),
        (3000, "2023-01-01", "2023-02-01", "2023-01-16", 1548),
        (3000, "2023-01-01", "2023-02-01", "2022-12-31", 0),
        (3000, "2023-01-01", "2023-02-01", "2023-06-01", 3000),
    ],
)
def test_revenue_is_earned_in_equal_parts_a_day(amount, first, until, on, earned):
    found = recognised(
        amount,
        first=date.fromisoformat(first),
        until=date.fromisoformat(until),
        on=date.fromisoformat(on),
    )
    assert (found.earned, found.deferred) == (earned, amount - earned)


def test_a_service_without_a_day_earns_nothing_that_could_be_told():
    with pytest.raises(ValueRefused):
        recognised(100, first=date(2023, 1, 1), until=date(2023, 1, 1), on=date(2023, 1, 1))


@given(amount=st.integers(-(10**9), 10**9), days=st.integers(1, 800))
def test_all_days_together_earn_the_amount(amount, days):
    first = date(2023, 1, 1)
    until = first + timedelta(days=days)
    upto = [
        recognised(amount, first=first, until=until, on=first + timedelta(days=each)).earned
        for each in range(-1, days)
    ]
    assert (upto[0], upto[-1]) == (0, amount)
    assert upto == sorted(upto, reverse=amount < 0)
