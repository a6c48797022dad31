"""A process of its own for what runs beside requests, so that no answer waits for it."""

import threading
from contextlib import ExitStack

from farebox.kernel.clock import SystemClock
from farebox.platform.service_test_clock import follow_test_clock
from farebox.storage import open_database
from farebox.wiring.family import Life
from farebox.wiring.logs import configure_logs
from farebox.wiring.loops import ServiceLoops
from farebox.wiring.memory import settle_memory
from farebox.wiring.settings import Settings
from farebox.wiring.upkeep import Upkeep


def run_loops(settings: Settings, life: Life) -> None:
    """Run the loops of the services that are served here until life is over."""
    configure_logs(settings.log_level)
    over = threading.Event()
    life.when_over(over.set)
    with ExitStack() as closing:
        for service in settings.served:
            clock = SystemClock()
            database = open_database(service, settings.url_of(service), clock)
            closing.callback(database.close)
            follow_test_clock(database)
            if service != "access":
                # Access's books are kept by its ledger's process, billing's here.
                books = service == "billing"
                closing.callback(Upkeep(database, clock, books=books).close)
            closing.callback(ServiceLoops(settings, database).close)
        settle_memory()
        over.wait()
