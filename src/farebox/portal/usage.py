"""How quotas and prepaid buckets stand, gathered from the API for the pages."""

from typing import Any, Final

import msgspec

from farebox.kernel.clock import SECOND_US, parse_time, show_time
from farebox.portal.charts import Plot, Slot, nearness, plot
from farebox.web.pages import Page

WIDE: Final = 760
NARROW: Final = 330
_QUARTER_US: Final = 900 * SECOND_US
_DAY_US: Final = 86_400 * SECOND_US
_HOURS_UP_TO_US: Final = 3 * _DAY_US
_DAYS_UP_TO_US: Final = 366 * _DAY_US
_LONGEST_US: Final = 20 * _DAYS_UP_TO_US


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """A quota with its use: what the API says of it, the plots and the table's lines.

    `by` says what a line of the table is: an hour, a day or a month. A line is its start, what was
    used in it and in all.
    """

    quota: dict[str, Any]
    nearness: str
    bar: int
    by: str
    plots: tuple[Plot, ...]
    lines: list[tuple[int, int, int]]


class Prepaid(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket with its open grants; `group` is the name of whom it is shared with."""

    bucket: dict[str, Any]
    grants: list[dict[str, Any]]
    group: str | None
    bar: int


async def use_of(page: Page, quota: dict[str, Any], group: str | None) -> Use:
    """Return a quota with what was used of its product since its period began."""
    since = parse_time(quota["period_from"]) // _QUARTER_US * _QUARTER_US
    since = max(since, page.now_us // _QUARTER_US * _QUARTER_US - _LONGEST_US)
    until = page.now_us if quota["resets_at"] is None else parse_time(quota["resets_at"])
    by = _by(until - since)
    before = (min(until, page.now_us) // _QUARTER_US + 1) * _QUARTER_US
    found = await page.get(
        "/v1/usage",
        product=quota["product"],
        group=group,
        bucket=by,
        zone=page.zone,
        **{"from": show_time(since), "to": show_time(before)},
    )
    slots = [
        Slot(
            start=max(parse_time(one["start"]), since),
            end=parse_time(one["end"]),
            quantity=one["quantity"],
        )
        for one in found["items"]
    ]
    plots = tuple(
        plot(slots, width=width, since=since, until=until, now=page.now_us, limit=quota["limit"])
        for width in (WIDE, NARROW)
    )
    return Use(
        quota=quota,
        nearness=nearness(quota["used"], quota["limit"]),
        bar=_share(quota["used"], quota["limit"]),
        by=by,
        plots=plots,
        lines=_lines(slots),
    )


def _by(length_us: int) -> str:
    if length_us <= _HOURS_UP_TO_US:
        return "hour"
    return "day" if length_us <= _DAYS_UP_TO_US else "month"


def _share(part: int, whole: int) -> int:
    """Return a part in thousandths of a whole, at most all of it."""
    return min(1000, part * 1000 // whole) if whole else 1000


def _lines(slots: list[Slot]) -> list[tuple[int, int, int]]:
    total = 0
    lines = []
    for slot in slots:
        total += slot.quantity
        lines.append((slot.start, slot.quantity, total))
    return list(reversed(lines))


async def prepaid_of(page: Page) -> list[Prepaid]:
    """Return the buckets besides quotas that the visitor draws on: their own, their groups'."""
    consumer = page.own.consumer
    groups = await page.get(f"/v1/consumers/{consumer}/groups")
    found = []
    for holder, name in [(consumer, None), *((one["id"], one["name"]) for one in groups["items"])]:
        held = await page.get("/v1/buckets", holder=holder, limit=200)
        found += [
            await _prepaid(page, bucket, name)
            for bucket in held["items"]
            if bucket["origin"] is None and not bucket["overage"] and bucket["granted"]
        ]
    return found


async def _prepaid(page: Page, bucket: dict[str, Any], group: str | None) -> Prepaid:
    grants = await page.get(f"/v1/buckets/{bucket['id']}/grants")
    left = max(bucket["granted"] - bucket["used"], 0)
    return Prepaid(
        bucket=bucket,
        grants=grants["items"],
        group=group,
        bar=_share(left, bucket["granted"]),
    )
