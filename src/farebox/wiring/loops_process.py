"""A process of its own for what runs beside requests, so that no answer waits for it."""

import threading

from farebox.kernel.clock import SystemClock
from farebox.platform.service_test_clock import follow_test_clock
from farebox.storage import open_database
from farebox.wiring.child_process import when_told_to_end
from farebox.wiring.ledger_process import settle_memory
from farebox.wiring.logs import configure_logs
from farebox.wiring.loops import AccessLoops
from farebox.wiring.settings import load_settings


def main() -> None:
    """Run the loops until standard input ends."""
    settings = load_settings()
    configure_logs(settings.log_level)
    over = threading.Event()
    when_told_to_end(over.set)
    database = open_database("access", settings.database_url, SystemClock())
    follow_test_clock(database)
    loops = AccessLoops(settings, database)
    settle_memory()
    over.wait()
    loops.close()
    database.close()


if __name__ == "__main__":
    main()
