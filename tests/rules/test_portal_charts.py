"""The plot of use against a quota: its line ends where the use does, at the height that it has."""

import itertools

import pytest

from farebox.portal.charts import HEIGHT, Slot, nearness, plot
from farebox.portal.forms import parse_last_day

DAY = 86_400_000_000


def drawn(*quantities, now=10 * DAY, limit=100):
    slots = [
        Slot(start=day * DAY, end=(day + 1) * DAY, quantity=quantity)
        for day, quantity in enumerate(quantities)
        if quantity
    ]
    return plot(slots, width=760, since=0, until=30 * DAY, now=now, limit=limit)


def points(made):
    return [tuple(map(int, point.split(","))) for point in made.line.split(" ")]


def test_the_line_begins_at_nothing_and_ends_now_at_what_was_used():
    made = drawn(*[10] * 10)
    assert points(made)[0] == (made.left, made.base)
    # All of the quota is used: the line has come to that of 100 percent.
    assert made.end_y == made.levels[1].y
    assert made.end_x == made.left + (made.right - made.left) // 3


def test_the_line_never_falls_and_stays_inside():
    made = drawn(5, 0, 0, 40, 1, 0, 20)
    line = points(made)
    assert all(before[0] <= after[0] for before, after in itertools.pairwise(line))
    assert all(before[1] >= after[1] for before, after in itertools.pairwise(line))
    assert all(0 <= x <= 760 and 0 <= y <= HEIGHT for x, y in line)


def test_use_above_the_quota_still_fits():
    made = drawn(*[30] * 10)
    assert made.end_y < made.levels[1].y
    assert made.end_y >= 0


def test_nothing_used_is_a_level_line_to_now():
    assert points(drawn()) == [(8, drawn().base), (drawn().end_x, drawn().base)]


@pytest.mark.parametrize(
    ("used", "limit", "how"),
    [(0, 100, "good"), (79, 100, "good"), (80, 100, "warn"), (99, 100, "warn"), (100, 100, "bad")],
)
def test_nearness_changes_where_people_are_told(used, limit, how):
    assert nearness(used, limit) == how


@pytest.mark.parametrize(
    ("day", "zone", "end"),
    [
        ("2026-11-30", "Europe/Moscow", "2026-11-30T21:00:00.000000Z"),
        # The day on which clocks go forward has 23 hours.
        ("2026-03-29", "Europe/Berlin", "2026-03-29T22:00:00.000000Z"),
        ("30.11.2026", "Europe/Moscow", None),
        ("9999-12-31", "Europe/Moscow", None),
    ],
)
def test_a_key_works_until_the_end_of_the_last_day(day, zone, end):
    assert parse_last_day(day, zone) == end
