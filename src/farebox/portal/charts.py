"""A plot of use against a quota: where its lines go. Drawn on the server; scripts have no part.

The plot shows what was used in all since the period began. Beside it stands a table that says the
same; the plot is hidden from those who hear the page.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import Final

import msgspec

HEIGHT: Final = 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 8, 8, 22, 26
NEAR_PERCENT: Final = 80
"""From so much of a quota on its owner is told (docs/usage.md)."""


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """What was used in an hour, a day or a month; times in microseconds."""

    start: int
    end: int
    quantity: int


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """A line across the plot, and the share of the quota that it stands for."""

    y: int
    percent: int
    amount: int


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """An instant under the plot."""

    x: int
    at: int
    anchor: str


class Plot(msgspec.Struct, frozen=True, kw_only=True):
    """A plot in a box of `width` by `height`."""

    width: int
    height: int
    base: int
    line: str
    area: str
    end_x: int
    end_y: int
    levels: list[Level]
    ticks: list[Tick]
    left: int
    right: int


def plot(
    slots: Sequence[Slot], *, width: int, since: int, until: int, now: int, limit: int
) -> Plot:
    """Return the plot of what was used in all, from `since` to `until`, drawn up to `now`."""
    totals = list(accumulate(slot.quantity for slot in slots))
    top = max(limit, totals[-1] if totals else 0, 1)
    base = HEIGHT - _BOTTOM

    def x_of(at: int) -> int:
        inside = min(max(at, since), until) - since
        return _LEFT + inside * (width - _LEFT - _RIGHT) // max(until - since, 1)

    def y_of(amount: int) -> int:
        return base - amount * (base - _TOP) // top

    points = [(x_of(since), base)]
    for slot, total in zip(slots, totals, strict=True):
        before = points[-1][1]
        # Between two uses nothing was used: the line goes on level.
        if x_of(slot.start) > points[-1][0]:
            points.append((x_of(slot.start), before))
        points.append((x_of(min(slot.end, now)), y_of(total)))
    last = x_of(now)
    if points[-1][0] < last:
        points.append((last, points[-1][1]))
    line = " ".join(f"{x},{y}" for x, y in points)
    end_x, end_y = points[-1]
    return Plot(
        width=width,
        height=HEIGHT,
        base=base,
        line=line,
        area=f"{points[0][0]},{base} {line} {end_x},{base}",
        end_x=end_x,
        end_y=end_y,
        levels=[
            Level(y=y_of(limit * share // 100), percent=share, amount=limit * share // 100)
            for share in (NEAR_PERCENT, 100)
        ],
        ticks=[
            Tick(x=_LEFT, at=since, anchor="start"),
            Tick(x=(width + _LEFT - _RIGHT) // 2, at=(since + until) // 2, anchor="middle"),
            Tick(x=width - _RIGHT, at=until - 1, anchor="end"),
        ],
        left=_LEFT,
        right=width - _RIGHT,
    )


def nearness(used: int, limit: int) -> str:
    """Say how near a quota is to its end: `good`, `warn` from 80 percent on, `bad` when it is."""
    if used >= limit:
        return "bad"
    return "warn" if used * 100 >= limit * NEAR_PERCENT else "good"
