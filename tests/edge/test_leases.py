"""What leases promise: decided here, never more than there was, and settled to the last unit."""

import threading
import time
from typing import Any

import pytest

from farebox.edge import FareboxUnavailable, Leases, Refused
from tests.edge.stage import CAPTURE, DECIDE, RELEASE


@pytest.fixture
def leases(stage):
    """Return a function that opens leases on the stage; all are closed at the end."""
    made = []

    def open_leases(**terms):
        farebox = stage.farebox()
        made.append((Leases(farebox, product="accman", **{"slice_": 10, **terms}), farebox))
        return made[-1][0]

    yield open_leases
    for one, farebox in made:
        one.close()
        farebox.close()


def test_takes_are_decided_here_and_captured_when_they_are_over(stage, leases):
    credential = stage.open(100)
    some = leases()
    taken = [some.take(credential=credential) for _ in range(7)]
    assert [one.left for one in taken] == [9, 8, 7, 6, 5, 4, 3]
    assert stage.way.sent[DECIDE] == 1
    some.close()
    assert stage.tot(credential) == 93


def test_what_is_leased_is_not_there_for_others_and_comes_back(stage, leases):
    credential = stage.open(10)
    mine, other = leases(), leases()
    assert mine.take(credential=credential).allowed
    denied = other.take(credential=credential)
    assert (denied.allowed, denied.code) == (False, "bucket_empty")
    mine.close()
    assert stage.tot(credential) == 9


def test_the_next_slice_is_fetched_before_it_is_needed(stage, leases):
    credential = stage.open(100)
    some = leases()
    for _ in range(8):
        some.take(credential=credential)
    wait_until(lambda: stage.way.sent[DECIDE] == 2)
    wait_until(lambda: some.take_now(9, credential=credential) is not None)
    some.close()
    assert stage.tot(credential) == 83


def test_all_that_there_is_can_be_taken_and_no_more(stage, leases):
    credential = stage.open(25)
    some = leases()
    allowed = 0
    while some.take(credential=credential).allowed:
        allowed += 1
    some.close()
    assert (allowed, stage.tot(credential)) == (25, 0)


def test_many_threads_take_exactly_what_there_is(stage, leases):
    credential = stage.open(500)
    pair = leases(slice_=20, deny_seconds=0.01), leases(slice_=20, deny_seconds=0.01)
    counts = []

    def work(some):
        taken = 0
        while some.take(credential=credential).allowed:
            taken += 1
        counts.append(taken)

    threads = [threading.Thread(target=work, args=(pair[n % 2],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for some in pair:
        some.close()
    assert sum(counts) + stage.tot(credential) == 500
    # One edge may be denied while the other still holds a slice; what was given is what was taken.
    assert sum(counts) >= 460


def test_a_take_larger_than_a_slice_gets_a_slice_of_its_size(stage, leases):
    credential = stage.open(100)
    some = leases()
    assert some.take(64, credential=credential).allowed
    some.close()
    assert stage.tot(credential) == 36


def test_too_little_for_a_take_is_given_back_at_once(stage, leases):
    credential = stage.open(3)
    some = leases()
    denied = some.take(4, credential=credential)
    assert (denied.allowed, denied.code) == (False, "bucket_empty")
    assert stage.tot(credential) == 3


def test_after_a_denial_nobody_is_asked_for_a_while(stage, leases):
    now = [0.0]
    credential = stage.open(5)
    some = leases(clock=lambda: now[0], deny_seconds=5)
    assert not some.take(6, credential=credential).allowed
    assert not some.take(6, credential=credential).allowed
    assert stage.way.sent[DECIDE] == 1
    now[0] = 6.0
    some.take(6, credential=credential)
    assert stage.way.sent[DECIDE] == 2


def test_an_ended_slice_gives_nothing_and_is_settled(stage, leases):
    now = [0.0]
    credential = stage.open(100)
    some = leases(clock=lambda: now[0], ttl_seconds=60)
    assert some.take(3, credential=credential).allowed
    now[0] = 55.1
    assert some.take_now(credential=credential) is None
    wait_until(lambda: stage.way.sent[CAPTURE] == 1)
    wait_until(lambda: stage.tot(credential) == 97)


def test_a_process_that_dies_has_its_slice_captured(stage):
    credential = stage.open(100)
    farebox = stage.farebox()
    dying = Leases(farebox, product="accman", slice_=10, ttl_seconds=60)
    assert dying.take(credential=credential).allowed
    stage.move_clock(61)
    assert stage.tot(credential) == 90
    dying.close()
    farebox.close()
    assert stage.tot(credential) == 90


def test_or_given_back_where_that_is_wished(stage):
    credential = stage.open(100)
    farebox = stage.farebox()
    dying = Leases(farebox, product="accman", slice_=10, ttl_seconds=60, on_crash="release")
    assert dying.take(credential=credential).allowed
    stage.move_clock(61)
    assert stage.tot(credential) == 100
    dying.close()
    farebox.close()


def test_an_answer_that_got_lost_leaves_no_second_hold(stage, leases):
    credential = stage.open(100)
    some = leases()
    stage.way.lose[DECIDE] = 1
    assert some.take(credential=credential).allowed
    assert stage.tot(credential) == 90


def test_a_lost_settling_is_sent_again_until_it_is_there(stage, leases):
    credential = stage.open(100)
    some = leases(slice_=2)
    stage.way.fail[CAPTURE] = 6
    some.take(2, credential=credential)
    wait_until(lambda: stage.way.sent[CAPTURE] >= 7)
    some.close()
    assert stage.tot(credential) == 98
    assert stage.charges(credential) == [2]


def test_who_needs_a_slice_hears_that_farebox_is_away_and_others_go_on(stage, leases):
    credential, other = stage.open(100), stage.open(100)
    some = leases()
    assert some.take(credential=credential).allowed
    stage.way.block[DECIDE] = 4
    with pytest.raises(FareboxUnavailable):
        some.take(credential=other)
    assert some.take(credential=credential).allowed


def test_what_farebox_denies_is_denied_with_its_code(stage, leases):
    assert leases().take(credential="nobody at all").code == "account_unknown"


def test_nothing_is_waited_for_by_take_now(stage, leases):
    some = leases()
    assert some.take_now(credential="nobody at all") is None
    assert stage.way.sent[DECIDE] == 0


def test_an_unused_slice_is_released(stage, leases):
    credential = stage.open(100)
    some = leases()
    assert some.take(credential=credential).allowed
    some.close()
    assert stage.way.sent[RELEASE] == 0
    assert stage.way.sent[CAPTURE] == 1


@pytest.mark.parametrize("terms", [{"slice_": 0}, {"ttl_seconds": 1}])
def test_terms_that_cannot_work_are_errors(stage, terms):
    with stage.farebox() as farebox, pytest.raises(ValueError, match="a slice"):
        Leases(farebox, product="accman", **terms)


@pytest.mark.parametrize("quantity", [0, -1])
def test_a_take_of_nothing_is_an_error(stage, leases, quantity):
    credential = stage.open(100)
    some = leases()
    some.take(credential=credential)
    with pytest.raises((ValueError, Refused)):
        some.take(quantity, credential=credential)


def test_a_slice_on_its_way_is_found_whatever_is_swept_meanwhile(stage):
    credential = stage.open(100)

    class Slow:
        """Sweeps while the answer is on its way."""

        def __init__(self):
            self.inner = stage.farebox()

        def send(self, call):
            some._sweep()
            return self.inner.send(call)

    slow: Any = Slow()
    with slow.inner, Leases(slow, product="accman", slice_=10) as some:
        assert some.take(credential=credential).left == 9


def wait_until(is_true):
    deadline = time.monotonic() + 20
    while not is_true():
        assert time.monotonic() < deadline, "it did not become true"
        threading.Event().wait(0.01)
