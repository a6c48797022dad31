"""From settings to the ways in which events leave and come: senders, receivers, webhooks.

Webhooks are always on for access; billing has no routes to ask for them. NATS and AWS are on
when their settings are, and only then is their package imported.
"""

import importlib
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from types import ModuleType
from typing import Any, Final

from farebox.access.flows.process_external import process_external
from farebox.events.model import Event, TransportDown
from farebox.events.transports import Receiver, Sender
from farebox.events.transports.webhooks import Caller, WebhookSender
from farebox.kernel.refusals import SettingsRefused
from farebox.storage import Database
from farebox.wiring.settings import Settings
from farebox.workers.loops import Worker
from farebox.workers.webhooks import Deliveries

BILLING_EVENTS: Final = "billing-events"
ENTITLEMENT_QUEUE: Final = "entitlement-queue"
ENTITLEMENT_UPDATES: Final = "entitlement-updates"
EVENTS: Final = "events"
ACCESS_QUEUE: Final = "access-events"
SEND_NOTIFY: Final = "SendNotify"
_EXTRAS: Final = {"nats": "nats", "sns_sqs": "aws"}


class Transports:
    """The transports of the service whose database it is; closed in the reverse order.

    Each of `senders` is to get a relay of its own, each of `workers` and `receivers` a loop; no
    bell rings for what comes to `receivers` from a broker. `inbox` takes what others tell.
    """

    def __init__(self, settings: Settings, database: Database, inbox: Receiver) -> None:
        self._closing = ExitStack()
        self.senders: list[Sender] = []
        self.workers: list[Worker] = []
        self.receivers: list[Worker] = []
        of_access = database.name == "access"
        try:
            if of_access:
                self._add_webhooks(settings, database)
            if settings.nats_url is not None:
                self._add_nats(settings, inbox, service=database.name)
            if settings.aws_project is not None and of_access:
                self._add_aws(settings, database, inbox)
            if settings.aws_project is not None and database.name == "notifications":
                self._add_send_notify(settings, inbox)
        except BaseException:
            self._closing.close()
            raise

    def _add_webhooks(self, settings: Settings, database: Database) -> None:
        deliveries = Deliveries(database, Caller(private=settings.private_webhooks))
        self._closing.callback(deliveries.close)
        self.senders.append(WebhookSender(database))
        self.workers.append(deliveries)

    def _add_nats(self, settings: Settings, inbox: Receiver, *, service: str) -> None:
        nats = _transport("nats")
        assert settings.nats_url is not None
        terms = nats.NatsTerms(
            url=settings.nats_url,
            stream=settings.nats_stream,
            prefix=settings.nats_prefix,
            copies=settings.nats_copies,
        )
        # Apart, so that a page that is sent does not wait for one that is awaited.
        ways = [nats.NatsConnection(terms) for _ in range(2)]
        for way in ways:
            self._closing.callback(way.close)
        self.senders.append(nats.NatsSender(ways[0]))
        if service == "notifications":
            # All that anybody tells, under the name that source 004 gives the queue.
            receiver = nats.NatsReceiver(ways[1], inbox, durable=SEND_NOTIFY)
        else:
            other = "billing" if service == "access" else "access"
            receiver = nats.NatsReceiver(ways[1], inbox, durable=service, of=other)
        self.receivers.append(receiver)

    def _add_aws(self, settings: Settings, database: Database, inbox: Receiver) -> None:
        sns_sqs = _transport("sns_sqs")
        aws = sns_sqs.Aws(_aws_terms(sns_sqs, settings))
        self._closing.callback(aws.close)
        updates = sns_sqs.SnsSender(
            aws,
            topic=ENTITLEMENT_UPDATES,
            wanted=_is_entitlement_update,
            write=sns_sqs.write_message,
        )
        self.senders += [updates, sns_sqs.SnsSender(aws, topic=EVENTS)]
        self.receivers += [
            sns_sqs.SqsReceiver(
                aws, queue=ENTITLEMENT_QUEUE, deal=sns_sqs.each(_processing(database))
            ),
            sns_sqs.SqsReceiver(aws, queue=ACCESS_QUEUE, deal=sns_sqs.into(inbox)),
        ]

    def _add_send_notify(self, settings: Settings, inbox: Receiver) -> None:
        sns_sqs = _transport("sns_sqs")
        aws = sns_sqs.Aws(_aws_terms(sns_sqs, settings))
        self._closing.callback(aws.close)
        deal = sns_sqs.into(inbox)
        self.receivers.append(sns_sqs.SqsReceiver(aws, queue=SEND_NOTIFY, deal=deal))

    def close(self) -> None:
        """Let what is under way end, and hang up."""
        self._closing.close()


def make_queues(settings: Settings) -> list[str]:
    """Make the topics and queues on AWS, and what binds them; returns their names.

    Doing it again changes nothing. Refuses (`settings_invalid`) missing settings, and an account
    that cannot be reached or does not allow it.
    """
    if settings.aws_project is None:
        raise SettingsRefused("settings: aws_project (FAREBOX_AWS_PROJECT) is not set")
    sns_sqs = _transport("sns_sqs")
    aws = sns_sqs.Aws(_aws_terms(sns_sqs, settings))
    try:
        sns_sqs.make_queue(aws, BILLING_EVENTS, ENTITLEMENT_QUEUE)
        sns_sqs.make_queue(aws, EVENTS, ACCESS_QUEUE, source="/farebox/billing")
        sns_sqs.make_queue(aws, EVENTS, SEND_NOTIFY)
        sns_sqs.make_topic(aws, ENTITLEMENT_UPDATES)
    except TransportDown as error:
        raise SettingsRefused(str(error)) from error
    finally:
        aws.close()
    made = (
        BILLING_EVENTS, ENTITLEMENT_QUEUE, EVENTS, ACCESS_QUEUE, SEND_NOTIFY, ENTITLEMENT_UPDATES,
    )  # fmt: skip
    return [aws.terms.name_of(name) for name in made]


def _aws_terms(sns_sqs: ModuleType, settings: Settings) -> Any:  # noqa: ANN401 - of an optional module
    return sns_sqs.AwsTerms(
        project=settings.aws_project,
        environment=settings.aws_environment,
        region=settings.aws_region,
        endpoint_url=settings.aws_endpoint_url,
        access_key_id=settings.aws_access_key_id,
        secret_access_key=settings.aws_secret_access_key,
    )


def _transport(name: str) -> ModuleType:
    """Import a transport; refuses (`settings_invalid`) one whose package is not installed."""
    try:
        return importlib.import_module(f"farebox.events.transports.{name}")
    except ModuleNotFoundError as error:
        extra = _EXTRAS[name]
        detail = f"settings: this needs the package {error.name}: install farebox[{extra}]"
        raise SettingsRefused(detail) from error


def _is_entitlement_update(event: Event) -> bool:
    return event.type.startswith("entitlement.")


def _processing(database: Database) -> Callable[[Mapping[str, Any]], object]:
    """Return what does with a message of another billing system what it says, in a transaction."""

    def process(message: Mapping[str, Any]) -> object:
        return database.run(lambda tx: process_external(tx, message))

    return process
