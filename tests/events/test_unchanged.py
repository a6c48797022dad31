"""Workers that are spared the look at a database in which nobody has written."""

from types import SimpleNamespace

import pytest

from farebox.events.model import Position
from farebox.events.service_positions import set_position
from farebox.workers import unchanged
from farebox.workers.unchanged import WhenChanged


class Counting:
    """A worker that has so many pieces of work, and counts how often it is asked."""

    def __init__(self, pieces=0):
        self.pieces = pieces
        self.asked = 0

    def step(self):
        self.asked += 1
        self.pieces -= 1
        return max(0, self.pieces + 1)


@pytest.fixture
def worker():
    return Counting()


@pytest.fixture
def seconds(monkeypatch):
    """Return the monotonic time as a list of one number."""
    now = [100.0]
    monkeypatch.setattr(unchanged, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_a_write_lets_it_look_at_once(database, worker, seconds):
    spared = WhenChanged(worker, database)
    spared.step()
    database.run(lambda tx: set_position(tx, "reader", "other", Position(seq=1)))
    spared.step()
    assert worker.asked == 2


def test_where_nobody_has_written_it_looks_once_a_second(database, worker, seconds):
    spared = WhenChanged(worker, database)
    for _ in range(5):
        spared.step()
    # Only an embedded database tells of writes without being asked.
    looks = 1 if database.reads_at_once else 5
    assert worker.asked == looks
    seconds[0] += unchanged.AT_LEAST_EVERY_S
    spared.step()
    assert worker.asked == looks + 1


def test_while_there_is_work_it_goes_on(database, seconds):
    worker = Counting(pieces=3)
    spared = WhenChanged(worker, database)
    while spared.step():
        pass
    assert worker.asked == 4
