"""Processes of our own, started, watched and stopped by the server that serves.

A child ends when its standard input does: when the server has ended, and with it every process
that inherited the other end. Those are the workers, which are forked from the server and end when
it is gone (`end_with_parent`). So whoever kills the server alone ends the family from the outside
in: the workers answer what they have begun, and only then the ledger and the loops stop.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, Self

import structlog

STOP_SECONDS: Final = 10
_log = structlog.get_logger("farebox")


class ChildProcess:
    """Keeps one process of a module of ours running, starting another if it dies."""

    def __init__(self, module: str, environment: Mapping[str, str] | None = None) -> None:
        self._module = module
        self._environment = environment or {}
        self._stopping = False
        self._child = self._start()
        self._watcher = threading.Thread(target=self._watch, name=f"watch {module}", daemon=True)
        self._watcher.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", self._module],
            stdin=subprocess.PIPE,
            env={**os.environ, **self._environment},
            start_new_session=True,
        )

    def _watch(self) -> None:
        while True:
            code = self._child.wait()
            if self._stopping:
                return
            _log.error("process_ended", module=self._module, code=code)
            self._child = self._start()

    def stop(self) -> None:
        """Let what is under way finish, then stop the process."""
        self._stopping = True
        assert self._child.stdin is not None
        self._child.stdin.close()
        try:
            self._child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
        self._watcher.join()


def when_told_to_end(end: Callable[[], None]) -> None:
    """In a child, call this once when standard input ends or SIGTERM comes; SIGINT is no order."""

    def wait() -> None:
        sys.stdin.buffer.read()
        end()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: end())
    threading.Thread(target=wait, name="end", daemon=True).start()


def end_with_parent() -> None:
    """In a worker, call this once: it ends as by SIGTERM, and soon, when the server was killed."""
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(STOP_SECONDS)
        # Whatever it still waits for, nobody else would end it now.
        os._exit(1)

    threading.Thread(target=wait, name="end", daemon=True).start()
