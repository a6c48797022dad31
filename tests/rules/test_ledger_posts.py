"""Entries between sinks: what the ledger takes, and what it refuses."""

from typing import Any

import pytest

from farebox.ledger.model import Applied, Denied, Kind, Leg, Post, Refused, Reverse, Source, Use
from tests.support.world import World, cases

CASH, REVENUE, TAX, EUROS = 501, 502, 503, 504
LARGEST = 2**53 - 1


@pytest.fixture
def world() -> World:
    made = World()
    made.books.sinks = {CASH: 1, REVENUE: 1, TAX: 1, EUROS: 2}
    return made


def post(*legs: tuple[Any, Any, Any]) -> Post:
    return Post(legs=tuple(Leg(*leg) for leg in legs), actor="con_1", product="pro", meta="{}")


def test_a_post_writes_each_leg_and_says_what_moved(world: World) -> None:
    made = world.do(post((CASH, REVENUE, 100), (CASH, TAX, 20)), at=7)
    assert isinstance(made, Applied)
    assert (made.amount, made.bucket, made.at) == (120, 0, 7)
    rows = [(row[2], row[3], row[6], row[7], row[8], row[13:]) for row in world.journal]
    about = (0, "con_1", "pro", "{}")
    assert rows == [
        (Kind.POST, 0, CASH, REVENUE, 100, about),
        (Kind.POST, 0, CASH, TAX, 20, about),
    ]


# fmt: off
REFUSED = [
    ("no leg",              [],                                          "value_invalid"),
    ("nothing moves",       [(CASH, REVENUE, 0)],                        "value_invalid"),
    ("back again",          [(CASH, REVENUE, -1)],                       "value_invalid"),
    ("a float",             [(CASH, REVENUE, 1.0)],                      "value_invalid"),
    ("true",                [(CASH, REVENUE, True)],                     "value_invalid"),
    ("beyond 2^53 - 1",     [(CASH, REVENUE, LARGEST + 1)],              "value_invalid"),
    ("to itself",           [(CASH, CASH, 1)],                           "value_invalid"),
    ("to nobody",           [(CASH, 9, 1)],                              "sink_unknown"),
    ("from nobody",         [(9, CASH, 1)],                              "sink_unknown"),
    ("another asset",       [(CASH, EUROS, 1)],                          "asset_differs"),
    ("a later leg of one",  [(CASH, REVENUE, 1), (EUROS, REVENUE, 1)],   "asset_differs"),
]
# fmt: on


@pytest.mark.parametrize(("legs", "code"), cases(REFUSED))
def test_a_post_that_cannot_be_is_refused_and_writes_nothing(
    world: World, legs: list[Any], code: str
) -> None:
    made = world.do(post(*legs))
    assert isinstance(made, Refused)
    assert made.code == code
    assert world.journal == []


def test_a_post_fails_with_the_use_that_it_is_linked_to(world: World) -> None:
    bucket = world.bucket(5)
    before = list(world.journal)
    paying = Use(sources=(Source(bucket),), amount=6, sink=CASH)
    [outcomes] = world.batch(world.asking(post((CASH, REVENUE, 6)), paying))
    assert isinstance(outcomes[1], Denied)
    assert outcomes[0] == Denied(code="linked_failed", available=5)
    assert world.journal == before


def test_a_post_cannot_be_reversed_as_a_use_can(world: World) -> None:
    made = world.do(post((CASH, REVENUE, 1)))
    assert isinstance(made, Applied)
    refused = world.do(Reverse(operation=made.operation))
    assert isinstance(refused, Refused)
    assert refused.code == "operation_unknown"
