"""What the ledger's own process does."""

import os
import shutil
from pathlib import Path

from farebox.kernel.clock import SystemClock
from farebox.ledger.remote import LaneServer
from farebox.ledger.running import Runner
from farebox.ledger.service import Ledger
from farebox.platform.service_test_clock import follow_test_clock
from farebox.storage import open_database
from farebox.wiring.family import Life
from farebox.wiring.logs import configure_logs
from farebox.wiring.memory import settle_memory
from farebox.wiring.settings import Settings
from farebox.wiring.upkeep import Upkeep


def keep_ledger(settings: Settings, socket: Path, life: Life) -> None:
    """Serve the ledger on a socket until life is over; the batch under way is finished."""
    configure_logs(settings.log_level)
    server_process = os.getppid()
    clock = SystemClock()
    database = open_database("access", settings.database_url, clock)
    follow_test_clock(database)
    ledger = Ledger()
    server = LaneServer(
        socket,
        Runner(database, ledger),
        Runner(database, ledger, writes=False),
    )
    life.when_over(server.stop)
    upkeep = Upkeep(database, clock, books=True)
    settle_memory()
    server.serve()
    upkeep.close()
    database.close()
    if os.getppid() != server_process:
        # Whoever made the folder was killed, and cannot tidy up.
        shutil.rmtree(socket.parent, ignore_errors=True)
