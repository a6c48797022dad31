"""A real NATS server with JetStream, on a port of its own, killed and started again at will."""

import contextlib
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path


class NatsServer:
    """Keeps its port and its store over restarts."""

    def __init__(self, *, jetstream: bool = True) -> None:
        self._jetstream = jetstream
        self._folder = Path(tempfile.mkdtemp(prefix="farebox-nats-"))
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port: int = probe.getsockname()[1]
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
        end = time.monotonic() + 30
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
