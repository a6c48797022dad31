"""A fired CHECK: function and database disagree. One bucket is frozen, and nothing more."""

import pytest
import sqlalchemy as sa

from farebox.ledger import decide
from farebox.ledger.model import Applied, Freeze, Hold, Refused, Source, Use
from farebox.ledger.service import request
from tests.support.lanes import ask, one_batch
from tests.support.proof import faults, rows

FAULT = Refused(code="bucket_fault")
COMPANIONS = 24


class Alarm:
    """Keeps what it was told."""

    def __init__(self):
        self.heard = []

    def __call__(self, buckets):
        self.heard.append(tuple(buckets))


@pytest.fixture
def alarm():
    return Alarm()


@pytest.fixture
def lane(open_lane, alarm):
    return open_lane(on_alarm=alarm)


@pytest.fixture
def buckets(lane, scene):
    """Return buckets of ten that the lane remembers."""
    made = [scene.bucket(10) for _ in range(4)]
    for bucket in made:
        ask(lane, Use(sources=(Source(bucket),), amount=1))
    return made


def use(*buckets, amount=3):
    """Return a request of linked uses."""
    return request(*(Use(sources=(Source(bucket),), amount=amount) for bucket in buckets))


def frozen(scene):
    """Return the buckets that wait for an operator."""
    return [row.id for row in rows(scene.database, "SELECT id FROM account WHERE frozen = 2")]


def raise_floor(scene, bucket, floor):
    """Change a bucket behind the ledger's back: not even its version tells."""
    with scene.database.write() as tx:
        tx.run(sa.text("UPDATE account SET floor = :f WHERE id = :b"), {"f": floor, "b": bucket})


def oversell(monkeypatch, victim):
    """Let the deciding function believe that a bucket has more than it has."""
    right = decide._STEPS[Use]

    def wrong(books, command, operation, now):
        if victim not in {source.bucket for source in command.sources}:
            return right(books, command, operation, now)
        bucket = books.buckets[victim]
        funds = [bucket, *bucket.order]
        for fund in funds:
            fund.credited += command.amount
        outcome = right(books, command, operation, now)
        for fund in funds:
            fund.credited -= command.amount
        return outcome

    monkeypatch.setitem(decide._STEPS, Use, wrong)


def test_a_floor_raised_behind_the_ledgers_back_freezes_that_bucket_alone(
    lane, scene, buckets, alarm
):
    victim, *others = buckets
    raise_floor(scene, victim, 8)
    companions = [use(others[n % 3], amount=1) for n in range(COMPANIONS // 2)]
    batch = [*companions[:5], use(victim), *companions[5:], use(victim, others[0]), use(victim)]
    answers = one_batch(lane, batch)

    assert [answers[5], answers[-1]] == [(FAULT,), (FAULT,)]
    assert FAULT in answers[-2]
    assert all(isinstance(answer[0], Applied) for answer in [*answers[:5], *answers[6 : 6 + 7]])
    assert frozen(scene) == [victim]
    assert alarm.heard == [(victim,)]
    # It stays so for everybody, until somebody has looked.
    assert ask(lane, Use(sources=(Source(victim),), amount=1)) == FAULT
    assert ask(lane, Hold(sources=(Source(victim),), amount=1, ttl_us=10**9)) == FAULT
    assert scene.use(victim, 1) == FAULT
    assert isinstance(scene.use(others[0], 1), Applied)
    raise_floor(scene, victim, 0)
    lane.runner._memory.forget()  # as the processes are started anew after such a repair
    assert isinstance(ask(lane, Freeze(bucket=victim, frozen=False)), Applied)
    assert ask(lane, Use(sources=(Source(victim),), amount=9)).available == 0
    assert faults(scene.database) == []


def test_a_deciding_function_gone_wrong_oversells_nothing_and_freezes_one_bucket(
    lane, scene, buckets, alarm, monkeypatch
):
    victim, *others = buckets
    oversell(monkeypatch, victim)
    companions = [use(others[n % 3], amount=1) for n in range(COMPANIONS // 2)]
    batch = [*companions[:5], use(victim, amount=50), *companions[5:]]
    answers = one_batch(lane, batch)
    assert answers.pop(5) == (FAULT,)
    assert all(isinstance(answer[0], Applied) for answer in answers)
    assert frozen(scene) == [victim]
    assert set(alarm.heard) == {(victim,)}
    assert scene.available(victim) == 9
    assert faults(scene.database) == []


def test_of_two_buckets_in_one_command_only_the_faulty_one_is_frozen(
    lane, scene, buckets, alarm, monkeypatch
):
    victim, other, third, _ = buckets
    oversell(monkeypatch, victim)
    linked = [Use(sources=(Source(b),), amount=5) for b in (other, third)]
    answer = lane.call(request(linked[0], Use(sources=(Source(victim),), amount=50), linked[1]))
    assert answer[1] == FAULT
    assert [outcome.code for outcome in answer] == [
        "linked_failed",
        "bucket_fault",
        "linked_failed",
    ]
    assert frozen(scene) == [victim]
    assert scene.available(other) == scene.available(third) == 9
    assert ask(lane, Use(sources=(Source(other),), amount=9)).available == 0
    assert faults(scene.database) == []


def test_an_alarm_that_fails_stops_nobody(open_lane, scene):
    def broken(buckets):
        raise RuntimeError("nobody is at home")

    lane = open_lane(on_alarm=broken)
    victim, other = scene.bucket(10), scene.bucket(10)
    ask(lane, Use(sources=(Source(victim),), amount=1))
    raise_floor(scene, victim, 8)
    assert one_batch(lane, [use(victim), use(other)])[0] == (FAULT,)
    assert ask(lane, Use(sources=(Source(other),), amount=1)).available == 6
    assert frozen(scene) == [victim]


def test_a_fault_that_cannot_be_written_down_stops_nobody(lane, scene, buckets, monkeypatch):
    victim, other, *_ = buckets
    raise_floor(scene, victim, 8)

    def broken(*_):
        raise sa.exc.OperationalError("declare", None, RuntimeError("no disk"))

    ledger = lane.runner._ledger
    monkeypatch.setattr(ledger, "declare_fault", broken)
    answers = one_batch(lane, [use(victim), use(other)])
    assert not isinstance(answers[0], tuple) or not isinstance(answers[0][0], Applied)
    assert isinstance(answers[1][0], Applied)
    assert scene.available(victim) == 9
    monkeypatch.undo()
    assert ask(lane, Use(sources=(Source(other),), amount=1)).available == 5
