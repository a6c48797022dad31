"""Loops: one process works, it is woken at a commit, and it stops cleanly."""

import threading
import time

import pytest

from farebox.events.inbox import Inbox
from farebox.events.lease import Lease
from farebox.events.reader import Reader
from farebox.events.rests import RowsFailed
from farebox.events.service_leases import confirm_lease
from farebox.events.transports.in_process import DatabaseLog
from farebox.workers.loops import VAIN_S, Loop, Loops
from farebox.workers.relay import Relay
from tests.events.post import BILLING, PAID, Outside, done, make_done, tell, write_down

PATIENCE_S = 30
NEVER_S = 3_600.0


class Counted:
    """A worker that counts its steps and tells of each."""

    name = "counted"

    def __init__(self) -> None:
        self.steps = 0
        self.failures = 0
        self.stepped = threading.Condition()

    def step(self) -> int:
        with self.stepped:
            self.steps += 1
            self.stepped.notify_all()
            if self.steps <= self.failures:
                raise OSError("the disk is away")
        return 0

    def wait_for(self, steps: int) -> bool:
        with self.stepped:
            return self.stepped.wait_for(lambda: self.steps >= steps, PATIENCE_S)


class Partly(Counted):
    """It does all that is due but some rows, which rest."""

    def step(self) -> int:
        super().step()
        if self.steps < 12:
            raise RowsFailed
        return 0


class Patient(Counted):
    """It rests for an hour, whatever its loop says."""

    rest_s = NEVER_S


@pytest.fixture
def running():
    """Return a function that starts loops, all stopped at the end."""
    started = []

    def start(lease, *loops):
        started.append(Loops(lease, loops).start())
        return started[-1]

    yield start
    for loops in started:
        loops.close()


def test_an_event_is_applied_in_another_service_as_soon_as_it_is_committed(
    database, other, running
):
    """No worker looks by itself here: what wakes them is the commit."""
    make_done(database)
    applied = threading.Event()

    def handle(tx, told):
        write_down(tx, told)
        tx.after_commit(applied.set)

    inbox = Inbox(database, {(BILLING, PAID): handle})
    reader = Reader(DatabaseLog(other, name="billing", reader="access"), inbox)
    outside = Outside()
    lease = Lease(database, "loops")
    relay = Relay(other, outside)
    running(lease, *(Loop(worker=one, idle_s=NEVER_S) for one in (reader, inbox, relay)))
    for _ in range(3):
        applied.clear()
        tell(other, "sub_1")
        assert applied.wait(PATIENCE_S)
    assert len(done(database)) == 3


def test_what_another_process_commits_is_found_without_the_bell(database, running):
    worker = Counted()
    running(Lease(database, "loops"), Loop(worker=worker, idle_s=0.001, woken=False))
    assert worker.wait_for(5)


def test_whoever_gets_the_work_begins_at_once_with_what_is_done_seldom(database, running):
    """The lease is taken beside the workers, which may have looked for it before."""
    worker = Counted()

    class Late(Lease):
        def take(self):
            # Not before the worker has found that it may not work, and waits.
            until_waiting.wait(PATIENCE_S)
            return super().take()

        @property
        def is_held(self):
            held = super().is_held
            if threading.current_thread().name == worker.name and not held:
                until_waiting.set()
            return held

    until_waiting = threading.Event()
    running(Late(database, "loops"), Loop(worker=worker, idle_s=NEVER_S, woken=False))
    assert worker.wait_for(1)


def test_of_two_processes_one_works_and_the_other_takes_over_when_it_stops(
    database, database_url, open_database_at, running
):
    first, second = Counted(), Counted()
    one = Loops(Lease(database, "loops"), [Loop(worker=first, idle_s=0.001)]).start()
    assert first.wait_for(1)
    lease = Lease(open_database_at(database_url), "loops", ttl_us=1_000_000)
    running(lease, Loop(worker=second, idle_s=0.001))
    assert first.wait_for(first.steps + 50)
    assert second.steps == 0
    one.close()
    assert second.wait_for(1)
    stopped = first.steps
    assert second.wait_for(second.steps + 50)
    assert first.steps == stopped


def test_a_worker_that_fails_is_tried_again_and_stops_nobody_else(database, running):
    failing, working = Counted(), Counted()
    failing.failures = 1
    loops = (Loop(worker=failing, idle_s=0.001), Loop(worker=working, idle_s=0.001))
    running(Lease(database, "loops"), *loops)
    assert working.wait_for(20)
    assert failing.wait_for(3)


def test_a_worker_of_whose_rows_some_fail_goes_on_at_once(database, running):
    """Were it to pause as long as one that fails altogether, a minute would not do."""
    worker = Partly()
    running(Lease(database, "loops"), Loop(worker=worker, idle_s=NEVER_S))
    assert worker.wait_for(12)


def test_a_bell_that_never_stops_does_not_let_a_worker_look_in_vain_without_end(database, running):
    worker = Counted()
    loops = running(Lease(database, "loops"), Loop(worker=worker, idle_s=NEVER_S))
    assert worker.wait_for(1)
    begun, before = time.monotonic(), worker.steps
    while worker.steps < before + 6:
        loops.wake()
    # Two may follow each other at once; the others wait.
    assert time.monotonic() - begun >= 4 * VAIN_S


def test_a_worker_that_says_how_long_it_rests_is_waited_for_while_others_work_on(database, running):
    patient, other = Patient(), Counted()
    assert Loop(worker=other, idle_s=0.001).rest_s == 0.001
    running(
        Lease(database, "loops"),
        Loop(worker=patient, idle_s=0.001, woken=False),
        Loop(worker=other, idle_s=0.001),
    )
    assert other.wait_for(50)
    assert patient.wait_for(1)
    assert patient.steps == 1


def test_closed_loops_have_no_thread_and_no_lease_left(database):
    before = set(threading.enumerate())
    worker = Counted()
    lease = Lease(database, "loops")
    loops = Loops(lease, [Loop(worker=worker)]).start()
    assert worker.wait_for(1)
    with database.write() as tx:
        confirm_lease(tx, lease.name, lease.holder)
    loops.close()
    assert set(threading.enumerate()) <= before
    assert Lease(database, "loops").take()
    tell(database, "sub_1")
