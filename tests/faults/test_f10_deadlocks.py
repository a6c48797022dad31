"""F10: groups of buckets in random order, crossed keys, business transactions in between."""

import random
import threading
from collections import Counter

import pytest

from farebox.ledger import store
from farebox.ledger.model import Applied, Denied, Grant, Hold, Move, Refused, Release, Source, Use
from farebox.ledger.service import request
from tests.support.lanes import ask
from tests.support.proof import drawn, faults, rows
from tests.support.threads import Worker, together

ROUNDS = 40
THREADS = 3


@pytest.fixture
def lanes(open_lane):
    return [open_lane(), open_lane()]


def linked(chance, buckets):
    """Return linked uses of some of the buckets, in any order."""
    chosen = chance.sample(buckets, chance.randint(2, len(buckets)))
    return [Use(sources=(Source(bucket),), amount=1) for bucket in chosen]


def spent(database, buckets):
    return {bucket: sum(row.amount for row in drawn(database, bucket)) for bucket in buckets}


@pytest.mark.parametrize("seed", [21])
def test_groups_in_any_order_deadlock_nobody_that_a_caller_sees(
    lanes, scene, open_database_at, database_url, seed
):
    buckets = [scene.bucket(10_000) for _ in range(6)]
    business = open_database_at(database_url)
    expected: Counter[int] = Counter()
    counting = threading.Lock()

    def count(uses):
        with counting:
            expected.update(use.sources[0].bucket for use in uses)

    def ask_lane(thread):
        chance = random.Random(seed * 100 + thread)
        for _ in range(ROUNDS):
            uses = linked(chance, buckets)
            assert isinstance(ask(lanes[thread % 2], *uses), Applied)
            count(uses)

    def do_business(thread):
        chance = random.Random(seed * 100 + thread)
        for number in range(ROUNDS):
            uses = linked(chance, buckets)
            asked = [request(use, caller=f"{thread}", key=f"{number}-{n}") for n, use in
                     enumerate(uses)]  # fmt: skip

            def work(tx, asked=asked):
                # Rows of its own are locked too, before the ledger's.
                scene.ledger.advance_revision(tx, f"subject-{chance.randrange(3)}")
                return scene.ledger.apply(tx, asked)

            answers = business.run(work)
            assert all(isinstance(answer[0], Applied) for answer in answers)
            count(uses)

    workers = [Worker(ask_lane, n) for n in range(THREADS)]
    workers += [Worker(do_business, 50 + n) for n in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.result()
    assert spent(scene.database, buckets) == expected
    assert faults(scene.database) == []


@pytest.mark.parametrize("seed", [22])
def test_groups_in_any_order_from_two_processes_deadlock_nobody(nursery, database_url, scene, seed):
    buckets = [scene.bucket(10_000) for _ in range(6)]
    terms = {"url": database_url, "buckets": buckets, "rounds": ROUNDS}
    children = [nursery.start("cross_buckets", **terms, seed=seed + n) for n in range(2)]
    for child in children:
        assert child.hear() == "ready"
    for child in children:
        child.say("go")
    answers = [answer for child in children for answer in child.hear()]
    assert [child.wait() for child in children] == [0, 0]
    assert len(answers) == 2 * 3 * ROUNDS
    assert {kind for answer in answers for kind in answer} == {"applied"}
    assert sum(spent(scene.database, buckets).values()) == sum(map(len, answers))
    assert faults(scene.database) == []


@pytest.mark.parametrize("seed", [23])
def test_every_kind_of_command_across_buckets_and_caps_deadlocks_nobody(lanes, scene, seed):
    """Moves and capped holds lock two buckets each; what is due draws more of them in."""
    buckets = [scene.bucket(100_000) for _ in range(4)]
    caps = [scene.bucket(100_000) for _ in range(2)]
    wrong = []

    def work(thread):
        chance = random.Random(seed * 100 + thread)
        held: list[int] = []
        for _ in range(ROUNDS):
            first, second = chance.sample(buckets, 2)
            capped = Source(first, chance.choice(caps))
            outcome = ask(
                lanes[thread % 2],
                *chance.choice([
                    (Move(source=first, target=second, amount=1),),
                    (Hold(sources=(capped,), amount=1, ttl_us=chance.choice([1, 10**12])),),
                    (Use(sources=(capped, Source(second)), amount=2),),
                    (Grant(bucket=first, amount=1), Use(sources=(Source(second),), amount=1)),
                    (Release(hold=held.pop()),) if held else (Move(
                        source=second, target=first, amount=1),),
                ]),
            )  # fmt: skip
            if isinstance(outcome, Applied):
                if outcome.hold is not None:
                    held.append(outcome.hold)
            elif outcome.code != "hold_expired":
                wrong.append(outcome)

    together(work, range(THREADS * 2))
    assert wrong == []
    assert faults(scene.database) == []


def test_crossed_keys_over_disjoint_buckets_are_answered_once_each(
    lanes, scene, open_database_at, database_url
):
    """Each takes its own buckets first, and then meets the other at the keys."""
    buckets = [scene.bucket(1000) for _ in range(3)]
    business = open_database_at(database_url)
    for number in range(ROUNDS):
        keys = [f"{number}-{n}" for n in range(4)]
        start = threading.Barrier(3)

        def asked(bucket, keys, start=start):
            # The payload is the same, as from a caller who does not know of buckets.
            use = Use(sources=(Source(bucket),), amount=1)
            made = [request(use, caller="shop", key=key, payload=b"same") for key in keys]
            start.wait()
            return made

        def by_lane(place, keys=keys, asked=asked):
            order = keys if place else keys[::-1]
            return dict(zip(order, lanes[place].call_many(asked(buckets[place], order)),
                            strict=True))  # fmt: skip

        def by_business(keys=keys, asked=asked):
            order = keys[2:] + keys[:2]
            made = asked(buckets[2], order)
            answers = business.run(lambda tx: scene.ledger.apply(tx, made))
            return dict(zip(order, answers, strict=True))

        workers = [Worker(by_lane, 0), Worker(by_lane, 1), Worker(by_business)]
        for worker in workers:
            worker.start()
        first, second, third = (worker.result() for worker in workers)
        assert first == second == third
        assert all(isinstance(first[key][0], Applied) for key in keys)
    assert sum(spent(scene.database, buckets).values()) == 4 * ROUNDS
    [kept] = rows(scene.database, "SELECT count(*) AS keys FROM operation")
    assert kept.keys == 4 * ROUNDS
    assert faults(scene.database) == []


def test_two_transactions_that_take_keys_crosswise_end_as_if_one_came_first(
    scene, open_database_at, database_url, monkeypatch
):
    """Both have decided on their own buckets before either writes a key: none sees the other's."""
    buckets = [scene.bucket(10), scene.bucket(10)]
    decided = threading.Barrier(2)
    write = store.write_changes
    waited = set()

    def write_later(tx, books):
        name = threading.current_thread().name
        if name not in waited:
            waited.add(name)
            try:
                decided.wait(1)
            except threading.BrokenBarrierError:
                waited.add("one at a time")
        write(tx, books)

    monkeypatch.setattr(store, "write_changes", write_later)

    def transact(place):
        database = open_database_at(database_url)
        use = Use(sources=(Source(buckets[place]),), amount=1)
        keys = ["a", "b"][:: 1 if place else -1]
        asked = [request(use, caller="shop", key=key, payload=b"same") for key in keys]
        answers = database.run(lambda tx: scene.ledger.apply(tx, asked))
        return dict(zip(keys, answers, strict=True))

    first, second = together(transact, [0, 1])
    assert first == second
    assert sum(spent(scene.database, buckets).values()) == 2
    assert not any(isinstance(answer[0], (Denied, Refused)) for answer in first.values())
    assert faults(scene.database) == []
