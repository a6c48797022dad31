"""A process that a nursery has forked, with the face of `subprocess.Popen`."""

import os
import select
import signal
import subprocess
import threading
from pathlib import Path
from typing import IO

from tests.support.nursery import Child


class Forked:
    """A running command whose standard output and error are texts to be read here."""

    def __init__(self, child: Child, out: int, err: int) -> None:
        self._child = child
        self._ended = os.pidfd_open(child.pid)
        self.pid = child.pid
        self.returncode: int | None = None
        self.stdout: IO[str] = os.fdopen(out)
        self.stderr: IO[str] = os.fdopen(err)

    def poll(self) -> int | None:
        """Return how it ended, or None while it lives."""
        try:
            return self.wait(0)
        except subprocess.TimeoutExpired:
            return None

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; a time-out is `subprocess`'s."""
        if self.returncode is None:
            if not select.select([self._ended], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("farebox", timeout or 0)
            self.returncode = self._child.wait()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, if it lives."""
        if self.poll() is None:
            signal.pidfd_send_signal(self._ended, number)

    def kill(self) -> None:
        """Kill it where it stands."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Read what it says until its end."""
        said = {"out": "", "err": ""}

        def read(name: str, stream: IO[str]) -> None:
            said[name] = stream.read()

        readers = [
            threading.Thread(target=read, args=each, daemon=True)
            for each in (("out", self.stdout), ("err", self.stderr))
        ]
        for reader in readers:
            reader.start()
        self.wait(timeout)
        for reader in readers:
            reader.join(timeout)
            assert not reader.is_alive(), "somebody of its family still lives"
        return said["out"], said["err"]

    def close(self) -> None:
        """Kill what is left of it, and hang up."""
        self.kill()
        self.wait()
        os.close(self._ended)
        self.stdout.close()
        self.stderr.close()


def piped(folder: Path) -> tuple[list[str], int, int]:
    """Return paths for a command's three streams, and where to read the last two."""
    paths = [os.devnull]
    ends = []
    for name in ("out", "err"):
        path = folder / name
        os.mkfifo(path)
        end = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(end, True)
        paths.append(str(path))
        ends.append(end)
    return paths, ends[0], ends[1]
