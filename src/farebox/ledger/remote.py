"""A ledger in a process of its own, and the queue that leads to it.

Deciding and committing want the interpreter for themselves: in one process with the HTTP loop they
take turns on its lock, and each turn costs a wake-up. So a server gives the ledger its own process.
HTTP workers send it whatever gathered in one round of their loop, over a Unix socket; it runs what
has arrived from all of them as one batch. If the process dies, what was under way is answered "try
again" (with the same key it happens once), and the queue reconnects to the next one.

A frame is four bytes of length and a MessagePack array.
"""

import asyncio
import selectors
import socket
import struct
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final, cast

import msgspec
import structlog

from farebox.kernel.refusals import Refusal, TryAgain, ValueRefused
from farebox.ledger.batch import Tell, settle
from farebox.ledger.model import Outcome, Request
from farebox.ledger.running import Answer, Runner

MOST_IN_BATCH: Final = 1024
ENOUGH_TO_SEND: Final = 32
"""So many requests go out at once, so that the ledger decides them while others are read."""
LARGEST_FRAME: Final = 2**28
RECONNECT_SECONDS: Final = 0.05
_LENGTH: Final = struct.Struct("=I")
_RECEIVE: Final = 2**20
_log = structlog.get_logger("farebox.ledger")


class Ask(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One request on its way to the ledger's process. `reads` asks for a look."""

    number: int
    reads: bool
    request: Request


class Reply(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Its way back: outcomes, or the code and words of the refusal that there was instead."""

    number: int
    outcomes: tuple[Outcome, ...] | None
    code: str | None = None
    detail: str | None = None


class LedgerGone(TryAgain):
    """The ledger's process ended while this was under way; the same request may be sent again."""


class LedgerRefused(Refusal):
    """The ledger's process refused the request."""

    code = "refused"

    def __init__(self, code: str, detail: str | None) -> None:
        super().__init__(detail)
        self.code = code  # type: ignore[misc] # the refusal's own code, as the other side said it


_encode = msgspec.msgpack.Encoder().encode
_decode_asks = msgspec.msgpack.Decoder(list[Ask]).decode
_decode_replies = msgspec.msgpack.Decoder(list[Reply]).decode


class _Frames:
    """Cuts what a socket gives into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes | memoryview) -> list[bytes]:
        """Take received bytes; return the frames that are complete now."""
        self._buffer += data
        frames = []
        start = 0
        while len(self._buffer) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._buffer, start)
            if length > LARGEST_FRAME:
                raise ConnectionError("a frame is too large")
            end = start + _LENGTH.size + length
            if len(self._buffer) < end:
                break
            frames.append(bytes(self._buffer[start + _LENGTH.size : end]))
            start = end
        del self._buffer[:start]
        return frames


def _frame(message: Sequence[msgspec.Struct]) -> bytes:
    body = _encode(message)
    return _LENGTH.pack(len(body)) + body


# -- the side of the HTTP worker -----------------------------------------------------------------


class RemoteQueue(asyncio.Protocol):
    """The way of one event loop to the ledger's process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._loop: asyncio.AbstractEventLoop | None = None
        self._transport: asyncio.WriteTransport | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._waiting: dict[int, Tell] = {}
        self._outgoing: list[Ask] = []
        self._frames = _Frames()
        self._number = 0

    def submit(self, request: Request) -> "asyncio.Future[Answer]":
        """Send a request that writes."""
        future: asyncio.Future[Answer] = self._here().create_future()
        self.send(request, partial(settle, future), reads=False)
        return future

    def ask(self, request: Request, tell: Tell) -> None:
        """Send a request that writes; `tell` hears its outcomes."""
        self.send(request, tell, reads=False)

    @property
    def looks(self) -> "Looks":
        """Return the queue for requests that only read."""
        return Looks(self)

    def send(self, request: Request, tell: Tell, *, reads: bool) -> None:
        """Send a request whose outcomes `tell` shall hear; `reads` asks for a look."""
        self._number = number = self._number + 1
        self._waiting[number] = tell
        if not self._outgoing:
            # Everything that this round of the loop still asks goes out in one write.
            self._here().call_soon(self._flush)
        self._outgoing.append(Ask(number, reads, request))
        if len(self._outgoing) == ENOUGH_TO_SEND:
            self._flush()

    def _here(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return self._loop

    def _flush(self) -> None:
        if self._transport is None or self._transport.is_closing():
            if self._connecting is None or self._connecting.done():
                assert self._loop is not None
                self._connecting = self._loop.create_task(self._connect())
            return
        asks, self._outgoing = self._outgoing, []
        for start in range(0, len(asks), MOST_IN_BATCH):
            self._write(self._transport, asks[start : start + MOST_IN_BATCH])

    def _write(self, transport: asyncio.WriteTransport, asks: Sequence[Ask]) -> None:
        """Write asks as one frame; where one cannot be written, the others still are."""
        try:
            transport.write(_frame(asks))
        except (ValueError, OverflowError, TypeError):
            if len(asks) > 1:
                for ask in asks:
                    self._write(transport, [ask])
                return
            tell = self._waiting.pop(asks[0].number)
            tell(ValueRefused("a value in this request cannot be stored"))

    async def _connect(self) -> None:
        assert self._loop is not None
        for _ in range(int(10 / RECONNECT_SECONDS)):
            try:
                await self._loop.create_unix_connection(lambda: self, str(self._path))
            except OSError:
                await asyncio.sleep(RECONNECT_SECONDS)
            # The connection may be lost again by now, and nobody else would make another.
            if self._transport is not None:
                self._flush()
                return
        self._outgoing = []
        self._give_up()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        # uvloop's transports are not asyncio's classes, but do what they do.
        self._transport = cast("asyncio.WriteTransport", transport)
        self._frames = _Frames()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - the protocol's signature
        """Answer what was under way: whether it happened, only the same key can tell."""
        self._transport = None
        kept = {ask.number for ask in self._outgoing}
        self._give_up(kept)

    def _give_up(self, kept: set[int] | frozenset[int] = frozenset()) -> None:
        for number in [number for number in self._waiting if number not in kept]:
            self._waiting.pop(number)(LedgerGone())

    def data_received(self, data: bytes) -> None:
        """Hand outcomes to those who wait."""
        for frame in self._frames.feed(data):
            for reply in _decode_replies(frame):
                tell = self._waiting.pop(reply.number, None)
                if tell is None:
                    continue
                if reply.outcomes is not None:
                    tell(reply.outcomes)
                else:
                    tell(LedgerRefused(reply.code or "refused", reply.detail))

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()


class Looks:
    """The queue of a `RemoteQueue` for requests that only read."""

    def __init__(self, queue: RemoteQueue) -> None:
        self._queue = queue

    def submit(self, request: Request) -> "asyncio.Future[Answer]":
        """Send a request that only reads."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.ask(request, partial(settle, future))
        return future

    def ask(self, request: Request, tell: Tell) -> None:
        """Send a request that only reads; `tell` hears its outcomes."""
        self._queue.send(request, tell, reads=True)


# -- the side of the ledger's process ------------------------------------------------------------


class LaneServer:
    """Runs what arrives from all workers, a batch at a time, in one thread."""

    def __init__(self, path: Path, writes: Runner, looks: Runner) -> None:
        self._writes = writes
        self._looks = looks
        self._stopping = False
        # Made once: the kernel would map, shrink and unmap a new megabyte for each call.
        self._received = memoryview(bytearray(_RECEIVE))
        self._selector = selectors.DefaultSelector()
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        path.chmod(0o600)
        self._listener.listen(64)
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self._waker, self._wake = socket.socketpair()
        self._selector.register(self._waker, selectors.EVENT_READ, None)

    def stop(self) -> None:
        """End `serve` after the batch that is under way; may be called from a signal handler."""
        self._stopping = True
        self._wake.send(b"x")

    def serve(self) -> None:
        """Serve until stopped."""
        while not self._stopping:
            asks: list[tuple[socket.socket, Ask]] = []
            for key, _ in self._selector.select():
                if key.fileobj is self._listener:
                    self._accept()
                elif key.fileobj is not self._waker:
                    asks += self._receive(key.fileobj, key.data)  # type: ignore[arg-type]
            for reads, runner in ((True, self._looks), (False, self._writes)):
                mine = [pair for pair in asks if pair[1].reads is reads]
                if mine:
                    self._run(runner, mine)
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._wake.close()

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        connection.settimeout(30)
        self._selector.register(connection, selectors.EVENT_READ, _Frames())

    def _receive(
        self, connection: socket.socket, frames: _Frames
    ) -> list[tuple[socket.socket, Ask]]:
        try:
            size = connection.recv_into(self._received)
            if size:
                data = self._received[:size]
                asks = [ask for frame in frames.feed(data) for ask in _decode_asks(frame)]
                return [(connection, ask) for ask in asks]
        except (OSError, msgspec.DecodeError) as error:
            _log.warning("worker_connection_failed", error=repr(error))
        self._selector.unregister(connection)
        connection.close()
        return []

    def _run(self, runner: Runner, pairs: Sequence[tuple[socket.socket, Ask]]) -> None:
        answers = runner.run([ask.request for _, ask in pairs])
        replies: dict[socket.socket, list[Reply]] = {}
        for (connection, ask), answer in zip(pairs, answers, strict=True):
            replies.setdefault(connection, []).append(_reply(ask.number, answer))
        for connection, mine in replies.items():
            try:
                connection.sendall(_frame(mine))
            except OSError as error:
                # The worker has gone; what it asked is done and remembered under its keys.
                _log.warning("worker_connection_failed", error=repr(error))


def _reply(number: int, answer: Answer | Exception) -> Reply:
    if not isinstance(answer, Exception):
        return Reply(number, answer)
    if isinstance(answer, Refusal):
        return Reply(number, None, answer.code, answer.detail)
    _log.error("request_failed", error=repr(answer))
    return Reply(number, None, "internal_fault", None)
