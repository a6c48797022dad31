"""Rollups: what is added up is exact at once, and counts once."""

import threading
from functools import partial

import pytest
import sqlalchemy as sa

from farebox.access.buckets import service as buckets
from farebox.access.buckets.model import Terms
from farebox.access.catalog.model import Quota
from farebox.access.flows import aggregate_usage
from farebox.access.flows.aggregate_usage import gather_usage, roll_up
from farebox.access.usage.model import SLOT_US
from farebox.access.usage.service_aggregations import declare_aggregation
from farebox.access.usage.service_report import record_reports
from farebox.access.usage.service_rollups import (
    Gathered,
    StretchPassed,
    gather,
    read_stretch,
    store_stretch,
)
from farebox.kernel.clock import parse_time
from farebox.ledger.model import Source, Use
from farebox.ledger.service import Ledger, request
from farebox.storage import Database
from farebox.workers.rollups import Rollups
from tests.support.metering import HOUR_US, Metering, close, told
from tests.support.services import ADA, at_once, run

GRACE_US = HOUR_US


def roll_all_up(database: Database, part: int | None) -> None:
    """Add up all that is there: at once, or after reading it in parts of so many rows."""
    before: Gathered | None = None
    while part is not None and (before is None or before.latest):
        before = gather_usage(database, rows=part, before=before)
    while roll_up(database, before=before).rows:
        before = None


IN_PARTS = pytest.mark.parametrize("part", [None, 1, 2, 5])


def test_reads_are_the_same_before_amid_and_after_adding_up(metering, database):
    ada = metering.consumer()
    bucket = metering.bucket(ada, 100)
    for n in range(6):
        metering.report(ada, n + 1)
        metering.decide(ada, bucket, 10)
    expected = [(12, 81, 10)]
    assert metering.used(consumer=ada) == expected
    steps = 0
    while roll_up(database, rows=2).rows:
        steps += 1
        assert metering.used(consumer=ada) == expected
    assert steps >= 3
    assert metering.used(product="api") == expected
    with database.read() as tx:
        assert tx.run(sa.text("SELECT count(*) FROM usage_rollup")).scalar_one() == 1


@pytest.mark.parametrize("rows", range(1, 9))
def test_a_use_of_several_grants_and_buckets_counts_once_wherever_a_stretch_ends(
    metering, database, rows
):
    ada = metering.consumer()
    small, large = metering.bucket(ada, 3), metering.bucket(ada, 100)
    run(database, buckets.top_up, ADA, small, Terms(amount=3))
    uses = [
        Use(
            sources=(Source(small), Source(large)), amount=5, actor=ada, product="api",
            meta='{"city": "Omsk"}',
        )
        for _ in range(3)
    ]  # fmt: skip
    # The first is drawn from two grants, the second from a grant and the other bucket.
    run(database, Ledger().apply, [request(*uses)])
    while roll_up(database, rows=rows).rows:
        pass
    with database.read() as tx:
        statement = sa.text("SELECT uses, quantity, maximum FROM usage_rollup")
        assert [tuple(row) for row in tx.run(statement)] == [(3, 15, 5)]
    assert metering.used(consumer=ada) == [(3, 15, 5)]


@IN_PARTS
def test_uses_of_one_slot_count_each_in_its_own_period(people, database, clock, part):
    """A subscription's period ends in the middle of a quarter of an hour."""
    metering = Metering(database, clock)
    people.plan("pro", Quota(product="films", limit=10, unit="month"))
    people.at("2026-11-20T09:07:00Z")
    people.active("pro")
    bucket = metering.bucket(people.ada, 100)
    for moment in ("2026-12-20T09:06:58Z", "2026-12-20T09:06:59Z", "2026-12-20T09:07:01Z"):
        people.at(moment)
        metering.decide(people.ada, bucket, 7)
    roll_all_up(database, part)
    with database.read() as tx:
        found = tx.run(sa.text("SELECT slot, period, uses, quantity, maximum FROM usage_rollup"))
        slots, *counted = zip(*sorted(tuple(row) for row in found), strict=True)
    assert len(set(slots)) == 1
    begins = [parse_time(f"2026-{month}-20T09:07:00Z") for month in (11, 12)]
    assert counted == [tuple(begins), (2, 1), (14, 7), (7, 7)]


@IN_PARTS
@pytest.mark.parametrize("declared", [False, True])
def test_uses_added_up_by_the_database_are_the_sums_of_each(metering, database, declared, part):
    """Of one grant and of several, by two people on shared buckets, in two slots."""
    ada, bob = metering.consumer("Ada"), metering.consumer("Bob")
    shared = [metering.bucket(ada, 500), metering.bucket(bob, 500)]
    run(database, buckets.top_up, ADA, shared[0], Terms(amount=50))
    if declared:
        largest = {"product": "api", "name": "largest", "kind": "maximum"}
        run(database, declare_aggregation, ADA, **largest)
    expected: dict[tuple[str, int], list[int]] = {}
    for number in range(18):
        metering.at("2026-11-20T10:14:59Z" if number < 9 else "2026-11-20T10:15:01Z")
        who, amount = (ada, bob)[number % 3 == 0], 11 * (number % 7 + 1)
        sources = tuple(Source(one) for one in shared[:: 1 if number % 2 else -1])
        use = Use(sources=sources, amount=amount, actor=who, product="api")
        run(database, Ledger().apply, [request(use)])
        slot = metering.clock.now_us() // SLOT_US * SLOT_US
        expected.setdefault((who, slot), []).append(amount)
    roll_all_up(database, part)
    with database.read() as tx:
        found = tx.run(sa.text("SELECT consumer, slot, uses, quantity, maximum FROM usage_rollup"))
        sums_found = {(row[0], row[1]): tuple(row)[2:] for row in found}
    assert sums_found == {
        key: (len(amounts), sum(amounts), max(amounts)) for key, amounts in expected.items()
    }


def test_two_workers_at_once_count_each_use_once(metering, database):
    people = [metering.consumer(str(n)) for n in range(4)]
    for n in range(40):
        metering.report(people[n % 4], 1)
    workers = [Rollups(database) for _ in range(3)]

    def work(worker: Rollups) -> None:
        while worker.step():
            pass

    assert at_once([partial(work, one) for one in workers]) == [None] * 3
    with database.read() as tx:
        statement = sa.text("SELECT sum(uses), sum(quantity) FROM usage_rollup")
        assert [int(x) for x in tx.run(statement).one()] == [40, 40]


def test_what_somebody_else_stored_meanwhile_is_not_counted_again(metering, database):
    ada = metering.consumer()
    bucket = metering.bucket(ada, 100)
    metering.decide(ada, bucket, 3)
    metering.report(ada, 4)
    gathered = gather_usage(database, rows=10, before=None)
    assert gathered.rows > 1
    metering.roll_up()
    metering.decide(ada, bucket, 5)
    roll_up(database, before=gathered)
    assert roll_up(database).rows == 0
    assert metering.total(product="api") == (3, 12)


def test_an_aggregation_declared_meanwhile_counts_what_was_read_before(metering, database):
    ada = metering.consumer()
    bucket = metering.bucket(ada, 100)
    for amount in (3, 9, 5):
        metering.decide(ada, bucket, amount, meta='{"city": "Omsk"}')
    gathered = gather_usage(database, rows=100, before=None)
    city = {"kind": "unique", "dimension": "city"}
    run(database, declare_aggregation, ADA, product="api", name="cities", **city)
    metering.decide(ada, bucket, 1, meta='{"city": "Tomsk"}')
    roll_up(database, before=gathered)
    with database.read() as tx:
        found = tx.run(sa.text("SELECT value, uses, quantity FROM usage_value ORDER BY value"))
        assert [tuple(row)[1:] for row in found] == [(3, 17), (1, 1)]
    assert metering.total(product="api") == (4, 18)


def test_stretch_that_somebody_else_stored_is_not_stored_again(metering, database):
    metering.report(metering.consumer(), 5)
    with database.read() as tx:
        stretch = read_stretch(tx, gather(tx), grace_us=GRACE_US)
    run(database, store_stretch, stretch, grace_us=GRACE_US)
    with pytest.raises(StretchPassed):
        run(database, store_stretch, stretch, grace_us=GRACE_US)
    assert metering.total(product="api") == (1, 5)


def test_worker_killed_before_its_commit_has_counted_nothing(metering, database, monkeypatch):
    metering.report(metering.consumer(), 5)

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(aggregate_usage, "tell_low", dies)
        with pytest.raises(KeyboardInterrupt):
            roll_up(database)
    assert metering.total(product="api") == (1, 5)
    metering.roll_up()
    assert metering.total(product="api") == (1, 5)


def test_writer_held_open_while_others_commit_is_not_skipped(
    postgresql_engine, database_url, open_database_at, clock, engine
):
    if engine is not postgresql_engine:
        pytest.skip("SQLite has one writer at a time")
    metering = Metering(open_database_at(database_url), clock)
    metering.at("2026-11-20T09:00:00Z")
    ada, bob = metering.consumer(), metering.consumer("Bob")
    bucket = metering.bucket(bob, 50)
    holding, go_on = threading.Event(), threading.Event()

    def held() -> None:
        with open_database_at(database_url).write() as tx:
            record_reports(tx, "opr", [metering.said(ada, 7)])
            holding.set()
            assert go_on.wait(60)

    thread = threading.Thread(target=held)
    thread.start()
    assert holding.wait(60)
    metering.report(bob, 1)
    metering.decide(bob, bucket, 2)
    metering.roll_up()
    assert metering.total(product="api") == (2, 3)
    metering.clock.set(parse_time("2026-12-02T00:00:00Z"))
    assert close(metering) == 0, "what was begun before the end may still count"
    go_on.set()
    thread.join()
    metering.roll_up()
    found = metering.used(product="api", since=parse_time("2026-11-01T00:00:00Z"))
    assert [quantity for _, quantity, _ in found] == [10]
    assert close(metering) == 2
    assert sorted(one["totals"][0]["sum"] for one in told(metering)) == [3, 7]


def test_use_by_an_operator_counts_for_the_holder(metering, database):
    ada = metering.consumer()
    bucket = metering.bucket(ada, 10)
    run(database, buckets.consume, ADA, bucket, 4)
    assert metering.total(consumer=ada) == (1, 4)
    metering.roll_up()
    assert metering.total(consumer=ada) == (1, 4)


def test_time_is_shown_by_the_days_of_a_zone(metering):
    ada = metering.consumer()
    for text in ("2026-11-18T18:29:00Z", "2026-11-18T18:30:00Z", "2026-11-19T18:29:59Z"):
        metering.report(ada, 1, at=parse_time(text))
    assert metering.used(consumer=ada, zone="Asia/Kolkata") == [(1, 1, 1), (2, 2, 1)]
    assert metering.used(consumer=ada, bucketing="month") == [(3, 3, 1)]
    metering.roll_up()
    assert metering.used(consumer=ada, zone="Asia/Kolkata") == [(1, 1, 1), (2, 2, 1)]
