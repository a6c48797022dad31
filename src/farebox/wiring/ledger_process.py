"""The ledger's own process: `LedgerProcess` is the parent's side, `main` what runs in the child."""

import gc
import os
import shutil
import tempfile
from pathlib import Path

from farebox.kernel.clock import SystemClock
from farebox.ledger.remote import LaneServer
from farebox.ledger.running import Runner
from farebox.ledger.service import Ledger
from farebox.platform.service_test_clock import follow_test_clock
from farebox.storage import open_database
from farebox.wiring.child_process import ChildProcess, when_told_to_end
from farebox.wiring.logs import configure_logs
from farebox.wiring.settings import LEDGER_SOCKET, load_settings
from farebox.wiring.upkeep import Upkeep


class LedgerProcess(ChildProcess):
    """Keeps one ledger process running, and has the socket that it answers on."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="farebox-")
        self.socket = Path(self._folder.name) / "ledger.sock"
        super().__init__("farebox.wiring.ledger_process", {LEDGER_SOCKET: str(self.socket)})

    def stop(self) -> None:
        """Let the batch under way finish, then stop the process."""
        super().stop()
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
    server_process = os.getppid()
    clock = SystemClock()
    database = open_database("access", settings.database_url, clock)
    follow_test_clock(database)
    ledger = Ledger()
    path = Path(os.environ[LEDGER_SOCKET])
    server = LaneServer(
        path,
        Runner(database, ledger),
        Runner(database, ledger, writes=False),
    )

    when_told_to_end(server.stop)
    upkeep = Upkeep(database, clock, books=True)
    settle_memory()
    server.serve()
    upkeep.close()
    database.close()
    if os.getppid() != server_process:
        # Whoever made the folder was killed, and cannot tidy up.
        shutil.rmtree(path.parent, ignore_errors=True)


if __name__ == "__main__":
    main()
