"""What runs beside the requests of the access service, in one of its processes at a time."""

from contextlib import ExitStack
from typing import Final

from farebox.access.flows.handlers import HANDLERS
from farebox.access.flows.remind_rentals import RentalReminders
from farebox.events.inbox import Inbox
from farebox.events.lease import Lease
from farebox.kernel.clock import SECOND_US
from farebox.storage import Database
from farebox.wiring.keeping import forgetting
from farebox.wiring.settings import Settings
from farebox.wiring.transports import Transports
from farebox.workers.loops import Loop, Loops, Worker
from farebox.workers.periods import Periods
from farebox.workers.relay import Relay
from farebox.workers.retention import Retention
from farebox.workers.rollups import Rollups
from farebox.workers.subscriptions import DueSubscriptions
from farebox.workers.webhooks import DeliveryRetention

LEASE: Final = "loops"
DUE_EVERY_S: Final = 1.0
TRIM_EVERY_S: Final = 600.0
PATIENCE_US: Final = 60 * SECOND_US
"""Longer than a broker takes to deliver again what a process died with."""


class AccessLoops:
    """The loops of one process; only one process of a database works at a time."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._closing = ExitStack()
        inbox = Inbox(database, HANDLERS, patience_us=PATIENCE_US)
        transports = Transports(settings, database, inbox)
        self._closing.callback(transports.close)
        lease = Lease(database, LEASE)
        relays = [Relay(database, sender, lease=lease) for sender in transports.senders]
        woken: list[Worker] = [inbox, *relays, *transports.workers]
        grace_us = settings.usage_grace_seconds * SECOND_US
        due: list[Worker] = [
            Rollups(database, grace_us=grace_us),
            Periods(database, grace_us=grace_us),
            DueSubscriptions(database),
            RentalReminders(database),
        ]
        loops = [Loop(worker=worker) for worker in woken]
        loops += [Loop(worker=worker, idle_s=DUE_EVERY_S, woken=False) for worker in due]
        kept: list[Worker] = [forgetting(settings, database)]
        if settings.keep_events_days is not None:
            days = settings.keep_events_days
            kept += [Retention(database, days=days), DeliveryRetention(database, days=days)]
        loops += [Loop(worker=worker, idle_s=TRIM_EVERY_S, woken=False) for worker in kept]
        self._closing.callback(Loops(lease, loops).start().close)

    def close(self) -> None:
        """Let what is under way finish, and give the work to another process."""
        self._closing.close()
