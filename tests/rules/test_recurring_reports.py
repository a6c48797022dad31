"""Cohorts, shares, and how old receivables are."""

from fractions import Fraction

import pytest

from farebox.billing.reports.rules_recurring import (
    DAY_US,
    aged,
    cohorts,
    end_of_month,
    month_of,
    months_between,
    share,
    whole_period,
)
from farebox.kernel.clock import parse_time
from tests.support.world import cases

NOW = parse_time("2026-11-20T12:00:00Z")
# fmt: off
AGES = [
    ("due at this instant",       0,            "not_due"),
    ("due tomorrow",              -DAY_US,      "not_due"),
    ("an instant late",           1,            "days_1_30"),
    ("30 days late",              30 * DAY_US,  "days_1_30"),
    ("30 days and an instant",    30 * DAY_US + 1, "days_31_60"),
    ("60 days late",              60 * DAY_US,  "days_31_60"),
    ("61 days late",              61 * DAY_US,  "days_61_90"),
    ("90 days late",              90 * DAY_US,  "days_61_90"),
    ("91 days late",              91 * DAY_US,  "days_over_90"),
    ("years late",                999 * DAY_US, "days_over_90"),
]
# fmt: on


@pytest.mark.parametrize(("late", "column"), cases(AGES))
def test_what_is_owed_is_as_old_as_it_is_late(late, column):
    [row] = aged([("con_1", "EUR", NOW - late, 70)], NOW)
    assert getattr(row, column) == 70
    assert row.total == 70


def test_what_a_customer_owes_is_added_up_by_currency():
    rows = aged(
        [("b", "EUR", NOW, 1), ("a", "USD", NOW, 2), ("a", "EUR", NOW, 3), ("a", "EUR", 0, 4)], NOW
    )
    assert [(row.customer, row.currency, row.total) for row in rows] == [
        ("a", "EUR", 7), ("a", "USD", 2), ("b", "EUR", 1),
    ]  # fmt: skip


def test_a_cohort_is_followed_from_its_own_month_on():
    first = {"a": parse_time("2026-01-03T00:00:00Z"), "b": parse_time("2026-01-31T23:59:59Z"),
             "c": parse_time("2026-02-01T00:00:00Z")}  # fmt: skip
    ends = [
        ("2026-01", {"a": Fraction(100), "b": Fraction(50)}),
        ("2026-02", {"a": Fraction(100), "c": Fraction(1, 2)}),
        ("2026-03", {"a": Fraction(30), "b": Fraction(50), "c": Fraction(1, 2)}),
    ]
    rows = cohorts(first, ends, currency="EUR")
    assert [(row.cohort, row.size, row.customers, row.mrr) for row in rows] == [
        ("2026-01", 2, [2, 1, 2], [150, 100, 80]),
        ("2026-02", 1, [1, 1], [1, 1]),
    ]


def test_a_stretch_stands_for_its_whole_period():
    assert whole_period(10, stretch_us=15 * DAY_US, period_us=30 * DAY_US) == 20


@pytest.mark.parametrize(
    ("part", "whole", "shown"),
    [(0, 0, "0.0000"), (1, 3, "0.3333"), (2, 3, "0.6667"), (3, 3, "1.0000"), (0, 5, "0.0000")],
)
def test_a_share_is_shown_to_four_places(part, whole, shown):
    assert share(Fraction(part, whole or 1)) == shown


def test_months_run_over_the_turn_of_the_year():
    first, last = parse_time("2025-11-30T23:00:00Z"), parse_time("2026-02-01T00:00:00Z")
    assert months_between(first, last) == ["2025-11", "2025-12", "2026-01", "2026-02"]
    assert len(months_between(0, last)) == 24
    assert month_of(end_of_month("2025-12")) == "2026-01"
    assert month_of(end_of_month("2025-12") - 1) == "2025-12"
