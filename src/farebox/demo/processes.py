"""The processes of the demo: started, watched, and stopped with everything that they started."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Final, Self

import httpx2

from farebox.demo.example import client
from farebox.kernel.refusals import Refusal
from farebox.wiring.settings import PREFIX

START_SECONDS: Final = 60
STOP_SECONDS: Final = 15
_STOPS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class ServiceEnded(Refusal):
    """A service of the demo has ended by itself."""

    code = "service_ended"


@contextmanager
def stopping() -> Iterator[threading.Event]:
    """Give an event that is set by Ctrl-C, SIGTERM, or when the terminal is closed."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in _STOPS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Stopped(Exception):
    """We were asked to stop before everything was there."""


class Children:
    """Processes that end with the block. Each is a group, which Ctrl-C reaches through us only."""

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._children: list[tuple[str, subprocess.Popen[bytes]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> bool:
        for child in reversed([child for _name, child in self._children]):
            child.terminate()
            with suppress(subprocess.TimeoutExpired):
                child.wait(STOP_SECONDS)
            # Also when it has ended: a server that was killed leaves its workers behind.
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        return kind is _Stopped

    def start(self, name: str, arguments: Sequence[str], settings: Mapping[str, str]) -> None:
        """Start a program of ours with its settings, and none of Farebox's that are not its."""
        others = {name: text for name, text in os.environ.items() if not name.startswith(PREFIX)}
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and modules
            [sys.executable, *arguments],
            env={**others, **settings},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._children.append((name, child))

    def wait_for(self, url: str) -> None:
        """Wait until a service answers."""
        deadline = time.monotonic() + START_SECONDS
        with client() as visitor:
            while time.monotonic() < deadline:
                with suppress(httpx2.TransportError):
                    if visitor.get(url).is_success:
                        return
                if self._stop.wait(0.1):
                    raise _Stopped
                self._check()
        raise ServiceEnded(f"{url} does not answer")

    def watch(self) -> None:
        """Wait until we are stopped, or until a service ends by itself."""
        while not self._stop.wait(0.5):
            self._check()

    def _check(self) -> None:
        for name, child in self._children:
            if child.poll() is not None:
                raise ServiceEnded(f"{name} has ended by itself")
