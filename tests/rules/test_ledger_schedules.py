"""Recurring grants: which period's quota is there at which instant."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from farebox.kernel.clock import parse_time
from farebox.ledger.model import Capture, Hold, Kind, Release, Source
from tests.support.world import World, cases, lot

MINUTE = 60 * 1_000_000
DAY = 24 * 60 * MINUTE


@pytest.fixture
def world() -> World:
    return World()


def at(text: str, zone: str = "UTC") -> int:
    """Read a local time as an instant."""
    return parse_time(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).isoformat())


def test_quota_begins_at_its_anchor_and_is_new_in_every_period(world: World) -> None:
    bucket = world.bucket()
    world.recur(bucket, 5, anchor_at=10 * MINUTE)
    assert world.use(bucket, 1, at=10 * MINUTE - 1).code == "bucket_empty"
    assert world.use(bucket, 5, at=10 * MINUTE).available == 0
    assert world.use(bucket, 1, at=11 * MINUTE - 1).code == "bucket_empty"
    assert world.use(bucket, 5, at=11 * MINUTE).available == 0
    assert world.use(bucket, 6, at=12 * MINUTE).code == "bucket_empty"


def test_unused_quota_is_breakage_at_the_end_of_its_period(world: World) -> None:
    bucket = world.bucket()
    world.recur(bucket, 5)
    world.use(bucket, 2, at=1000)
    world.use(bucket, 1, at=3 * MINUTE + 7)
    assert world.rows(Kind.BREAKAGE) == [(3, MINUTE), (5, 2 * MINUTE), (5, 3 * MINUTE)]
    made = [instant for amount, instant in world.rows(Kind.GRANT)]
    assert made == [1, MINUTE + 1, 2 * MINUTE + 1, 3 * MINUTE + 1]


# fmt: off
ROLLOVERS = [  # a quota of 10; used in the first period, up to how much goes on, then in the second
    ("nothing goes on",            4, 0,   10),
    ("all that is left",           4, 100, 16),
    ("not more than is agreed",    4, 3,   13),
    ("not what was used",          10, 100, 10),
]
# fmt: on


@pytest.mark.parametrize(("used", "rollover", "expected"), cases(ROLLOVERS))
def test_rollover_carries_what_is_left(
    world: World, used: int, rollover: int, expected: int
) -> None:
    bucket = world.bucket()
    world.recur(bucket, 10, rollover=rollover)
    world.use(bucket, used, at=1000)
    outcome = world.use(bucket, 1, at=MINUTE + 1000)
    assert outcome.available + 1 == expected


def test_rollover_adds_up_over_idle_periods_only_as_far_as_agreed(world: World) -> None:
    bucket = world.bucket()
    world.recur(bucket, 10, rollover=15)
    assert world.use(bucket, 1, at=30 * MINUTE).available == 24


def test_held_quota_is_not_carried_on(world: World) -> None:
    bucket = world.bucket()
    world.recur(bucket, 10, rollover=100)
    made = world.do(Hold(sources=(Source(bucket),), amount=4), at=1000)
    assert world.use(bucket, 1, at=MINUTE + 1000).available == 15
    assert world.do(Release(hold=made.operation)).available == 15
    assert world.do(Capture(hold=made.operation)).code == "hold_released"


# fmt: off
# Idle for so many periods of a minute: is there a quota, and how many of them are in the journal?
IDLE = [
    ("none",               0,       1),
    ("a few",              5,       6),
    ("an hour",            60,      61),
    ("as many as are kept", 65,     66),
    ("more than are kept", 66,      66),
    ("a century",          52_560_000, 66),
]
# fmt: on


@pytest.mark.parametrize(("idle", "written"), cases(IDLE))
def test_long_idle_time_costs_a_bounded_number_of_rows(
    world: World, idle: int, written: int
) -> None:
    bucket = world.bucket()
    world.recur(bucket, 10, rollover=7)
    outcome = world.use(bucket, 1, at=idle * MINUTE + 30)
    assert outcome.available == 9 + (7 if idle else 0)
    assert len(world.rows(Kind.GRANT)) == written


# fmt: off
ENDS = [  # the recurrence ends after two and a half minutes
    ("in the last whole period", 2 * MINUTE - 1,     True),
    ("in the half period",       5 * MINUTE // 2 - 1, True),
    ("at the end",               5 * MINUTE // 2,    False),
    ("in what would be the next period", 3 * MINUTE, False),
    ("a year later",             365 * DAY,          False),
]
# fmt: on


@pytest.mark.parametrize(("instant", "granted"), cases(ENDS))
def test_recurrence_ends_at_its_end(world: World, instant: int, *, granted: bool) -> None:
    bucket = world.bucket()
    world.recur(bucket, 5, ends_at=5 * MINUTE // 2)
    outcome = world.use(bucket, 1, at=instant)
    assert (getattr(outcome, "code", None) is None) is granted


def test_quota_burns_by_its_own_terms(world: World) -> None:
    bucket = world.bucket(lot(5, priority=1), lot(5, priority=3))
    world.recur(bucket, 5, priority=2, class_=1)
    world.use(bucket, 12, at=1000)
    assert world.left(bucket) == [0, 3, 0]


def test_two_quotas_of_one_bucket_run_by_themselves(world: World) -> None:
    bucket = world.bucket()
    world.recur(bucket, 10)
    world.recur(bucket, 100, unit="hour")
    assert world.use(bucket, 110, at=1000).available == 0
    assert world.use(bucket, 1, at=MINUTE).available == 9
    assert world.use(bucket, 11, at=2 * MINUTE).code == "bucket_empty"


# fmt: off
# Anchored at a local time in a zone; until just before the other one the old quota holds.
CALENDAR = [
    ("31 January to 28 February",      "month UTC", "2025-01-31T10:00", "2025-02-28T10:00"),
    ("and back to 31 March",           "month UTC", "2025-01-31T10:00", "2025-03-31T10:00"),
    ("30 April",                       "month UTC", "2025-01-31T10:00", "2025-04-30T10:00"),
    ("29 February in a leap year",     "month UTC", "2024-01-31T00:00", "2024-02-29T00:00"),
    ("a year from 29 February",        "year UTC",  "2024-02-29T12:00", "2025-02-28T12:00"),
    ("and 29 February four years on",  "year UTC",  "2024-02-29T12:00", "2028-02-29T12:00"),
    ("a day of 23 hours",    "day Europe/Berlin",   "2025-03-29T06:00", "2025-03-30T06:00"),
    ("a day of 25 hours",    "day Europe/Berlin",   "2025-10-25T06:00", "2025-10-26T06:00"),
    ("a week with a change", "week America/New_York", "2025-03-03T09:00", "2025-03-10T09:00"),
    ("a month far from UTC", "month Asia/Tokyo",    "2025-05-01T00:00", "2025-06-01T00:00"),
]
# fmt: on


@pytest.mark.parametrize(("terms", "anchor", "next_"), cases(CALENDAR))
def test_periods_follow_the_local_calendar(
    world: World, terms: str, anchor: str, next_: str
) -> None:
    unit, zone = terms.split()
    bucket = world.bucket()
    world.recur(bucket, 5, unit=unit, zone=zone, anchor_at=at(anchor, zone))
    begins = at(next_, zone)
    assert world.use(bucket, 5, at=begins - 500).available == 0
    assert world.use(bucket, 1, at=begins - 1).code == "bucket_empty"
    assert world.use(bucket, 5, at=begins).available == 0


def test_lifetime_quota_is_granted_once(world: World) -> None:
    bucket = world.bucket()
    world.recur(bucket, 5, unit="lifetime", anchor_at=100)
    assert world.use(bucket, 1, at=99).code == "bucket_empty"
    assert world.use(bucket, 2, at=100).available == 3
    assert world.use(bucket, 4, at=10**17).code == "bucket_empty"
    assert len(world.rows(Kind.GRANT)) == 1


def test_clock_that_steps_back_brings_no_quota_again(world: World) -> None:
    bucket = world.bucket()
    world.recur(bucket, 5)
    world.use(bucket, 5, at=MINUTE + 1000)
    assert world.use(bucket, 1, at=1000).code == "bucket_empty"
    assert world.use(bucket, 5, at=2 * MINUTE).available == 0
    assert len(world.rows(Kind.GRANT)) == 3
