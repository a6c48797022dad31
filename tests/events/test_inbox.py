"""The inbox: stored once, applied once and in order; what fails waits alone."""

import threading
from itertools import permutations

import pytest
import sqlalchemy as sa

from farebox.events.inbox import Inbox
from farebox.events.rules import PAUSES_US
from farebox.events.service_inbox import newer
from tests.events.post import BILLING, PAID, done, event, make_done, states, take_all, write_down
from tests.support.threads import Worker, together


@pytest.fixture
def broken():
    """Return the ids of events on which the handler fails, until they are taken out."""
    return set()


@pytest.fixture
def inbox(database, broken):
    make_done(database)

    def handle(tx, told):
        write_down(tx, told)
        if told.id in broken:
            raise ValueError(f"cannot do {told.id}")

    return Inbox(database, {(BILLING, PAID): handle})


def test_an_event_is_applied_once_however_often_it_is_delivered(inbox, database):
    take_all(inbox, [event("sub_1", 1), event("sub_1", 1)])
    take_all(inbox, [event("sub_1", 1)])
    assert done(database) == ["evt_sub_1_1"]


def test_an_event_without_a_handler_is_passed(inbox, database):
    take_all(inbox, [event("sub_1", 1, type="payment.rumoured")])
    assert done(database) == []
    assert states(database) == {"evt_sub_1_1": "passed"}


def test_events_of_a_subject_are_applied_in_the_order_of_their_versions(inbox, database):
    assert inbox.take([event("sub_1", 3), event("sub_2", 1)]) == ()
    take_all(inbox, [event("sub_1", 2), event("sub_1", 1)])
    assert done(database, "sub_1") == ["evt_sub_1_1", "evt_sub_1_2", "evt_sub_1_3"]


def test_an_event_older_than_what_its_subject_has_seen_is_refused_as_stale(inbox, database):
    take_all(inbox, [event("sub_1", 2)])
    take_all(inbox, [event("sub_1", 1)])
    assert done(database) == ["evt_sub_1_2"]
    assert states(database)["evt_sub_1_1"] == "stale"


def test_a_failed_event_is_rolled_back_and_its_subject_waits_while_others_go_on(
    inbox, database, broken
):
    broken.add("evt_sub_1_1")
    take_all(inbox, [event("sub_1", 1), event("sub_1", 2), event("sub_2", 1)])
    assert done(database) == ["evt_sub_2_1"]


def test_the_third_failure_makes_a_dead_letter(inbox, database, broken, clock):
    broken.add("evt_sub_1_1")
    take_all(inbox, [event("sub_1", 1)])
    for pause in PAUSES_US:
        clock.move(pause - 1)
        assert inbox.step() == 0
        assert states(database) == {"evt_sub_1_1": "waiting"}
        clock.move(1)
        assert inbox.step() == 1
    assert states(database) == {"evt_sub_1_1": "dead"}
    clock.move(10 * PAUSES_US[-1])
    assert inbox.step() == 0


def test_a_handler_that_recovers_in_time_leaves_no_dead_letter(inbox, database, broken, clock):
    broken.add("evt_sub_1_1")
    take_all(inbox, [event("sub_1", 1), event("sub_1", 2)])
    broken.clear()
    clock.move(PAUSES_US[0])
    take_all(inbox, [])
    assert done(database) == ["evt_sub_1_1", "evt_sub_1_2"]


def test_what_cannot_be_stored_comes_back_with_what_follows_it_of_its_subject(inbox, database):
    events = [event("sub_1", 1, id="a\0b"), event("sub_1", 2), event("sub_2", 1)]
    assert inbox.take(events) == ("a\0b", "evt_sub_1_2")
    take_all(inbox, [])
    assert done(database) == ["evt_sub_2_1"]


def test_with_patience_a_later_event_waits_for_the_one_before(inbox, database, clock):
    patient = Inbox(database, inbox._handlers, patience_us=30_000_000)
    take_all(patient, [event("sub_1", 2), event("sub_1", 3)])
    assert done(database) == []
    take_all(patient, [event("sub_1", 1)])
    assert done(database) == ["evt_sub_1_1", "evt_sub_1_2", "evt_sub_1_3"]
    take_all(patient, [event("sub_1", 5)])
    assert len(done(database)) == 3
    clock.move(30_000_000)
    take_all(patient, [])
    assert done(database)[3:] == ["evt_sub_1_5"]


@pytest.mark.parametrize("one_batch", [True, False], ids=["in one batch", "one by one"])
@pytest.mark.parametrize("order", list(permutations((1, 2, 3, 4)))[1:])
def test_with_patience_events_are_applied_in_order_however_they_come(
    inbox, database, order, one_batch
):
    patient = Inbox(database, inbox._handlers, patience_us=30_000_000)
    came = [event("sub_1", version) for version in order]
    for events in [came] if one_batch else [[one] for one in came]:
        take_all(patient, events)
    assert done(database) == [f"evt_sub_1_{version}" for version in (1, 2, 3, 4)]


def test_a_copy_takes_only_what_is_newer_than_what_it_holds(database):
    def tell(version):
        return database.run(lambda tx: newer(tx, event("sub_1", version), copy="plans"))

    assert [tell(version) for version in (2, 1, 2, 3)] == [True, False, False, True]


def test_taking_and_applying_at_once_strands_no_event_and_keeps_each_order(
    inbox, database_url, open_database_at
):
    """A subject's last event is applied at the very moment when its next one is stored."""
    subjects = [f"sub_{number}" for number in range(3)]
    taking = threading.Event()

    def take(subject):
        other = Inbox(open_database_at(database_url), inbox._handlers)
        for version in range(1, 31):
            assert other.take([event(subject, version)]) == ()

    def apply(_):
        other = Inbox(open_database_at(database_url), inbox._handlers)
        while not taking.is_set() or other.step():
            other.step()

    appliers = [Worker(apply, number) for number in range(2)]
    for applier in appliers:
        applier.start()
    together(take, subjects)
    taking.set()
    for applier in appliers:
        applier.result()
    take_all(inbox, [])
    for subject in subjects:
        assert done(inbox.database, subject) == [f"evt_{subject}_{n}" for n in range(1, 31)]


def test_more_events_than_a_page_are_taken(inbox, database):
    events = [event("sub_1", version, type="payment.rumoured") for version in range(1, 2_500)]
    assert inbox.take(events) == ()
    assert len(states(database)) == 2_499


def test_nothing_is_taken_while_the_database_is_away(inbox, database, monkeypatch):
    """The transport delivers all of it again."""

    def gone(_):
        raise sa.exc.OperationalError("INSERT", None, ConnectionError("no route to host"))

    monkeypatch.setattr(database, "run", gone)
    events = [event("sub_1", 1), event("sub_2", 1)]
    assert inbox.take(events) == ("evt_sub_1_1", "evt_sub_2_1")


def test_what_came_together_is_applied_in_its_order_over_subjects_too(inbox, database):
    take_all(inbox, [event("zebra", 1), event("ant", 1), event("mole", 1), event("ant", 2)])
    assert done(database) == ["evt_zebra_1", "evt_ant_1", "evt_mole_1", "evt_ant_2"]
