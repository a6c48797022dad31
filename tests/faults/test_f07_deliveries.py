"""F7: each command delivered five times, reordered, at once, one with another payload."""

import random
import threading
from collections import Counter, defaultdict

import msgspec
import pytest

from farebox.ledger.model import Applied, Denied, Grant, Hold, Refused, Source, Use
from farebox.ledger.service import request
from tests.support.proof import drawn, faults, rows
from tests.support.threads import together

COMMANDS = 60
THREADS = 6
REUSED = Refused(code="idempotency_key_reused")


def delivered(chance, buckets):
    """Return commands by key: (linked commands, the same with another payload)."""
    first, second = (Source(bucket) for bucket in buckets)
    kinds = [
        lambda n: (Grant(bucket=first.bucket, amount=n),),
        lambda n: (Use(sources=(second,), amount=n),),
        lambda n: (Use(sources=(first, second), amount=n),),
        lambda n: (Hold(sources=(first,), amount=n, ttl_us=10**12),),
        lambda n: (Use(sources=(first,), amount=n), Grant(bucket=second.bucket, amount=n)),
        lambda n: (Use(sources=(first,), amount=10**9 + n),),  # denied
    ]
    pairs = {}
    for number in range(COMMANDS):
        make = chance.choice(kinds)
        amount = chance.randint(1, 5)
        pairs[f"key-{number}"] = (make(amount), make(amount + 1))
    return pairs


@pytest.mark.parametrize("seed", [3, 4])
def test_five_deliveries_in_any_order_on_two_lanes_take_effect_once(open_lane, scene, seed):
    chance = random.Random(seed)
    pairs = delivered(chance, [scene.bucket(1000), scene.bucket(1000)])
    deliveries = [
        (key, place == 4) for key in pairs for place in range(5)
    ]  # four alike and one that differs
    chance.shuffle(deliveries)
    lanes = [open_lane(), open_lane()]
    start = threading.Barrier(THREADS)
    answers = defaultdict(list)

    def deliver(thread):
        start.wait()
        for place, (key, other) in enumerate(deliveries):
            if place % THREADS == thread:
                asked = request(*pairs[key][other], caller="shop", key=key)
                answers[key].append((other, lanes[(place + thread) % 2].call(asked)))

    together(deliver, range(THREADS))
    applied = set()
    firsts: Counter[bool] = Counter()
    for key, got in answers.items():
        kept = {answer for _, answer in got if REUSED not in answer}
        assert len(got) == 5
        # One answer for all who asked for the same; a refusal for those who asked otherwise.
        assert len(kept) == 1, (key, got)
        [answer] = kept
        winners = {other for other, outcomes in got if outcomes == answer}
        assert len(winners) == 1
        [changed_won] = winners
        firsts[changed_won] += 1
        assert sum(outcomes == answer for _, outcomes in got) == (1 if changed_won else 4)
        assert all(isinstance(o, Denied) for o in answer) or all(
            isinstance(o, Applied) for o in answer
        )
        applied |= {outcome.operation for outcome in answer if isinstance(outcome, Applied)}
    assert firsts[False] > 0
    assert firsts[True] > 0
    # Nothing stands in the journal but what was answered, and the two grants of the beginning.
    journal = {row.operation for row in rows(scene.database, "SELECT operation FROM transfer")}
    assert applied <= journal
    assert len(journal) == len(applied) + 2
    [kept] = rows(scene.database, "SELECT count(*) AS keys FROM operation")
    assert kept.keys == COMMANDS
    assert faults(scene.database) == []


def test_five_at_the_same_instant_are_one(open_lane, scene):
    bucket = scene.bucket(100)
    lanes = [open_lane(), open_lane()]
    for key in range(25):
        start = threading.Barrier(5)

        def deliver(place, key=key, start=start):
            use = Use(sources=(Source(bucket),), amount=2 if place == 4 else 1)
            asked = request(use, caller="shop", key=f"key-{key}")
            start.wait()
            return place == 4, lanes[place % 2].call(asked)[0]

        answers = together(deliver, range(5))
        applied = {(other, outcome) for other, outcome in answers if isinstance(outcome, Applied)}
        assert len(applied) == 1
        [(changed_won, _)] = applied
        assert [outcome for _, outcome in answers].count(REUSED) == (4 if changed_won else 1)
    taken = sum(row.amount for row in drawn(scene.database, bucket))
    assert len(drawn(scene.database, bucket)) == 25
    assert scene.available(bucket) == 100 - taken
    assert faults(scene.database) == []


def test_a_changed_payload_is_refused_long_after_and_changes_nothing(scene, clock):
    bucket = scene.bucket(10)
    use = Use(sources=(Source(bucket),), amount=3)
    first = scene.do(use, caller="shop", key="once")
    clock.move(400 * 24 * 3600 * 1_000_000)
    assert scene.do(msgspec.structs.replace(use, amount=4), caller="shop", key="once") == REUSED
    assert scene.do(use, caller="shop", key="once") == first
    assert scene.do(use, caller="another shop", key="once").available == 4
    assert scene.available(bucket) == 4


def test_five_times_in_one_batch_is_once(scene):
    bucket = scene.bucket(10)
    use = Use(sources=(Source(bucket),), amount=3)
    other = Use(sources=(Source(bucket),), amount=2)
    batch = [request(one, caller="shop", key="once") for one in (use, use, other, use, use)]
    answers = [outcome for [outcome] in scene.run(batch)]
    assert answers[2] == REUSED
    assert len(set(answers[:2] + answers[3:])) == 1
    assert scene.available(bucket) == 7


def test_a_denial_stays_a_denial_after_a_top_up(scene):
    bucket = scene.bucket(2)
    use = Use(sources=(Source(bucket),), amount=3)
    first = scene.do(use, caller="shop", key="once")
    assert isinstance(first, Denied)
    scene.do(Grant(bucket=bucket, amount=10))
    assert scene.do(use, caller="shop", key="once") == first
    assert scene.available(bucket) == 12
    assert isinstance(scene.do(use, caller="shop", key="twice"), Applied)
