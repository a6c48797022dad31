"""The movable test clock: every transaction of every process, forward only, or not at all."""

import sqlite3
from typing import Any

import msgspec
import psycopg
import pytest
import sqlalchemy as sa

from farebox.events.model import Position
from farebox.events.service import events_after
from farebox.kernel.clock import SECOND_US, SystemClock, parse_time, show_time
from farebox.kernel.refusals import ClockJumped, SettingsRefused
from farebox.ledger.batch import Lane
from farebox.ledger.model import Applied, Denied, Grant, Source, Use
from farebox.ledger.service import request
from farebox.platform import model
from farebox.platform.service_audit import list_audit
from farebox.platform.service_test_clock import (
    advance_test_clock,
    catch_up_with,
    follow_test_clock,
    read_test_clock,
    set_test_clock,
    settle_test_clock,
)
from farebox.wiring.loops import billing_inbox
from tests.support.lanes import ask
from tests.support.renewals import Renewals, told
from tests.support.services import ADA, at_once, now, run

DAY = 86_400 * SECOND_US
YEAR = 365 * DAY


@pytest.fixture
def movable(database):
    """Return a database that was begun with a test clock."""
    run(database, settle_test_clock, wanted=True)
    follow_test_clock(database)
    return database


@pytest.fixture
def another(movable, database_url, open_database_at):
    """Return the same database as another process has it open."""
    found = open_database_at(database_url)
    follow_test_clock(found)
    return found


def test_every_transaction_of_every_process_has_the_moved_time(movable, another, clock):
    before = clock.now_us()
    assert (now(movable), now(another)) == (before, before)

    reading = run(movable, advance_test_clock, ADA, YEAR)

    assert (reading.now, reading.offset_us) == (before + YEAR, YEAR)
    for database in (movable, another):
        assert now(database) == before + YEAR
        assert database.now_us() == before + YEAR
        assert run(database, lambda tx: tx.now_us) == before + YEAR
        assert run(database, read_test_clock) == reading


def test_a_moved_clock_goes_on_and_is_moved_again(movable, clock):
    run(movable, advance_test_clock, ADA, DAY)
    clock.move(5)
    run(movable, set_test_clock, ADA, clock.now_us() + 3 * DAY)
    assert now(movable) == clock.now_us() + 3 * DAY


def test_a_restarted_process_goes_on_in_the_moved_time(movable, database_url, open_database_at):
    run(movable, advance_test_clock, ADA, YEAR)
    moved = now(movable)
    again = open_database_at(database_url)
    run(again, settle_test_clock, wanted=True)
    follow_test_clock(again)
    assert now(again) == moved


@pytest.mark.parametrize("by_us", [0, -1, -YEAR])
def test_a_test_clock_neither_stands_nor_steps_back(movable, by_us):
    before = now(movable)
    with pytest.raises(model.ClockGoesForward):
        run(movable, advance_test_clock, ADA, by_us)
    with pytest.raises(model.ClockGoesForward):
        run(movable, set_test_clock, ADA, before + by_us)
    assert now(movable) == before


def test_a_test_clock_stops_at_the_year_9000(movable):
    with pytest.raises(model.ClockTooFar):
        run(movable, set_test_clock, ADA, 221_845_392_000_000_001)
    run(movable, set_test_clock, ADA, 221_845_392_000_000_000)
    assert show_time(now(movable)).startswith("9000-01-01")


def test_two_moves_at_once_both_count(movable, another, clock):
    moves = [
        lambda database=database: run(database, advance_test_clock, ADA, DAY)
        for database in (movable, another) * 3
    ]
    offsets: list[Any] = [getattr(reading, "offset_us", reading) for reading in at_once(moves)]
    assert sorted(offsets) == [DAY * n for n in range(1, 7)]
    assert now(movable) == clock.now_us() + 6 * DAY


def test_a_move_is_audited_and_told_to_others(movable, clock):
    before = clock.now_us()
    run(movable, advance_test_clock, ADA, DAY)
    with movable.read() as tx:
        [entry] = list_audit(tx, subject="test-clock").items
        events = events_after(tx, Position(0, 0)).events
    assert (entry.action, entry.actor, entry.at) == ("test_clock.moved", ADA.id, before)
    assert [(event.type, event.data) for event in events] == [
        ("test_clock.moved", {"offsetUs": DAY, "offsetSeconds": 86_400})
    ]


def test_another_service_catches_up_and_never_steps_back(movable):
    assert run(movable, catch_up_with, ADA, DAY).offset_us == DAY
    assert run(movable, catch_up_with, ADA, DAY).offset_us == DAY
    assert run(movable, catch_up_with, ADA, 1).offset_us == DAY


# -- the ledger ------------------------------------------------------------------------------------


def test_a_batch_decides_in_the_moved_time(movable, another, scene, ledger):
    """What another process has in memory expires as well when the clock is moved here."""
    bucket = scene.bucket(Grant(bucket=0, amount=10, expires_at=now(movable) + DAY))
    lane = Lane(another, ledger)
    use = Use(sources=(Source(bucket),), amount=1)
    try:
        assert isinstance(ask(lane, use), Applied)
        run(movable, advance_test_clock, ADA, DAY - 1)
        assert isinstance(ask(lane, use), Applied)
        run(movable, advance_test_clock, ADA, 1)
        assert isinstance(ask(lane, use), Denied)
    finally:
        lane.close()


def test_every_month_of_a_moved_year_has_its_grant(movable, scene, ledger, clock):
    clock.set(1_767_225_600_000_000)  # 2026-01-01
    bucket = scene.bucket()
    movable.run(
        lambda tx: ledger.add_schedule(tx, bucket, 12, unit="month", anchor_at=clock.now_us())
    )
    lane = Lane(movable, ledger)
    left = []
    try:
        for month in (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 1):
            left.append(ask(lane, Use(sources=(Source(bucket),), amount=month)).available)
            first = f"{2027 if month == 1 else 2026}-{month:02}-01T00:00:00Z"
            run(movable, set_test_clock, ADA, parse_time(first))
    finally:
        lane.close()
    assert left == [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 11]
    assert show_time(now(movable)) == "2027-01-01T00:00:00.000000Z"


# -- a database without one ------------------------------------------------------------------------


def test_a_database_that_was_begun_without_cannot_be_moved(database):
    run(database, settle_test_clock, wanted=False)
    follow_test_clock(database)
    with pytest.raises(model.TestClockAbsent):
        run(database, advance_test_clock, ADA, DAY)
    assert run(database, read_test_clock).offset_us == 0
    with pytest.raises(SettingsRefused, match="begun without a test clock"):
        run(database, settle_test_clock, wanted=True)
    with pytest.raises(sa.exc.IntegrityError), database.write() as tx:
        tx.connection.exec_driver_sql("UPDATE test_clock SET offset_us = 1")


def test_a_database_that_nobody_has_begun_cannot_be_moved(database):
    follow_test_clock(database)
    with pytest.raises(model.TestClockAbsent):
        run(database, advance_test_clock, ADA, DAY)


def test_a_database_with_a_test_clock_refuses_a_start_without(movable):
    with pytest.raises(SettingsRefused, match="start with --test-clock"):
        run(movable, settle_test_clock, wanted=False)
    run(movable, settle_test_clock, wanted=True)


def test_a_moved_clock_is_no_jump_and_a_jump_stops_a_moved_clock(
    movable, database_url, open_database_at, monkeypatch
):
    host = SystemClock()
    served = open_database_at(database_url, host)
    follow_test_clock(served)
    run(served, advance_test_clock, ADA, YEAR)
    assert now(served) > host.now_us() + YEAR - DAY
    monkeypatch.setattr(host, "_apart_us", host._apart_us + 6 * SECOND_US)
    with pytest.raises(ClockJumped):
        now(served)


@pytest.fixture
def statements(monkeypatch):
    """Return every statement that is sent from here on by either driver."""
    sent: list[str] = []

    class Driver(sqlite3.Connection):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.set_trace_callback(sent.append)

    connect = sqlite3.connect
    monkeypatch.setattr(
        sqlite3, "connect", lambda *args, **options: connect(*args, factory=Driver, **options)
    )
    execute = psycopg.Cursor.execute

    def noted(self, query, *arguments, **options):
        sent.append(query if isinstance(query, str) else str(query))
        return execute(self, query, *arguments, **options)

    monkeypatch.setattr(psycopg.Cursor, "execute", noted)
    return sent


def test_without_a_test_clock_a_batch_costs_no_statement_more(
    statements, scene, ledger, database_url, open_database_at
):
    """With one it costs one more; so the count would show it if the other did as well."""
    bucket = scene.bucket(100)

    def count(key):
        database = open_database_at(database_url)
        follow_test_clock(database)
        lane = Lane(database, ledger)
        try:
            ask(lane, Use(sources=(Source(bucket),), amount=1))
            del statements[:]
            lane.call(request(Use(sources=(Source(bucket),), amount=1), caller="c", key=key))
            return list(statements)
        finally:
            lane.close()

    off = count("off")
    run(scene.database, settle_test_clock, wanted=True)
    on = count("on")
    assert off
    assert not any("test_clock" in each for each in off)
    assert len([each for each in on if "test_clock" in each]) == 1
    assert len(on) == len(off) + 1


def test_a_move_that_billing_was_told_late_counts_for_what_came_after_it(billing, clock):
    run(billing, settle_test_clock, wanted=True)
    follow_test_clock(billing)
    stage = Renewals(billing, clock, at="2027-01-31")
    moved = told("test_clock.moved", "test-clock", {"offsetUs": YEAR})
    never = dict.fromkeys(("startedAt", "trialEndsAt", "cancelAt", "endedAt"))
    begun = stage.created("basic", **never)
    # Billing was away for both: they are stored together, and none of their subjects is known.
    events = [msgspec.structs.replace(each, subjectversion=1) for each in (moved, begun)]
    inbox = billing_inbox(billing)

    assert inbox.take(events) == ()
    while inbox.step():
        pass

    assert stage.schedule(begun.subject).created_at == clock.now_us() + YEAR
