"""From settings to transports: what is on, and the way of a message through all of it."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from farebox.access.catalog.model import ProductEntitlement
from farebox.access.catalog.service import create_product
from farebox.access.consumers.service import create_consumer
from farebox.access.entitlements.service import list_entitlements
from farebox.events.inbox import Inbox
from farebox.events.model import Event
from farebox.events.service import publish
from farebox.events.transports.nats import NatsConnection, NatsSender, NatsTerms
from farebox.events.transports.sns_sqs import Aws, SnsSender, make_queue
from farebox.kernel.refusals import SettingsRefused
from farebox.platform import service_webhooks
from farebox.storage import Database
from farebox.wiring import transports as wiring
from farebox.wiring.settings import as_environment, load_settings
from farebox.wiring.transports import Transports, make_queues
from farebox.workers.loops import Worker
from farebox.workers.relay import Relay
from tests.support.aws import AwsServer, bodies, show_again
from tests.support.letters import Office
from tests.support.nats import NatsServer, again
from tests.support.receiver import Receiver
from tests.support.services import ADA, PATIENCE_S, run

BILLING = "/farebox/billing"


@pytest.fixture(scope="module")
def aws_server() -> Iterator[AwsServer]:
    made = AwsServer()
    yield made
    made.close()


@pytest.fixture
def aws_settings(aws_server: AwsServer, request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the variables of a project of the test's own."""
    return {
        "FAREBOX_AWS_PROJECT": f"t{abs(hash(request.node.name)) % 10**8}",
        "FAREBOX_AWS_ENVIRONMENT": "test",
        "FAREBOX_AWS_REGION": "eu-central-1",
        "FAREBOX_AWS_ENDPOINT_URL": aws_server.url,
        "FAREBOX_AWS_ACCESS_KEY_ID": "x",
        "FAREBOX_AWS_SECRET_ACCESS_KEY": "y",
    }


@pytest.fixture
def wire(database: Database) -> Iterator[Callable[..., Transports]]:
    """Return a function that puts transports together from variables."""
    made: list[Transports] = []

    def wire(inbox: Inbox | None = None, **variables: str) -> Transports:
        settings = load_settings(variables)
        made.append(Transports(settings, database, inbox or Inbox(database, {})))
        return made[-1]

    yield wire
    for one in made:
        one.close()


def named(workers: list[Any], name: str) -> Any:
    [found] = [one for one in workers if one.name == name]
    return found


def paid(number: int) -> Event:
    return Event(
        specversion="1.0",
        id=f"evt_{number}",
        source=BILLING,
        type="payment.succeeded",
        subject="sub_1",
        time="2026-11-20T09:00:00.000000Z",
        datacontenttype="application/json",
        subjectversion=number,
        data={},
    )


# -- what is on ----------------------------------------------------------------------------------


def test_webhooks_are_on_and_nothing_else_unless_it_is_asked_for(wire):
    made = wire()
    assert [sender.name for sender in made.senders] == ["webhooks"]
    assert [worker.name for worker in made.workers] == ["webhooks"]
    assert made.receivers == []


def test_settings_turn_nats_and_aws_on(wire, aws_settings):
    made = wire(FAREBOX_NATS_URL="nats://127.0.0.1:1", **aws_settings)
    assert [sender.name for sender in made.senders] == [
        "webhooks", "nats", "sns:entitlement-updates", "sns:events",
    ]  # fmt: skip
    assert [worker.name for worker in made.workers] == ["webhooks"]
    assert [worker.name for worker in made.receivers] == [
        "nats", "sqs:entitlement-queue", "sqs:access-events",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("variable", "module", "package", "extra"),
    [
        ("FAREBOX_NATS_URL", "nats", "nats", "nats"),
        ("FAREBOX_AWS_PROJECT", "sns_sqs", "boto3", "aws"),
    ],
)
def test_a_package_that_is_not_installed_is_named(
    wire, aws_settings, monkeypatch, variable, module, *, package, extra
):
    monkeypatch.delitem(sys.modules, f"farebox.events.transports.{module}")
    monkeypatch.setitem(sys.modules, package, None)
    given = aws_settings if variable in aws_settings else {variable: "nats://127.0.0.1:1"}
    with pytest.raises(SettingsRefused, match=rf"{package}: install farebox\[{extra}\]"):
        wire(**given)


def test_without_the_settings_the_packages_are_not_imported(wire, monkeypatch):
    asked: list[str] = []
    monkeypatch.setattr(wiring, "_transport", asked.append)
    wire()
    assert asked == []


# -- the way of a message ------------------------------------------------------------------------


def test_what_another_billing_system_publishes_becomes_rights_and_the_answer_leaves(
    database: Database, wire: Callable[..., Transports], aws_settings: dict[str, str]
) -> None:
    """Source 003: billing-events, entitlement-queue, processor, entitlement-updates."""
    run(database, create_product, ADA, code="films", name="Films")
    run(
        database, create_product, ADA, code="school", name="School", type="subscription",
        entitlements=(ProductEntitlement(key="films"),),
    )  # fmt: skip
    ada = run(database, create_consumer, ADA, name="Ada", issuer="https://idp", subject="user-1").id
    names = make_queues(load_settings(aws_settings))
    assert names[1].endswith("-test-entitlement-queue")
    made = wire(**aws_settings)
    worker = named(made.receivers, "sqs:entitlement-queue")
    aws: Aws = worker._aws
    make_queue(aws, "entitlement-updates", "others")
    show_again(aws, "entitlement-queue")
    for number, user in enumerate(("user-1", "nobody", "user-1")):
        message = {
            "type": "subscription.created",
            "payload": {"userId": user, "productId": "school", "subscriptionId": f"sub_{user}"},
            "meta": {
                "eventId": f"evt_{number}",
                "occurredAt": f"2026-11-20T09:00:0{number}Z",
                "source": "stripe",
            },
        }
        topic = aws.topic("billing-events")
        aws.sns.publish(TopicArn=topic, Message=json.dumps(message))
    assert worker.step() == 2
    assert [one.key for one in run(database, list_entitlements, [ada])] == ["films"]
    for _ in range(3):
        assert worker.step() == 0
    [dead] = bodies(aws, "entitlement-queue-dlq")[:1]
    assert json.loads(dead)["payload"]["userId"] == "nobody"
    relay = Relay(database, named(made.senders, "sns:entitlement-updates"))
    while relay.step():
        pass
    told = [json.loads(body) for body in bodies(aws, "others")]
    assert told[0]["type"] == "entitlement.created"
    assert told[0]["meta"]["source"] == "/farebox/access"
    assert {one["type"].partition(".")[0] for one in told} == {"entitlement"}


def test_what_our_billing_tells_comes_in_by_sqs_and_our_own_events_do_not(
    database: Database, wire: Callable[..., Transports], aws_settings: dict[str, str]
) -> None:
    applied: list[str] = []
    inbox = Inbox(
        database, {(BILLING, "payment.succeeded"): lambda tx, told: applied.append(told.id)}
    )
    make_queues(load_settings(aws_settings))
    made = wire(inbox, **aws_settings)
    run(database, publish, type="consumer.updated", subject="con_1", data={})
    sender = named(made.senders, "sns:events")
    while Relay(database, sender).step():
        pass
    worker = named(made.receivers, "sqs:access-events")
    SnsSender(worker._aws, topic="events").send([paid(1)])
    assert worker.step() == 1
    inbox.step()
    assert applied == ["evt_1"]
    assert bodies(worker._aws, "access-events") == []


def test_what_our_billing_tells_comes_in_by_nats_and_our_own_events_do_not(
    database: Database, wire: Callable[..., Transports]
) -> None:
    applied: list[str] = []
    inbox = Inbox(
        database, {(BILLING, "payment.succeeded"): lambda tx, told: applied.append(told.id)}
    )
    server = NatsServer()
    billing = NatsConnection(NatsTerms(url=server.url))
    try:
        made = wire(inbox, FAREBOX_NATS_URL=server.url)
        run(database, publish, type="consumer.updated", subject="con_1", data={})
        while Relay(database, named(made.senders, "nats")).step():
            pass
        again(lambda: NatsSender(billing).send([paid(1)]))
        take(named(made.receivers, "nats"), 1)
        inbox.step()
        assert applied == ["evt_1"]
    finally:
        billing.close()
        server.close()


def take(worker: Worker, number: int) -> None:
    """Take so many events, however slowly the server gives them."""
    end, taken = time.monotonic() + PATIENCE_S, 0
    while taken < number:
        assert time.monotonic() < end, f"{taken} of {number}"
        taken += again(worker.step)


def low(number: int) -> Event:
    """Return what billing tells of a wallet that runs low."""
    data = {"customerId": "con_1", "currency": "RUB", "level": 10, "available": 5}
    return msgspec.structs.replace(paid(number), type="wallet.low", data=data)


def test_what_anybody_tells_comes_to_letters_by_the_queue_send_notify(
    notifications: Database, clock: Any
) -> None:
    office = Office(notifications, clock, {})
    server = NatsServer()
    ways = [NatsConnection(NatsTerms(url=server.url)) for _ in range(2)]
    made = Transports(load_settings({"FAREBOX_NATS_URL": server.url}), notifications, office.inbox)
    try:
        told: dict[str, Any] = {"consumerId": "con_1", "name": "Ann", "owner": None, "metadata": {}}
        known = msgspec.structs.replace(
            paid(1), id="evt_a", source="/farebox/access", type="consumer.updated", data=told
        )
        again(lambda: NatsSender(ways[0]).send([known]))
        again(lambda: NatsSender(ways[1]).send([low(1)]))
        take(named(made.receivers, "nats"), 2)
        while office.inbox.step():
            pass
        office.work()
        assert [one.letter.kind for one in office.letters("con_1")] == ["balance_low"]
    finally:
        for way in ways:
            way.close()
        made.close()
        office.close()
        server.close()


def test_what_anybody_tells_comes_to_letters_by_sqs_too(
    notifications: Database, aws_settings: dict[str, str], clock: Any
) -> None:
    office = Office(notifications, clock, {})
    settings = load_settings(aws_settings)
    make_queues(settings)
    made = Transports(settings, notifications, office.inbox)
    try:
        worker = named(made.receivers, "sqs:SendNotify")
        SnsSender(worker._aws, topic="events").send([low(1)])
        assert worker.step() == 1
        while office.inbox.step():
            pass
        assert [one.letter.kind for one in office.letters("con_1")] == ["balance_low"]
    finally:
        made.close()
        office.close()


def test_what_happens_reaches_a_webhook_by_relay_and_worker(
    database: Database, wire: Callable[..., Transports]
) -> None:
    receiver = Receiver()
    try:
        made = wire(FAREBOX_PRIVATE_WEBHOOKS="true")
        run(database, service_webhooks.create_webhook, ADA, url=receiver.url, private=True)
        event = run(database, publish, type="consumer.updated", subject="con_1", data={})
        relay = Relay(database, made.senders[0])
        while relay.step():
            pass
        assert made.workers[0].step() == 1
        [got] = receiver.wait_for(1)
        assert got.id == event.id
    finally:
        receiver.close()


# -- settings ------------------------------------------------------------------------------------


def test_topics_are_made_only_where_aws_is_set_and_answers():
    with pytest.raises(SettingsRefused, match="FAREBOX_AWS_PROJECT"):
        make_queues(load_settings({}))
    nobody = {
        "FAREBOX_AWS_PROJECT": "p",
        "FAREBOX_AWS_ENVIRONMENT": "test",
        "FAREBOX_AWS_REGION": "eu-central-1",
        "FAREBOX_AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "FAREBOX_AWS_ACCESS_KEY_ID": "x",
        "FAREBOX_AWS_SECRET_ACCESS_KEY": "y",
    }
    with pytest.raises(SettingsRefused, match="AWS"):
        make_queues(load_settings(nobody))


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"NATS_URL": "127.0.0.1:4222"}, "nats_url .* must be nats://"),
        ({"NATS_URL": "nats://a,http://b"}, "nats_url .* must be nats://"),
        ({"NATS_STREAM": "a.b"}, "nats_stream .* must be 1 to 64 letters"),
        ({"NATS_PREFIX": "a.>"}, "nats_prefix .* must be words"),
        ({"NATS_COPIES": "0"}, "nats_copies .* must be a whole number"),
        ({"AWS_PROJECT": "a b"}, "aws_project .* must be 1 to 24 letters"),
        ({"AWS_PROJECT": "a"}, "aws_environment .* must be set with aws_project"),
        ({"AWS_PROJECT": "a", "AWS_ENVIRONMENT": "b"}, "aws_region .* must be set with"),
        ({"AWS_ACCESS_KEY_ID": "a"}, "aws_secret_access_key .* must be set with"),
        ({"AWS_ENDPOINT_URL": "localhost"}, "aws_endpoint_url .* must be an http"),
        ({"PRIVATE_WEBHOOKS": "perhaps"}, "private_webhooks .* must be true or false"),
    ],
)
def test_a_wrong_or_half_setting_is_refused_by_name(given, why):
    with pytest.raises(SettingsRefused, match=why):
        load_settings({f"FAREBOX_{name}": text for name, text in given.items()})


def test_settings_of_transports_reach_the_workers(aws_settings):
    variables = {
        **aws_settings,
        "FAREBOX_NATS_URL": "nats://user:secret@a:4222,tls://b:4222",
        "FAREBOX_PRIVATE_WEBHOOKS": "true",
        "FAREBOX_NATS_COPIES": "3",
    }
    settings = load_settings(variables)
    assert (settings.private_webhooks, settings.nats_copies) == (True, 3)
    assert load_settings(as_environment(settings)) == settings
