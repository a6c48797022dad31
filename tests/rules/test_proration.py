"""Shares of periods, what a change costs, and that parts add up to the whole."""

from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farebox.billing.pricing.model_money import PartRefused
from farebox.billing.pricing.rules_proration import (
    capped_credit,
    change,
    day_start,
    local_day,
    nominal_period,
    parts_due,
    prorate,
    prorate_parts,
    rest_after_trial,
    share,
)
from farebox.kernel.clock import parse_time
from farebox.kernel.periods import Period
from farebox.kernel.refusals import ValueRefused

MODES = ("seconds", "days", "days_inclusive", "month_of_30")
INCLUSIVE, BY_30 = "days_inclusive", "month_of_30"
ZONES = ("UTC", "Europe/Berlin", "America/Los_Angeles", "Australia/Lord_Howe")


def at(text: str, zone: str = "UTC") -> int:
    return day_start(date.fromisoformat(text), zone)


def days(first: str, until: str, zone: str = "UTC") -> Period:
    return Period(0, at(first, zone), at(until, zone))


def month(text: str, zone: str = "UTC") -> Period:
    first = date.fromisoformat(f"{text}-01")
    until = (first + timedelta(days=31)).replace(day=1)
    return Period(0, day_start(first, zone), day_start(until, zone))


# -- shares --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "period", "start", "end", "ends", "wanted"),
    [
        # A change on the 7th of 31 days leaves 25 (Kill Bill).
        ("days", month("2012-05"), "2012-05-07", "2012-06-01", False, "25/31"),
        (INCLUSIVE, month("2012-05"), "2012-05-07", "2012-06-01", False, "25/31"),
        # Whoever ends on a day has paid for it, in the inclusive mode only (Lago).
        (INCLUSIVE, days("2024-04-15", "2024-07-15"), "2024-05-20", "2024-06-20", True, "32/91"),
        ("days", days("2024-04-15", "2024-07-15"), "2024-05-20", "2024-06-20", True, "31/91"),
        # Starting and ending on one day is one day, or none.
        (INCLUSIVE, month("2023-02"), "2023-02-08", "2023-02-08", True, "1/28"),
        ("days", month("2023-02"), "2023-02-08", "2023-02-08", True, "0"),
        # Every month has 30 days: 8 of them, then 22 of 23; the 31st costs nothing.
        (BY_30, days("2023-05-15", "2023-06-15"), "2023-05-15", "2023-05-23", False, "8/30"),
        (BY_30, days("2023-05-15", "2023-06-15"), "2023-05-23", "2023-06-15", False, "22/30"),
        (BY_30, days("2023-02-15", "2023-03-15"), "2023-02-23", "2023-03-15", False, "22/30"),
        (BY_30, month("2023-05"), "2023-05-31", "2023-06-01", False, "0"),
        (BY_30, days("2023-01-01", "2024-01-01"), "2023-03-01", "2024-01-01", False, "10/12"),
        (BY_30, days("2023-01-31", "2023-04-30"), "2023-02-28", "2023-04-30", False, "2/3"),
        ("seconds", days("2024-02-18", "2024-03-18"), "2024-02-25", "2024-03-18", False, "22/29"),
        # Outside of the period there is nothing of it.
        ("days", month("2023-02"), "2023-01-01", "2023-04-01", False, "1"),
        ("days", month("2023-02"), "2023-03-01", "2023-04-01", False, "0"),
    ],
)  # fmt: skip
def test_a_part_has_its_share_by_each_mode(*, mode, period, start, end, ends, wanted):
    found = share(period, at(start), at(end), mode=mode, zone="UTC", ends=ends)
    assert found == Fraction(wanted)


def test_the_customers_calendar_decides_how_many_days_are_billed():
    start = parse_time("2023-02-08T00:00:00Z")
    for zone, billed in (("UTC", "21/28"), ("America/Los_Angeles", "22/28")):
        period = month("2023-02", zone)
        assert share(period, start, period.end_us, mode="days", zone=zone) == Fraction(billed)


def test_a_day_on_which_clocks_change_is_a_day():
    period = month("2024-03", "Europe/Berlin")
    start, end = at("2024-03-31", "Europe/Berlin"), at("2024-04-01", "Europe/Berlin")
    assert end - start == 23 * 3600 * 1_000_000
    by_days = share(period, start, end, mode="days", zone="Europe/Berlin")
    assert by_days == Fraction(1, 31)
    assert share(period, start, end, mode="seconds", zone="Europe/Berlin") < by_days


def test_a_part_that_ends_before_it_starts_is_refused():
    with pytest.raises(PartRefused):
        share(month("2023-02"), at("2023-02-10"), at("2023-02-09"), mode="days", zone="UTC")


def test_a_week_has_no_months_of_30_days():
    week = days("2023-05-01", "2023-05-08")
    with pytest.raises(PartRefused):
        share(week, at("2023-05-03"), week.end_us, mode="month_of_30", zone="UTC")


@pytest.mark.parametrize("part", [Fraction(-1, 3), Fraction(4, 3)])
def test_a_share_beyond_the_period_is_refused(part):
    with pytest.raises(PartRefused):
        prorate(1000, part)


def test_a_price_is_never_a_float():
    with pytest.raises(ValueRefused):
        prorate(10.0, Fraction(1, 2))  # type: ignore[arg-type] # what is refused


@given(
    mode=st.sampled_from(MODES),
    zone=st.sampled_from(ZONES),
    first=st.dates(date(2000, 1, 1), date(2090, 1, 1)),
    count=st.integers(1, 24),
    cuts=st.lists(st.fractions(0, 1), max_size=6),
    price=st.integers(0, 10**9),
)
def test_parts_that_touch_add_up_to_the_whole(*, mode, zone, first, count, cuts, price):
    period = nominal_period("month", count, day_start(first, zone), zone, day_start(first, zone))
    length = period.end_us - period.start_us
    instants = [period.start_us + int(cut * length) for cut in sorted(cuts)]
    instants = [period.start_us, *instants, period.end_us]
    shares = [share(period, start, end, mode=mode, zone=zone) for start, end in pairwise(instants)]
    assert sum(shares) == 1
    assert all(0 <= each <= 1 for each in shares)
    parts = prorate_parts(price, shares)
    assert sum(parts) == price
    exactly = [price * each for each in shares]
    assert all(abs(part - each) <= 1 for part, each in zip(parts, exactly, strict=True))


# -- periods -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unit", "count", "anchor", "instant", "first", "until"),
    [
        ("month", 1, "2011-02-13", "2011-02-01", "2011-01-13", "2011-02-13"),
        ("month", 1, "2024-01-31", "2023-03-05", "2023-02-28", "2023-03-31"),
        ("month", 3, "2024-01-15", "2023-12-31", "2023-10-15", "2024-01-15"),
        ("year", 1, "2024-02-29", "2022-02-27", "2021-02-28", "2022-02-28"),
        ("week", 2, "2024-01-15", "2024-01-14", "2024-01-01", "2024-01-15"),
        ("day", 1, "2024-01-15", "2023-12-31", "2023-12-31", "2024-01-01"),
    ],
)
def test_a_period_before_the_anchor_is_whole_too(*, unit, count, anchor, instant, first, until):
    found = nominal_period(unit, count, at(anchor), "UTC", at(instant))
    ours = (local_day(found.start_us, "UTC"), local_day(found.end_us, "UTC"))
    assert ours == (date.fromisoformat(first), date.fromisoformat(until))


@given(
    unit=st.sampled_from(["hour", "day", "week", "month", "year"]),
    count=st.integers(1, 5),
    zone=st.sampled_from(ZONES),
    anchor=st.dates(date(2000, 1, 1), date(2040, 1, 1)),
    back=st.integers(-4000, 4000),
)
def test_a_nominal_period_holds_its_instant_and_touches_the_next(unit, count, zone, anchor, back):
    start = day_start(anchor, zone)
    instant = day_start(anchor + timedelta(days=back), zone) + 1
    found = nominal_period(unit, count, start, zone, instant)
    assert found.start_us <= instant < found.end_us
    following = nominal_period(unit, count, start, zone, found.end_us)
    assert following.start_us == found.end_us


@pytest.mark.parametrize("unit", ["month", "lifetime"])
def test_what_lies_before_all_billing_is_refused(unit):
    instant = -1 if unit == "month" else at("2024-01-01")
    with pytest.raises(PartRefused):
        nominal_period(unit, 1, at("2024-06-01"), "UTC", instant)


@pytest.mark.parametrize(
    ("start", "until", "bill_day", "end", "wanted"),
    [
        ("2011-02-01", "2011-02-01", "2011-01-13", None, ["12/31"]),
        ("2011-02-14", "2011-03-01", "2011-01-27", None, ["13/31", "1"]),
        ("2011-03-07", "2011-04-21", "2011-01-15", None, ["8/28", "1", "1"]),
        ("2012-02-01", "2012-02-19", "2012-01-01", "2012-02-15", ["14/29"]),
        ("2012-02-01", "2012-02-19", "2012-01-01", "2012-02-01", []),
    ],
)
def test_what_is_due_in_advance_is_each_period_that_has_begun(start, until, bill_day, end, wanted):
    found = parts_due(
        unit="month", count=1, anchor_us=at(bill_day), zone="UTC", start_us=at(start),
        until_us=at(until), end_us=None if end is None else at(end),
    )  # fmt: skip
    assert [part.share for part in found] == [Fraction(each) for each in wanted]


# -- changes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "left", "credit", "charge"),
    [
        (59995, 995, "25/31", 48383, 802),
        (10000, 30000, "22/29", 7586, 22759),
        (60000, 120000, "265/365", 43562, 87123),
        (1500, 10000, "11/31", 532, 3548),
        (10000, 20000, "0", 0, 0),
        (0, 2500, "17/31", 0, 1371),
        (4000, 0, "17/31", 2194, 0),
    ],
)
def test_a_change_credits_and_charges_what_is_left(old, new, left, credit, charge):
    found = change(old=old, new=new, left=Fraction(left))
    assert (found.credit, found.charge, found.net) == (credit, charge, charge - credit)


def test_another_interval_begins_anew_and_is_charged_in_full():
    found = change(old=10000, new=100000, left=Fraction(15, 30), new_interval=True)
    assert (found.credit, found.charge) == (5000, 100000)


def test_a_credit_is_at_most_what_is_left_of_what_was_paid():
    found = change(old=24995, new=995, left=Fraction(30, 31), paid=24995, credited=1000)
    assert (found.credit, found.charge, found.net) == (23995, 963, -23032)


@pytest.mark.parametrize(
    ("potential", "paid", "credited", "wanted"),
    [(300, 200, 50, 150), (100, 200, 50, 100), (100, 200, 180, 20), (-50, 200, 50, 0),
     (100, 0, 0, 0), (100, 100, 150, 0)],
)  # fmt: skip
def test_a_credit_is_capped_by_what_was_paid(potential, paid, credited, wanted):
    assert capped_credit(potential, paid=paid, credited=credited) == wanted


@given(
    paid=st.integers(0, 10**7),
    changes=st.lists(st.tuples(st.integers(0, 10**7), st.fractions(0, 1)), max_size=20),
)
def test_changes_back_and_forth_never_credit_more_than_was_paid(paid, changes):
    credited = 0
    for price, left in changes:
        credited += change(old=price, new=0, left=left, paid=paid, credited=credited).credit
    assert 0 <= credited <= paid


# -- trials --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trial", "wanted"),
    [(0, "27/31"), (10, "17/31"), (13, "14/31"), (26, "1/31"), (27, "0"), (90, "0")],
)
def test_after_a_trial_the_rest_of_the_month_is_left(trial, wanted):
    period = month("2024-03")
    found = rest_after_trial(period, at("2024-03-05"), trial, mode="days", zone="UTC")
    assert found == Fraction(wanted)


def test_a_trial_ends_with_a_local_day_also_when_clocks_change():
    zone = "Europe/Berlin"
    period = month("2024-03", zone)
    found = rest_after_trial(period, at("2024-03-20", zone), 11, mode="days", zone=zone)
    assert found == Fraction(1, 31)
