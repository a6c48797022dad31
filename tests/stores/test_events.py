"""The outbox: an event is there when and only when its fact is, and is read in order."""

import threading

import pytest

from farebox.events.model import Event, Position, PositionRefused
from farebox.events.service import events_after, parse_position, publish, show_position
from farebox.kernel.clock import show_time
from farebox.kernel.refusals import ValueRefused
from farebox.storage import Database

START = Position()


def tell(database: Database, subject: str = "con_1", **data) -> Event:
    return database.run(lambda tx: publish(tx, type="consumer.updated", subject=subject, data=data))


def read(database: Database, position: Position = START, limit: int = 100):
    with database.read() as tx:
        return events_after(tx, position, limit)


def test_an_event_is_read_as_it_was_written(database, clock):
    told = tell(database, name="Ада", films=20, active=True, owner=None)
    found = read(database).events
    assert found == (told,)
    assert found[0].data == {"name": "Ада", "films": 20, "active": True, "owner": None}
    assert found[0].specversion == "1.0"
    assert found[0].type == "consumer.updated"
    assert found[0].source == "/farebox/access"
    assert found[0].time[:16] == show_time(clock.now_us())[:16]


def test_a_rolled_back_fact_leaves_no_event_and_no_gap_in_the_versions(database):
    tell(database)

    def tell_and_fail(tx) -> None:
        publish(tx, type="consumer.updated", subject="con_1", data={})
        raise RuntimeError

    with pytest.raises(RuntimeError):
        database.run(tell_and_fail)
    tell(database)
    assert [event.subjectversion for event in read(database).events] == [1, 2]


def test_each_subject_counts_its_own_events(database):
    for subject in ("con_1", "con_2", "con_1"):
        tell(database, subject)
    found = [(event.subject, event.subjectversion) for event in read(database).events]
    assert found == [("con_1", 1), ("con_2", 1), ("con_1", 2)]


def test_a_reader_goes_on_where_it_stopped(database):
    told = [tell(database, number=number).id for number in range(5)]
    first = read(database, limit=2)
    second = read(database, parse_position(show_position(first.position)), limit=2)
    third = read(database, second.position, limit=2)
    assert [event.id for event in first.events + second.events + third.events] == told
    assert read(database, third.position).events == ()
    assert read(database, third.position).position == third.position


@pytest.fixture
def served(postgresql_engine, clock):
    """Return a database on PostgreSQL alone: SQLite has one writer at a time."""
    url = postgresql_engine.migrated()
    database = postgresql_engine.open(url, clock)
    yield database
    database.close()
    postgresql_engine.drop(url)


def test_a_reader_does_not_pass_a_writer_that_is_still_open(served):
    """Two writers: the later one commits first, and its event waits for the earlier one's."""
    begun, go_on = threading.Event(), threading.Event()

    def write_slowly() -> None:
        with served.write() as tx:
            publish(tx, type="consumer.updated", subject="con_slow", data={})
            begun.set()
            assert go_on.wait(30)

    writer = threading.Thread(target=write_slowly)
    writer.start()
    try:
        assert begun.wait(30)
        tell(served, "con_quick")
        assert read(served).events == ()
    finally:
        go_on.set()
        writer.join(30)
    assert [event.subject for event in read(served).events] == ["con_slow", "con_quick"]


def test_two_writers_of_one_subject_make_no_version_twice(database):
    def write_many() -> None:
        for _ in range(10):
            tell(database)

    writers = [threading.Thread(target=write_many) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    versions = [event.subjectversion for event in read(database).events]
    assert sorted(versions) == list(range(1, 41))


@pytest.mark.parametrize("text", ["", "1", "1-", "-1-1", "a-b", "1-2-3", "١-٢", "9" * 30 + "-1"])
def test_what_is_not_a_position_is_refused(text):
    with pytest.raises(PositionRefused):
        parse_position(text)


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_page_of_events_has_a_size(database, limit):
    with pytest.raises(ValueRefused):
        read(database, limit=limit)
