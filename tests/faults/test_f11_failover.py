"""F11: the primary is gone at once, and its synchronous standby takes over in the middle of a load.

Farebox is given both servers and takes the one that may be written to. What it acknowledged is on
the standby's disk, because a commit waits for it; what it could not answer is asked again under the
same key.
"""

import itertools
import os
import signal
import threading
import time

import pytest

from farebox.kernel.clock import ManualClock, SystemClock
from farebox.kernel.refusals import TryAgain
from farebox.ledger.batch import Lane
from farebox.ledger.model import Applied, Denied, Source, Use
from farebox.ledger.service import Ledger, request
from farebox.storage import migrate, open_database
from tests.support.engines import existing
from tests.support.lanes import ask
from tests.support.proof import drawn, faults
from tests.support.replicas import PATIENCE_S, Pair, until
from tests.support.scene import Scene
from tests.support.threads import Worker

CLIENTS = 4
USES = 80


@pytest.fixture
def pair():
    made = Pair()
    yield made
    made.close()


@pytest.fixture
def url(pair):
    """Return the URL of a migrated database on both servers."""
    pair.primary.ask("CREATE DATABASE access")
    found = pair.url("access")
    database = open_database("access", found, ManualClock())
    migrate(database, existing())
    database.close()
    return found


@pytest.fixture
def open_at(url):
    """Return a function that opens the database as another process would."""
    opened = []

    def open_one():
        opened.append(open_database("access", url, SystemClock()))
        return opened[-1]

    yield open_one
    for database in opened:
        database.close()


@pytest.fixture
def lanes(open_at):
    """Return two lanes with a database of their own each, as two nodes have."""
    made = [Lane(open_at(), Ledger()) for _ in range(2)]
    yield made
    for lane in made:
        lane.close()


def one_unit(bucket):
    return Use(sources=(Source(bucket),), amount=1)


def draw_all(lanes, bucket, acknowledged, broken, name):
    """Draw unit after unit under keys, repeating what was answered "try again"."""
    for number in range(USES):
        if number == USES // 2:
            # However late the primary is broken, it is in the middle of the load.
            assert broken.wait(PATIENCE_S)
        deadline = time.monotonic() + PATIENCE_S
        for attempt in itertools.count():
            lane = lanes[(number + attempt) % 2]
            try:
                outcome = ask(lane, one_unit(bucket), caller=name, key=f"{number}")
            except TryAgain:
                assert time.monotonic() < deadline
                time.sleep(0.02)  # a client's pause before it asks again
                continue
            assert isinstance(outcome, Applied), outcome
            acknowledged[name, number] = outcome.operation
            break


def test_a_failover_to_the_standby_loses_and_doubles_nothing(pair, lanes, open_at):
    scene = Scene(open_at(), Ledger(), ManualClock())
    bucket = scene.bucket(CLIENTS * USES)
    assert pair.is_synchronous()
    acknowledged: dict[tuple[str, int], int] = {}
    broken = threading.Event()
    terms = lanes, bucket, acknowledged, broken
    clients = [Worker(draw_all, *terms, f"c{n}") for n in range(CLIENTS)]
    for client in clients:
        client.start()
    until(lambda: len(acknowledged) >= CLIENTS * USES // 3)

    pair.primary.kill()
    broken.set()
    before = dict(acknowledged)
    assert len(before) < CLIENTS * USES
    pair.fail_over()
    journal = f"SELECT operation FROM transfer WHERE bucket = {bucket} AND kind = 2"  # noqa: S608
    survived = {operation for (operation,) in pair.standby.ask(journal, "access")}
    # Whoever is told to try again does so; some are not even told.
    for client in clients:
        client.result(PATIENCE_S)

    assert set(before.values()) <= survived
    database = open_at()
    uses = drawn(database, bucket)
    assert sorted(use.operation for use in uses) == sorted(acknowledged.values())
    assert len(uses) == CLIENTS * USES
    assert faults(database) == []
    # Every answer is remembered on the new primary: a repeat draws nothing, and nothing is left.
    for (name, number), operation in itertools.islice(acknowledged.items(), 0, None, 17):
        again = ask(lanes[0], one_unit(bucket), caller=name, key=f"{number}")
        assert again.operation == operation
    assert isinstance(ask(lanes[1], one_unit(bucket), caller="late", key="1"), Denied)
    assert len(drawn(database, bucket)) == CLIENTS * USES


def test_nothing_is_acknowledged_before_the_standby_has_it(pair, lanes, open_at):
    """A standby that hears nothing holds answers back; so the test above tests what it says."""
    scene = Scene(open_at(), Ledger(), ManualClock())
    bucket = scene.bucket(2)
    [(receiver,)] = pair.standby.ask("SELECT pid FROM pg_stat_wal_receiver")
    os.kill(receiver, signal.SIGSTOP)
    waiting = Worker(lambda: lanes[0].call(request(one_unit(bucket), caller="c", key="1")))
    try:
        waiting.start()
        held = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        until(lambda: bool(pair.primary.ask(held)))
        assert waiting.is_alive()
    finally:
        os.kill(receiver, signal.SIGCONT)
    assert isinstance(waiting.result(PATIENCE_S)[0], Applied)
    assert len(drawn(scene.database, bucket)) == 1
