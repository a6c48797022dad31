"""In which period a use counts, what a report must say, and how uses are added up. Pure.

A consumer's periods are those of its subscription, and calendar months in UTC while it has none.
One stays open for late reports until its end and a grace have passed; what comes later counts in
the period that is open then, marked late. For a grace of one hour and calendar months:

    used 31 Jan 23:50, reported 1 Feb 00:40 -> January
    used 31 Jan 23:50, reported 1 Feb 01:00 -> February, late
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from farebox.access.catalog.model import Plan
from farebox.access.subscriptions.model import Subscription
from farebox.access.usage.model import (
    SLOT_US,
    Aggregation,
    Bucketing,
    Place,
    Sums,
    Terms,
    UsagePeriod,
    Used,
)
from farebox.kernel.clock import SECOND_US, show_time
from farebox.kernel.periods import period_at

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WITHOUT: Final = Terms(0, "month", 1, 0, "UTC")
RollupKey = tuple[str, str, str, int, int, int]
ValueKey = tuple[str, int, str, str, str, str]


# -- periods -------------------------------------------------------------------------------------


def timeline_of(
    subscriptions: Sequence[Subscription], plans: Mapping[tuple[str, int], Plan]
) -> tuple[Terms, ...]:
    """Return how a consumer's periods are counted, since when; the oldest running plan decides."""
    line = [_WITHOUT]
    free_from = 0
    begun = [one for one in subscriptions if one.started_at is not None]
    for one in sorted(begun, key=lambda one: (one.started_at, one.id)):
        assert one.started_at is not None
        since = max(one.started_at, free_from)
        if one.ended_at is not None and one.ended_at <= since:
            continue
        if line[-1].since == since:
            line.pop()
        line.append(_terms_of(one, plans.get((one.plan, one.plan_version)), since))
        if one.ended_at is None:
            break
        free_from = one.ended_at
        line.append(msgspec.structs.replace(_WITHOUT, since=one.ended_at))
    return tuple(line)


def _terms_of(one: Subscription, plan: Plan | None, since: int) -> Terms:
    """Count as the plan's first calendar quota says, else from the anchor of what is paid."""
    for quota in plan.quotas if plan is not None else ():
        if quota.anchor == "calendar":
            return Terms(since, "month", 1, _month_anchor(quota.zone), quota.zone)
    assert one.started_at is not None
    anchor = one.started_at if one.anchor_at is None else one.anchor_at
    return Terms(since, one.period_unit, one.period_count, anchor, "UTC")


def _month_anchor(zone: str) -> int:
    first = datetime(1970, 1, 1, tzinfo=ZoneInfo(zone))
    return (first - _EPOCH) // timedelta(microseconds=1)


class Calendar:
    """A consumer's periods, remembered as far as somebody has asked for them."""

    def __init__(self, timeline: Sequence[Terms]) -> None:
        self._timeline = tuple(timeline)
        self._known: list[UsagePeriod] = []

    def period(self, at: int) -> UsagePeriod:
        """Return the period that holds an instant."""
        for known in self._known:
            if known.start <= at < known.end:
                return known
        found = self._find(at)
        self._known.append(found)
        return found

    def place(self, at: int, now: int, grace_us: int) -> Place:
        """Return in which period a use counts that becomes known now."""
        own = self.period(at)
        if own.end + grace_us > now:
            return Place(own, late=False)
        return Place(self.period(max(now - grace_us, 0)), late=True)

    def _find(self, at: int) -> UsagePeriod:
        index = max(i for i, terms in enumerate(self._timeline) if i == 0 or terms.since <= at)
        terms = self._timeline[index]
        following = self._timeline[index + 1 :]
        end = following[0].since if following else 2**62
        found = period_at(terms.unit, terms.count, terms.anchor, terms.zone, at)
        if found is None:
            # A trial, before what is paid begins.
            return UsagePeriod(terms.since, min(terms.anchor, end))
        return UsagePeriod(max(found.start_us, terms.since), min(found.end_us, end))


def label_of(period: UsagePeriod) -> str:
    """Return a period's name: `2026-11` for a calendar month in UTC, else when it starts."""
    start = _EPOCH + timedelta(microseconds=period.start)
    months = start.year * 12 + start.month
    following = datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)
    whole = (start.day, start.hour, start.minute, start.second, start.microsecond) == (
        1,
        0,
        0,
        0,
        0,
    )
    if whole and (following - _EPOCH) // timedelta(microseconds=1) == period.end:
        return f"{start:%Y-%m}"
    return show_time(period.start)


# -- adding up -----------------------------------------------------------------------------------


def slot_of(at: int) -> int:
    """Return the start of the quarter of an hour that holds an instant."""
    return at - at % SLOT_US


def added_up(uses: Iterable[Used]) -> dict[RollupKey, Sums]:
    """Add uses up by consumer, product, group, slot and period.

    The maximum is that of single uses as they were reported; a correction lowers number and
    quantity alone. A declared aggregation knows the maximum after corrections.
    """
    found: dict[RollupKey, Sums] = {}
    for use in uses:
        key = (
            use.consumer, use.product, use.group, use.at - use.at % SLOT_US, use.period,
            int(use.late),
        )  # fmt: skip
        sums = found.get(key)
        if sums is None:
            sums = found[key] = Sums()
        sums.uses += use.counted
        sums.quantity += use.quantity
        sums.maximum = max(sums.maximum, use.largest)
    return found


def values_of(
    uses: Iterable[Used], aggregations: Mapping[str, Sequence[Aggregation]]
) -> dict[ValueKey, tuple[int, int, int]]:
    """Return what uses add to declared aggregations: (amount, uses, quantity) by key.

    A correction takes its part back: of a maximum, it moves the use from what it was to what
    remains of it; a unique value is given up when nothing remains.
    """
    found: dict[ValueKey, tuple[int, int, int]] = {}

    def add(key: ValueKey, amount: int, uses: int, quantity: int) -> None:
        _, had, sums = found.get(key, (0, 0, 0))
        found[key] = (amount, had + uses, sums + quantity)

    for use in uses:
        declared = aggregations.get(use.product)
        if not declared:
            continue
        facts: dict[str, Any] = {} if use.metadata is None else msgspec.json.decode(use.metadata)
        for one in declared:
            part = "" if one.split_by is None else text_of(facts.get(one.split_by))
            here = (use.consumer, use.period, use.product, one.name, part)
            if one.kind == "maximum":
                if use.remains is not None:
                    before = use.remains - use.quantity
                    add((*here, str(before)), before, -1, -before)
                    if use.remains:
                        add((*here, str(use.remains)), use.remains, 1, use.remains)
                elif use.largest:
                    add((*here, str(use.largest)), use.largest, use.counted, use.quantity)
            elif one.kind == "unique":
                assert one.dimension is not None
                if value := text_of(facts.get(one.dimension)):
                    add((*here, value), 0, use.counted, use.quantity)
            else:
                add((*here, ""), 0, use.counted, use.quantity)
    return found


def text_of(value: object) -> str:
    """Return a value of the metadata as a text; what is not there is the empty one."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def span_of(slot: int, bucketing: Bucketing, zone: str) -> tuple[int, int]:
    """Return the bucket of time that holds a slot, by the calendar of a zone.

    An hour begins with the zone's own hour. Where clocks go back, the hour that comes twice is two
    buckets, and the day has 25 hours.
    """
    place = ZoneInfo(zone)
    local = datetime.fromtimestamp(slot // SECOND_US, place)
    if bucketing == "hour":
        start = slot - (local.minute * 60 + local.second) * SECOND_US
        return start, start + 3_600 * SECOND_US
    begin = local.replace(hour=0, minute=0, second=0, fold=0, tzinfo=None)
    if bucketing == "day":
        end = begin + timedelta(days=1)
    else:
        begin = begin.replace(day=1)
        end = (begin + timedelta(days=32)).replace(day=1)
    return _us(begin, place), _us(end, place)


def _us(local: datetime, place: ZoneInfo) -> int:
    since = local.replace(tzinfo=place).astimezone(UTC) - _EPOCH
    return (since.days * 86_400 + since.seconds) * SECOND_US
