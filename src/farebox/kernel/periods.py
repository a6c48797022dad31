"""Periods: which minute, day, month ... since an anchor an instant lies in.

Days and longer are counted on the local calendar of a zone, so that a day is a calendar day also
when clocks change; minutes and hours are counted in elapsed time. A month that lacks the anchor's
day ends on its own last day and the next one returns to the anchor's day (31 Jan, 28 Feb, 31 Mar).
"""

import calendar
from datetime import UTC, datetime, timedelta
from typing import Final, Literal, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from farebox.kernel.clock import SECOND_US
from farebox.kernel.refusals import ValueRefused

Unit = Literal["minute", "hour", "day", "week", "month", "year", "lifetime"]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ELAPSED_US: Final = {"minute": 60 * SECOND_US, "hour": 3600 * SECOND_US}
_DAYS: Final = {"day": 1, "week": 7}
_MONTHS: Final = {"month": 1, "year": 12}
_FOREVER: Final = 2**62


class Period(msgspec.Struct, frozen=True):
    """The index of a period since its anchor, and its half-open span in microseconds."""

    index: int
    start_us: int
    end_us: int


def check_terms(unit: str, count: int, zone: str) -> None:
    """Refuse (`value_invalid`) an unknown unit or zone, and a count below 1."""
    if unit not in get_args(Unit):
        raise ValueRefused(f"{unit!r} is not a unit of periods")
    if type(count) is not int or count < 1:
        raise ValueRefused("a period is at least one unit long")
    zone_of(zone)


def zone_of(name: str) -> ZoneInfo:
    """Return a time zone by its name; refuses (`value_invalid`) what is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueRefused(f"{name!r} is not a time zone") from error


def _to_us(moment: datetime) -> int:
    since = moment.astimezone(UTC) - _EPOCH
    return (since.days * 86_400 + since.seconds) * SECOND_US + since.microseconds


_MOST_REMEMBERED: Final = 10_000
_LATEST: Final[dict[tuple[Unit, int, int, str], Period]] = {}


def _start(unit: Unit, count: int, anchor_us: int, zone: ZoneInfo, index: int) -> int:
    if unit in _ELAPSED_US:
        return anchor_us + index * count * _ELAPSED_US[unit]
    try:
        local = (_EPOCH + timedelta(microseconds=anchor_us)).astimezone(zone).replace(tzinfo=None)
        if unit in _DAYS:
            moved = local + timedelta(days=index * count * _DAYS[unit])
        else:
            months = local.year * 12 + local.month - 1 + index * count * _MONTHS[unit]
            year, month = divmod(months, 12)
            day = min(local.day, calendar.monthrange(year, month + 1)[1])
            moved = local.replace(year=year, month=month + 1, day=day)
        return _to_us(moved.replace(tzinfo=zone))
    except (OverflowError, ValueError):
        # The calendar ends with the year 9999; whoever counts further has a period without end.
        return _FOREVER


def period_start(unit: Unit, count: int, anchor_us: int, zone: str, index: int) -> int:
    """Return the first microsecond of a period by its index."""
    return (
        anchor_us if unit == "lifetime" else _start(unit, count, anchor_us, ZoneInfo(zone), index)
    )


def period_at(unit: Unit, count: int, anchor_us: int, zone: str, at_us: int) -> Period | None:
    """Return the period that holds an instant, or None before the anchor."""
    terms = (unit, count, anchor_us, zone)
    found = _LATEST.get(terms)
    # Whoever asks for one period of these terms mostly asks for it again.
    if found is not None and found.start_us <= at_us < found.end_us:
        return found
    found = _find(unit, count, anchor_us, zone, at_us)
    if found is not None:
        if len(_LATEST) >= _MOST_REMEMBERED:
            _LATEST.clear()
        _LATEST[terms] = found
    return found


def _find(unit: Unit, count: int, anchor_us: int, zone: str, at_us: int) -> Period | None:
    if at_us < anchor_us:
        return None
    if unit == "lifetime":
        return Period(0, anchor_us, _FOREVER)
    place = ZoneInfo(zone)
    days = (at_us - anchor_us) // (86_400 * SECOND_US)
    if unit in _ELAPSED_US:
        index = (at_us - anchor_us) // (count * _ELAPSED_US[unit])
    elif unit in _DAYS:
        index = days // (count * _DAYS[unit])
    else:
        index = days // (31 * count * _MONTHS[unit])
    # The estimate may lie a little off (short months, a clock change): walk to the right one.
    while index > 0 and _start(unit, count, anchor_us, place, index) > at_us:
        index -= 1
    while (end := _start(unit, count, anchor_us, place, index + 1)) <= at_us:
        index += 1
    return Period(index, _start(unit, count, anchor_us, place, index), end)
