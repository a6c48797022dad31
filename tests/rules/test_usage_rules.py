"""In which period a use counts, which bucket of time it is shown in, how corrections add up."""

import pytest

from farebox.access.catalog.model import Plan, Quota
from farebox.access.subscriptions.model import Subscription
from farebox.access.usage.model import Aggregation, UsagePeriod, Used
from farebox.access.usage.rules import (
    Calendar,
    added_up,
    label_of,
    span_of,
    timeline_of,
    values_of,
)
from farebox.kernel.clock import parse_time, show_time

HOUR_US = 3_600_000_000


def at(text: str) -> int:
    return parse_time(f"{text}:00Z" if len(text) == len("2026-11-20T09:00") else f"{text}T00:00Z")


def subscription(started: str, *, ended: str | None = None, anchor: str | None = None, **named):
    return Subscription(
        id=f"sub_{started}",
        holder_kind="consumer",
        holder="con_a",
        plan=named.pop("plan", "pro"),
        plan_version=1,
        state="active",
        created_at=0,
        started_at=at(started),
        ended_at=None if ended is None else at(ended),
        anchor_at=None if anchor is None else at(anchor),
        **named,
    )


def plan(*quotas: Quota) -> Plan:
    return Plan(code="pro", version=1, name="Pro", state="active", created_at=0, quotas=quotas)


def calendar(*subscriptions: Subscription, of: Plan | None = None) -> Calendar:
    return Calendar(timeline_of(subscriptions, {("pro", 1): of or plan()}))


@pytest.mark.parametrize(
    ("subscriptions", "instant", "start", "end"),
    [
        # Without a subscription: calendar months in UTC.
        ((), "2026-11-20", "2026-11-01", "2026-12-01"),
        ((), "2028-02-29", "2028-02-01", "2028-03-01"),
        ((), "2026-12-01", "2026-12-01", "2027-01-01"),
        # From the subscription's start, and cut off there before it.
        ((subscription("2026-11-17"),), "2026-11-16", "2026-11-01", "2026-11-17"),
        ((subscription("2026-11-17"),), "2026-11-17", "2026-11-17", "2026-12-17"),
        ((subscription("2026-01-31"),), "2026-03-01", "2026-02-28", "2026-03-31"),
        # A trial is a period of its own, what is paid counts from its anchor.
        ((subscription("2026-11-01", anchor="2026-11-15"),), "2026-11-10", "2026-11-01",
         "2026-11-15"),
        ((subscription("2026-11-01", anchor="2026-11-15"),), "2026-12-20", "2026-12-15",
         "2027-01-15"),
        # After its end: calendar months again.
        ((subscription("2026-09-10", ended="2026-11-20"),), "2026-11-15", "2026-11-10",
         "2026-11-20"),
        ((subscription("2026-09-10", ended="2026-11-20"),), "2026-11-25", "2026-11-20",
         "2026-12-01"),
        # Of two the older decides until it ends.
        ((subscription("2026-10-05", ended="2026-11-20"), subscription("2026-10-09")),
         "2026-11-25", "2026-11-20", "2026-12-09"),
        # A year.
        ((subscription("2026-02-03", period_unit="year"),), "2026-11-25", "2026-02-03",
         "2027-02-03"),
    ],
)  # fmt: skip
def test_period_of_an_instant(subscriptions, instant, start, end):
    made = calendar(*subscriptions)
    assert made.period(at(instant)) == UsagePeriod(at(start), at(end))


def test_calendar_quota_counts_the_months_of_its_zone():
    quota = Quota(product="p", limit=1, unit="month", anchor="calendar", zone="Europe/Moscow")
    made = calendar(subscription("2026-03-17"), of=plan(quota))
    found = made.period(at("2026-06-15"))
    assert [show_time(one) for one in (found.start, found.end)] == [
        "2026-05-31T21:00:00.000000Z", "2026-06-30T21:00:00.000000Z",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "subscriptions",
    [(), (subscription("2026-01-31"),), (subscription("2026-01-10", ended="2026-05-05"),)],
)
def test_periods_follow_each_other_without_gap_or_overlap(subscriptions):
    made = calendar(*subscriptions)
    now = at("2026-01-01")
    while now < at("2027-01-01"):
        found = made.period(now)
        assert found.start == now
        assert made.period(found.end - 1) == found
        now = found.end


@pytest.mark.parametrize(
    ("used", "known", "start", "late"),
    [
        ("2026-01-31T23:50", "2026-01-31T23:55", "2026-01-01", False),
        ("2026-01-31T23:50", "2026-02-01T00:59", "2026-01-01", False),
        ("2026-01-31T23:50", "2026-02-01T01:00", "2026-02-01", True),
        ("2026-01-31T23:50", "2026-03-01T00:30", "2026-02-01", True),
        ("2026-01-31T23:50", "2026-03-01T01:00", "2026-03-01", True),
        ("2026-02-01T00:00", "2026-02-01T00:00", "2026-02-01", False),
    ],
)
def test_late_use_counts_in_the_first_period_that_is_open(used, known, start, late):
    found = calendar().place(at(used), at(known), HOUR_US)
    assert (found.period.start, found.late) == (at(start), late)


@pytest.mark.parametrize(
    ("start", "end", "label"),
    [
        ("2026-11-01", "2026-12-01", "2026-11"),
        ("2026-12-01", "2027-01-01", "2026-12"),
        ("2026-11-01", "2026-11-17", "2026-11-01T00:00:00.000000Z"),
        ("2026-11-17", "2026-12-17", "2026-11-17T00:00:00.000000Z"),
    ],
)
def test_label_of_a_period(start, end, label):
    assert label_of(UsagePeriod(at(start), at(end))) == label


@pytest.mark.parametrize(
    ("slot", "bucketing", "zone", "start", "end"),
    [
        ("2026-11-20T09:45", "hour", "UTC", "2026-11-20T09:00", "2026-11-20T10:00"),
        ("2026-11-20T09:15", "hour", "Asia/Kolkata", "2026-11-20T08:30", "2026-11-20T09:30"),
        ("2026-11-20T18:30", "day", "Asia/Kolkata", "2026-11-20T18:30", "2026-11-21T18:30"),
        ("2026-11-20T18:15", "day", "Asia/Kolkata", "2026-11-19T18:30", "2026-11-20T18:30"),
        # Clocks go back at 01:00 UTC: that day has 25 hours, and one hour comes twice.
        ("2026-10-25T12:00", "day", "Europe/Berlin", "2026-10-24T22:00", "2026-10-25T23:00"),
        ("2026-10-25T00:30", "hour", "Europe/Berlin", "2026-10-25T00:00", "2026-10-25T01:00"),
        ("2026-10-25T01:30", "hour", "Europe/Berlin", "2026-10-25T01:00", "2026-10-25T02:00"),
        ("2026-03-29T12:00", "day", "Europe/Berlin", "2026-03-28T23:00", "2026-03-29T22:00"),
        ("2028-02-15T00:00", "month", "UTC", "2028-02-01T00:00", "2028-03-01T00:00"),
        ("2026-12-31T22:00", "month", "Europe/Moscow", "2026-12-31T21:00", "2027-01-31T21:00"),
    ],
)
def test_bucket_of_time_in_a_zone(slot, bucketing, zone, start, end):
    assert span_of(at(slot), bucketing, zone) == (at(start), at(end))


def used(quantity: int, *, remains: int | None = None, counted: int = 1, meta: str | None = None):
    return Used(
        "con_a", "p", "", 0, 0, False, counted, quantity, max(quantity, 0), remains, meta
    )  # fmt: skip


def test_uses_of_a_quarter_of_an_hour_are_added_up():
    found = added_up([used(3), used(5), used(-2, remains=3, counted=0)])
    ((key, sums),) = found.items()
    assert key == ("con_a", "p", "", 0, 0, 0)
    assert (sums.uses, sums.quantity, sums.maximum) == (2, 6, 5)


@pytest.mark.parametrize(
    ("uses", "maximum"),
    [
        ([used(3), used(5)], 5),
        ([used(5), used(5), used(-5, remains=0, counted=-1)], 5),
        ([used(3), used(5), used(-5, remains=0, counted=-1)], 3),
        ([used(3), used(9), used(-2, remains=7, counted=0), used(-3, remains=4, counted=0)], 4),
    ],
)
def test_declared_maximum_follows_corrections(uses, maximum):
    declared = Aggregation(
        product="p", name="peak", kind="maximum", dimension=None, split_by=None, created_at=0
    )
    found = values_of(uses, {"p": [declared]})
    assert max(amount for amount, count, _ in found.values() if count > 0) == maximum


def test_unique_count_has_whoever_is_left():
    declared = Aggregation(
        product="p", name="users", kind="unique", dimension="user", split_by=None, created_at=0
    )
    uses = [
        used(1, meta='{"user":"a"}'),
        used(1, meta='{"user":"b"}'),
        used(1, meta='{"user":true}'),
        used(1, meta='{"user":null}'),
        used(1),
        used(-1, remains=0, counted=-1, meta='{"user":"b"}'),
    ]
    found = values_of(uses, {"p": [declared]})
    assert sorted(key[-1] for key, (_, count, _) in found.items() if count > 0) == ["a", "true"]
