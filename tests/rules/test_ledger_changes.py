"""What changes the content of buckets: giving back, voiding, moving, freezing."""

from typing import Any

import pytest

from farebox.ledger.model import (
    Applied,
    Capture,
    Denied,
    Freeze,
    Grant,
    Hold,
    Kind,
    Look,
    Move,
    Pin,
    Refused,
    Reverse,
    Sink,
    Source,
    Use,
    Void,
)
from tests.support.world import World, cases, lot


@pytest.fixture
def world() -> World:
    return World()


def amounts(outcome: Any) -> list[int]:
    return [amount for _, _, amount in outcome.drawn]


# -- reversing -----------------------------------------------------------------------------------

# fmt: off
# Taken: 4 of the first grant (of 4), 6 of the second (of 10). Given back, then left in each.
REVERSALS = [
    ("the last taken first",    [5],       [0, 9]),
    ("then the one before",     [8],       [2, 10]),
    ("all by its number",       [10],      [4, 10]),
    ("all without a number",    [None],    [4, 10]),
    ("in steps",                [5, 3],    [2, 10]),
    ("the rest after a step",   [5, None], [4, 10]),
    ("one more than was taken", [11],      "reversal_exceeds"),
    ("one more than is left",   [5, 6],    "reversal_exceeds"),
    ("again after all",         [10, None], "nothing_to_reverse"),
    ("an amount after all",     [10, 1],   "nothing_to_reverse"),
]
# fmt: on


@pytest.mark.parametrize(("given", "expected"), cases(REVERSALS))
def test_reversal_gives_back_to_the_same_grants_last_first(
    world: World, given: list[int | None], expected: Any
) -> None:
    bucket = world.bucket(4, 10)
    used = world.use(bucket, 10)
    outcomes = [world.do(Reverse(operation=used.operation, amount=part)) for part in given]
    if isinstance(expected, str):
        assert outcomes[-1].code == expected
    else:
        assert world.left(bucket) == expected
        assert world.in_sink(Sink.USAGE) == 14 - sum(expected)


def test_reversal_ignores_what_would_burn_first_today(world: World) -> None:
    bucket = world.bucket(4, 10)
    used = world.use(bucket, 10)
    world.do(Grant(bucket=bucket, amount=3, priority=-5))
    world.do(Reverse(operation=used.operation, amount=5))
    assert world.left(bucket) == [0, 9, 3]


def test_reversal_to_an_ended_grant_is_breakage_at_once(world: World) -> None:
    bucket = world.bucket(lot(4, expires_at=100), 10)
    used = world.use(bucket, 10)
    outcome = world.do(Reverse(operation=used.operation, amount=8), at=500)
    assert (amounts(outcome), outcome.available) == ([6, 2], 10)
    assert [amount for amount, _ in world.rows(Kind.BREAKAGE)] == [2]


@pytest.mark.parametrize("ending", range(16))
def test_reversal_knows_a_sink_by_its_whole_id(world: World, ending: int) -> None:
    bucket = world.bucket(10)
    sink = (1 << 40) + ending
    used = world.do(Use(sources=(Source(bucket),), amount=6, sink=sink))
    assert amounts(world.do(Reverse(operation=used.operation))) == [6]
    assert world.room(bucket) == 10


def test_capture_is_reversed_like_a_use(world: World) -> None:
    bucket = world.bucket(10)
    made = world.do(Hold(sources=(Source(bucket),), amount=6))
    captured = world.do(Capture(hold=made.operation, amount=4))
    world.do(Reverse(operation=captured.operation, amount=3))
    assert world.room(bucket) == 9


@pytest.mark.parametrize("command", [Grant, Hold, Move, Freeze])
def test_only_what_was_taken_can_be_reversed(world: World, command: type[Any]) -> None:
    bucket, other = world.bucket(10), world.bucket()
    commands: dict[type[Any], Any] = {
        Grant: Grant(bucket=bucket, amount=1),
        Hold: Hold(sources=(Source(bucket),), amount=1),
        Move: Move(source=bucket, target=other, amount=1),
        Freeze: Freeze(bucket=other),
    }
    done = world.do(commands[command])
    assert world.do(Reverse(operation=done.operation)).code == "operation_unknown"
    assert world.do(Reverse(operation=7)).code == "operation_unknown"


def test_reversal_in_the_batch_of_its_use(world: World) -> None:
    bucket = world.bucket(10)
    used = world.asking(Use(sources=(Source(bucket),), amount=6))
    back = world.asking(Reverse(operation=used.operations[0], amount=4))
    more = world.asking(Reverse(operation=used.operations[0], amount=3))
    _, first, second = world.batch(used, back, more)
    assert isinstance(first[0], Applied)
    assert second[0] == Denied(code="reversal_exceeds", available=2, bucket=bucket)
    assert world.room(bucket) == 8


# fmt: off
# Drawn: 4 under the first cap, 3 without one, 5 under the second. Given back: first and last cap.
CAPS = [
    ("only what fell under the last", 2,  (0, 2)),
    ("all of the last",               5,  (0, 5)),
    ("what fell under none",          7,  (0, 5)),
    ("then the first",                9,  (1, 5)),
    ("all",                           12, (4, 5)),
]
# fmt: on


@pytest.mark.parametrize(("amount", "expected"), cases(CAPS))
def test_reversal_gives_a_cap_what_its_own_source_gets(
    world: World, amount: int, expected: tuple[int, int]
) -> None:
    first, middle, last = world.bucket(4), world.bucket(3), world.bucket(5)
    caps = world.bucket(4), world.bucket(5)
    sources = (Source(first, caps[0]), Source(middle), Source(last, caps[1]))
    used = world.do(Use(sources=sources, amount=12))
    world.do(Reverse(operation=used.operation, amount=amount))
    assert (world.room(caps[0]), world.room(caps[1])) == expected


def test_frozen_bucket_takes_nothing_back(world: World) -> None:
    bucket = world.bucket(10)
    used = world.use(bucket, 6)
    world.do(Freeze(bucket=bucket))
    assert world.do(Reverse(operation=used.operation)).code == "bucket_frozen"
    world.do(Freeze(bucket=bucket, frozen=False))
    assert world.do(Reverse(operation=used.operation)).amount == 6


# -- voiding -------------------------------------------------------------------------------------

# fmt: off
# A grant of 10 of which 3 are used and 2 held.
VOIDS = [
    ("what is unused", None, (5, False)),
    ("a part",         2,    (2, False)),
    ("never the held", 9,    (5, True)),
]
# fmt: on


@pytest.mark.parametrize(("amount", "expected"), cases(VOIDS))
def test_void_takes_what_is_unused_out_of_a_grant(
    world: World, amount: int | None, expected: tuple[int, bool]
) -> None:
    bucket = world.bucket(10)
    (grant,) = world.books.buckets[bucket].by_id
    world.use(bucket, 3)
    world.do(Hold(sources=(Source(bucket),), amount=2))
    outcome = world.do(Void(grant=grant, amount=amount))
    assert (outcome.amount, outcome.final) == expected
    assert world.in_sink(Sink.WORLD) == -10 + expected[0]


def test_voided_grant_never_begins(world: World) -> None:
    bucket = world.bucket(lot(10, starts_at=100))
    (grant,) = world.books.buckets[bucket].by_id
    world.do(Void(grant=grant, amount=4))
    assert world.books.buckets[bucket].waiting == 6
    world.do(Void(grant=grant))
    assert world.use(bucket, 1, at=200).code == "bucket_empty"
    assert world.rows(Kind.START) == []
    assert world.books.buckets[bucket].grants == 0


def test_unknown_grant_is_refused(world: World) -> None:
    world.bucket(10)
    assert world.do(Void(grant=7)) == Refused(code="grant_unknown")


# -- moving --------------------------------------------------------------------------------------


def test_move_takes_priority_class_and_validity_along(world: World) -> None:
    source = world.bucket(lot(4, priority=2, class_=1, expires_at=900), lot(9, priority=5))
    target = world.bucket()
    moved = world.do(Move(source=source, target=target, amount=6))
    assert (amounts(moved), moved.available) == ([4, 2], 7)
    made = world.books.buckets[target].order
    terms = [(each.credited, each.priority, each.class_, each.expires_at) for each in made]
    assert terms == [(4, 2, 1, 900), (2, 5, 0, 2**62)]
    assert world.in_sink(Sink.TRANSIT) == 0


# fmt: off
# There are 10, of which 3 are held, and a credit limit of 5 of which nothing is used.
MOVES = [
    ("what is free",          7, None),
    ("nothing that is held",  8, "bucket_empty"),
    ("nothing of the credit", 9, "bucket_empty"),
]
# fmt: on


@pytest.mark.parametrize(("amount", "code"), cases(MOVES))
def test_move_takes_only_what_was_credited(world: World, amount: int, code: str | None) -> None:
    source, target = world.bucket(10, credit=5), world.bucket()
    world.do(Hold(sources=(Source(source),), amount=3))
    outcome = world.do(Move(source=source, target=target, amount=amount))
    assert getattr(outcome, "code", None) == code
    if code is not None:
        assert outcome.available == 7
        assert (world.room(source), world.room(target)) == (12, 0)


def test_debt_is_paid_before_anything_moves(world: World) -> None:
    source, target = world.bucket(credit=5), world.bucket()
    world.use(source, 3)
    world.do(Grant(bucket=source, amount=10))
    assert world.do(Move(source=source, target=target, amount=8)).code == "bucket_empty"
    assert world.do(Move(source=source, target=target, amount=7)).available == 5


def test_move_goes_to_another_known_bucket(world: World) -> None:
    bucket = world.bucket(5)
    move: dict[str, Any] = {"source": bucket, "target": bucket, "amount": 1}
    assert world.do(Move(**move)).code == "value_invalid"
    assert world.do(Move(**{**move, "target": 7})).code == "bucket_unknown"
    assert world.do(Move(**{**move, "source": 7})).code == "bucket_unknown"


# -- freezing ------------------------------------------------------------------------------------


def test_frozen_bucket_takes_no_new_movement(world: World) -> None:
    bucket, other = world.bucket(10), world.bucket(10)
    (grant,) = world.books.buckets[bucket].by_id
    world.do(Freeze(bucket=bucket))
    source = (Source(bucket),)
    for command in (
        Use(sources=source, amount=1),
        Use(sources=source, amount=1, at_most=True),
        Hold(sources=source, amount=1),
        Look(sources=source, amount=0),
        Grant(bucket=bucket, amount=1),
        Void(grant=grant),
        Move(source=bucket, target=other, amount=1),
        Move(source=other, target=bucket, amount=1),
    ):
        assert world.do(command) == Denied(code="bucket_frozen", available=0, bucket=bucket)
    assert world.rows(Kind.FREEZE) != []
    assert (world.room(bucket), world.room(other)) == (10, 10)


def test_frozen_source_is_passed_over(world: World) -> None:
    frozen, usable = world.bucket(10), world.bucket(3)
    world.do(Freeze(bucket=frozen))
    both = (Source(frozen), Source(usable))
    assert world.do(Use(sources=both, amount=4)).code == "bucket_frozen"
    assert world.do(Use(sources=both, amount=4, at_most=True)).amount == 3


def test_grants_end_on_a_frozen_bucket_too(world: World) -> None:
    bucket = world.bucket(lot(10, expires_at=100))
    world.do(Freeze(bucket=bucket))
    world.do(Freeze(bucket=bucket, frozen=False), at=500)
    assert world.rows(Kind.BREAKAGE) == [(10, 100)]


def test_freezing_twice_is_freezing_once(world: World) -> None:
    bucket = world.bucket(10)
    for frozen in (True, True, False, False):
        assert isinstance(world.do(Freeze(bucket=bucket, frozen=frozen)), Applied)
    assert len(world.rows(Kind.FREEZE)) == len(world.rows(Kind.UNFREEZE)) == 1
    assert isinstance(world.use(bucket, 10), Applied)


@pytest.mark.parametrize("thaw", [False, True])
def test_faulty_bucket_answers_fault_until_an_operator_thaws_it(
    world: World, *, thaw: bool
) -> None:
    bucket = world.bucket(10)
    made = world.do(Hold(sources=(Source(bucket),), amount=1))
    world.books.buckets[bucket].frozen = 2
    if thaw:
        world.do(Freeze(bucket=bucket, frozen=False))
    other = world.bucket(10)
    for command in (
        Use(sources=(Source(bucket),), amount=1),
        Use(sources=(Source(other), Source(bucket)), amount=1),
        Pin(hold=made.operation),
        Capture(hold=made.operation),
    ):
        assert (world.do(command) == Refused(code="bucket_fault")) is not thaw
