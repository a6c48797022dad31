"""Webhooks on their way: to a real receiver, signed, tried again, never lost."""

from collections.abc import Callable
from functools import partial

import pytest
import sqlalchemy as sa

from farebox.events.service import publish
from farebox.events.transports.webhooks import WebhookSender
from farebox.events.webhooks.model import (
    DeliveryUnknown,
    EndpointDisabled,
    EndpointUnknown,
    NewEndpoint,
)
from farebox.kernel.clock import ManualClock
from farebox.platform import service_audit
from farebox.platform import service_webhooks as service
from farebox.storage import Database
from farebox.workers.webhooks import DeliveryRetention
from tests.support.services import ADA, at_once, run
from tests.support.webhooks import attempts, deliveries, happen, state, told, work

HOUR = 3_600 * 1_000_000
DAY = 24 * HOUR


# -- sending -------------------------------------------------------------------------------------


def test_an_event_arrives_as_its_envelope_signed_by_the_standard(database, hook, receiver, worker):
    event = happen(database)
    assert work(worker) == 1
    [got] = receiver.got
    assert got.event == {"specversion": "1.0", "id": event.id, "source": event.source,
                         "type": "order.completed", "subject": "ord_1", "time": event.time,
                         "datacontenttype": "application/json", "subjectversion": 1,
                         "data": {"number": 1}}  # fmt: skip
    assert got.id == event.id
    assert got.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    assert got.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert got.verified_by(hook.secret)
    assert not got.verified_by("whsec_" + "A" * 44)
    [log] = attempts(database, hook)
    assert (log.status, log.error, log.number, log.event) == (204, None, 1, event.id)
    [delivery] = deliveries(database, hook)
    assert (delivery.state, delivery.due_at, delivery.type) == ("delivered", None, event.type)
    assert work(worker) == 0


def test_only_the_events_that_are_named_are_sent(database, receiver, worker):
    run(database, service.create_webhook, ADA, url=receiver.url, types=["plan.*"], private=True)
    happen(database, 1, "order.completed")
    happen(database, 2, "plan.created")
    assert work(worker) == 1
    assert [got.event["type"] for got in receiver.got] == ["plan.created"]


def test_an_event_that_the_relay_hands_over_twice_is_sent_once(database, hook, receiver, worker):
    event = happen(database)
    WebhookSender(database).send([event])
    work(worker)
    WebhookSender(database).send([event])
    assert work(worker) == 0
    assert len(receiver.got) == 1


def test_the_relay_in_two_processes_at_once_notes_a_delivery_once(database, hook):
    event = run(database, publish, type="order.completed", subject="ord_1", data={})
    answers = at_once([partial(WebhookSender(database).send, [event])] * 4)
    assert answers == [None] * 4
    assert len(deliveries(database, hook)) == 1


# -- rotation ------------------------------------------------------------------------------------


def test_both_secrets_sign_until_the_overlap_ends(database, hook, receiver, worker, clock):
    newer = run(
        database, service.rotate_webhook_secret, ADA, hook.endpoint.id, overlap_us=HOUR
    ).secret
    happen(database, 1)
    work(worker)
    clock.move(HOUR)
    happen(database, 2)
    work(worker)
    during, after = receiver.got
    assert during.verified_by(hook.secret)
    assert during.verified_by(newer)
    assert len(during.headers["webhook-signature"].split()) == 2
    assert after.verified_by(newer)
    assert not after.verified_by(hook.secret)


def test_a_second_rotation_does_not_prolong_the_oldest_secret(database, hook, receiver, worker):
    rotate = partial(run, database, service.rotate_webhook_secret, ADA, hook.endpoint.id)
    rotate(overlap_us=0)
    newest = rotate(overlap_us=HOUR).secret
    happen(database)
    work(worker)
    [got] = receiver.got
    assert not got.verified_by(hook.secret)
    assert got.verified_by(newest)
    assert len(got.headers["webhook-signature"].split()) == 2


# -- trying again --------------------------------------------------------------------------------


def test_a_failed_message_comes_again_later_under_the_same_id(
    database, hook, receiver, worker, clock
):
    receiver.answer = receiver.say(500)
    event = happen(database)
    work(worker)
    assert work(worker) == 0
    clock.move(6 * 1_000_000)
    receiver.answer = receiver.say(200, b"thank you")
    assert work(worker) == 1
    assert [got.id for got in receiver.got] == [event.id] * 2
    assert [log.status for log in attempts(database, hook)] == [200, 500]
    assert [log.number for log in attempts(database, hook)] == [2, 1]
    assert [one.state for one in deliveries(database, hook)] == ["delivered"]


def test_a_message_that_nobody_takes_is_given_up_after_ten_tries_and_can_be_sent_again(
    database, hook, receiver, worker, clock
):
    receiver.answer = receiver.say(500)
    happen(database)
    tries = 0
    while work(worker):
        tries += 1
        clock.move(27 * HOUR if tries > 8 else 23 * HOUR)
        # Each hour well in between shows that it is this message that fails, not the endpoint.
        with database.write() as tx:
            tx.run(sa.text("UPDATE webhook_endpoint SET failing_since = NULL"))
    assert tries == 10
    [delivery] = deliveries(database, hook)
    assert (delivery.state, delivery.attempts) == ("failed", 10)
    receiver.answer = receiver.say(204)
    again = run(database, service.resend_delivery, ADA, hook.endpoint.id, delivery.id)
    assert again.state == "waiting"
    assert work(worker) == 1
    [delivery] = deliveries(database, hook)
    assert (delivery.state, delivery.attempts) == ("delivered", 11)
    audited = run(database, service_audit.list_audit, subject=hook.endpoint.id).items[0]
    assert audited.action == "webhook.delivery_resent"


def test_a_receiver_that_asks_for_a_pause_gets_it(database, hook, receiver, worker, clock):
    receiver.answer = receiver.say(429, retry_after="3600")
    happen(database)
    work(worker)
    clock.move(HOUR - 1_000_000)
    assert work(worker) == 0
    clock.move(1_000_000)
    assert work(worker) == 1


# -- when an endpoint fails ----------------------------------------------------------------------


def test_an_endpoint_that_fails_for_five_days_is_disabled_told_and_audited(
    database, hook, receiver, worker, clock
):
    receiver.answer = receiver.say(503)
    happen(database, 1)
    work(worker)
    clock.move(5 * DAY)
    happen(database, 2)
    assert work(worker) == 1
    assert state(database, hook) == "disabled"
    found = run(database, service.read_webhook, hook.endpoint.id)
    assert found.disabled_because == "failing"
    assert told(database)[-1] == "webhook.disabled"
    entry = run(database, service_audit.list_audit, subject=hook.endpoint.id).items[0]
    assert (entry.actor, entry.action) == ("system", "webhook.disabled")


def test_one_success_ends_the_days_of_failure(database, hook, receiver, worker, clock):
    for day, status in enumerate((503, 204, 503)):
        receiver.answer = receiver.say(status)
        happen(database, day)
        while work(worker):
            pass
        clock.move(3 * DAY)
    assert state(database, hook) == "active"


def test_a_receiver_that_says_it_is_gone_is_believed(database, hook, receiver, worker):
    receiver.answer = receiver.say(410)
    happen(database)
    work(worker)
    found = run(database, service.read_webhook, hook.endpoint.id)
    assert (found.state, found.disabled_because) == ("disabled", "gone")


def test_nothing_is_sent_to_a_disabled_endpoint_and_what_waited_comes_when_it_is_enabled(
    database, hook, receiver, worker
):
    waited = happen(database, 1)
    run(database, service.disable_webhook, ADA, hook.endpoint.id)
    happen(database, 2)
    assert work(worker) == 0
    with pytest.raises(EndpointDisabled):
        run(
            database,
            service.resend_delivery,
            ADA,
            hook.endpoint.id,
            deliveries(database, hook)[0].id,
        )
    run(database, service.enable_webhook, ADA, hook.endpoint.id)
    assert work(worker) == 1
    assert [got.id for got in receiver.got] == [waited.id]


# -- looking and tidying -------------------------------------------------------------------------


def test_lists_are_paged_newest_first_and_filtered(database, hook, receiver, worker):
    receiver.answer = lambda got, handler: receiver.say(
        204 if got.event["data"]["number"] else 500
    )(got, handler)
    events = [happen(database, number).id for number in range(5)]
    while work(worker):
        pass
    page = partial(run, database, service.list_deliveries, hook.endpoint.id)
    first = page(limit=3)
    second = page(limit=3, before=first.next)
    assert [one.event for one in first.items + second.items] == events[::-1]
    assert second.next is None
    assert [one.event for one in page(state="waiting").items] == [events[0]]
    logs = partial(run, database, service.list_attempts, hook.endpoint.id)
    newest = logs(limit=2)
    rest = logs(limit=10, before=newest.next)
    assert len(newest.items + rest.items) == 5
    [only] = logs(delivery=page(state="waiting").items[0].id).items
    assert only.status == 500


def test_what_is_a_strangers_or_nobodys_is_unknown(database, hook, receiver):
    happen(database)
    other = run(database, service.create_webhook, ADA, url=receiver.url, private=True)
    [delivery] = deliveries(database, hook)
    with pytest.raises(DeliveryUnknown):
        run(database, service.resend_delivery, ADA, other.endpoint.id, delivery.id)
    for asking in (service.list_deliveries, service.list_attempts, service.read_webhook):
        with pytest.raises(EndpointUnknown):
            run(database, asking, "whk_none")


def test_ended_deliveries_are_forgotten_and_waiting_ones_kept(
    database, hook, receiver, worker, clock
):
    happen(database, 1)
    work(worker)
    clock.move(DAY)
    receiver.answer = receiver.say(500)
    happen(database, 2)
    work(worker)
    clock.move(DAY)
    forget = DeliveryRetention(database, days=1)
    assert (forget.step(), forget.step()) == (1, 0)
    assert [one.state for one in deliveries(database, hook)] == ["waiting"]
    assert len(attempts(database, hook)) == 1
    with database.read() as tx:
        assert tx.run(sa.text("SELECT count(*) FROM webhook_message")).scalar_one() == 1


def test_every_change_by_an_operator_is_audited_without_the_secret(
    database: Database, hook: NewEndpoint, clock: ManualClock
) -> None:
    endpoint = hook.endpoint.id
    changes: list[Callable[[], object]] = [
        partial(run, database, service.update_webhook, ADA, endpoint, types=["a.b"]),
        partial(run, database, service.rotate_webhook_secret, ADA, endpoint, overlap_us=0),
        partial(run, database, service.disable_webhook, ADA, endpoint),
        partial(run, database, service.disable_webhook, ADA, endpoint),
        partial(run, database, service.enable_webhook, ADA, endpoint),
    ]
    for change in changes:
        change()
    log = run(database, service_audit.list_audit, subject=endpoint).items
    assert [entry.action for entry in reversed(log)] == [
        "webhook.created", "webhook.updated", "webhook.secret_rotated", "webhook.disabled",
        "webhook.enabled",
    ]  # fmt: skip
    assert all("secret" not in (entry.after or "").replace("older_secrets", "") for entry in log)
