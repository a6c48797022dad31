"""SNS to SQS, over HTTP to moto's server: what was dealt with goes, what failed stays, alone."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from farebox.events.inbox import Inbox
from farebox.events.model import Event, TransportDown
from farebox.events.transports.sns_sqs import (
    LARGEST_BATCH,
    Aws,
    AwsTerms,
    SnsSender,
    SqsReceiver,
    each,
    into,
    make_queue,
    make_topic,
    write_message,
)
from farebox.storage import Database
from tests.support.aws import AwsServer, attributes, bodies, show_again

TOPIC, QUEUE = "billing-events", "entitlement-queue"


@pytest.fixture(scope="module")
def server() -> Iterator[AwsServer]:
    made = AwsServer()
    yield made
    made.close()


@pytest.fixture
def aws(server: AwsServer, request: pytest.FixtureRequest) -> Iterator[Aws]:
    """Return an account's clients, the topic and its queue made; the project is the test's own."""
    made = Aws(server.terms(f"p{abs(hash(request.node.name)) % 10**8}"))
    make_queue(made, TOPIC, QUEUE)
    # The tests look at once for what they let fail.
    show_again(made, QUEUE)
    yield made
    made.close()


def event(number: int, **changed: Any) -> Event:
    fields: dict[str, Any] = {
        "specversion": "1.0",
        "id": f"evt_{number}",
        "source": "/farebox/billing",
        "type": "payment.succeeded",
        "subject": "sub_1",
        "time": "2026-11-20T09:00:00.000000Z",
        "datacontenttype": "application/json",
        "subjectversion": number,
        "data": {"number": number, "name": "Ада"},
    }
    return Event(**{**fields, **changed})


class Store:
    """A receiver that keeps what it takes, and refuses what it is told to."""

    def __init__(self, *refused: str) -> None:
        self.taken: dict[str, Event] = {}
        self.refused = set(refused)

    def take(self, events: Sequence[Event]) -> tuple[str, ...]:
        self.taken.update({event.id: event for event in events if event.id not in self.refused})
        return tuple(event.id for event in events if event.id in self.refused)


def receiver(aws: Aws, deal: Callable[[Sequence[str]], Sequence[int]]) -> SqsReceiver:
    return SqsReceiver(aws, queue=QUEUE, deal=deal, wait_s=0)


def drain(one: SqsReceiver) -> None:
    while one.step():
        pass


# -- the topic and the queue ---------------------------------------------------------------------


def test_topic_queue_and_dead_letters_are_named_and_bound_as_asked(aws):
    project = aws.terms.project
    # Changing the time out of sight lets moto, unlike AWS, forget the queue's policy.
    make_queue(aws, TOPIC, QUEUE)
    found = attributes(aws, QUEUE)
    dead = attributes(aws, f"{QUEUE}-dlq")
    assert found["QueueArn"].endswith(f":{project}-test-entitlement-queue")
    assert found["RedrivePolicy"] == {
        "deadLetterTargetArn": dead["QueueArn"],
        "maxReceiveCount": 3,
    }
    topic = aws.topic(TOPIC)
    assert topic.endswith(f":{project}-test-billing-events")
    [statement] = found["Policy"]["Statement"]
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": topic}}
    [subscription] = aws.sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    arn = subscription["SubscriptionArn"]
    terms = aws.sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
    assert terms["RawMessageDelivery"] == "true"


def test_making_them_again_changes_nothing_and_mends_what_was_changed(aws):
    url = aws.queue(QUEUE)
    SnsSender(aws, topic=TOPIC).send([event(1)])
    aws.sqs.set_queue_attributes(QueueUrl=url, Attributes={"MessageRetentionPeriod": "60"})
    assert make_queue(aws, TOPIC, QUEUE) == url
    assert attributes(aws, QUEUE)["MessageRetentionPeriod"] == str(14 * 86_400)
    topic = aws.topic(TOPIC)
    assert make_topic(aws, TOPIC) == topic
    assert len(aws.sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]) == 1
    assert len(bodies(aws, QUEUE)) > 0


# -- sending and receiving -----------------------------------------------------------------------


def test_a_sent_event_is_received_as_it_was_and_deleted(aws):
    store = Store()
    SnsSender(aws, topic=TOPIC).send([event(1)])
    assert receiver(aws, into(store)).step() == 1
    assert store.taken == {"evt_1": event(1)}
    assert bodies(aws, QUEUE) == []


def test_more_events_than_a_batch_holds_all_arrive(aws):
    store = Store()
    SnsSender(aws, topic=TOPIC).send([event(number) for number in range(57)])
    drain(receiver(aws, into(store)))
    assert set(store.taken) == {f"evt_{number}" for number in range(57)}


def test_large_events_go_in_batches_that_the_service_takes(aws, monkeypatch):
    """AWS counts the bytes of a whole batch; moto does not, so they are counted here."""
    sizes: list[int] = []
    publish = aws.sns.publish_batch

    def counted(**batch: Any) -> Any:
        entries = batch["PublishBatchRequestEntries"]
        sizes.append(sum(len(entry["Message"].encode()) for entry in entries))
        return publish(**batch)

    monkeypatch.setattr(aws.sns, "publish_batch", counted)
    store = Store()
    large = [event(number, data={"text": "я" * 60_000}) for number in range(5)]
    SnsSender(aws, topic=TOPIC).send(large)
    drain(receiver(aws, into(store)))
    assert len(store.taken) == 5
    assert len(sizes) == 3
    assert max(sizes) <= LARGEST_BATCH


def test_a_batch_that_was_taken_in_part_is_not_taken_for_sent(aws, monkeypatch):
    def fail_one(**_: Any) -> dict[str, Any]:
        return {"Successful": [{"Id": "0"}], "Failed": [{"Id": "1", "Code": "InternalError"}]}

    monkeypatch.setattr(aws.sns, "publish_batch", fail_one)
    with pytest.raises(TransportDown, match="InternalError"):
        SnsSender(aws, topic=TOPIC).send([event(1), event(2)])


def test_an_event_too_large_is_not_taken_for_sent(aws):
    sender = SnsSender(aws, topic=TOPIC)
    with pytest.raises(TransportDown, match="evt_2 is larger"):
        sender.send([event(1), event(2, data={"text": "x" * LARGEST_BATCH})])
    assert bodies(aws, QUEUE) == []


def test_only_wanted_events_go_out_and_in_the_form_that_is_asked(aws):
    SnsSender(
        aws,
        topic=TOPIC,
        wanted=lambda one: one.type.startswith("entitlement."),
        write=write_message,
    ).send([event(1), event(2, type="entitlement.created", source="/farebox/access")])
    [body] = bodies(aws, QUEUE)[:1]
    assert json.loads(body) == {
        "type": "entitlement.created",
        "payload": {"number": 2, "name": "Ада"},
        "meta": {
            "eventId": "evt_2",
            "occurredAt": "2026-11-20T09:00:00.000000Z",
            "source": "/farebox/access",
        },
    }


def test_subscribers_may_filter_by_type(aws):
    SnsSender(aws, topic=TOPIC).send([event(1)])
    answer = aws.sqs.receive_message(QueueUrl=aws.queue(QUEUE), MessageAttributeNames=["All"])
    said = answer["Messages"][0]["MessageAttributes"]
    assert said["type"]["StringValue"] == "payment.succeeded"
    assert said["source"]["StringValue"] == "/farebox/billing"


def test_a_queue_may_get_one_services_events_only(aws):
    make_queue(aws, TOPIC, QUEUE, source="/farebox/billing")
    SnsSender(aws, topic=TOPIC).send([event(1), event(2, source="/farebox/access")])
    assert [json.loads(body)["id"] for body in bodies(aws, QUEUE)] == ["evt_1"]


# -- what fails ----------------------------------------------------------------------------------


def test_of_a_batch_only_the_failed_message_stays(aws):
    store = Store("evt_2")
    SnsSender(aws, topic=TOPIC).send([event(number) for number in (1, 2, 3)])
    assert receiver(aws, into(store)).step() == 2
    assert set(store.taken) == {"evt_1", "evt_3"}
    store.refused.clear()
    assert receiver(aws, into(store)).step() == 1
    assert set(store.taken) == {"evt_1", "evt_2", "evt_3"}
    assert bodies(aws, QUEUE) == []


def test_what_failed_three_times_is_a_dead_letter_and_its_companions_are_done(aws):
    done: list[int] = []

    def work(message: dict[str, Any]) -> None:
        if message["number"] == 13:
            raise ValueError(message)
        done.append(message["number"])

    for number in (12, 13, 14):
        aws.sns.publish(TopicArn=aws.topic(TOPIC), Message=json.dumps({"number": number}))
    one = receiver(aws, each(work))
    for _ in range(4):
        one.step()
    assert sorted(done) == [12, 14]
    assert [json.loads(body) for body in bodies_of_dead(aws)] == [{"number": 13}]


@pytest.mark.parametrize("body", ["no event", "[1]", '{"specversion": "0.3"}', "\ud7ff"])
def test_what_is_no_event_becomes_a_dead_letter(aws, body):
    store = Store()
    aws.sns.publish(TopicArn=aws.topic(TOPIC), Message=body)
    SnsSender(aws, topic=TOPIC).send([event(1)])
    for deal in (into(store), each(lambda _: None) if body[0] != "{" else into(store)):
        one = receiver(aws, deal)
        one.step()
        one.step()
    assert list(store.taken) == ["evt_1"]
    assert bodies_of_dead(aws) == [body]


def bodies_of_dead(aws: Aws) -> list[str]:
    """Return the dead letters, which the queue sets aside when it is next asked."""
    assert receiver(aws, lambda bodies: range(len(bodies))).step() == 0
    answer = aws.sqs.receive_message(QueueUrl=aws.queue(f"{QUEUE}-dlq"), MaxNumberOfMessages=10)
    return [message["Body"] for message in answer.get("Messages", [])]


def test_who_dies_before_deleting_is_given_the_message_again_and_the_inbox_knows_it(
    aws: Aws, database: Database
) -> None:
    class Dies(RuntimeError):
        pass

    applied: list[str] = []
    inbox = Inbox(
        database,
        {("/farebox/billing", "payment.succeeded"): lambda tx, told: applied.append(told.id)},
    )

    def store_and_die(messages: Sequence[str]) -> Sequence[int]:
        into(inbox)(messages)
        raise Dies

    SnsSender(aws, topic=TOPIC).send([event(1)])
    with pytest.raises(Dies):
        receiver(aws, store_and_die).step()
    inbox.step()
    assert receiver(aws, into(inbox)).step() == 1
    inbox.step()
    assert applied == ["evt_1"]
    assert bodies(aws, QUEUE) == []


def test_an_event_published_twice_is_applied_once_and_order_is_restored(
    aws: Aws, database: Database
) -> None:
    applied: list[str] = []
    inbox = Inbox(
        database,
        {("/farebox/billing", "payment.succeeded"): lambda tx, told: applied.append(told.id)},
        patience_us=60_000_000,
    )
    sender = SnsSender(aws, topic=TOPIC)
    sender.send([event(2)])
    drain(receiver(aws, into(inbox)))
    inbox.step()
    sender.send([event(1), event(2)])
    drain(receiver(aws, into(inbox)))
    while inbox.step():
        pass
    assert applied == ["evt_1", "evt_2"]


# -- the other side is not there -----------------------------------------------------------------


def test_a_service_that_cannot_be_reached_is_down():
    aws = Aws(
        AwsTerms(
            project="p",
            environment="test",
            region="eu-central-1",
            endpoint_url="http://127.0.0.1:9",
            access_key_id="x",
            secret_access_key="y",
        )
    )
    works: list[Callable[[], object]] = [
        lambda: SnsSender(aws, topic=TOPIC).send([event(1)]),
        receiver(aws, lambda _: []).step,
        lambda: make_queue(aws, TOPIC, QUEUE),
    ]
    for work in works:
        with pytest.raises(TransportDown, match="AWS"):
            work()
    aws.close()


def test_a_topic_or_queue_that_is_not_there_is_down(server):
    aws = Aws(server.terms("nobody"))
    with pytest.raises(TransportDown):
        SnsSender(aws, topic=TOPIC).send([event(1)])
    with pytest.raises(TransportDown):
        receiver(aws, lambda _: []).step()
    aws.close()


def test_two_receivers_share_a_queue(server, aws):
    # Long enough for the slowest of us: what comes in sight again is rightly given twice.
    hidden = {"VisibilityTimeout": "3600"}
    aws.sqs.set_queue_attributes(QueueUrl=aws.queue(QUEUE), Attributes=hidden)
    SnsSender(aws, topic=TOPIC).send([event(number) for number in range(100)])
    stores = Store(), Store()
    others = [Aws(aws.terms) for _ in stores]
    threads = [
        threading.Thread(target=drain, args=(receiver(other, into(store)),))
        for other, store in zip(others, stores, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(stores[0].taken) + len(stores[1].taken) == 100
    assert len(stores[0].taken | stores[1].taken) == 100
