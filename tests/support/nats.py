"""A real NATS server with JetStream, on a port of its own, killed and started again at will."""

import asyncio
import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import nats

from farebox.events.model import TransportDown
from tests.support.ports import free_port
from tests.support.services import PATIENCE_S

T = TypeVar("T")


class NatsServer:
    """Keeps its port and its store over restarts."""

    def __init__(self, *, jetstream: bool = True) -> None:
        self._jetstream = jetstream
        self._folder = Path(tempfile.mkdtemp(prefix="farebox-nats-"))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        return f"nats://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the server and wait until it greets."""
        binary = Path(sys.executable).with_name("nats-server")
        streams = ("-js", "-sd", self._folder) if self._jetstream else ()
        self._process = subprocess.Popen(
            [binary, "-a", "127.0.0.1", "-p", str(self.port), *streams],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + PATIENCE_S
        pause = threading.Event()
        while not self._greets():
            assert time.monotonic() < end, "the NATS server does not start"
            pause.wait(0.02)

    def _greets(self) -> bool:
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), 1) as line,
        ):
            return line.recv(4).startswith(b"INFO")
        return False

    def kill(self) -> None:
        """Kill it where it stands."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def close(self) -> None:
        if self._process is not None:
            self.kill()
        shutil.rmtree(self._folder)


def again(work: Callable[[], T]) -> T:
    """Do it until the server answers, as the relay does: a slow one is down now and then."""
    end = time.monotonic() + PATIENCE_S
    while True:
        try:
            return work()
        except TransportDown:
            if time.monotonic() > end:
                raise


def ask(server: NatsServer, work: Callable[[Any], Coroutine[Any, Any, Any]]) -> Any:
    """Ask the server by a client of our own."""

    async def run() -> Any:
        client = await nats.connect(server.url, connect_timeout=PATIENCE_S)
        try:
            return await work(client.jetstream(timeout=PATIENCE_S))
        finally:
            await client.close()

    return asyncio.run(run())


def stored(server: NatsServer, stream: str) -> int:
    """Return how many messages the stream holds."""

    async def count(context: Any) -> int:
        return int((await context.stream_info(stream)).state.messages)

    return int(ask(server, count))


def left(server: NatsServer, stream: str, number: int) -> bool:
    """Tell whether the consumer comes to have settled all but so many messages.

    Nothing answers an acknowledgement, so it may still be on its way.
    """

    async def count(context: Any) -> bool:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            found = await context.consumer_info(stream, "access")
            if found.num_ack_pending + found.num_pending == number:
                return True
        return False

    return bool(ask(server, count))
