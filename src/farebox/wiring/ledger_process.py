"""The ledger's own process: started, watched and stopped by the server that serves.

`LedgerProcess` is the parent's side; `main` is what runs in the child. The child ends when its
standard input does, so it never outlives a parent that was killed.
"""

import gc
import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Final, Self

import structlog

from farebox.kernel.clock import SystemClock
from farebox.ledger.remote import LaneServer
from farebox.ledger.running import Runner
from farebox.ledger.service import Ledger
from farebox.platform.service_test_clock import follow_test_clock
from farebox.storage import open_database
from farebox.wiring.logs import configure_logs
from farebox.wiring.services import Upkeep
from farebox.wiring.settings import LEDGER_SOCKET, load_settings

STOP_SECONDS: Final = 10
_log = structlog.get_logger("farebox")


class LedgerProcess:
    """Keeps one ledger process running, starting another if it dies."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="farebox-")
        self.socket = Path(self._folder.name) / "ledger.sock"
        self._stopping = False
        self._child = self._start()
        self._watcher = threading.Thread(target=self._watch, name="ledger-watch", daemon=True)
        self._watcher.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _start(self) -> subprocess.Popen[bytes]:
        # S603: our own interpreter and module.
        return subprocess.Popen(
            [sys.executable, "-m", "farebox.wiring.ledger_process"],
            stdin=subprocess.PIPE,
            env={**os.environ, LEDGER_SOCKET: str(self.socket)},
            start_new_session=True,
        )

    def _watch(self) -> None:
        while True:
            code = self._child.wait()
            if self._stopping:
                return
            _log.error("ledger_process_ended", code=code)
            self._child = self._start()

    def stop(self) -> None:
        """Let the batch under way finish, then stop the process."""
        self._stopping = True
        assert self._child.stdin is not None
        self._child.stdin.close()
        try:
            self._child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
        self._watcher.join()
        self._folder.cleanup()


def settle_memory() -> None:
    """Take what start-up made out of the collector's sight, and let it look seldom.

    What requests make is freed by counting references; there are few cycles to find.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def main() -> None:
    """Serve the ledger until standard input ends."""
    settings = load_settings()
    configure_logs(settings.log_level)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    clock = SystemClock()
    database = open_database("access", settings.database_url, clock)
    follow_test_clock(database)
    ledger = Ledger()
    server = LaneServer(
        Path(os.environ[LEDGER_SOCKET]),
        Runner(database, ledger),
        Runner(database, ledger, writes=False),
    )

    def wait_for_the_end() -> None:
        sys.stdin.buffer.read()
        server.stop()

    threading.Thread(target=wait_for_the_end, name="end", daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    upkeep = Upkeep(database, clock, books=True)
    settle_memory()
    server.serve()
    upkeep.close()
    database.close()


if __name__ == "__main__":
    main()
