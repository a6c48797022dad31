"""NATS JetStream, with a real server: nothing lost, nothing doubled, whoever dies in between."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from nats.js.api import StreamConfig

from farebox.events.model import Event, TransportDown
from farebox.events.rules import write_event
from farebox.events.transports.nats import (
    NatsConnection,
    NatsReceiver,
    NatsSender,
    NatsTerms,
)
from tests.support.nats import NatsServer, again, ask, left, stored
from tests.support.services import PATIENCE_S
from tests.support.threads import together


@pytest.fixture(scope="module")
def server() -> Iterator[NatsServer]:
    made = NatsServer()
    yield made
    made.close()


@pytest.fixture
def mortal() -> Iterator[NatsServer]:
    """Return a server of the test's own, which may be killed."""
    made = NatsServer()
    yield made
    made.close()


@pytest.fixture
def connect() -> Iterator[Callable[..., NatsConnection]]:
    made: list[NatsConnection] = []

    def connect(
        server: NatsServer, stream: str, *, patience_s: float = PATIENCE_S
    ) -> NatsConnection:
        terms = NatsTerms(
            url=server.url, stream=stream, prefix=stream.lower(), patience_s=patience_s
        )
        made.append(NatsConnection(terms))
        return made[-1]

    yield connect
    for one in made:
        one.close()


def event(number: int, **changed: Any) -> Event:
    fields: dict[str, Any] = {
        "specversion": "1.0",
        "id": f"evt_{number}",
        "source": "/farebox/access",
        "type": "order.completed",
        "subject": "ord_1",
        "time": "2026-11-20T09:00:00.000000Z",
        "datacontenttype": "application/json",
        "subjectversion": number,
        "data": {"number": number, "name": "Ада"},
    }
    return Event(**{**fields, **changed})


class Store:
    """A receiver that keeps what it takes, and refuses what it is told to."""

    def __init__(self) -> None:
        self.taken: dict[str, Event] = {}
        self.seen: list[str] = []
        self.refused: set[str] = set()

    def take(self, events: Sequence[Event]) -> tuple[str, ...]:
        self.seen += [event.id for event in events]
        self.taken.update({event.id: event for event in events if event.id not in self.refused})
        return tuple(event.id for event in events if event.id in self.refused)


def send(sender: NatsSender, *events: Event) -> None:
    """Send what must arrive."""
    again(lambda: sender.send(events))


def step(receiver: NatsReceiver, wait_s: float = 30) -> int:
    return again(lambda: receiver.step(wait_s))


def take(receiver: NatsReceiver, store: Store, number: int) -> None:
    """Take until the store has seen so many; nothing may be left then."""
    end = time.monotonic() + PATIENCE_S
    while len(store.seen) < number:
        assert time.monotonic() < end, f"{store.seen} of {number}"
        step(receiver)
    assert step(receiver, 0.1) == 0


# -- sending -------------------------------------------------------------------------------------


def test_a_sent_event_is_received_as_it_was(server, connect):
    connection, store = connect(server, "WHOLE"), Store()
    receiver = NatsReceiver(connection, store, durable="access")
    send(NatsSender(connection), event(1))
    assert step(receiver) == 1
    assert store.taken == {"evt_1": event(1)}
    assert left(server, "WHOLE", 0)
    assert step(receiver, 0.1) == 0


def test_an_event_that_is_sent_twice_is_stored_once(server, connect):
    sender = NatsSender(connect(server, "TWICE"))
    send(sender, event(1), event(2))
    send(sender, event(1), event(2), event(3))
    send(NatsSender(connect(server, "TWICE")), event(2))
    assert stored(server, "TWICE") == 3


def test_events_keep_their_order(server, connect):
    connection, store = connect(server, "ORDER"), Store()
    send(NatsSender(connection), *(event(number) for number in range(250)))
    take(NatsReceiver(connection, store, durable="access"), store, 250)
    assert store.seen == [f"evt_{number}" for number in range(250)]


def test_a_server_that_is_not_there_is_down_and_taken_up_when_it_comes(mortal, connect):
    mortal.kill()
    sender = NatsSender(connect(mortal, "LATE", patience_s=1))
    with pytest.raises(TransportDown, match="NATS"):
        sender.send([event(1)])
    mortal.start()
    send(sender, event(1))
    assert stored(mortal, "LATE") == 1


def test_a_server_that_does_not_greet_is_down_and_hung_up_on():
    """A server that is tried for hours must not fill the process with open lines."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        connection = NatsConnection(NatsTerms(url=f"nats://127.0.0.1:{mute.getsockname()[1]}"))
        with pytest.raises(TransportDown):
            NatsSender(connection).send([event(1)])
        line, _ = mute.accept()
        with line:
            line.settimeout(10)
            assert line.recv(1) == b""
    connection.close()


def test_whoever_waits_when_the_connection_is_closed_is_told():
    """Nothing of it runs on: the client, too, leaves work behind where a line breaks."""
    connection = NatsConnection(NatsTerms(url="nats://127.0.0.1:9"))
    began, told = threading.Event(), []

    async def wait() -> None:
        began.set()
        await asyncio.Event().wait()

    def ask_for_ever() -> None:
        try:
            connection.call(wait())
        except TransportDown as down:
            told.append(str(down))

    thread = threading.Thread(target=ask_for_ever, daemon=True)
    thread.start()
    assert began.wait(10)
    connection.close()
    thread.join(10)
    assert told == ["NATS: CancelledError"]


def test_what_no_stream_has_stored_is_not_taken_for_sent(server, connect):
    sender = NatsSender(connect(server, "GONE", patience_s=1))
    send(sender, event(1))

    async def delete(context: Any) -> None:
        await context.delete_stream("GONE")

    ask(server, delete)
    with pytest.raises(TransportDown):
        sender.send([event(2)])
    send(sender, event(2))
    assert stored(server, "GONE") == 1


def test_a_server_without_streams_is_down():
    """Plain NATS would take messages and keep none."""
    server = NatsServer(jetstream=False)
    connection = NatsConnection(NatsTerms(url=server.url, patience_s=1))
    try:
        with pytest.raises(TransportDown):
            NatsSender(connection).send([event(1)])
    finally:
        connection.close()
        server.close()


def test_an_event_too_large_for_the_server_is_not_taken_for_sent(server, connect):
    sender = NatsSender(connect(server, "LARGE"))
    # Connected already, it has nothing to wait for and no other reason to be down.
    send(sender, event(0))
    with pytest.raises(TransportDown, match="evt_2 has"):
        sender.send([event(1), event(2, data={"text": "x" * 2_000_000})])
    send(sender, event(1))
    assert stored(server, "LARGE") == 2


def test_the_stream_of_an_operator_is_kept_and_gets_our_subjects(server, connect):
    async def make(context: Any) -> None:
        await context.add_stream(StreamConfig(name="THEIRS", subjects=["other.>"], max_msgs=7_777))

    ask(server, make)
    send(NatsSender(connect(server, "THEIRS")), event(1))

    async def config(context: Any) -> Any:
        return (await context.stream_info("THEIRS")).config

    found = ask(server, config)
    assert sorted(found.subjects) == ["other.>", "theirs.>"]
    assert found.max_msgs == 7_777


# -- receiving -----------------------------------------------------------------------------------


def test_only_what_was_stored_is_acknowledged_and_the_rest_comes_again(server, connect):
    connection, store = connect(server, "PARTIAL"), Store()
    receiver = NatsReceiver(connection, store, durable="access")
    send(NatsSender(connection), event(1), event(2), event(3))
    store.refused = {"evt_2"}
    assert step(receiver) == 3
    assert set(store.taken) == {"evt_1", "evt_3"}
    assert left(server, "PARTIAL", 1)
    store.refused = set()
    assert step(receiver) == 1
    assert store.seen == ["evt_1", "evt_2", "evt_3", "evt_2"]
    assert left(server, "PARTIAL", 0)


def test_a_receiver_that_dies_before_storing_loses_nothing(server, connect):
    class Dies:
        def take(self, events: Sequence[Event]) -> tuple[str, ...]:
            raise RuntimeError

    connection, store = connect(server, "DIES"), Store()
    send(NatsSender(connection), event(1))
    dying = NatsReceiver(connection, Dies(), durable="access", ack_wait_s=0.5)
    with pytest.raises(RuntimeError):
        step(dying)
    assert step(NatsReceiver(connection, store, durable="access", ack_wait_s=0.5)) == 1
    assert list(store.taken) == ["evt_1"]


def test_a_message_that_is_no_event_is_put_aside_and_its_companions_are_taken(server, connect):
    connection, store = connect(server, "ALIEN"), Store()
    receiver = NatsReceiver(connection, store, durable="access")
    send(NatsSender(connection), event(1))

    async def publish(context: Any) -> None:
        await context.publish("alien.access.order.completed", b"no event")

    ask(server, publish)
    send(NatsSender(connection), event(2))
    take(receiver, store, 2)
    assert list(store.taken) == ["evt_1", "evt_2"]
    assert left(server, "ALIEN", 0)


def test_a_receiver_may_take_some_types_only(server, connect):
    connection, store = connect(server, "SOME"), Store()
    receiver = NatsReceiver(connection, store, durable="access", types="payment.>")
    send(NatsSender(connection), event(1), event(2, type="payment.failed"))
    take(receiver, store, 1)
    assert list(store.taken) == ["evt_2"]


def test_a_receiver_may_take_what_one_service_tells(server, connect):
    connection, store = connect(server, "TOLD"), Store()
    receiver = NatsReceiver(connection, store, durable="access", of="billing")
    send(NatsSender(connection), event(1), event(2, source="/farebox/billing"))
    take(receiver, store, 1)
    assert list(store.taken) == ["evt_2"]


def test_two_receivers_share_the_messages(server, connect):
    stores = Store(), Store()
    # What is acknowledged too late is rightly given twice.
    receivers = [
        NatsReceiver(connect(server, "SHARED"), store, durable="access", ack_wait_s=600)
        for store in stores
    ]

    def seen() -> int:
        return sum(len(store.seen) for store in stores)

    def share(receiver: NatsReceiver) -> None:
        end = time.monotonic() + PATIENCE_S
        while seen() < 300 and time.monotonic() < end:
            step(receiver, 0.3)

    for receiver in receivers:
        step(receiver, 0.1)
    send(NatsSender(connect(server, "SHARED")), *(event(number) for number in range(300)))
    together(share, receivers)
    assert [step(receiver, 0.1) for receiver in receivers] == [0, 0]
    assert seen() == 300
    assert len(stores[0].taken | stores[1].taken) == 300


# -- the server dies -----------------------------------------------------------------------------


def test_a_server_killed_in_the_middle_loses_nothing_and_doubles_nothing(mortal, connect):
    """The sender's side as the relay has it: a page comes again until it was taken."""
    sender = NatsSender(connect(mortal, "KILLED", patience_s=2))
    receiver = NatsReceiver(connect(mortal, "KILLED", patience_s=2), store := Store(),
                            durable="access", ack_wait_s=1)  # fmt: skip
    pages = [[event(number) for number in range(at, at + 20)] for at in range(0, 1_000, 20)]
    sent, over = threading.Event(), threading.Event()
    killed, failed = threading.Event(), threading.Event()

    def send_all() -> None:
        for number, page in enumerate(pages):
            if page is pages[-1]:
                # Or all of them may be sent before a slow killer comes to it.
                killed.wait(PATIENCE_S)
            while True:
                try:
                    sender.send(page)
                except TransportDown:
                    failed.set()
                    continue
                break
            if number == 5:
                sent.set()

    def receive_all() -> None:
        while not over.is_set() or len(store.taken) < 1_000:
            try:
                receiver.step(0.2)
            except TransportDown:
                continue

    threads = [threading.Thread(target=work) for work in (send_all, receive_all)]
    for thread in threads:
        thread.start()
    assert sent.wait(60)
    for _ in range(2):
        mortal.kill()
        mortal.start()
    mortal.kill()
    killed.set()
    assert failed.wait(PATIENCE_S), "the server was killed between the pages only"
    mortal.start()
    threads[0].join(120)
    assert not threads[0].is_alive()
    over.set()
    threads[1].join(120)
    assert not threads[1].is_alive()
    assert stored(mortal, "KILLED") == 1_000
    assert set(store.taken) == {f"evt_{number}" for number in range(1_000)}


def test_the_wire_is_the_envelope(server, connect):
    send(NatsSender(connect(server, "WIRE")), event(1))

    async def read(context: Any) -> Any:
        return await context.get_msg("WIRE", seq=1)

    found = ask(server, read)
    assert found.data == write_event(event(1))
    assert found.subject == "wire.access.order.completed"
    assert found.headers["Nats-Msg-Id"] == "evt_1"
    assert found.headers["Content-Type"].startswith("application/cloudevents+json")
