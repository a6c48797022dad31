"""Requests: keys, linked commands, bounds of amounts, and time that steps back."""

from typing import Any

import pytest

from farebox.ledger.model import (
    Applied,
    Capture,
    Command,
    Denied,
    Freeze,
    Grant,
    Hold,
    Kind,
    Look,
    Move,
    Recall,
    Refused,
    Release,
    Request,
    Reverse,
    Source,
    Use,
    Void,
)
from tests.support.world import World, cases, lot

MOST = 2**53 - 1


@pytest.fixture
def world() -> World:
    return World()


def using(bucket: int, amount: int, *, at_most: bool = False) -> Use:
    return Use(sources=(Source(bucket),), amount=amount, at_most=at_most)


# -- keys ----------------------------------------------------------------------------------------


def test_same_key_and_payload_get_the_first_answer_and_no_second_effect(world: World) -> None:
    bucket = world.bucket(10)
    first = world.use(bucket, 4, key="k")
    assert world.use(bucket, 4, key="k", at=1000) == first
    assert world.room(bucket) == 6


def test_known_key_is_answered_before_any_other_rule(world: World) -> None:
    bucket = world.bucket(10)
    first = world.use(bucket, 10, key="k")
    world.do(Freeze(bucket=bucket))
    assert world.use(bucket, 10, key="k") == first


def test_another_payload_under_a_key_is_refused_and_changes_nothing(world: World) -> None:
    bucket = world.bucket(10)
    world.use(bucket, 4, key="k", payload="a")
    refused = world.use(bucket, 5, key="k", payload="b")
    assert refused == Refused(code="idempotency_key_reused")
    assert world.room(bucket) == 6
    assert isinstance(world.use(bucket, 4, key="k", payload="a"), Applied)


def test_denial_is_remembered_across_a_top_up(world: World) -> None:
    bucket = world.bucket(3)
    denied = world.use(bucket, 5, key="k")
    world.do(Grant(bucket=bucket, amount=10))
    assert world.use(bucket, 5, key="k") == denied
    assert isinstance(world.use(bucket, 5, key="another"), Applied)


def test_refusal_is_not_remembered(world: World) -> None:
    assert world.use(7, 5, key="k").code == "bucket_unknown"
    assert [memory[3] for memory in world.books.memories] == []
    assert b"k".ljust(16) not in world.books.remembered


def test_key_repeated_in_one_batch_takes_effect_once(world: World) -> None:
    bucket = world.bucket(10)
    twice = [world.asking(using(bucket, 4), key="k") for _ in range(2)]
    first, second = world.batch(*twice)
    assert first == second
    assert world.room(bucket) == 6
    assert len(world.books.memories) == 1


def test_recall_answers_only_what_is_remembered(world: World) -> None:
    bucket = world.bucket(10)
    assert world.do(Recall(), key="k") == Refused(code="key_unknown")
    used = world.use(bucket, 4, key="k")
    assert world.do(Recall(), key="k") == used
    assert world.do(Recall(), key="k", payload="b").code == "idempotency_key_reused"
    assert world.room(bucket) == 6


def test_guard_of_another_revision_is_stale_unless_the_key_is_known(world: World) -> None:
    bucket = world.bucket(10)
    world.books.revisions["con_a"] = 3

    def asking(revision: int, key: bytes | None) -> Request:
        return Request(
            commands=(using(bucket, 4),), operations=(world.mint(),), digest=key,
            fingerprint=key, guards=(("con_a", revision), ("con_b", 0)),
        )  # fmt: skip

    assert world.batch(asking(2, None))[0][0].code == "stale"  # type: ignore[union-attr]
    (used,) = world.batch(asking(3, b"k"))[0]
    assert isinstance(used, Applied)
    world.books.revisions["con_a"] = 4
    assert world.batch(asking(3, b"k"))[0] == (used,)
    assert world.batch(asking(3, b"l"))[0][0].code == "stale"  # type: ignore[union-attr]
    assert world.room(bucket) == 6


def test_what_changes_by_itself_is_stale_from_its_instant_on(world: World) -> None:
    bucket = world.bucket(10)

    def asking(key: bytes | None = None) -> Request:
        return Request(
            commands=(using(bucket, 4),), operations=(world.mint(),), digest=key,
            fingerprint=key, until=1000,
        )  # fmt: skip

    world.now = 999
    (used,) = world.batch(asking(b"k"))[0]
    assert isinstance(used, Applied)
    world.now = 1000
    assert world.batch(asking())[0][0].code == "stale"  # type: ignore[union-attr]
    assert world.batch(asking(b"k"))[0] == (used,)
    assert world.room(bucket) == 6


# -- linked commands -----------------------------------------------------------------------------


def test_linked_commands_see_each_other(world: World) -> None:
    bucket = world.bucket()
    assert isinstance(world.do(Grant(bucket=bucket, amount=5), using(bucket, 5)), Applied)
    assert world.room(bucket) == 0


LINKED = "linked_failed"
FAILED = [
    ("the denied one says why", 15, [LINKED, "bucket_empty", LINKED], Denied),
    ("a refused one as well", 0, [LINKED, "value_invalid", LINKED], Refused),
]


@pytest.mark.parametrize(("amount", "codes", "kind"), cases(FAILED))
def test_linked_commands_fail_together(
    world: World, amount: int, codes: list[str], kind: type[Any]
) -> None:
    bucket = world.bucket(10)
    asked = world.asking(using(bucket, 4), using(bucket, amount), using(bucket, 1))
    (outcomes,) = world.batch(asked)
    assert [getattr(outcome, "code", None) for outcome in outcomes] == codes
    assert {type(outcome) for outcome in outcomes} == {kind}
    assert world.room(bucket) == 10


def test_failed_group_leaves_no_trace_of_any_kind_of_command(world: World) -> None:
    bucket, other = world.bucket(lot(9, expires_at=500), 20), world.bucket(20)
    (grant, _) = world.books.buckets[bucket].by_id
    used = world.use(bucket, 4)
    first, second = (world.do(Hold(sources=(Source(bucket),), amount=3)) for _ in range(2))
    before = (world.left(bucket), world.left(other), len(world.journal))

    failing = world.asking(
        Capture(hold=first.operation, amount=2, hold_on=1),
        Release(hold=second.operation),
        Reverse(operation=used.operation, amount=2),
        Void(grant=grant, amount=1),
        Grant(bucket=other, amount=5),
        Move(source=bucket, target=other, amount=3),
        Hold(sources=(Source(other),), amount=1, ttl_us=5),
        Freeze(bucket=other),
        using(other, 1),
    )
    (outcomes,) = world.batch(failing)

    assert outcomes[-1].code == "bucket_frozen"  # type: ignore[union-attr]
    assert (world.left(bucket), world.left(other), len(world.journal)) == before
    changes = (world.books.new_holds, world.books.new_grants, world.books.changed_holds)
    assert not any(changes)
    assert world.do(Release(hold=failing.operations[6])).code == "hold_unknown"
    assert world.do(Reverse(operation=used.operation)).amount == 4
    assert world.do(Capture(hold=first.operation)).amount == 3
    assert world.do(Capture(hold=second.operation)).amount == 3
    assert isinstance(world.use(other, 20), Applied)


def test_hold_of_a_failed_group_is_unknown_to_the_rest_of_the_batch(world: World) -> None:
    bucket = world.bucket(10)
    failing = world.asking(Hold(sources=(Source(bucket),), amount=1), using(bucket, 99))
    capture = world.asking(Capture(hold=failing.operations[0]))
    _, answer = world.batch(failing, capture)
    assert answer == (Refused(code="hold_unknown"),)


def test_failed_group_is_remembered_as_a_whole(world: World) -> None:
    bucket = world.bucket(3)
    asked = [world.asking(using(bucket, 1), using(bucket, 3), key="k") for _ in range(2)]
    (first,) = world.batch(asked[0])
    world.do(Grant(bucket=bucket, amount=10))
    assert world.batch(asked[1]) == [first]
    assert world.room(bucket) == 13


def test_others_of_the_batch_are_decided_as_if_the_failed_group_had_not_been(world: World) -> None:
    bucket = world.bucket(20)
    before = world.asking(using(bucket, 5))
    failing = world.asking(using(bucket, 15), using(bucket, 5))
    after = world.asking(using(bucket, 15))
    one, two, three = world.batch(before, failing, after)
    assert [type(answer[-1]) for answer in (one, two, three)] == [Applied, Denied, Applied]
    assert world.room(bucket) == 0
    assert [row[4] for row in world.journal] == [1, 2, 3]


# -- amounts -------------------------------------------------------------------------------------

NOT_AMOUNTS = [0, -1, 2**53, 2**63, 1.0, 1e400, float("nan"), "1", "NaN", True, b"1", (1,)]


@pytest.mark.parametrize("amount", NOT_AMOUNTS, ids=repr)
def test_what_is_no_amount_is_refused_by_every_command(world: World, amount: Any) -> None:
    bucket, other = world.bucket(10), world.bucket()
    (grant,) = world.books.buckets[bucket].by_id
    used = world.use(bucket, 1)
    made = world.do(Hold(sources=(Source(bucket),), amount=2))
    zero = amount == 0 and type(amount) is int
    commands: list[Command] = [
        using(bucket, amount),
        using(bucket, amount, at_most=True),
        Hold(sources=(Source(bucket),), amount=amount),
        Grant(bucket=bucket, amount=amount),
        Move(source=bucket, target=other, amount=amount),
        Void(grant=grant, amount=amount),
        Reverse(operation=used.operation, amount=amount),
        *([] if zero else [Capture(hold=made.operation, amount=amount)]),
        *([] if zero else [Look(sources=(Source(bucket),), amount=amount)]),
    ]
    for command in commands:
        assert world.do(command).code == "value_invalid", command
    assert world.left(bucket) == [7]
    assert len(world.journal) == 3


def test_largest_amount_is_one_that_every_json_client_reads_exactly(world: World) -> None:
    bucket = world.bucket(MOST)
    assert world.use(bucket, MOST).available == 0
    assert world.use(bucket, 1) == Denied(code="bucket_empty", available=0, bucket=bucket)


def test_counter_never_leaves_what_both_engines_store(world: World) -> None:
    bucket = world.bucket()
    world.books.buckets[bucket].credited = world.books.buckets[bucket].debited = 2**62 - 5
    assert world.do(Grant(bucket=bucket, amount=6)).code == "counter_overflow"
    assert isinstance(world.do(Grant(bucket=bucket, amount=5)), Applied)


# -- time ----------------------------------------------------------------------------------------


def test_recorded_time_never_stands_still_nor_goes_back(world: World) -> None:
    bucket = world.bucket(100)
    instants = [world.use(bucket, 1, at=at).at for at in (50, 50, 10, 0, 52, 51, 100)]
    assert instants == [50, 51, 52, 53, 54, 55, 100]


def test_nothing_ends_twice_or_comes_back_when_the_clock_steps_back(world: World) -> None:
    bucket = world.bucket(lot(10, expires_at=100), 5)
    made = world.do(Hold(sources=(Source(bucket),), amount=4, ttl_us=50))
    assert world.use(bucket, 1, at=200).available == 4
    assert world.use(bucket, 5, at=20).code == "bucket_empty"
    assert world.do(Capture(hold=made.operation)).code == "hold_expired"
    assert world.use(bucket, 4, at=300).available == 0
    assert world.rows(Kind.BREAKAGE) == [(10, 100)]


def test_frozen_clock_still_orders_what_happens(world: World) -> None:
    bucket = world.bucket(50)
    for _ in range(50):
        world.use(bucket, 1)
    instants = [row[11] for row in world.journal]
    assert instants == sorted(set(instants))
