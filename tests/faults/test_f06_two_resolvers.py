"""F6: two who resolve one hold at the instant of its end. One wins, and no unit leaks."""

import random
import threading

import pytest

from farebox.kernel.clock import SECOND_US
from farebox.ledger.model import (
    Applied,
    Capture,
    Grant,
    Hold,
    OnExpiry,
    Pin,
    Refused,
    Release,
    Source,
    Use,
)
from tests.support.lanes import ask
from tests.support.proof import faults, rows
from tests.support.pure import Pure
from tests.support.threads import together

ROUNDS = 10_000
LANE_ROUNDS = 300
START = 1_763_632_800_000_000
WAYS_TO_END: list[OnExpiry] = ["release", "capture"]
RESOLVED = {"hold_captured", "hold_released", "hold_expired"}


def resolvers(hold, amount, on_expiry):
    """Return what may end a hold. A hold made anew is left to expire, where that takes nothing."""
    ways = [
        Capture(hold=hold),
        Capture(hold=hold, amount=amount - 1),
        Capture(hold=hold, amount=0),
        Release(hold=hold),
    ]
    if on_expiry == "release":
        ways.append(Capture(hold=hold, amount=1, hold_on=1, ttl_us=1))
    return ways


@pytest.mark.parametrize("seed", [1])
def test_in_ten_thousand_rounds_at_the_instant_of_expiry_one_resolver_wins(seed):
    chance = random.Random(seed)
    now = START
    ends = {"captured": 0, "released": 0, "expired": 0}
    pure = Pure()
    for round_ in range(ROUNDS):
        if round_ % 100 == 0:
            pure = Pure()
            pure.do(Grant(bucket=pure.bucket_id, amount=10**6), now)
        amount = chance.randint(2, 9)
        before = pure.bucket.debited
        source = (Source(pure.bucket_id),)
        on_expiry = chance.choice(WAYS_TO_END)
        held = pure.do(Hold(sources=source, amount=amount, ttl_us=100, on_expiry=on_expiry), now)
        rivals = chance.sample(resolvers(held.hold, amount, on_expiry), 2)
        if chance.random() < 0.3:
            rivals[chance.randrange(2)] = Use(sources=source, amount=1)
        # Each of two takes a microsecond of the bucket's time, so two before it are in time.
        now = held.expires_at + chance.choice([-2, 0, 0, 1])
        late = now >= held.expires_at
        if chance.random() < 0.5:
            outcomes = pure.batch(*rivals, now=now)
        else:
            # The second comes in a later batch, and its clock may stand a little before.
            outcomes = [pure.do(rivals[0], now), pure.do(rivals[1], now - chance.randint(0, 1))]

        own = [o for o, rival in zip(outcomes, rivals, strict=True) if not isinstance(rival, Use)]
        won = [outcome for outcome in own if isinstance(outcome, Applied)]
        lost = [outcome for outcome in own if isinstance(outcome, Refused)]
        assert len(won) == (0 if late else 1), (rivals, outcomes)
        assert len(won) + len(lost) == len(own)
        assert {outcome.code for outcome in lost} <= RESOLVED
        hold = pure.bucket.holds[held.hold]
        assert hold.state != 1
        used = sum(isinstance(rival, Use) for rival in rivals)
        if late:
            captured = amount if on_expiry == "capture" else 0
            ends["captured" if captured else "expired"] += 1
        else:
            captured = won[0].amount
            ends["captured" if captured else "released"] += 1
        assert hold.captured == captured
        now += 10
        pure.do(Use(sources=source, amount=1), now)  # settles a hold that was made anew
        assert pure.bucket.debited == before + captured + used + 1
        assert pure.faults() == []
    assert min(ends.values()) > 500


@pytest.mark.parametrize("seed", [2])
def test_two_lanes_resolve_a_hold_once_at_the_instant_of_expiry(open_lane, scene, clock, seed):
    chance = random.Random(seed)
    bucket = scene.bucket(100_000)
    lanes = [open_lane(), open_lane()]
    start = threading.Barrier(2)

    def resolve(task):
        start.wait()
        return ask(*task)

    spent = 0
    for round_ in range(LANE_ROUNDS):
        amount = chance.randint(2, 9)
        on_expiry = chance.choice(WAYS_TO_END)
        source = (Source(bucket),)
        hold = Hold(sources=source, amount=amount, ttl_us=SECOND_US, on_expiry=on_expiry)
        held = ask(lanes[round_ % 2], hold)
        clock.set(held.expires_at + chance.choice([-2, 0, 1]))
        late = clock.now_us() >= held.expires_at
        rivals = chance.sample([*resolvers(held.hold, amount, on_expiry), Pin(hold=held.hold)], 2)
        outcomes = together(resolve, list(zip(lanes, rivals, strict=True)))

        [row] = rows(
            scene.database, "SELECT state, captured FROM hold WHERE id = :id", id=held.hold
        )
        if late:
            assert {outcome.code for outcome in outcomes} <= RESOLVED
            assert row.captured == (amount if on_expiry == "capture" else 0)
        else:
            pinned = any(isinstance(rival, Pin) for rival in rivals)
            won = [
                outcome
                for outcome, rival in zip(outcomes, rivals, strict=True)
                if isinstance(outcome, Applied) and not isinstance(rival, Pin)
            ]
            assert len(won) == 1
            assert pinned or {o.code for o in outcomes if isinstance(o, Refused)} <= RESOLVED
            assert row.captured == won[0].amount
        assert row.state != 1
        spent += row.captured
        # A hold that a capture made anew lasts a microsecond.
        clock.move(SECOND_US)
    scene.use(bucket, 1)
    assert scene.available(bucket) == 100_000 - spent - 1
    assert faults(scene.database) == []
