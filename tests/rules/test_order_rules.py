"""The rules of orders as tables: states, closing events, wishes, shares."""

import itertools

import pytest

from farebox.billing.orders.model import Wish, WishRefused
from farebox.billing.orders.rules import (
    FACTS,
    ORDER_STATES,
    added_up,
    after_fact,
    check_wish,
    checked_percent,
    closing_event,
    commission_of,
    share_between,
)
from farebox.kernel.amounts import MAX_AMOUNT
from farebox.kernel.refusals import ValueRefused

STATES = (
    "cart", "awaiting_funds", "created", "paid", "fulfilled", "failed", "canceled", "expired",
)  # fmt: skip
MOVES = {
    ("cart", "confirmed"): "created",
    ("created", "short"): "awaiting_funds",
    ("created", "paid"): "paid",
    ("created", "payment_failed"): "failed",
    ("created", "canceled"): "canceled",
    ("created", "expired"): "expired",
    ("awaiting_funds", "paid"): "paid",
    ("awaiting_funds", "payment_failed"): "failed",
    ("awaiting_funds", "canceled"): "canceled",
    ("awaiting_funds", "expired"): "expired",
    ("paid", "granted"): "fulfilled",
    ("paid", "ungrantable"): "failed",
}


def test_the_table_of_states_has_every_pair_and_only_these_moves():
    assert set(ORDER_STATES) == {(state, fact) for state in STATES for fact in FACTS}
    for state, fact in ORDER_STATES:
        assert after_fact(state, fact) == MOVES.get((state, fact), state), (state, fact)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("created", "created", None),
        ("created", "awaiting_funds", None),
        ("created", "paid", "order.completed"),
        ("awaiting_funds", "paid", "order.completed"),
        ("created", "failed", "payment.failed"),
        ("created", "canceled", "order.canceled"),
        ("awaiting_funds", "canceled", "order.canceled"),
        ("awaiting_funds", "expired", "order.expired"),
        ("paid", "fulfilled", None),
        ("paid", "failed", None),
        ("canceled", "canceled", None),
    ],
)
def test_an_order_is_closed_by_one_event_when_it_leaves_an_open_state(before, after, told):
    assert closing_event(before, after) == told


def test_whatever_facts_come_in_whatever_order_an_order_closes_at_most_once():
    def walk(state, told, depth):
        assert told <= 1
        if depth:
            for fact in FACTS:
                after = after_fact(state, fact)
                walk(after, told + (closing_event(state, after) is not None), depth - 1)

    walk("created", 0, 5)


@pytest.mark.parametrize(
    "wish",
    [
        {"kind": "item", "code": "p1"},
        {"kind": "item", "code": "p1", "offer": "o", "quantity": 2},
        {"kind": "item", "code": "p1", "offer": "o", "bucket": "bkt_1"},
        {"kind": "product", "code": "p1", "offer": "o"},
        {"kind": "product", "code": "p1", "quantity": 0},
        {"kind": "product", "code": "p1", "period_hours": 2},
        {"kind": "product", "code": "p1", "starts_at": 2},
        {"kind": "credits", "code": "p1", "quantity": 5},
        {"kind": "credits", "code": "p1", "quantity": -1, "bucket": "bkt_1"},
        {"kind": "credits", "code": "p1", "quantity": 2**62, "bucket": "bkt_1"},
        {"kind": "credits", "code": "p1", "quantity": True, "bucket": "bkt_1"},
        {"kind": "credits", "code": "p1", "bucket": "bkt_1", "add_ons": ("x",)},
    ],
)
def test_a_wish_that_does_not_go_together_is_refused(wish):
    with pytest.raises(WishRefused):
        check_wish(Wish(**wish))


@pytest.mark.parametrize(
    "wish",
    [
        {"kind": "item", "code": "p1", "offer": "o", "period_hours": 24, "starts_at": 5},
        {"kind": "product", "code": "p1", "add_ons": ("x",)},
        {"kind": "credits", "code": "p1", "quantity": 1_000_000_000, "bucket": "bkt_1"},
    ],
)
def test_a_wish_that_goes_together_passes(wish):
    assert check_wish(Wish(**wish)) == Wish(**wish)


def test_a_total_stays_within_what_every_reader_reads_exactly():
    assert added_up([MAX_AMOUNT - 1, 1]) == MAX_AMOUNT
    with pytest.raises(ValueRefused):
        added_up([MAX_AMOUNT, 1])


@pytest.mark.parametrize(
    ("net", "percent", "ours"),
    [
        (36000, "15", 5400), (50000, "15", 7500), (12000, "15", 1800), (33333, "15", 5000),
        (100, None, 0), (100, "0", 0), (1, "50", 1), (999, "12.5", 125),
    ],
)  # fmt: skip
def test_commission_is_a_percentage_rounded_half_up(net, percent, ours):
    assert commission_of(net, percent) == ours


def test_shares_of_steps_add_up_to_the_whole():
    assert [share_between(47, 0, 142, 283), share_between(47, 142, 283, 283)] == [24, 23]
    steps = [0, 1, 77, 80, 200, 283]
    parts = [share_between(47, a, b, 283) for a, b in itertools.pairwise(steps)]
    assert sum(parts) == 47
    assert share_between(0, 0, 0, 0) == 0


@pytest.mark.parametrize("percent", ["-1", "100.01", "NaN", "Infinity", "x", ""])
def test_a_percentage_beyond_is_refused(percent):
    with pytest.raises(ValueRefused):
        checked_percent(percent)
