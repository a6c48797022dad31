"""NATS JetStream: events to a stream, and from a stream into the inbox.

A message's id (`Nats-Msg-Id`) is the event's id, so the server drops what it was sent twice within
its window; what comes twice all the same, the inbox knows. Nothing is taken for sent before the
server has acknowledged it, and nothing is acknowledged before the inbox has stored it.

The client speaks asyncio only: a thread of its own runs its loop, and our side waits for it.
"""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Sequence
from concurrent.futures import CancelledError
from typing import Any, Final, TypeVar

import msgspec
import nats.errors
import structlog
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, Header, StorageType, StreamConfig
from nats.js.errors import APIError, NotFoundError

from farebox.events.model import Event, EventRefused, TransportDown
from farebox.events.rules import read_event, write_event
from farebox.events.transports import Receiver

T = TypeVar("T")
PAGE: Final = 100
WINDOW_S: Final = 600.0
ACK_WAIT_S: Final = 30.0
LONGEST_PAUSE_S: Final = 60.0
_CONTENT: Final = {"Content-Type": "application/cloudevents+json; charset=utf-8"}
_ROOM_FOR_HEADERS: Final = 512
_DOWN: Final = (nats.errors.Error, OSError, TimeoutError, EOFError)
_log: Final = structlog.get_logger("farebox.events")


class NatsTerms(msgspec.Struct, frozen=True, kw_only=True):
    """Where the stream is. Billing's event of type `a.b` has the subject `<prefix>.billing.a.b`.

    `url` may name several servers, with commas. `copies` is the number of servers that keep the
    stream. `patience_s` is how long a call waits for the server.
    """

    url: str
    stream: str = "FAREBOX"
    prefix: str = "farebox.events"
    copies: int = 1
    patience_s: float = 5.0

    @property
    def subjects(self) -> str:
        """Return the subjects of the stream."""
        return f"{self.prefix}.>"


class NatsConnection:
    """One connection, made at its first use and made again when it is lost."""

    def __init__(self, terms: NatsTerms) -> None:
        self.terms = terms
        self._client: Client | None = None
        self._stream: JetStreamContext | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="nats", daemon=True)
        self._thread.start()

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` on the connection's loop.

        Raises `TransportDown` for whatever goes wrong, and when the connection is closed meanwhile.
        """
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except (*_DOWN, CancelledError) as error:
            raise TransportDown(f"NATS: {type(error).__name__} {error}".rstrip()) from error

    async def stream(self) -> JetStreamContext:
        """Return the stream's context, connecting and making the stream where that is needed."""
        if self._client is None or not self._client.is_connected:
            self._stream = None
            self._client = await self._connect()
        if self._stream is None:
            context = self._client.jetstream(timeout=self.terms.patience_s)
            await self._ensure(context)
            self._stream = context
        return self._stream

    async def _connect(self) -> Client:
        client = Client()
        try:
            # The client would reconnect by itself, for ever and behind our back, keeping what it
            # was given in the meantime; whoever calls us tries again anyway.
            await client.connect(
                self.terms.url.split(","),
                name="farebox",
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=2,
                error_cb=_note,
            )
        except BaseException:
            # Without it a server that takes the call and does not greet keeps an open line.
            await client.close()
            raise
        return client

    async def forget_stream(self) -> None:
        """Look for the stream again before the next use."""
        self._stream = None

    @property
    def largest_message(self) -> int:
        """Return how many bytes the server takes in one message."""
        return 0 if self._client is None else self._client.max_payload

    async def _ensure(self, context: JetStreamContext) -> None:
        """Make the stream, or add our subjects to one that an operator has made."""
        terms = self.terms
        try:
            found = (await context.stream_info(terms.stream)).config
        except NotFoundError:
            await context.add_stream(
                StreamConfig(
                    name=terms.stream,
                    subjects=[terms.subjects],
                    storage=StorageType.FILE,
                    num_replicas=terms.copies,
                    duplicate_window=WINDOW_S,
                )
            )
            return
        if terms.subjects not in (found.subjects or []):
            found.subjects = [*(found.subjects or []), terms.subjects]
            await context.update_stream(found)

    def close(self) -> None:
        """Hang up and stop the thread."""
        asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _hang_up(self) -> None:
        if self._client is not None:
            with contextlib.suppress(*_DOWN):
                await self._client.close()
        # Where a line breaks while it is written to, the client forgets some of its tasks.
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


class NatsSender:
    """Publishes events to the stream, in order, and waits until the server has stored them."""

    name: Final = "nats"

    def __init__(self, connection: NatsConnection) -> None:
        self._connection = connection

    def send(self, events: Sequence[Event]) -> None:
        """Publish events; raises `TransportDown` unless each one was acknowledged."""
        self._connection.call(self._publish(events))

    async def _publish(self, events: Sequence[Event]) -> None:
        terms = self._connection.terms
        context = await self._connection.stream()
        largest = self._connection.largest_message - _ROOM_FOR_HEADERS
        acks: list[asyncio.Future[Any]] = []
        try:
            for event in events:
                body = write_event(event)
                if len(body) > largest:
                    _refuse(event, len(body))
                headers = {**_CONTENT, Header.MSG_ID: event.id}
                subject = f"{terms.prefix}.{_service(event.source)}.{event.type}"
                acks.append(
                    await context.publish_async(
                        subject, body, wait_stall=terms.patience_s, headers=headers
                    )
                )
            await asyncio.wait_for(asyncio.gather(*acks), terms.patience_s)
        except BaseException:
            await self._connection.forget_stream()
            for ack in acks:
                ack.cancel()
            raise


class NatsReceiver:
    """A durable consumer of the stream that puts what it gets into an inbox.

    It takes what the service `of` tells (`billing`; every one's by default) of these `types`
    (`order.>`). Any number of processes may share one `durable`: each message goes to one of them.
    Give the inbox patience: what was not stored comes again after what follows it.
    """

    name: Final = "nats"

    def __init__(
        self,
        connection: NatsConnection,
        receiver: Receiver,
        *,
        durable: str,
        of: str = "*",
        types: str = ">",
        ack_wait_s: float = ACK_WAIT_S,
    ) -> None:
        self._connection = connection
        self._receiver = receiver
        self._durable = durable
        self._subjects = f"{connection.terms.prefix}.{of}.{types}"
        self._ack_wait_s = ack_wait_s
        self._context: JetStreamContext | None = None
        self._subscription: JetStreamContext.PullSubscription | None = None

    def step(self, wait_s: float = 1.0) -> int:
        """Take up to a hundred messages, waiting so long for the first; returns how many came.

        Raises `TransportDown` when the server cannot be asked.
        """
        messages = self._connection.call(self._fetch(wait_s))
        if not messages:
            return 0
        events: list[Event] = []
        unreadable = set()
        for place, message in enumerate(messages):
            try:
                events.append(read_event(message.data))
            except EventRefused as refusal:
                _log.error("message_is_no_event", subject=message.subject, why=refusal.detail)
                unreadable.add(place)
        not_stored = set(self._receiver.take(events)) if events else set()
        read = iter(events)
        answers = [
            (message, None if place in unreadable else next(read).id not in not_stored)
            for place, message in enumerate(messages)
        ]
        self._connection.call(self._answer(answers))
        return len(messages)

    async def _fetch(self, wait_s: float) -> list[Msg]:
        context = await self._connection.stream()
        try:
            if self._subscription is None or context is not self._context:
                self._context = context
                self._subscription = await context.pull_subscribe(
                    self._subjects,
                    durable=self._durable,
                    stream=self._connection.terms.stream,
                    config=ConsumerConfig(
                        ack_policy=AckPolicy.EXPLICIT,
                        ack_wait=self._ack_wait_s,
                        max_ack_pending=10 * PAGE,
                    ),
                )
            return await self._subscription.fetch(PAGE, timeout=wait_s)
        except (TimeoutError, nats.errors.TimeoutError):
            return []
        except (APIError, nats.errors.Error):
            await self._let_go()
            raise

    async def _let_go(self) -> None:
        """Subscribe anew at the next step: consumer or stream may be gone."""
        self._subscription = None
        await self._connection.forget_stream()

    @staticmethod
    async def _answer(answers: Sequence[tuple[Msg, bool | None]]) -> None:
        """Acknowledge what is stored, ask for the rest again later, and end what is no event."""
        for message, stored in answers:
            if stored is None:
                await message.term()
            elif stored:
                await message.ack()
            else:
                tries = message.metadata.num_delivered or 1
                await message.nak(delay=min(0.5 * 2 ** min(tries, 10), LONGEST_PAUSE_S))


def _service(source: str) -> str:
    """Return a source as one word of a subject: `/farebox/billing` is `billing`."""
    word = source.rstrip("/").rpartition("/")[2]
    return "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in word)


def _refuse(event: Event, size: int) -> None:
    """Stop at an event that the server would not take; it waits for a larger `max_payload`."""
    raise TransportDown(f"NATS: {event.id} has {size} bytes, more than the server takes")


async def _note(error: Exception) -> None:
    _log.warning("nats_error", error=f"{type(error).__name__}: {error}")
