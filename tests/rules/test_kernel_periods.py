"""Periods over ten years in several zones: no instant without one, none in two."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from farebox.kernel.clock import SECOND_US, parse_time, show_time
from farebox.kernel.periods import check_terms, period_at, period_start
from farebox.kernel.refusals import ValueRefused
from tests.support.world import cases

HOUR = 3600 * SECOND_US
DAY = 24 * HOUR
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",  # clocks change by half an hour
    "Asia/Kathmandu",  # 5:45 from UTC
    "Pacific/Apia",  # on the other side of the date line since 2011
    "America/Sao_Paulo",  # clocks changed at midnight, which then did not exist
    "Europe/Moscow",
]


def at(text: str, zone: str = "UTC") -> int:
    """Read a local time as an instant."""
    return parse_time(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).isoformat())


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    ("unit", "count"), [("day", 1), ("week", 2), ("month", 1), ("month", 3), ("year", 1)]
)
@pytest.mark.parametrize(
    "anchor", ["2014-01-31T00:00", "2016-02-29T23:59:59.999999", "2014-03-30T02:30"]
)
def test_periods_follow_each_other_for_ten_years(
    zone: str, unit: Any, count: int, anchor: str
) -> None:
    begins = at(anchor, zone)
    instant, index = begins, 0
    while instant < begins + 3660 * DAY:
        period = period_at(unit, count, begins, zone, instant)
        assert period is not None
        assert (period.index, period.start_us) == (index, instant)
        assert period_start(unit, count, begins, zone, index) == instant
        assert period_at(unit, count, begins, zone, period.end_us - 1) == period
        instant, index = period.end_us, index + 1
    assert period_at(unit, count, begins, zone, begins - 1) is None


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize(
    ("unit", "count", "length"),
    [
        ("minute", 1, HOUR // 60),
        ("minute", 7, 7 * HOUR // 60),
        ("hour", 1, HOUR),
        ("hour", 24, DAY),
    ],
)
def test_minutes_and_hours_are_elapsed_time_in_every_zone(
    zone: str, unit: Any, count: int, length: int
) -> None:
    begins = at("2024-03-29T22:17", zone)
    for passed in (0, 1, length - 1, length, 5 * length + 3, 400 * DAY):
        period = period_at(unit, count, begins, zone, begins + passed)
        assert period is not None
        assert period.index == passed // length
        assert period.start_us == begins + period.index * length
        assert period.end_us == period.start_us + length


# fmt: off
LENGTHS = [
    ("a day when clocks go forward", "day",   "Europe/Berlin",       "2025-03-30", 23.0),
    ("a day when clocks go back",    "day",   "Europe/Berlin",       "2025-10-26", 25.0),
    ("by half an hour",              "day",   "Australia/Lord_Howe", "2025-04-06", 24.5),
    ("a plain day",                  "day",   "Europe/Berlin",       "2025-06-01", 24.0),
    ("February",                     "month", "UTC",                 "2025-02-01", 28 * 24.0),
    ("February in a leap year",      "month", "UTC",                 "2024-02-01", 29 * 24.0),
    ("a leap year",                  "year",  "UTC",                 "2024-01-01", 366 * 24.0),
    ("March where clocks change",    "month", "Europe/Berlin",       "2025-03-01", 743.0),
]
# fmt: on


@pytest.mark.parametrize(("unit", "zone", "start", "hours"), cases(LENGTHS))
def test_calendar_periods_are_as_long_as_the_calendar_says(
    unit: Any, zone: str, start: str, hours: float
) -> None:
    period = period_at(unit, 1, at(start, zone), zone, at(start, zone))
    assert period is not None
    assert (period.end_us - period.start_us) / HOUR == hours


def test_month_without_the_anchors_day_ends_on_its_own_last_and_the_next_returns() -> None:
    begins = at("2023-10-31T08:00")
    starts = [show_time(period_start("month", 1, begins, "UTC", n))[:10] for n in range(7)]
    assert starts == [
        "2023-10-31", "2023-11-30", "2023-12-31", "2024-01-31", "2024-02-29", "2024-03-31",
        "2024-04-30",
    ]  # fmt: skip


def test_lifetime_is_one_period_without_an_end() -> None:
    period = period_at("lifetime", 1, 100, "UTC", 10**18)
    assert period is not None
    assert (period.index, period.start_us, period.end_us) == (0, 100, 2**62)
    assert period_start("lifetime", 1, 100, "UTC", 0) == 100


@pytest.mark.parametrize(
    ("unit", "count"),
    [("year", 9000), ("month", 10**6), ("day", 10**9), ("week", 10**12), ("hour", 10**12)],
)
def test_period_beyond_the_calendar_has_no_end(unit: Any, count: int) -> None:
    begins = at("2025-01-01T00:00")
    period = period_at(unit, count, begins, "Europe/Berlin", begins + 100 * 365 * DAY)
    assert period is not None
    assert (period.index, period.start_us) == (0, begins)
    assert period.end_us > begins + timedelta(days=365 * 7000).total_seconds() * SECOND_US


# fmt: off
REFUSED = [
    ("an unknown unit",  ("fortnight", 1, "UTC")),
    ("no unit long",     ("day", 0, "UTC")),
    ("less than none",   ("day", -1, "UTC")),
    ("half a unit",      ("day", 0.5, "UTC")),
    ("an unknown zone",  ("day", 1, "Europe/Atlantis")),
    ("no zone",          ("day", 1, "")),
    ("a path",           ("day", 1, "../../etc/passwd")),
    ("an absolute path", ("day", 1, "/etc/passwd")),
    ("a NUL",            ("day", 1, "UTC\0")),
    ("a folder",         ("day", 1, "Europe")),
]
# fmt: on


@pytest.mark.parametrize("terms", cases(REFUSED))
def test_terms_that_name_no_period_are_refused(terms: tuple[Any, Any, Any]) -> None:
    with pytest.raises(ValueRefused):
        check_terms(*terms)


@pytest.mark.parametrize("zone", ZONES)
def test_terms_that_name_a_period_are_not(zone: str) -> None:
    for unit in ("minute", "hour", "day", "week", "month", "year", "lifetime"):
        check_terms(unit, 1, zone)
