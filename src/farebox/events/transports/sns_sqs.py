"""SNS and SQS: events to a topic, and from a queue behind one to whoever deals with them.

    topic <prefix>-billing-events -> queue <prefix>-entitlement-queue -> step() -> deleted
                                          after 3 receives -> <prefix>-entitlement-queue-dlq

Topics and queues are named `{project}-{environment}-{resource}`. Only a message that was dealt with
is deleted; what failed stays, alone, until the queue hands it out again. Both sides may deliver
twice and out of order: the inbox, or whoever deals with a message, knows what it has seen.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, Final

import boto3
import msgspec
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from farebox.events.model import Event, EventRefused, TransportDown
from farebox.events.rules import read_event, write_event
from farebox.events.transports import Receiver

PAGE: Final = 10
LARGEST_BATCH: Final = 256 * 1024
MOST_RECEIVES: Final = 3
HIDDEN_S: Final = 30
KEPT_S: Final = 14 * 86_400
_ROOM_FOR_ATTRIBUTES: Final = 1_024
_DOWN: Final = (BotoCoreError, ClientError)
_log: Final = structlog.get_logger("farebox.events")

Deal = Callable[[Sequence[str]], Sequence[int]]
"""Deals with the bodies of messages; returns the places of those that failed."""


class AwsTerms(msgspec.Struct, frozen=True, kw_only=True):
    """Whose topics and queues, and where. Without keys AWS's own chain of credentials is asked."""

    project: str
    environment: str
    region: str
    endpoint_url: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None

    def name_of(self, resource: str) -> str:
        """Return the full name of a topic or queue."""
        return f"{self.project}-{self.environment}-{resource}"


class Aws:
    """The clients of one account, made once: making them reads AWS's own files."""

    def __init__(self, terms: AwsTerms) -> None:
        self.terms = terms
        session = boto3.session.Session(
            aws_access_key_id=terms.access_key_id,
            aws_secret_access_key=terms.secret_access_key,
            region_name=terms.region,
        )
        config = Config(
            connect_timeout=5,
            read_timeout=30,
            retries={"max_attempts": 3, "mode": "standard"},
        )
        self.sns, self.sqs, self.sts = (
            session.client(service, endpoint_url=terms.endpoint_url, config=config)
            for service in ("sns", "sqs", "sts")
        )

    def topic(self, resource: str) -> str:
        """Return a topic's ARN, which follows from its name; the topic may not be there."""
        caller = self.sts.get_caller_identity()
        partition = caller["Arn"].split(":")[1]
        name = self.terms.name_of(resource)
        return f"arn:{partition}:sns:{self.terms.region}:{caller['Account']}:{name}"

    def queue(self, resource: str) -> str:
        """Return a queue's URL."""
        name = self.terms.name_of(resource)
        return str(self.sqs.get_queue_url(QueueName=name)["QueueUrl"])

    def close(self) -> None:
        """Close the connections."""
        for client in (self.sns, self.sqs, self.sts):
            client.close()


def make_topic(aws: Aws, topic: str) -> str:
    """Make a topic unless it is there; returns its ARN. Raises `TransportDown`."""
    try:
        return str(aws.sns.create_topic(Name=aws.terms.name_of(topic))["TopicArn"])
    except _DOWN as error:
        raise _down(error) from error


def make_queue(aws: Aws, topic: str, queue: str, *, source: str | None = None) -> str:
    """Make a queue behind a topic, with its dead letters; returns its URL. Raises `TransportDown`.

    With a `source` it gets the events of that source only. What is there already is brought to the
    same terms; nothing is lost by doing it again.
    """
    try:
        return _make_queue(aws, make_topic(aws, topic), queue, source)
    except _DOWN as error:
        raise _down(error) from error


def _make_queue(aws: Aws, topic_arn: str, queue: str, source: str | None) -> str:
    sqs = aws.sqs
    dead_arn = _arn(aws, _new_queue(aws, f"{queue}-dlq", {}))
    redrive = {"deadLetterTargetArn": dead_arn, "maxReceiveCount": MOST_RECEIVES}
    url = _new_queue(
        aws,
        queue,
        {
            "VisibilityTimeout": str(HIDDEN_S),
            "ReceiveMessageWaitTimeSeconds": "5",
            "RedrivePolicy": json.dumps(redrive),
        },
    )
    arn = _arn(aws, url)
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": _policy(arn, topic_arn)})
    subscription = aws.sns.subscribe(
        TopicArn=topic_arn, Protocol="sqs", Endpoint=arn, ReturnSubscriptionArn=True
    )["SubscriptionArn"]
    # Raw: the body of the message is what was published, not an envelope of SNS around it.
    terms = {
        "RawMessageDelivery": "true",
        "FilterPolicy": "{}" if source is None else json.dumps({"source": [source]}),
    }
    for name, value in terms.items():
        aws.sns.set_subscription_attributes(
            SubscriptionArn=subscription, AttributeName=name, AttributeValue=value
        )
    return url


def _new_queue(aws: Aws, queue: str, attributes: dict[str, str]) -> str:
    """Make a queue; attributes are set apart, as a queue that is there may have others."""
    url = str(aws.sqs.create_queue(QueueName=aws.terms.name_of(queue))["QueueUrl"])
    kept = {"MessageRetentionPeriod": str(KEPT_S), **attributes}
    aws.sqs.set_queue_attributes(QueueUrl=url, Attributes=kept)
    return url


def _arn(aws: Aws, url: str) -> str:
    found = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return str(found["Attributes"]["QueueArn"])


def _policy(queue_arn: str, topic_arn: str) -> str:
    """Return the leave for this topic, and for nobody else, to write into the queue."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


class SnsSender:
    """Publishes events to a topic; `type` and `source` are attributes, for filters of subscribers.

    `wanted` chooses the events, `write` gives them their form.
    """

    def __init__(
        self,
        aws: Aws,
        *,
        topic: str,
        wanted: Callable[[Event], bool] = lambda _: True,
        write: Callable[[Event], bytes] = write_event,
    ) -> None:
        self.name = f"sns:{topic}"
        self._aws = aws
        self._topic = topic
        self._wanted = wanted
        self._write = write
        self._arn: str | None = None

    def send(self, events: Sequence[Event]) -> None:
        """Publish events; raises `TransportDown` unless SNS has taken each one."""
        entries = [self._entry(event) for event in events if self._wanted(event)]
        try:
            for batch in _batches(entries):
                self._publish(batch)
        except _DOWN as error:
            raise _down(error) from error

    def _entry(self, event: Event) -> dict[str, Any]:
        body = self._write(event).decode()
        if len(body.encode()) > LARGEST_BATCH - _ROOM_FOR_ATTRIBUTES:
            raise TransportDown(f"SNS: {event.id} is larger than a message may be")
        attributes = {
            name: {"DataType": "String", "StringValue": value}
            for name, value in (("type", event.type), ("source", event.source))
        }
        return {"Message": body, "MessageAttributes": attributes}

    def _publish(self, batch: Sequence[dict[str, Any]]) -> None:
        if self._arn is None:
            self._arn = self._aws.topic(self._topic)
        entries = [{"Id": str(place), **entry} for place, entry in enumerate(batch)]
        answer = self._aws.sns.publish_batch(TopicArn=self._arn, PublishBatchRequestEntries=entries)
        if failed := answer.get("Failed"):
            raise TransportDown(f"SNS: {len(failed)} not taken, first {failed[0].get('Code')}")


def _batches(entries: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Return entries in order, as few batches as count and bytes allow."""
    batches: list[list[dict[str, Any]]] = []
    left = 0
    for entry in entries:
        size = len(entry["Message"].encode()) + _ROOM_FOR_ATTRIBUTES
        if not batches or size > left or len(batches[-1]) == PAGE:
            batches.append([])
            left = LARGEST_BATCH
        batches[-1].append(entry)
        left -= size
    return batches


class SqsReceiver:
    """Takes messages from a queue and deletes those that were dealt with, and only those.

    Any number of processes may receive from one queue. A message that failed is handed out again
    after its time out of sight, and goes to the dead letters after its third receive.
    """

    def __init__(self, aws: Aws, *, queue: str, deal: Deal, wait_s: int = 5) -> None:
        self.name = f"sqs:{queue}"
        self._aws = aws
        self._queue = queue
        self._deal = deal
        self._wait_s = wait_s
        self._url: str | None = None

    def step(self) -> int:
        """Take up to ten messages, waiting for the first; returns how many were dealt with.

        Raises `TransportDown` when the queue cannot be asked.
        """
        try:
            return self._step()
        except _DOWN as error:
            raise _down(error) from error

    def _step(self) -> int:
        if self._url is None:
            self._url = self._aws.queue(self._queue)
        answer = self._aws.sqs.receive_message(
            QueueUrl=self._url, MaxNumberOfMessages=PAGE, WaitTimeSeconds=self._wait_s
        )
        messages = answer.get("Messages", [])
        if not messages:
            return 0
        failed = set(self._deal([message["Body"] for message in messages]))
        done = [
            {"Id": str(place), "ReceiptHandle": message["ReceiptHandle"]}
            for place, message in enumerate(messages)
            if place not in failed
        ]
        if done:
            # What cannot be deleted is handed out again, and known then.
            self._aws.sqs.delete_message_batch(QueueUrl=self._url, Entries=done)
        return len(done)


def into(receiver: Receiver) -> Deal:
    """Return what puts messages that are events into an inbox; others go to the dead letters."""

    def deal(bodies: Sequence[str]) -> Sequence[int]:
        events: dict[int, Event] = {}
        for place, body in enumerate(bodies):
            try:
                events[place] = read_event(body)
            except EventRefused as refusal:
                _log.error("message_is_no_event", why=refusal.detail)
        not_stored = set(receiver.take(list(events.values()))) if events else set()
        return [
            place
            for place in range(len(bodies))
            if place not in events or events[place].id in not_stored
        ]

    return deal


def each(work: Callable[[dict[str, Any]], object]) -> Deal:
    """Return what does `work` on each message, a JSON object; one that raises has failed, alone."""

    def deal(bodies: Sequence[str]) -> Sequence[int]:
        failed = []
        for place, body in enumerate(bodies):
            try:
                work(msgspec.json.decode(body, type=dict[str, Any]))
            except Exception:  # noqa: BLE001 - the queue hands it out again, then sets it aside
                _log.warning("message_failed", exc_info=True)
                failed.append(place)
        return failed

    return deal


def write_message(event: Event) -> bytes:
    """Return an event as `{type, payload, meta}`, the form of the topics of billing systems."""
    meta = {"eventId": event.id, "occurredAt": event.time, "source": event.source}
    return msgspec.json.encode({"type": event.type, "payload": event.data, "meta": meta})


def _down(error: Exception) -> TransportDown:
    return TransportDown(f"AWS: {error}")
