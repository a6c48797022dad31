"""Several workers at once, slow receivers, and workers that die in between."""

import threading
from functools import partial

import pytest

from farebox.events.transports.webhooks import Caller
from farebox.events.webhooks import service_deliveries
from farebox.events.webhooks.model import Answer, NewEndpoint, Parcel
from farebox.events.webhooks.service_deliveries import LEASE_US, claim
from farebox.kernel.clock import ManualClock
from farebox.platform import service_webhooks as service
from farebox.workers.webhooks import Deliveries
from tests.support.nursery import Nursery
from tests.support.receiver import Receiver
from tests.support.services import ADA, at_once, run
from tests.support.webhooks import attempts, deliveries, happen, work


def test_two_workers_at_once_send_each_message_once(
    database, database_url, hook, receiver, open_database_at
):
    events = [happen(database, number).id for number in range(20)]
    workers = [
        Deliveries(open_database_at(database_url), Caller(private=True), at_once=4)
        for _ in range(2)
    ]

    def drain(worker: Deliveries) -> None:
        while any(one.state == "waiting" for one in deliveries(database, hook)):
            work(worker)

    assert at_once([partial(drain, worker) for worker in workers]) == [None, None]
    for worker in workers:
        worker.close()
    assert sorted(got.id for got in receiver.got) == sorted(events)
    assert len(attempts(database, hook)) == 20


def test_a_slow_receiver_keeps_no_other_one_waiting(database, hook, receiver, clock):
    other = Receiver()
    go_on = threading.Event()
    receiver.answer = lambda *_: go_on.wait(30)
    run(database, service.create_webhook, ADA, url=other.url, private=True)
    for number in range(10):
        happen(database, number)
    slow = Deliveries(database, Caller(private=True), at_once=8)
    try:
        while len(other.got) < 10:
            slow.step()
        assert len(receiver.got) <= service_deliveries.MOST_PER_ENDPOINT
    finally:
        go_on.set()
        slow.close()
        other.close()


@pytest.fixture
def sent_and_killed(database_url: str, hook: NewEndpoint, clock: ManualClock):
    """Return a function that has another process make the call that is due, and kills it then."""
    nursery = Nursery("tests.support.webhook_role")

    def send() -> None:
        child = nursery.start("send_and_hang", url=database_url, now_us=clock.now_us())
        assert child.hear() == "sent"
        child.kill()

    yield send
    nursery.close()


def test_who_dies_between_the_call_and_its_record_leaves_it_to_be_sent_again(
    database, hook, worker, sent_and_killed, clock, *, receiver
):
    event = happen(database)
    sent_and_killed()
    assert work(worker) == 0
    clock.move(LEASE_US)
    assert work(worker) == 1
    assert [got.id for got in receiver.got] == [event.id] * 2
    assert all(got.verified_by(hook.secret) for got in receiver.got)
    assert [one.state for one in deliveries(database, hook)] == ["delivered"]


def test_an_answer_that_comes_after_its_claim_is_logged_and_decides_nothing(
    database, hook, receiver, worker, clock
):
    happen(database)
    [late] = run(database, claim, 1)
    clock.move(LEASE_US)
    [taken_over] = run(database, claim, 1)
    run(database, service.record_answer, late, Answer(status=204))
    assert [one.state for one in deliveries(database, hook)] == ["waiting"]
    run(database, service.record_answer, taken_over, Answer(status=500))
    run(database, service.record_answer, taken_over, Answer(status=500))
    [delivery] = deliveries(database, hook)
    assert (delivery.state, delivery.attempts) == ("waiting", 1)
    assert len(attempts(database, hook)) == 3


def test_a_database_that_fails_after_the_call_leaves_the_message_due_again(
    database, hook, receiver, clock
):
    class Breaks:
        def call(self, parcel: Parcel) -> Answer:
            raise RuntimeError(parcel.delivery)

    happen(database)
    broken = Deliveries(database, Breaks())
    assert work(broken) == 1
    broken.close()
    [delivery] = deliveries(database, hook)
    assert (delivery.state, delivery.attempts) == ("waiting", 0)
    clock.move(LEASE_US)
    assert len(run(database, claim, 5)) == 1
