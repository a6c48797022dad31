"""One look in the place of many: it rings for whatever a worker would find, and for nothing else.

What is committed in these tests rings no bell of the look's: it is told to listen afterwards, as if
another process had done it.
"""

import threading

import pytest
import sqlalchemy as sa

from farebox.events.bell import BELL
from farebox.events.inbox import Inbox
from farebox.events.lease import Lease
from farebox.events.model import Position
from farebox.events.reader import Reader
from farebox.events.service import publish
from farebox.events.service_positions import note_down, set_position
from farebox.events.transports.in_process import DatabaseLog
from farebox.events.webhooks.service import create_endpoint
from farebox.events.webhooks.service_deliveries import claim, note_events
from farebox.kernel.clock import SECOND_US
from farebox.workers.look import Look
from farebox.workers.loops import Loop, Loops
from tests.events.post import (
    BILLING,
    PAID,
    done,
    event,
    make_done,
    take_all,
    tell,
    write_down,
)
from tests.support.services import run

NEVER_S = 3_600.0
PATIENCE_S = 30


@pytest.fixture
def rings():
    """Return a function that looks and tells how often it rang."""
    heard: list[int] = []

    def rung_by(look):
        heard.clear()
        deaf = BELL.listen(lambda: heard.append(1))
        look.step()
        deaf()
        return len(heard)

    return rung_by


@pytest.fixture
def look(database, rings):
    """Return a look at a database where nothing is new."""
    made = Look(database)
    assert rings(made) == 1, "whoever begins does not know what is there"
    assert rings(made) == 0
    return made


def test_an_event_in_the_log_is_news_once(database, look, rings):
    for _ in range(2):
        tell(database, "sub_1", 3)
        assert rings(look) == 1
        assert rings(look) == 0


def test_what_is_written_elsewhere_in_the_database_is_no_news(database, look, rings):
    Lease(database, "loops").take()
    assert rings(look) == 0


def test_an_event_of_the_inbox_is_news_as_long_as_it_is_due(database, look, rings):
    inbox = Inbox(database, {(BILLING, PAID): lambda tx, told: None})
    inbox.take([event("sub_1", 1)])
    assert rings(look) == rings(look) == 1
    inbox.step()
    assert rings(look) == 0


def test_an_event_that_waits_is_news_when_its_wait_is_over(database, clock, look, rings):
    inbox = Inbox(database, {(BILLING, PAID): lambda tx, told: None}, patience_us=60 * SECOND_US)
    take_all(inbox, [event("sub_1", 2)])
    assert rings(look) == 0
    clock.move(60 * SECOND_US - 1)
    assert rings(look) == 0
    clock.move(1)
    assert rings(look) == 1


def test_the_end_of_a_senders_pause_is_news_once(database, clock, look, rings):
    run(database, note_down, "sender", "outside", "away")
    assert rings(look) == 0
    clock.move(SECOND_US // 2)
    assert rings(look) == 1
    # It is tried now; one that nobody tries any more must not ring for ever.
    assert rings(look) == 0


def test_a_delivery_is_news_while_it_is_due_and_nobody_has_it(database, clock, look, rings):
    def noted(tx):
        create_endpoint(tx, url="http://127.0.0.1:1/", private=True)
        return note_events(tx, [event("sub_1", 1)])

    assert run(database, noted) == 1
    assert rings(look) == rings(look) == 1
    assert len(run(database, claim, 10)) == 1
    assert rings(look) == 0
    # Whoever had it is taken for dead.
    clock.move(120 * SECOND_US)
    assert rings(look) == 1


def test_at_anothers_log_only_its_end_is_news(database, other, rings):
    look = Look(other, log_only=True)
    assert (rings(look), rings(look)) == (1, 0)
    Inbox(other, {(BILLING, PAID): lambda tx, told: None}).take([event("sub_1", 1)])
    run(other, set_position, "reader", "access", Position())
    assert rings(look) == 0
    tell(other, "sub_1")
    assert (rings(look), rings(look)) == (1, 0)


def test_a_test_clock_that_is_moved_makes_due_what_waits(database, look, rings):
    inbox = Inbox(database, {(BILLING, PAID): lambda tx, told: None}, patience_us=60 * SECOND_US)
    take_all(inbox, [event("sub_1", 2)])
    assert rings(look) == 0
    with database.write() as tx:
        tx.run(sa.text("CREATE TABLE moved (us BIGINT NOT NULL)"))
        tx.run(sa.text("INSERT INTO moved VALUES (60000000)"))
    database.moved_by = "SELECT us FROM moved"
    assert rings(look) == 1


def test_those_who_never_look_by_themselves_get_what_others_commit(database, other):
    make_done(database)
    applied = threading.Semaphore(0)

    def handle(tx, told):
        write_down(tx, told)
        tx.after_commit(applied.release)

    inbox = Inbox(database, {(BILLING, PAID): handle})
    reader = Reader(DatabaseLog(other, name="billing", reader="access"), inbox)
    loops = [Loop(worker=one, idle_s=NEVER_S) for one in (reader, inbox)]
    loops += [
        Loop(worker=look, idle_s=0.001, woken=False)
        for look in (Look(other, log_only=True), Look(database))
    ]
    running = Loops(Lease(database, "loops"), loops).start()
    try:
        for _ in range(3):
            with other.write() as tx:
                publish(tx, type=PAID, subject="sub_1", data={})
                # Another process's bell is not ours.
                tx._after_commit.clear()
            assert applied.acquire(timeout=PATIENCE_S)
    finally:
        running.close()
    assert len(done(database)) == 3
