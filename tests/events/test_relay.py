"""The relay: everything goes out by every sender, in order, however often a sender is down."""

import threading

import pytest

from farebox.events.lease import Lease
from farebox.events.model import PositionGone
from farebox.events.rules import FIRST_PAUSE_US, LONGEST_PAUSE_US, pause_us
from farebox.events.service import events_after, publish
from farebox.events.service_leases import LeaseLost
from farebox.events.service_positions import find_standing, floor_of_log
from farebox.workers.relay import Relay
from farebox.workers.retention import DAY_US, Retention
from tests.events.post import Outside, tell
from tests.support.threads import together


def run_dry(worker) -> int:
    count = 0
    while done := worker.step():
        count += done
    return count


@pytest.fixture
def outside():
    return Outside()


def test_everything_goes_out_in_order_page_by_page(database, outside):
    told = tell(database, "sub_1", 5)
    assert run_dry(Relay(database, outside, page=2)) == 5
    assert outside.sent == told
    assert outside.pages == 3


def test_a_relay_goes_on_where_another_one_stopped(database, outside):
    first = tell(database, "sub_1", 2)
    run_dry(Relay(database, outside))
    second = tell(database, "sub_1", 2)
    run_dry(Relay(database, outside))
    assert outside.sent == first + second


def test_a_sender_that_is_down_is_left_alone_for_longer_and_longer_and_misses_nothing(
    database, outside, clock
):
    told = tell(database, "sub_1", 2)
    outside.is_down = True
    relay = Relay(database, outside)
    assert relay.step() == 0
    for failures in (1, 2, 3):
        clock.move(pause_us(failures) - 1)
        assert relay.step() == 0
        with database.read() as tx:
            standing = find_standing(tx, "sender", "outside")
        assert standing is not None
        assert standing.failures == failures
        clock.move(1)
        relay.step()
    outside.is_down = False
    clock.move(LONGEST_PAUSE_US)
    assert run_dry(relay) == 2
    assert outside.sent == told
    with database.read() as tx:
        standing = find_standing(tx, "sender", "outside")
    assert standing is not None
    assert (standing.failures, standing.error) == (0, None)


def test_pauses_double_up_to_a_minute():
    pauses = [pause_us(failures) for failures in (1, 2, 3, 8, 1000)]
    assert pauses == [
        FIRST_PAUSE_US,
        2 * FIRST_PAUSE_US,
        4 * FIRST_PAUSE_US,
        LONGEST_PAUSE_US,
        LONGEST_PAUSE_US,
    ]


def test_senders_do_not_wait_for_each_other(database, outside):
    down = Outside("down")
    down.is_down = True
    told = tell(database, "sub_1")
    for sender in (down, outside):
        Relay(database, sender).step()
    assert outside.sent == told


def test_a_writer_held_open_loses_no_event_of_the_relay(postgresql_engine, clock, outside):
    url = postgresql_engine.migrated(("events",))
    database = postgresql_engine.open(url, clock)
    try:
        relay = Relay(database, outside)
        with database.write() as tx:
            slow = tell_in(tx, "sub_slow")
            quick = tell(database, "sub_quick", 3)
            assert run_dry(relay) == 0
        assert run_dry(relay) == 4
        assert outside.sent == [slow, *quick]
    finally:
        database.close()
        postgresql_engine.drop(url)


def tell_in(tx, subject):
    return publish(tx, type="payment.succeeded", subject=subject, data={}).id


# -- leases ----------------------------------------------------------------------------------------


def leases(database, open_database_at, database_url):
    return [Lease(open_database_at(database_url), "loops", ttl_us=10_000_000) for _ in range(2)]


def test_two_processes_never_hold_a_lease_together(database, database_url, open_database_at, clock):
    one, other = leases(database, open_database_at, database_url)
    assert (one.take(), other.take()) == (True, False)
    clock.move(9_999_999)
    assert (other.take(), one.take()) == (False, True)
    clock.move(9_999_999)
    assert other.take() is False
    clock.move(1)
    assert (other.take(), one.take()) == (True, False)
    assert (one.is_held, other.is_held) == (False, True)


def test_of_many_who_ask_at_once_one_gets_the_lease(database_url, open_database_at):
    asking = [Lease(open_database_at(database_url), "loops") for _ in range(8)]
    assert sorted(together(lambda lease: lease.take(), asking)) == [False] * 7 + [True]


def test_a_lease_that_is_given_up_is_free_at_once(database, database_url, open_database_at):
    one, other = leases(database, open_database_at, database_url)
    one.take()
    one.give_up()
    assert not one.is_held
    assert other.take()


def test_a_lease_from_a_time_that_was_taken_back_ends(
    database, database_url, open_database_at, clock
):
    one, other = leases(database, open_database_at, database_url)
    clock.move(365 * DAY_US)
    one.take()
    clock.move(-365 * DAY_US)
    assert other.take()


def test_who_lost_the_lease_moves_no_position(
    database, database_url, open_database_at, clock, outside
):
    one, other = leases(database, open_database_at, database_url)
    tell(database, "sub_1")
    one.take()
    clock.move(10_000_000)
    other.take()
    with pytest.raises(LeaseLost):
        Relay(database, outside, lease=one).step()
    assert Relay(database, outside, lease=other).step() == 1


def test_a_lease_is_taken_over_only_after_a_confirmed_transaction(
    database, database_url, open_database_at, clock
):
    one, other = leases(database, open_database_at, database_url)
    one.take()
    order = []

    def take_over():
        other.take()
        order.append("taken")

    with database.write() as tx:
        one.confirm(tx)
        clock.move(10_000_000)
        taking = threading.Thread(target=take_over)
        taking.start()
        order.append("written")
    taking.join(30)
    assert order == ["written", "taken"]
    assert other.is_held


# -- retention -------------------------------------------------------------------------------------


def test_old_events_leave_the_log_behind_everybody_who_follows_it(database, outside, clock):
    relay, retention = Relay(database, outside), Retention(database, days=30)
    tell(database, "sub_1", 3)
    relay.step()
    tell(database, "sub_1", 2)
    clock.move(30 * DAY_US + 1)
    kept = tell(database, "sub_1", 1)
    assert run_dry(retention) == 3
    assert relay.step() == 3
    assert run_dry(retention) == 2
    with database.read() as tx:
        floor = floor_of_log(tx)
        assert [event.id for event in events_after(tx, floor).events] == kept


def test_who_asks_for_what_is_gone_is_refused(database, clock):
    tell(database, "sub_1", 3)
    with database.read() as tx:
        position = events_after(tx, floor_of_log(tx), 1).position
    clock.move(2 * DAY_US)
    run_dry(Retention(database, days=1))
    with database.read() as tx, pytest.raises(PositionGone):
        events_after(tx, position)


def test_young_events_stay(database, clock):
    tell(database, "sub_1", 3)
    clock.move(DAY_US - 1)
    assert run_dry(Retention(database, days=1)) == 0


def test_a_new_sender_begins_with_the_oldest_event_that_is_kept(database, outside, clock):
    tell(database, "sub_1", 2)
    clock.move(2 * DAY_US)
    run_dry(Retention(database, days=1))
    kept = tell(database, "sub_1", 2)
    run_dry(Relay(database, outside))
    assert outside.sent == kept
