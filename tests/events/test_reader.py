"""Following another service's log: nothing missed, nothing twice, wherever it is kept."""

import contextlib

import httpx2
import pytest
import sqlalchemy as sa

from farebox.events.inbox import Inbox
from farebox.events.model import Fact, Position, PositionGone, SnapshotKindUnknown, TransportDown
from farebox.events.reader import Reader
from farebox.events.service import events_after
from farebox.events.service_inbox import forget_copy, newer
from farebox.events.service_positions import (
    expect_follower,
    find_standing,
    follow,
    set_position,
)
from farebox.events.transports.in_process import DatabaseLog
from farebox.events.transports.over_http import HttpLog
from farebox.workers.retention import DAY_US, Retention
from tests.events.post import BILLING, PAID, done, make_done, tell, write_down
from tests.support.services import run
from tests.support.threads import together


def facts(tx):
    """Tell of every subject that has an event: how things stand, as a service would."""
    subjects = tx.run(sa.text("SELECT subject FROM subject_version ORDER BY subject")).scalars()
    return [Fact(type=PAID, subject=subject, data={"subject": subject}) for subject in subjects]


@pytest.fixture
def log(other):
    return DatabaseLog(other, name="billing", reader="access", providers={"subs": facts})


@pytest.fixture
def processes(database):
    make_done(database)
    return Inbox(database, {(BILLING, PAID): write_down})


@pytest.fixture
def copies(database):
    """Return an inbox that keeps a copy: it writes down what was newer than what it held."""
    make_done(database)

    def upsert(tx, told):
        if newer(tx, told, copy="subs"):
            write_down(tx, told)

    return Inbox(database, {}, copies={(BILLING, PAID): upsert})


def follow_all(reader, inbox):
    while reader.step():
        pass
    while inbox.step():
        pass


def test_a_reader_applies_everything_once_and_goes_on_after_it(log, processes, other, database):
    reader = Reader(log, processes, page=2)
    first = tell(other, "sub_1", 5)
    follow_all(reader, processes)
    second = tell(other, "sub_1", 2)
    follow_all(Reader(log, processes), processes)
    assert done(database) == first + second


def test_two_readers_of_one_database_store_each_page_once(log, processes, other, database):
    told = tell(other, "sub_1", 40)

    def read(_):
        while Reader(log, processes, page=7).step():
            pass

    together(read, range(3))
    together(lambda _: follow_all(Reader(log, processes), processes), range(3))
    assert done(database) == told


def test_two_workers_on_one_inbox_apply_each_event_once_and_in_order(
    log, processes, other, database_url, open_database_at
):
    database = processes.database
    for subject in range(6):
        tell(other, f"sub_{subject}", 8)
    while Reader(log, processes).step():
        pass
    workers = [Inbox(open_database_at(database_url), processes._handlers) for _ in range(3)]

    def work(inbox):
        while inbox.step():
            pass

    together(work, workers)
    # A worker may have passed over a subject that another had in hand.
    work(processes)
    with other.read() as tx:
        told = events_after(tx, Position(), 1000).events
    assert len(done(database)) == 48
    for subject in range(6):
        mine = [event.id for event in told if event.subject == f"sub_{subject}"]
        assert done(database, f"sub_{subject}") == mine


def test_a_replay_runs_copies_again_and_processes_never(log, other, database):
    make_done(database)
    copied = []
    inbox = Inbox(
        database,
        {(BILLING, PAID): write_down},
        copies={(BILLING, PAID): lambda tx, told: copied.append(told.id)},
    )
    reader = Reader(log, inbox, page=2)
    told = tell(other, "sub_1", 5)
    follow_all(reader, inbox)
    reader.replay(Position())
    more = tell(other, "sub_1", 2)
    follow_all(reader, inbox)
    assert done(database) == told + more
    assert sorted(copied) == sorted(told + told + more)
    with database.read() as tx:
        assert find_standing(tx, "replay", "billing") is None


def test_a_replay_from_a_time_begins_with_its_first_event(log, copies, other, database, clock):
    tell(other, "sub_1", 2)
    clock.move(1_000_000)
    later = tell(other, "sub_1", 3)
    reader = Reader(log, copies)
    follow_all(reader, copies)
    before = done(database)
    database.run(lambda tx: forget_copy(tx, "subs"))
    reader.replay(clock.now_us())
    follow_all(reader, copies)
    assert done(database) == before + later


def test_a_new_reader_begins_with_a_snapshot_and_goes_on_after_it(log, copies, other, database):
    for subject in ("sub_1", "sub_2", "sub_3"):
        tell(other, subject, 4)
    reader = Reader(log, copies)
    assert reader.restore() == 3
    follow_all(reader, copies)
    assert len(done(database)) == 3
    after = tell(other, "sub_2")
    follow_all(reader, copies)
    assert done(database)[3:] == after


def test_what_a_snapshot_knew_already_is_not_applied_when_it_comes_again(
    log, copies, other, database
):
    """As when an event was written while the snapshot was read: it lies after the position."""
    tell(other, "sub_1", 3)
    reader = Reader(log, copies)
    reader.restore()
    follow_all(reader, copies)
    with database.write() as tx:
        set_position(tx, "reader", "billing", Position())
    follow_all(reader, copies)
    assert len(done(database)) == 1


def test_a_reader_whose_events_are_gone_is_told_and_restored(log, copies, other, database, clock):
    reader = Reader(log, copies)
    tell(other, "sub_1", 3)
    clock.move(2 * DAY_US)
    while Retention(other, days=1).step():
        pass
    kept = tell(other, "sub_1")
    with pytest.raises(PositionGone):
        reader.step()
    reader.restore()
    follow_all(reader, copies)
    assert len(done(database)) == len(kept)


def test_a_log_keeps_what_its_followers_have_not_stored(log, processes, other, clock):
    tell(other, "sub_1", 2)
    other.run(lambda tx: follow(tx, "notifications", Position()))
    clock.move(2 * DAY_US)
    assert Retention(other, days=1).step() == 0


def test_a_log_keeps_everything_for_a_follower_that_is_expected_and_has_not_asked(
    log, processes, other, database, clock
):
    run(other, expect_follower, "access")
    told = tell(other, "sub_1", 3)
    clock.move(2 * DAY_US)
    assert Retention(other, days=1).step() == 0
    reader = Reader(log, processes)
    follow_all(reader, processes)
    assert done(database) == told
    # Expecting it again does not take back how far it has come.
    clock.move(DAY_US)
    reader.step()
    run(other, expect_follower, "access")
    assert Retention(other, days=1).step() == 3


def test_an_unknown_kind_of_snapshot_is_refused(log):
    with pytest.raises(SnapshotKindUnknown), log.snapshot(["films"]):
        pass


# -- over HTTP -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(503),
        httpx2.Response(200, text="<html>"),
        httpx2.Response(200, json={"items": [], "next": "?"}),
    ],
)
def test_a_log_that_answers_nonsense_is_down(answer):
    log = HttpLog(
        "http://billing",
        "key",
        name="billing",
        reader="access",
        transport=httpx2.MockTransport(lambda _: answer),
    )
    with contextlib.closing(log), pytest.raises(TransportDown):
        log.after(Position(), 10)


@pytest.mark.parametrize("lines", [b"", b"{}\n", b'{"position":{},"kinds":[]}\n', b"\xff\n"])
def test_half_a_snapshot_is_known_as_such(lines):
    answer = httpx2.MockTransport(lambda _: httpx2.Response(200, content=lines))
    log = HttpLog("http://billing", "key", name="billing", reader="access", transport=answer)
    with contextlib.closing(log), pytest.raises(TransportDown), log.snapshot([]) as (_, events):
        list(events)
