"""Which units a use takes, and when there are none. One case a line, the result last."""

from typing import Any

import pytest

from farebox.ledger.model import (
    INCLUDED,
    PURCHASED,
    Applied,
    Denied,
    Grant,
    Hold,
    Kind,
    Look,
    Move,
    Refused,
    Source,
    Use,
)
from tests.support.world import EURO, World, cases, lot


@pytest.fixture
def world() -> World:
    return World()


def amounts(outcome: Any) -> list[int]:
    return [amount for _, _, amount in outcome.drawn]


# fmt: off
BURN_ORDER = [
    ("lower priority first", [lot(5, priority=2), lot(5, priority=1)], 6, [4, 0]),
    ("then the sooner end", [lot(5, expires_at=900), lot(5, expires_at=800)], 6, [4, 0]),
    ("no end burns last", [lot(5), lot(5, expires_at=800)], 6, [4, 0]),
    ("included before bought", [lot(5, class_=PURCHASED), lot(5, class_=INCLUDED)], 6, [4, 0]),
    ("then the oldest", [lot(5), lot(5)], 6, [0, 4]),
    ("priority beats the end", [lot(5, priority=1, expires_at=800), lot(5)], 6, [4, 0]),
    ("the end beats the class", [lot(5), lot(5, class_=PURCHASED, expires_at=800)], 6, [4, 0]),
    ("negative priority is first", [lot(5), lot(5, priority=-1)], 6, [4, 0]),
    ("exactly one grant", [lot(5), lot(5)], 5, [0, 5]),
    ("everything", [lot(5), lot(5)], 10, [0, 0]),
    ("nothing if not all", [lot(40), lot(40), lot(19)], 100, [40, 40, 19]),
    ("the last one in part", [lot(40), lot(40), lot(21)], 100, [0, 0, 1]),
]
# fmt: on


@pytest.mark.parametrize(("lots", "amount", "left"), cases(BURN_ORDER))
def test_use_takes_from_grants_in_burn_order(
    world: World, lots: list[Grant], amount: int, left: list[int]
) -> None:
    bucket = world.bucket(*lots)
    outcome = world.use(bucket, amount)
    allowed = sum(each.amount for each in lots) >= amount
    assert isinstance(outcome, Applied if allowed else Denied)
    assert world.left(bucket) == left


# fmt: off
VALIDITY = [  # the grant is from 100 to 200
    ("before its start",          99,  "bucket_empty"),
    ("at its start",              100, None),
    ("at its last microsecond",   199, None),
    ("at its end",                200, "bucket_empty"),
    ("after its end",             201, "bucket_empty"),
]
# fmt: on


@pytest.mark.parametrize(("at", "code"), cases(VALIDITY))
def test_grant_is_used_from_its_start_until_just_before_its_end(
    world: World, at: int, code: str | None
) -> None:
    bucket = world.bucket(lot(5, starts_at=100, expires_at=200))
    assert getattr(world.use(bucket, 5, at=at), "code", None) == code


def test_rest_of_an_ended_grant_is_breakage_at_the_instant_of_its_end(world: World) -> None:
    bucket = world.bucket(lot(10, expires_at=200), 1)
    world.use(bucket, 4, at=100)
    assert isinstance(world.use(bucket, 1, at=5000), Applied)
    assert world.rows(Kind.BREAKAGE) == [(6, 200)]


def test_waiting_grant_is_not_available_and_not_lost(world: World) -> None:
    bucket = world.bucket(5, lot(7, starts_at=100))
    assert world.use(bucket, 6, at=50) == Denied(code="bucket_empty", available=5, bucket=bucket)
    assert isinstance(world.use(bucket, 12, at=100), Applied)


@pytest.mark.parametrize(
    ("starts_at", "expires_at"), [(0, 50), (0, 40), (60, 60), (70, 60), (0, 2**62 + 1)]
)
def test_grant_that_ends_before_it_can_be_used_is_refused(
    world: World, starts_at: int, expires_at: int
) -> None:
    bucket = world.bucket()
    world.now = 50
    refused = world.do(Grant(bucket=bucket, amount=1, starts_at=starts_at, expires_at=expires_at))
    assert refused.code == "value_invalid"
    assert world.left(bucket) == []


# fmt: off
AT_MOST = [  # there are 7
    ("less than there is",  5,    5, 2, False),
    ("all there is",        7,    7, 0, False),
    ("more than there is",  13,   7, 0, True),
]
# fmt: on


@pytest.mark.parametrize(("wanted", "moved", "available", "final"), cases(AT_MOST))
def test_use_at_most_takes_what_is_there_and_says_when_it_is_final(
    world: World, wanted: int, moved: int, available: int, *, final: bool
) -> None:
    bucket = world.bucket(4, 3)
    outcome = world.do(Use(sources=(Source(bucket),), amount=wanted, at_most=True))
    assert (outcome.amount, outcome.available, outcome.final) == (moved, available, final)


def test_use_at_most_of_nothing_succeeds_with_nothing_and_writes_nothing(world: World) -> None:
    bucket = world.bucket()
    outcome = world.do(Use(sources=(Source(bucket),), amount=3, at_most=True))
    assert (outcome.amount, outcome.final) == (0, True)
    assert world.journal == []


# fmt: off
CREDIT = [  # a limit of 5
    ("up to the limit",            0,  [5],      None),
    ("not beyond it",              0,  [6],      "bucket_empty"),
    ("what is left of it",         0,  [2, 3],   None),
    ("not more than what is left", 0,  [2, 4],   "bucket_empty"),
    ("after what was granted",     10, [12, 3],  None),
    ("and not a unit more",        10, [12, 4],  "bucket_empty"),
]
# fmt: on


@pytest.mark.parametrize(("granted", "uses", "code"), cases(CREDIT))
def test_credit_limit_is_used_last_and_never_exceeded(
    world: World, granted: int, uses: list[int], code: str | None
) -> None:
    bucket = world.bucket(*([granted] if granted else []), credit=5)
    outcomes = [world.use(bucket, amount) for amount in uses]
    assert getattr(outcomes[-1], "code", None) == code


def test_credit_at_minus_two_of_five_leaves_three(world: World) -> None:
    bucket = world.bucket(credit=5)
    assert world.use(bucket, 2).available == 3
    assert world.use(bucket, 4) == Denied(code="bucket_empty", available=3, bucket=bucket)


def test_top_up_is_used_before_what_is_left_of_the_limit(world: World) -> None:
    bucket = world.bucket(credit=5)
    world.use(bucket, 2)
    world.do(Grant(bucket=bucket, amount=4))
    assert amounts(world.use(bucket, 6)) == [4, 2]


# fmt: off
# Own bucket 5, group 10, the member's cap in it 4: sources, amount, what each gave.
SEVERAL = [
    ("own first",                 ["own", "group"],          3,  [3, 0, 0]),
    ("then the group",            ["own", "group"],          9,  [5, 4, 0]),
    ("together not enough",       ["own", "group"],          16, "bucket_empty"),
    ("the cap counts what is drawn under it", ["own", "capped"], 8, [5, 3, 3]),
    ("a cap stops a full bucket", ["own", "capped"],         10, "member_cap_reached"),
    ("a bucket named twice counts once", ["own", "own"],     6,  "bucket_empty"),
    ("and gives all it has",      ["own", "own"],            5,  [5, 0, 0]),
    ("a cap named twice counts once", ["capped", "capped"],  5,  "member_cap_reached"),
    ("capped first, then the rest without", ["capped", "group"], 10, [0, 10, 4]),
    ("no source at all",          [],                        1,  "no_bucket"),
]
# fmt: on


@pytest.mark.parametrize(("names", "amount", "expected"), cases(SEVERAL))
def test_use_draws_on_its_sources_in_order(
    world: World, names: list[str], amount: int, expected: Any
) -> None:
    own, group, cap = world.bucket(5), world.bucket(10), world.bucket(4)
    known = {"own": Source(own), "group": Source(group), "capped": Source(group, cap)}
    outcome = world.do(Use(sources=tuple(known[name] for name in names), amount=amount))
    if isinstance(expected, str):
        assert isinstance(outcome, Denied)
        assert outcome.code == expected
        assert [world.room(own), world.room(group), world.room(cap)] == [5, 10, 4]
    else:
        given = [5 - world.room(own), 10 - world.room(group), 4 - world.room(cap)]
        assert given == expected


# fmt: off
# A quota of 5 and what is counted above it (7 in all): amount, what each gave, what is available.
ABOVE = [
    ("within the quota",         3,  [3, 0], 2),
    ("all of the quota",         5,  [5, 0], 0),
    ("above it",                 9,  [5, 4], 0),
    ("all there is",             12, [5, 7], 0),
    ("more than all",            13, None,   5),
]
# fmt: on


@pytest.mark.parametrize(("amount", "gave", "available"), cases(ABOVE))
def test_spare_source_is_drawn_in_its_turn_but_never_called_available(
    world: World, amount: int, gave: list[int] | None, available: int
) -> None:
    quota, above = world.bucket(5), world.bucket(credit=7)
    sources = (Source(quota), Source(above, spare=True))
    seen = world.do(Look(sources=sources, amount=amount))
    outcome = world.do(Use(sources=sources, amount=amount))
    assert isinstance(outcome, Denied) == (gave is None)
    assert outcome.available == available
    assert [5 - world.room(quota), 7 - world.room(above)] == (gave or [0, 0])
    assert isinstance(seen, Denied) == (gave is None)
    assert seen.available == 5


def test_hold_on_a_spare_source_leaves_nothing_available(world: World) -> None:
    sources = (Source(world.bucket(5)), Source(world.bucket(credit=7), spare=True))
    assert world.do(Hold(sources=sources, amount=6)).available == 0
    assert world.do(Hold(sources=sources, amount=6)) == Denied(
        code="bucket_empty", available=5, bucket=sources[0].bucket
    )


def test_spare_source_alone_has_nothing_available(world: World) -> None:
    sources = (Source(world.bucket(credit=7), spare=True),)
    assert world.do(Use(sources=sources, amount=3)).available == 0
    assert world.do(Use(sources=sources, amount=5)).code == "bucket_empty"


def test_amount_is_of_one_asset(world: World) -> None:
    films, euros = world.bucket(5), world.bucket(5, asset=EURO)
    mixed = (Source(films), Source(euros))
    assert world.do(Use(sources=mixed, amount=6)).code == "asset_differs"
    assert world.do(Look(sources=mixed, amount=6)).code == "asset_differs"
    assert world.do(Move(source=films, target=euros, amount=1)).code == "asset_differs"
    assert (world.room(films), world.room(euros)) == (5, 5)


def test_unknown_bucket_among_the_sources_is_refused(world: World) -> None:
    known = world.bucket(5)
    for sources in ((Source(7),), (Source(known), Source(7)), (Source(known, 7),)):
        assert world.do(Use(sources=sources, amount=1)) == Refused(code="bucket_unknown")
    assert world.room(known) == 5


def test_grant_does_not_outlive_its_end_because_another_bucket_is_ahead(world: World) -> None:
    ending, busy = world.bucket(lot(5, expires_at=3)), world.bucket(50)
    for _ in range(9):
        world.use(busy, 1)  # the busy bucket's last entry lies at 10 while the clock says 0

    outcome = world.do(Use(sources=(Source(ending), Source(busy)), amount=6))

    assert outcome.at > 3
    assert amounts(outcome) == [6]
    assert outcome.bucket == busy


def test_what_falls_due_while_settling_is_settled_too(world: World) -> None:
    bucket = world.bucket(lot(2, expires_at=5), lot(2, expires_at=6), lot(2, expires_at=7), 2)
    world.use(bucket, 1, at=5)  # the entry of each end moves the bucket's last instant on
    uses = [row for row in world.journal if row[2] == Kind.USE]
    assert uses[-1][6] == max(world.books.buckets[bucket].by_id)
    assert world.rows(Kind.BREAKAGE) == [(2, 5), (2, 6), (2, 7)]


def test_look_tells_what_a_use_would_meet_and_changes_nothing(world: World) -> None:
    bucket = world.bucket(5)
    before = len(world.journal)
    assert world.do(Look(sources=(Source(bucket),), amount=5)).available == 5
    assert world.do(Look(sources=(Source(bucket),), amount=6)).code == "bucket_empty"
    assert world.do(Look(sources=(Source(bucket),), amount=0)).available == 5
    assert len(world.journal) == before
