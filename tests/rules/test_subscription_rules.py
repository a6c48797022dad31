"""What a subscription may become, when it changes by itself, and where its periods begin."""

from typing import get_args

import msgspec
import pytest

from farebox.access.catalog.model import Plan, Quota
from farebox.access.subscriptions.model import (
    FACTS,
    STATES,
    Change,
    ChangeRefused,
    Subscription,
    SubscriptionOver,
)
from farebox.access.subscriptions.rules import (
    DAY_US,
    after_fact,
    anchor_of,
    calendar_start,
    check_change,
    grace_of,
    next_due,
    opens,
    paid_period,
    settled,
    with_fact,
)
from farebox.ledger.model import FOREVER
from tests.support.subscribers import when

ONE = Subscription(
    id="sub_1",
    holder_kind="consumer",
    holder="con_1",
    plan="pro",
    plan_version=1,
    state="active",
    created_at=0,
    started_at=0,
    anchor_at=0,
)


def one(**fields) -> Subscription:
    return msgspec.structs.replace(ONE, **fields)


# Each line: a state, and where each fact leads that changes it. Whatever is not here stays.
BECOMES = {
    "pending_payment": {"paid": "active", "trial_started": "trialing", "canceled": "canceled"},
    "trialing": {
        "paid": "active",
        "renewed": "active",
        "trial_ended": "expired",
        "trial_ended_in_grace": "past_due",
        "canceled": "canceled",
    },
    "active": {
        "fell_past_due": "past_due",
        "payment_failed": "suspended",
        "paused": "paused",
        "canceled": "canceled",
    },
    "past_due": {
        "paid": "active",
        "renewed": "active",
        "payment_failed": "suspended",
        "grace_ended": "suspended",
        "canceled": "canceled",
    },
    "suspended": {"paid": "active", "renewed": "active", "canceled": "canceled"},
    "paused": {"resumed": "active", "canceled": "canceled"},
    "canceled": {},
    "expired": {"paid": "active", "renewed": "active"},
}
OPEN = {"trialing", "active", "past_due", "paused"}
WISHES = {
    "pending_payment": {"cancel"},
    "trialing": {"cancel", "plan"},
    "active": {"cancel", "pause", "plan"},
    "past_due": {"cancel", "plan"},
    "suspended": {"cancel"},
    "paused": {"cancel", "resume"},
    "canceled": set(),
    "expired": set(),
}


@pytest.mark.parametrize("state", STATES)
def test_a_state_becomes_what_the_table_says(state):
    for fact in FACTS:
        assert after_fact(state, fact) == BECOMES[state].get(fact, state), fact


@pytest.mark.parametrize("state", STATES)
def test_a_state_gives_access_or_not(state):
    assert opens(state) is (state in OPEN)


@pytest.mark.parametrize("state", STATES)
def test_a_wish_is_allowed_by_the_state(state):
    for change in get_args(Change):
        if change in WISHES[state]:
            check_change(one(state=state), change)
            continue
        over = state in {"canceled", "expired"}
        with pytest.raises(SubscriptionOver if over else ChangeRefused):
            check_change(one(state=state), change)


def test_to_resume_is_also_to_take_a_planned_cancellation_back():
    check_change(one(cancel_at=5), "resume")
    with pytest.raises(ChangeRefused):
        check_change(one(state="suspended", cancel_at=5), "resume")


@pytest.mark.parametrize(
    ("fields", "due"),
    [
        ({}, None),
        ({"cancel_at": 7}, (7, "canceled")),
        ({"state": "trialing", "trial_ends_at": 5}, (5, "trial_ended")),
        (
            {"state": "trialing", "trial_ends_at": 5, "grace_ends_at": 9},
            (5, "trial_ended_in_grace"),
        ),
        ({"state": "past_due", "grace_ends_at": 9}, (9, "grace_ended")),
        ({"state": "past_due", "grace_ends_at": FOREVER}, None),
        ({"trial_ends_at": 5, "grace_ends_at": 9}, None),
        ({"pending_plan": "x", "pending_version": 1, "pending_at": 4}, (4, None)),
        (
            {"pending_plan": "x", "pending_version": 1, "pending_at": 4, "cancel_at": 4},
            (4, "canceled"),
        ),
        ({"state": "canceled", "ended_at": 1, "cancel_at": 7}, None),
    ],
)
def test_what_falls_due_next(fields, due):
    assert next_due(one(**fields)) == due


def test_everything_due_counts_in_its_order_each_at_its_instant():
    trial = one(state="trialing", trial_ends_at=10, grace_ends_at=20, cancel_at=30)
    for now, state in [(9, "trialing"), (10, "past_due"), (20, "suspended"), (30, "canceled")]:
        found, steps = settled(trial, now)
        assert found.state == state
        assert found.version == 1 + len(steps)
    assert [(step.at, step.what) for step in settled(trial, 99)[1]] == [
        (10, "trial_ended_in_grace"),
        (20, "grace_ended"),
        (30, "canceled"),
    ]
    assert settled(trial, 99)[0].ended_at == 30
    assert settled(settled(trial, 99)[0], 99)[1] == ()


@pytest.mark.parametrize("fact", ["paid", "renewed"])
def test_a_late_payment_shuts_at_its_own_instant_until_it_is_made(fact):
    after_grace, _ = settled(one(state="past_due", grace_ends_at=20), 99)
    at_once = with_fact(one(state="active"), "payment_failed", 7)
    assert [each.shut_at for each in (after_grace, at_once)] == [20, 7]
    assert with_fact(at_once, "payment_failed", 9) == at_once
    assert [with_fact(each, fact, 99).shut_at for each in (after_grace, at_once)] == [None, None]


def test_a_fact_without_meaning_changes_nothing_at_all():
    assert with_fact(ONE, "resumed", 5) is ONE


def test_who_comes_back_after_the_end_does_not_end_again():
    gone = one(state="expired", ended_at=5, cancel_at=6)
    back = with_fact(gone, "paid", 9)
    assert (back.state, back.ended_at, back.cancel_at, back.anchor_at) == ("active", None, None, 9)
    assert next_due(back) is None


@pytest.mark.parametrize(
    ("rule", "grace"), [("suspend", None), ("ignore", FOREVER), ("grace", 7 + 3 * DAY_US)]
)
def test_how_late_a_payment_may_be(rule, grace):
    plan = Plan(
        code="p", version=1, name="P", state="active", created_at=0, on_payment_failed=rule,
        grace_days=3,
    )  # fmt: skip
    assert grace_of(plan, 7) == grace


@pytest.mark.parametrize(
    ("unit", "zone", "at", "start"),
    [
        ("minute", "UTC", "2027-05-05T10:20:30", "2027-05-05T10:20"),
        ("hour", "UTC", "2027-05-05T10:20:30", "2027-05-05T10:00"),
        ("hour", "Asia/Kathmandu", "2027-05-05T10:20", "2027-05-05T10:15"),
        ("day", "UTC", "2027-05-05T10:20", "2027-05-05"),
        ("day", "Europe/Berlin", "2027-05-05T22:30", "2027-05-05T22:00"),
        ("week", "UTC", "2027-05-05T10:20", "2027-05-03"),
        ("week", "UTC", "2027-05-03", "2027-05-03"),
        ("month", "America/New_York", "2027-04-01T03:59", "2027-03-01T05:00"),
        ("year", "UTC", "2027-05-05", "2027-01-01"),
        # The hour from 2 to 3 comes twice in Berlin; the day began before both.
        ("day", "Europe/Berlin", "2027-10-31T01:30", "2027-10-30T22:00"),
    ],
)
def test_when_the_calendars_present_unit_began(unit, zone, at, start):
    assert calendar_start(unit, zone, when(at)) == when(start)


def test_an_anniversary_counts_from_the_subscription_and_a_life_from_its_beginning():
    monthly = Quota(product="films", limit=1, unit="month")
    assert anchor_of(monthly, since=5, at=9) == 5
    assert anchor_of(monthly, since=None, at=9) == 9
    assert anchor_of(monthly, since=12, at=9) == 9
    life = Quota(product="films", limit=1, unit="lifetime", anchor="calendar")
    assert anchor_of(life, since=5, at=9) == 9


def test_the_paid_period_is_counted_from_its_anchor():
    paid = one(anchor_at=when("2027-01-31"))
    found = paid_period(paid, when("2027-03-01"))
    assert found is not None
    assert (found.start_us, found.end_us) == (when("2027-02-28"), when("2027-03-31"))
    assert paid_period(one(anchor_at=None), 0) is None
