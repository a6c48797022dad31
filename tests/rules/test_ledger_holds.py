"""How holds are made, and each of the ways in which they end, once."""

from collections.abc import Callable
from typing import Any

import pytest

from farebox.ledger.model import (
    FOREVER,
    Applied,
    Capture,
    Command,
    Denied,
    Freeze,
    Hold,
    HoldState,
    Kind,
    Look,
    Pin,
    Release,
    Sink,
    Source,
)
from tests.support.world import World, cases, lot


@pytest.fixture
def world() -> World:
    return World()


def held(world: World, bucket: int, amount: int, *, cap: int | None = None, **terms: Any) -> Any:
    return world.do(Hold(sources=(Source(bucket, cap),), amount=amount, **terms))


def state_of(world: World, hold: int) -> HoldState:
    found = world.books.hold(hold)
    assert found is not None
    return HoldState(found.state)


def test_hold_is_refused_where_use_and_holds_leave_too_little(world: World) -> None:
    bucket = world.bucket(100)
    world.use(bucket, 70)
    assert held(world, bucket, 50) == Denied(code="bucket_empty", available=30, bucket=bucket)
    assert held(world, bucket, 30).available == 0
    assert world.use(bucket, 1).code == "bucket_empty"


def test_hold_reserves_grants_in_burn_order(world: World) -> None:
    bucket = world.bucket(lot(5, priority=2), lot(5, priority=1))
    held(world, bucket, 7)
    assert world.left(bucket) == [3, 0]
    world.use(bucket, 3)
    assert world.left(bucket) == [0, 0]


# fmt: off
# There are 10 in the first bucket and 20 in the second: asked, at most, then where and how much.
PLACES = [
    ("the first that has it",          5,  False, ("first", 5)),
    ("the first that has all of it",   15, False, ("second", 15)),
    ("never from two at once",         25, False, "bucket_empty"),
    ("at most: all of it if possible", 15, True,  ("second", 15)),
    ("at most: what the first has",    25, True,  ("first", 10)),
]
# fmt: on


@pytest.mark.parametrize(("asked", "at_most", "expected"), cases(PLACES))
def test_hold_lies_on_one_source(world: World, asked: int, *, at_most: bool, expected: Any) -> None:
    first, second = world.bucket(10), world.bucket(20)
    sources = (Source(first), Source(second))
    outcome = world.do(Hold(sources=sources, amount=asked, at_most=at_most))
    if isinstance(expected, str):
        assert outcome == Denied(code=expected, available=20, bucket=first)
    else:
        names = {first: "first", second: "second"}
        assert (names[outcome.bucket], outcome.amount) == expected
        assert outcome.final == (outcome.amount < asked)


def test_hold_at_most_of_nothing_holds_nothing(world: World) -> None:
    empty, other = world.bucket(), world.bucket()
    outcome = world.do(Hold(sources=(Source(empty), Source(other)), amount=5, at_most=True))
    assert (outcome.amount, outcome.final, outcome.bucket) == (0, True, empty)
    captured = world.do(Capture(hold=outcome.operation))
    assert (captured.amount, captured.released) == (0, 0)
    assert state_of(world, outcome.operation) is HoldState.RELEASED
    assert world.do(Release(hold=outcome.operation)).code == "hold_released"


# fmt: off
# A hold of 40 on a bucket of 100: policy, captured, then taken, released, debt, available.
CAPTURES = [
    ("all without a number",    "deny", None, (40, 0, 0, 60)),
    ("all by its number",       "deny", 40,   (40, 0, 0, 60)),
    ("a part frees the rest",   "deny", 15,   (15, 25, 0, 85)),
    ("nothing frees all",       "deny", 0,    (0, 40, 0, 100)),
    ("one more is denied",      "deny", 41,   "over_capture"),
    ("one more is cut off",     "cap",  41,   (40, 0, 0, 60)),
    ("one more is a debt",      "debt", 41,   (40, 0, 1, 60)),
    ("a debt is never taken from what is left", "debt", 90, (40, 0, 50, 60)),
    ("under a debt policy a part stays a part", "debt", 15, (15, 25, 0, 85)),
]
# fmt: on


@pytest.mark.parametrize(("policy", "amount", "expected"), cases(CAPTURES))
def test_capture_takes_part_of_a_hold(
    world: World, policy: Any, amount: int | None, expected: Any
) -> None:
    bucket = world.bucket(100)
    made = held(world, bucket, 40, over_capture=policy)
    outcome = world.do(Capture(hold=made.operation, amount=amount))
    if isinstance(expected, str):
        assert outcome == Denied(code=expected, available=40, bucket=bucket)
        assert state_of(world, made.operation) is HoldState.OPEN
        assert world.room(bucket) == 60
    else:
        found = (outcome.amount, outcome.released, outcome.debt, outcome.available)
        assert found == expected
        assert world.in_sink(Sink.USAGE) == outcome.amount + outcome.debt
        assert world.in_sink(Sink.RECEIVABLE) == -outcome.debt


ENDS = [
    ("captured", lambda hold: Capture(hold=hold), "hold_captured"),
    ("captured in part", lambda hold: Capture(hold=hold, amount=1), "hold_captured"),
    ("captured to nothing", lambda hold: Capture(hold=hold, amount=0), "hold_released"),
    ("released", lambda hold: Release(hold=hold), "hold_released"),
    ("expired", lambda _: Look(sources=(), amount=0), "hold_expired"),
]


@pytest.mark.parametrize(("end", "code"), cases(ENDS))
@pytest.mark.parametrize("then", [Capture, Release, Pin])
def test_hold_ends_once_and_says_how_it_ended(
    world: World, end: Callable[[int], Command], code: str, then: Callable[..., Command]
) -> None:
    made = held(world, world.bucket(10), 5, ttl_us=100)
    world.do(end(made.operation), at=50)
    world.now = 1000
    assert world.do(then(hold=made.operation)).code == code
    assert world.do(then(hold=made.operation)).code == code


def test_unknown_hold_is_refused(world: World) -> None:
    for command in (Capture(hold=7), Release(hold=7), Pin(hold=7)):
        assert world.do(command).code == "hold_unknown"


# fmt: off
# Held at 1 for 100 microseconds.
INSTANTS = [
    ("just before", 100, "applied"),
    ("at its end",  101, "hold_expired"),
    ("after it",    102, "hold_expired"),
]
# fmt: on


@pytest.mark.parametrize(("at", "expected"), cases(INSTANTS))
def test_hold_can_be_captured_until_just_before_its_end(
    world: World, at: int, expected: str
) -> None:
    bucket = world.bucket(10)
    made = held(world, bucket, 5, ttl_us=100)
    assert made.expires_at == made.at + 100
    outcome = world.do(Capture(hold=made.operation), at=made.at + at - 1)
    assert getattr(outcome, "code", "applied") == expected


def test_expiry_frees_or_takes_as_the_hold_says(world: World) -> None:
    bucket = world.bucket(20)
    held(world, bucket, 5, ttl_us=100)
    held(world, bucket, 7, ttl_us=100, on_expiry="capture")
    assert world.use(bucket, 13, at=200).available == 0
    assert world.in_sink(Sink.USAGE) == 20
    assert [amount for amount, _ in world.rows(Kind.EXPIRE_HOLD)] == [5]


def test_each_end_is_recorded_at_its_own_instant(world: World) -> None:
    bucket = world.bucket(lot(10, expires_at=1200))
    made = held(world, bucket, 4, ttl_us=1500)
    world.use(bucket, 1, at=9000)
    assert world.rows(Kind.BREAKAGE) == [(6, 1200), (4, made.at + 1500)]
    assert world.rows(Kind.EXPIRE_HOLD) == [(4, made.at + 1500)]


def test_held_part_of_an_ended_grant_stays_usable_by_its_hold(world: World) -> None:
    bucket = world.bucket(lot(10, expires_at=100))
    made = held(world, bucket, 4)
    assert world.do(Capture(hold=made.operation, amount=3), at=500).amount == 3
    assert world.in_sink(Sink.USAGE) == 3
    assert world.in_sink(Sink.BREAKAGE) == 7
    assert world.room(bucket) == 0


def test_held_part_of_an_ended_grant_is_breakage_when_released(world: World) -> None:
    bucket = world.bucket(lot(10, expires_at=100))
    made = held(world, bucket, 4)
    assert world.do(Release(hold=made.operation), at=500).available == 0
    assert [amount for amount, _ in world.rows(Kind.BREAKAGE)] == [6, 4]


def test_capture_and_hold_on_is_one_operation(world: World) -> None:
    bucket = world.bucket(100)
    first = held(world, bucket, 40, ttl_us=1000)
    second = world.do(Capture(hold=first.operation, amount=40, hold_on=40))
    assert (second.amount, second.available, second.hold) == (40, 20, second.operation)
    assert second.expires_at == second.at + 1000
    last = world.do(Capture(hold=second.hold, amount=15))
    assert (last.amount, last.released, last.available) == (15, 25, 45)


# fmt: off
HELD_ON = [
    ("as much as asked",     10, (10, False, 50)),
    ("everything",           60, (60, False, 0)),
    ("what is there",        61, (60, True, 0)),
    ("nothing",              0,  None),
    ("no amount",            -1, "value_invalid"),
    ("too large",            2**53, "value_invalid"),
    ("not a number",         "9", "value_invalid"),
    ("a truth is no number", True, "value_invalid"),
]
# fmt: on


@pytest.mark.parametrize(("asked", "expected"), cases(HELD_ON))
def test_hold_on_reserves_as_far_as_there_is(world: World, asked: Any, expected: Any) -> None:
    bucket = world.bucket(100)
    made = held(world, bucket, 40)
    outcome = world.do(Capture(hold=made.operation, hold_on=asked))
    if isinstance(expected, str):
        assert outcome.code == expected
        assert state_of(world, made.operation) is HoldState.OPEN
    elif expected is None:
        assert (outcome.hold, outcome.available) == (None, 60)
    else:
        amount, final, available = expected
        following = world.books.hold(outcome.hold)
        assert following is not None
        found = (following.amount, outcome.final, outcome.available, outcome.expires_at)
        assert found == (amount, final, available, None)


def test_pinned_hold_outlives_its_end_and_can_get_a_new_one(world: World) -> None:
    bucket = world.bucket(10)
    made = held(world, bucket, 5, ttl_us=100)
    assert world.do(Pin(hold=made.operation)).expires_at is None
    assert world.use(bucket, 6, at=10**9).code == "bucket_empty"
    pinned = world.do(Pin(hold=made.operation, ttl_us=50))
    assert pinned.expires_at == pinned.at + 50
    assert isinstance(world.use(bucket, 10, at=pinned.expires_at), Applied)


@pytest.mark.parametrize("ttl_us", [0, -1, FOREVER])
def test_hold_lasts_at_least_a_microsecond(world: World, ttl_us: int) -> None:
    bucket = world.bucket(10)
    made = held(world, bucket, 5)
    assert held(world, bucket, 5, ttl_us=ttl_us).code == "value_invalid"
    assert world.do(Pin(hold=made.operation, ttl_us=ttl_us)).code == "value_invalid"
    again = world.do(Capture(hold=made.operation, hold_on=1, ttl_us=ttl_us))
    assert again.code == "value_invalid"
    assert state_of(world, made.operation) is HoldState.OPEN


def test_hold_that_would_end_after_the_end_of_time_ends_before_it(world: World) -> None:
    bucket = world.bucket(10)
    world.now = 10**15
    made = held(world, bucket, 5, ttl_us=FOREVER - 1)
    assert made.expires_at == FOREVER - 1
    assert world.do(Pin(hold=made.operation, ttl_us=FOREVER - 1)).expires_at == FOREVER - 1


def test_frozen_bucket_lets_holds_go_but_not_be_taken(world: World) -> None:
    bucket = world.bucket(20)
    first, second, third = (held(world, bucket, 5, ttl_us=ttl) for ttl in (None, None, 100))
    world.do(Freeze(bucket=bucket))
    assert world.do(Capture(hold=first.operation)).code == "bucket_frozen"
    assert world.do(Release(hold=second.operation)).released == 5
    assert world.do(Release(hold=third.operation), at=1000).code == "hold_expired"
    world.do(Freeze(bucket=bucket, frozen=False))
    assert world.do(Capture(hold=first.operation)).amount == 5
    assert world.room(bucket) == 15


def test_frozen_buckets_give_nothing_even_at_most(world: World) -> None:
    frozen, usable = world.bucket(5), world.bucket(3)
    world.do(Freeze(bucket=frozen))
    for sources in ((Source(frozen),), (Source(frozen), Source(frozen))):
        outcome = world.do(Hold(sources=sources, amount=5, at_most=True))
        assert outcome == Denied(code="bucket_frozen", available=0, bucket=frozen)
    made = world.do(Hold(sources=(Source(frozen), Source(usable)), amount=5, at_most=True))
    assert (made.bucket, made.amount) == (usable, 3)
    empty = world.do(Hold(sources=(Source(frozen), Source(usable)), amount=5, at_most=True))
    assert (empty.bucket, empty.amount) == (usable, 0)


def test_hold_under_a_cap_is_held_on_the_cap_too(world: World) -> None:
    bucket, cap = world.bucket(10), world.bucket(6)
    assert held(world, bucket, 7, cap=cap).code == "member_cap_reached"
    made = held(world, bucket, 5, cap=cap, ttl_us=100)
    assert (world.room(bucket), world.room(cap), made.available) == (5, 1, 1)
    world.do(Capture(hold=made.operation, amount=2))
    assert (world.room(bucket), world.room(cap)) == (8, 4)
    assert (world.in_sink(Sink.USAGE), world.in_sink(Sink.CAP)) == (2, 2)


def test_hold_on_does_not_count_what_has_ended_on_the_cap(world: World) -> None:
    bucket, cap = world.bucket(100), world.bucket(lot(50, expires_at=100), 4)
    made = held(world, bucket, 2, cap=cap)
    outcome = world.do(Capture(hold=made.operation, hold_on=30), at=200)
    following = world.books.hold(outcome.hold)
    assert following is not None
    assert following.amount == 4
