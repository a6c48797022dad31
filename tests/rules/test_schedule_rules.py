"""What a schedule owes next and when: periods, what falls due, and what a failed payment does."""

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farebox.billing.schedules.model import DAY_US, PaymentTerms, Schedule, TermsRefused
from farebox.billing.schedules.rules import (
    AHEAD_US,
    after_failure,
    after_payment,
    anchored,
    billed_until,
    bills_at,
    check_terms,
    ended,
    included,
    next_due,
    period_end,
    period_of,
    skipped_to,
    trial_end,
    with_invoice,
    with_period_billed,
)
from farebox.kernel.clock import parse_time, show_time

TERMS = PaymentTerms()
LAST_YEAR = 10


def at(text, zone="UTC"):
    """Return an instant: a date is midnight in the zone."""
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    return parse_time(moment.isoformat())


NOW = at("2027-01-31")


def schedule(**named):
    facts = {
        "subscription": "sub_1", "holder_kind": "consumer", "customer": "con_1", "plan": "pro",
        "plan_version": 1, "unit": "month", "count": 1, "currency": "EUR", "zone": "UTC",
        "state": "active", "created_at": NOW, "anchor_at": NOW, "price": "prc_1",
        "price_version": 1,
    }  # fmt: skip
    return Schedule(**{**facts, **named})


def days(one, *indexes):
    return [show_time(period_of(one, index).start_us)[:10] for index in indexes]


# -- periods ---------------------------------------------------------------------------------------


def test_the_anchor_day_comes_back_after_short_months():
    starts = days(schedule(), 0, 1, 2, 3, 13)
    assert starts == ["2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30", "2028-02-29"]


@pytest.mark.parametrize(
    ("zone", "anchor", "unit", "expected"),
    [
        ("Europe/Berlin", "2027-02-28", "month", "2027-03-27T23:00"),  # still winter
        ("Europe/Berlin", "2027-03-28", "month", "2027-04-27T22:00"),  # clocks went forward
        ("America/New_York", "2027-10-31", "month", "2027-11-30T05:00"),
        ("Asia/Tokyo", "2027-01-31", "month", "2027-02-27T15:00"),
        ("UTC", "2028-02-29", "year", "2029-02-28T00:00"),
        ("Europe/Berlin", "2027-03-28", "day", "2027-03-28T22:00"),  # a day of 23 hours
    ],
)
def test_a_period_ends_at_the_customers_own_hour(zone, anchor, unit, expected):
    one = schedule(zone=zone, anchor_at=at(anchor, zone), unit=unit)
    assert period_of(one, 0).end_us == at(expected)


@pytest.mark.parametrize(
    ("advance", "index", "expected"),
    [(True, 0, "2027-01-31"), (True, 1, "2027-02-28"), (False, 0, "2027-02-28")],
)
def test_in_advance_a_period_is_billed_at_its_start_in_arrears_at_its_end(advance, index, expected):
    one = schedule(advance=advance, next_index=index)
    assert bills_at(one) == at(expected)
    assert next_due(one) == (at(expected), "bill")


@settings(max_examples=25, deadline=None)
@given(
    zone=st.sampled_from([
        "UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe",
        "Pacific/Apia", "America/Sao_Paulo", "Africa/Casablanca",
    ]),
    # 2010 to 2030: Samoa leaves out a day, Brazil has a midnight that does not exist.
    anchor=st.integers(at("2010-01-01") // DAY_US * 1440, at("2030-12-31") // DAY_US * 1440),
    unit=st.sampled_from(["day", "week", "month", "year"]),
    count=st.integers(1, 3),
    advance=st.booleans(),
    lateness=st.lists(st.integers(0, 40 * 24), min_size=1, max_size=7),
)  # fmt: skip
def test_each_period_of_ten_years_is_billed_exactly_once(
    *, zone, anchor, unit, count, advance, lateness
):
    anchor_us = anchor * DAY_US // 1440
    one = schedule(zone=zone, anchor_at=anchor_us, unit=unit, count=count, advance=advance)
    until = anchor_us + LAST_YEAR * 365 * DAY_US
    now, billed, turn = anchor_us, [], 0
    while now < until:
        # A worker comes now and then, late by hours or weeks, and does what is due.
        while (due := next_due(one)) is not None and due[0] <= now:
            assert due[1] == "bill"
            billed.append(period_of(one, one.next_index))
            one = with_period_billed(one)
        now += lateness[turn % len(lateness)] * DAY_US // 24 + DAY_US
        turn += 1
    assert billed[0].start_us == anchor_us
    gaps = [(a.end_us, b.start_us) for a, b in pairwise(billed)]
    assert all(end == start for end, start in gaps)
    assert all(each.start_us < each.end_us for each in billed)
    assert billed_until(one) == billed[-1].end_us


def test_a_day_that_a_zone_has_left_out_is_not_billed():
    one = schedule(zone="Pacific/Apia", unit="day", anchor_at=at("2011-12-29", "Pacific/Apia"))
    after = with_period_billed(one)
    assert period_of(after, after.next_index).start_us == at("2011-12-31", "Pacific/Apia")
    assert period_of(one, 0).end_us == at("2011-12-31", "Pacific/Apia")


# -- what falls due --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"state": "unpriced", "retry_at": 5}, (5, "price")),
        ({"state": "trialing", "trial_ends_at": NOW}, (NOW - AHEAD_US, "end_trial")),
        ({"state": "trialing", "trial_ends_at": NOW, "cancel_at": NOW}, (NOW, "cancel")),
        ({"state": "pending_payment", "invoice": "inv_1", "give_up_at": 9}, (9, "give_up")),
        ({"invoice": "inv_1"}, None),
        ({"invoice": "inv_1", "late_at": 7}, (7, "late")),
        ({"state": "past_due", "invoice": "inv_1", "retry_at": 8, "give_up_at": 8}, (8, "give_up")),
        ({"cancel_at": NOW}, (NOW, "cancel")),  # the end comes before the next bill
        ({"state": "suspended", "invoice": "inv_1"}, None),
        ({"state": "paused"}, None),
        ({"state": "paused", "cancel_at": 3}, (3, "cancel")),
        ({"state": "canceled", "cancel_at": 3}, None),
    ],
)  # fmt: skip
def test_what_is_due_next(facts, expected):
    assert next_due(schedule(**facts)) == expected


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"next_index": 1}, "2027-02-28"),
        ({"advance": False}, "2027-02-28"),
        ({"state": "trialing", "trial_ends_at": at("2027-02-14")}, "2027-02-14"),
        ({"anchor_at": None}, "2027-02-10"),
        ({"next_index": 0, "anchor_at": at("2027-02-01")}, "2027-02-10"),
    ],
)
def test_the_end_of_what_runs_now(facts, expected):
    assert period_end(schedule(**facts), at("2027-02-10")) == at(expected)


def test_a_trial_ends_at_the_customers_own_hour():
    began = at("2027-03-20T18:00", "Europe/Berlin")
    assert trial_end(began, 14, "Europe/Berlin") == at("2027-04-03T18:00", "Europe/Berlin")


# -- dunning ---------------------------------------------------------------------------------------


def fail(one, times, **named):
    """Let a payment fail so often, each time when it is tried."""
    seen, now = [], NOW
    for _ in range(times):
        one = after_failure(one, TERMS, now, **named)
        seen.append((one.state, None if one.retry_at is None else (one.retry_at - now) // DAY_US))
        now = one.retry_at or now
    return one, seen, now


def test_a_payment_is_tried_again_after_2_5_7_and_7_days_and_then_given_up():
    one, seen, now = fail(schedule(invoice="inv_1"), 5)
    assert seen == [("past_due", 2), ("past_due", 5), ("past_due", 7), ("past_due", 7),
                    ("past_due", None)]  # fmt: skip
    assert next_due(one) == (now, "give_up")
    assert now == NOW + 21 * DAY_US


def test_what_is_declined_for_good_is_not_tried_again_but_may_be_paid_otherwise():
    one, _, _ = fail(schedule(invoice="inv_1"), 1, final=True)
    assert next_due(one) == (NOW + 21 * DAY_US, "give_up")


def test_a_first_payment_that_failed_is_left_to_the_customer():
    waiting = with_invoice(schedule(state="pending_payment"), "inv_1", TERMS, NOW)
    one = after_failure(waiting, TERMS, NOW)
    assert (one.state, one.failures) == ("pending_payment", 1)
    assert next_due(one) == (NOW + 3 * DAY_US, "give_up")


def test_grace_counts_from_the_first_failure():
    terms = PaymentTerms(grace_days=3)
    one = after_failure(schedule(invoice="inv_1"), terms, NOW)
    assert one.grace_ends_at == NOW + 3 * DAY_US
    again = after_failure(one, terms, NOW + 2 * DAY_US)
    assert again.grace_ends_at == NOW + 3 * DAY_US


@pytest.mark.parametrize(
    ("state", "after"),
    [
        ("pending_payment", "active"),
        ("past_due", "active"),
        ("suspended", "active"),
        ("active", "active"),
        ("paused", "paused"),
    ],
)
def test_a_payment_ends_the_waiting(state, after):
    one = after_payment(schedule(state=state, invoice="inv_1", failures=2, retry_at=5), NOW)
    assert (one.state, one.invoice, one.failures, one.retry_at) == (after, None, 0, None)
    assert one.last_paid_at == NOW


def test_while_an_invoice_waits_no_further_period_is_billed():
    one = with_invoice(schedule(next_index=1), "inv_1", TERMS, NOW)
    assert next_due(one) == (NOW + DAY_US, "late")
    paid = after_payment(one, NOW)
    assert next_due(paid) == (at("2027-02-28"), "bill")


def test_time_without_access_is_not_billed_when_a_late_payment_comes():
    late = schedule(next_index=1)
    assert skipped_to(late, at("2027-02-20")) == late
    come_back = skipped_to(late, at("2027-03-05"))
    assert days(come_back, 0, 1) == ["2027-03-05", "2027-04-05"]
    assert bills_at(come_back) == at("2027-03-05")


def test_who_has_ended_owes_nothing_more():
    gone = ended(schedule(invoice="inv_1", retry_at=5, cancel_at=3, give_up_at=7), NOW)
    assert next_due(gone) is None
    assert (gone.state, gone.ended_at) == ("canceled", NOW)


def test_periods_count_anew_from_an_anchor():
    assert days(anchored(schedule(next_index=9), at("2027-05-07")), 0) == ["2027-05-07"]


@pytest.mark.parametrize(
    "terms",
    [
        PaymentTerms(retry_days=(0,)),
        PaymentTerms(retry_days=(366,)),
        PaymentTerms(retry_days=(1,) * 21),
        PaymentTerms(grace_days=-1),
        PaymentTerms(due_days=366),
        PaymentTerms(first_days=0),
    ],
)
def test_terms_out_of_bounds_are_refused(terms):
    with pytest.raises(TermsRefused):
        check_terms(terms)


# -- usage -----------------------------------------------------------------------------------------

FILMS = {"product": "films", "limit": 100, "unit": "month", "count": 1}


@pytest.mark.parametrize(
    ("quotas", "expected"),
    [
        ([], 0),
        ([{**FILMS, "product": "books"}], 0),
        ([{**FILMS, "overage": True, "hard": False}], 100),
        ([{**FILMS, "overage": True, "hard": False, "unit": "day"}], 0),
        ([FILMS], None),
        ([{**FILMS, "overage": False, "hard": False}], None),
    ],
)
def test_what_a_plan_includes_of_a_product(quotas, expected):
    assert included(quotas, "films", unit="month", count=1) == expected
