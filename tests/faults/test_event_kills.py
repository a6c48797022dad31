"""Kill -9 between any two steps of outbox, relay and inbox: no event lost, none applied twice.

A child makes one whole journey and dies before its n-th statement, for every n. The next one finds
what is left.
"""

import signal

import pytest
import sqlalchemy as sa

from farebox.events.model import Position
from farebox.events.service import events_after
from farebox.kernel.clock import ManualClock
from tests.support.event_roles import BASE_US, SUBJECTS, make_tables
from tests.support.nursery import Nursery
from tests.support.threads import wait_until_the_dead_let_go


@pytest.fixture(scope="module")
def travellers():
    made = Nursery("tests.support.event_roles")
    yield made
    made.close()


@pytest.fixture
def urls(engine):
    found = [engine.migrated(("events",)) for _ in range(2)]
    yield found
    for url in found:
        engine.drop(url)


@pytest.fixture
def services(engine, urls):
    opened = [engine.open(url, ManualClock(BASE_US)) for url in urls]
    yield opened
    for database in opened:
        database.close()


def rows(database, table):
    with database.read() as tx:
        return [tuple(row) for row in tx.run(sa.text(f"SELECT id, subject FROM {table}"))]  # noqa: S608


def states(database):
    with database.read() as tx:
        return tx.run(sa.text("SELECT DISTINCT state FROM inbox")).scalars().all()


def all_events(database):
    with database.read() as tx:
        return events_after(tx, Position(), 1000).events


def test_a_kill_between_any_two_statements_loses_no_event_and_applies_none_twice(
    travellers, urls, services, tmp_path
):
    teller, reader = services
    make_tables(teller, reader)
    journey = 0

    def travel(at):
        nonlocal journey
        journey += 1
        terms = {"urls": urls, "folder": str(tmp_path), "number": journey, "at": at}
        status = travellers.start("travel", **terms).wait()
        # Until then what the dead one had under way is neither there nor gone for the next.
        for database in services:
            wait_until_the_dead_let_go(database)
        return status

    deaths = 0
    while (status := travel(deaths + 1)) == -signal.SIGKILL:
        deaths += 1
        # Left to grow, what is under way would soon be all that a journey meets before it dies.
        if deaths % 3 == 0:
            assert travel(0) == 0
    assert status == 0
    assert deaths > 60
    # An event that fails at its first try holds up its subject until the next journey.
    rest = 0
    while "waiting" in states(reader):
        assert travel(0) == 0
        rest += 1
        assert rest < deaths

    events = all_events(teller)
    assert len(events) > deaths
    done = rows(reader, "done")
    assert sorted(id_ for id_, _ in done) == sorted(event.id for event in events)
    assert sorted(rows(teller, "fact")) == sorted((event.id, event.subject) for event in events)
    assert states(reader) == ["applied"]
    for subject in SUBJECTS:
        mine = [event.id for event in events if event.subject == subject]
        assert [id_ for id_, of in done if of == subject] == mine
    sent = (tmp_path / "sent").read_text().splitlines()
    assert set(sent) == {event.id for event in events}


def test_the_lease_of_a_killed_process_is_taken_over_when_it_ends(travellers, urls):
    ttl_us = 1_000_000
    terms = {"url": urls[0], "ttl_us": ttl_us}
    first = travellers.start("hold_lease", **terms)
    second = travellers.start("hold_lease", **terms)
    assert _takes(first, BASE_US)
    assert not _takes(second, BASE_US)
    first.kill()
    assert not _takes(second, BASE_US + ttl_us - 1)
    assert _takes(second, BASE_US + ttl_us)
    second.kill()


def _takes(child, instant):
    child.say(instant)
    return child.hear()
