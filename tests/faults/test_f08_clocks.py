"""F8: clocks that step back, leap ahead, stand still. Nothing resurrects, nothing expires twice."""

import random
import time

import pytest

from farebox.kernel.clock import SECOND_US, ManualClock, SystemClock
from farebox.kernel.refusals import ClockJumped
from farebox.ledger.batch import Lane
from farebox.ledger.model import Applied, Capture, Denied, Grant, Hold, Refused, Source, Use
from farebox.ledger.service import Ledger
from tests.support.lanes import ask
from tests.support.proof import faults, rows
from tests.support.scene import HOUR, Scene


def kinds(database, bucket, kind):
    """Return the journal rows of one kind."""
    return rows(
        database,
        "SELECT at, amount FROM transfer WHERE bucket = :bucket AND kind = :kind ORDER BY seq",
        bucket=bucket,
        kind=kind,
    )


def times(database, bucket):
    """Return when a bucket's operations took place, one a operation, in the journal's order."""
    return [row.at for row in rows(
        database,
        "SELECT min(seq) AS first, min(at) AS at FROM transfer WHERE bucket = :bucket "
        "GROUP BY operation ORDER BY first",
        bucket=bucket,
    )]  # fmt: skip


def hold_of(scene, bucket, ttl_us):
    """Hold four units."""
    return scene.do(Hold(sources=(Source(bucket),), amount=4, ttl_us=ttl_us))


BREAKAGE, EXPIRED_HOLD = 7, 6


def test_an_hour_back_brings_no_expired_grant_and_no_ended_hold_back(scene, clock):
    bucket = scene.bucket(Grant(bucket=0, amount=10, expires_at=clock.now_us() + HOUR), 5)
    hold = hold_of(scene, bucket, HOUR // 2).hold
    clock.move(HOUR)
    assert scene.use(bucket, 1).available == 4
    clock.move(-HOUR)
    # The expired ten stay expired, the hold stays ended, and time goes on by microseconds.
    assert scene.use(bucket, 5) == Denied(code="bucket_empty", available=4, bucket=bucket)
    assert scene.do(Capture(hold=hold)) == Refused(code="hold_expired")
    assert scene.use(bucket, 4).available == 0
    clock.move(2 * HOUR)
    assert scene.use(bucket, 1).available == 0
    assert [row.amount for row in kinds(scene.database, bucket, BREAKAGE)] == [10]
    assert [row.amount for row in kinds(scene.database, bucket, EXPIRED_HOLD)] == [4]
    assert faults(scene.database) == []


def test_a_hold_made_after_a_step_back_lasts_as_long_as_it_was_asked_to(scene, clock):
    bucket = scene.bucket(10)
    latest = scene.use(bucket, 1).at
    clock.move(-HOUR)
    held = hold_of(scene, bucket, 60 * SECOND_US)
    assert held.at == latest + 1
    assert held.expires_at == latest + 1 + 60 * SECOND_US
    clock.set(held.expires_at - 2)
    assert scene.do(Capture(hold=held.hold, amount=1)).amount == 1


def test_a_frozen_clock_still_orders_everything(scene):
    bucket = scene.bucket(1000)
    for _ in range(200):
        assert isinstance(scene.use(bucket, 1), Applied)
    at = times(scene.database, bucket)
    assert at == sorted(set(at))
    assert len(at) == 201
    assert faults(scene.database) == []


def test_a_leap_settles_everything_in_between_at_its_own_instant(scene, clock):
    begun = clock.now_us()
    ends = [begun + n * HOUR for n in (1, 2, 3)]
    bucket = scene.bucket(*(Grant(bucket=0, amount=n + 1, expires_at=ends[n]) for n in range(3)), 7)
    clock.move(24 * HOUR)
    assert scene.use(bucket, 1).available == 6
    assert [tuple(row) for row in kinds(scene.database, bucket, BREAKAGE)] == list(
        zip(ends, (1, 2, 3), strict=True)
    )
    assert faults(scene.database) == []


@pytest.mark.parametrize("seed", [5, 6])
def test_a_clock_gone_mad_expires_everything_once_and_goes_on_in_order(
    open_lane, scene, clock, seed
):
    chance = random.Random(seed)
    begun = clock.now_us()
    buckets = [scene.bucket(1000), scene.bucket(1000)]
    lanes = [open_lane(), open_lane()]
    ended = set()
    holds: list[int] = []
    for _ in range(250):
        clock.move(chance.choice([-HOUR, HOUR, HOUR, 0, 0, 1, -1, SECOND_US, -SECOND_US]))
        bucket = chance.choice(buckets)
        lane = chance.choice(lanes)
        step = chance.randrange(4)
        now = max(clock.now_us(), begun)
        if step == 0:
            ask(lane, Grant(bucket=bucket, amount=3, priority=1, expires_at=now + 2 * HOUR))
        elif step == 1:
            held = ask(lane, Hold(sources=(Source(bucket),), amount=1, ttl_us=HOUR))
            if isinstance(held, Applied):
                assert held.hold is not None
                holds.append(held.hold)
        elif step == 2 and holds:
            hold = chance.choice(holds)
            outcome = ask(lane, Capture(hold=hold))
            assert (hold in ended) <= isinstance(outcome, Refused), "an ended hold came back"
            ended.add(hold)
        else:
            ask(lane, Use(sources=(Source(bucket),), amount=1))
    for bucket in buckets:
        at = times(scene.database, bucket)
        assert at == sorted(set(at))
    # Each grant that ended was written off once at most, each hold ended once.
    twice = rows(
        scene.database,
        "SELECT hold FROM transfer WHERE kind IN (4, 5, 6) "
        "GROUP BY hold, debit HAVING count(*) > 1",
    )
    assert twice == []
    assert all(kinds(scene.database, bucket, BREAKAGE) for bucket in buckets)
    assert any(kinds(scene.database, bucket, EXPIRED_HOLD) for bucket in buckets)
    assert faults(scene.database) == []


class Wall:
    """The host's wall clock, which somebody may set."""

    def __init__(self, monkeypatch):
        self.set_by_us = 0
        real = time.time_ns
        monkeypatch.setattr(time, "time_ns", lambda: real() + self.set_by_us * 1000)


@pytest.mark.parametrize("jump", [HOUR, -HOUR, 6 * SECOND_US, -6 * SECOND_US])
def test_a_wall_clock_that_was_set_stops_decisions_until_somebody_confirms(
    database_url, open_database_at, monkeypatch, jump
):
    wall = Wall(monkeypatch)
    clock = SystemClock()
    database = open_database_at(database_url, clock)
    scene = Scene(database, Ledger(), ManualClock())
    bucket = scene.bucket(10)
    lane = Lane(database, Ledger())
    use = Use(sources=(Source(bucket),), amount=1)
    try:
        assert ask(lane, use).available == 9
        wall.set_by_us = jump
        for command in (use, Hold(sources=(Source(bucket),), amount=1, ttl_us=SECOND_US)):
            with pytest.raises(ClockJumped) as refused:
                ask(lane, command, caller="shop", key="a-key")
            assert refused.value.code == "clock_jump"
        assert scene.available(bucket) == 9
        assert rows(database, "SELECT 1 FROM operation") == []
        assert abs(clock.confirm() - jump) < SECOND_US
        assert ask(lane, use, caller="shop", key="a-key").available == 8
        assert faults(database) == []
    finally:
        lane.close()


def test_a_clock_that_is_slewed_by_little_and_little_stops_nothing(monkeypatch):
    wall = Wall(monkeypatch)
    clock = SystemClock()
    for _ in range(100):
        wall.set_by_us += 4 * SECOND_US
        clock.now_us()
    wall.set_by_us += 6 * SECOND_US
    with pytest.raises(ClockJumped):
        clock.now_us()
