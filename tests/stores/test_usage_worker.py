"""The worker that adds usage up: when it reads, and when it stores."""

from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from farebox.workers import rollups
from farebox.workers.rollups import LONGEST_S, Rollups


class Watch:
    """A clock for the worker alone: every storing costs it a second of a processor."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.spent_s = 0.0

    def thread_time(self) -> float:
        self.spent_s += 1.0
        return self.spent_s

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def watch(monkeypatch) -> Watch:
    made = Watch()
    named = SimpleNamespace(monotonic=made.monotonic, thread_time=made.thread_time)
    monkeypatch.setattr(rollups, "time", named)
    return made


def stored(database) -> list[tuple[int, int]]:
    """Return (uses, quantity) of every rollup."""
    with database.read() as tx:
        found = tx.run(sa.text("SELECT uses, quantity FROM usage_rollup"))
        return [(row.uses, row.quantity) for row in found]


def test_what_was_read_part_by_part_is_stored_when_it_is_time(metering, database, watch):
    ada = metering.consumer()
    bucket = metering.bucket(ada, 100)
    worker = Rollups(database)
    worker.step()
    for number in range(1, 5):
        metering.decide(ada, bucket, 10)
        metering.report(ada, 1)
        assert worker.step() is False
        assert stored(database) == []
        assert metering.used(consumer=ada) == [(2 * number, 11 * number, 10)]
    watch.now_s += LONGEST_S
    worker.step()
    assert stored(database) == [(8, 44)]
    assert metering.used(consumer=ada) == [(8, 44, 10)]


def test_a_worker_that_ends_with_what_it_has_read_leaves_it_to_the_next(metering, database, watch):
    ada = metering.consumer()
    worker = Rollups(database)
    worker.step()
    metering.report(ada, 5)
    worker.step()
    Rollups(database).step()
    assert stored(database) == [(1, 5)]
    watch.now_s += LONGEST_S
    worker.step()
    assert stored(database) == [(1, 5)]


@pytest.mark.parametrize("limit", [("FEW_SUMS", 1), ("MOST_ROWS", 3)])
def test_much_that_was_read_is_stored_before_its_time(
    metering, database, watch, monkeypatch, limit
):
    monkeypatch.setattr(rollups, *limit)
    worker = Rollups(database)
    worker.step()
    metering.report(metering.consumer("Ada"), 1)
    worker.step()
    assert stored(database) == []
    for number in range(3):
        metering.report(metering.consumer(str(number)), 1)
    worker.step()
    assert sum(uses for uses, _ in stored(database)) == 4
    assert watch.now_s == 1_000.0


def test_more_follows_at_once_after_a_full_part_and_soon_after_many_rows(
    metering, database, watch, monkeypatch
):
    monkeypatch.setattr(rollups, "ROWS_A_PART", 2)
    monkeypatch.setattr(rollups, "_MANY_ROWS", 0)
    ada = metering.consumer()
    worker = Rollups(database)
    assert worker.step() is False
    slow_s = worker.rest_s
    for _ in range(3):
        metering.report(ada, 1)
    assert worker.step() is True
    assert worker.rest_s < slow_s
    while worker.step():
        pass
    assert worker.step() is False
    assert worker.rest_s == slow_s


def test_a_part_that_could_not_be_read_is_read_again(metering, database, watch, monkeypatch):
    ada = metering.consumer()
    worker = Rollups(database)
    worker.step()
    metering.report(ada, 5)
    worker.step()
    metering.report(ada, 6)

    def fails(*_: object, **__: object) -> None:
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(rollups, "gather_usage", fails)
        with pytest.raises(ConnectionError):
            worker.step()
    worker.step()
    watch.now_s += LONGEST_S
    worker.step()
    assert stored(database) == [(2, 11)]
