"""Programs on Granian, in processes of their own, for as long as a block lasts."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]


@dataclass
class Served:
    """A program that listens, with all of its processes in one group."""

    process: subprocess.Popen[str]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        """Kill the server and its worker at once, as a power cut would."""
        os.killpg(self.process.pid, signal.SIGKILL)


@contextmanager
def served(target: str, interface: str, **settings: str) -> Iterator[Served]:
    """Serve what `target` makes, `module:function`, until the end of the block."""
    port = free_port()
    command = [
        *(sys.executable, "-m", "granian", "--interface", interface, "--factory"),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1", "--workers-kill-timeout", "1"),
        target,
    ]
    environment = os.environ | settings | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            _wait_for_worker(process)
            _wait_for_listener(port)
            yield Served(process, port)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def _wait_for_worker(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if "Started worker" in line:
            return
    raise AssertionError("".join(said))


def _wait_for_listener(port: int) -> None:
    """Connect: a worker says that it has started a moment before it listens."""
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=20).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, "nobody listens"
        else:
            return
