"""What runs beside the requests of each service, in one of its processes at a time."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Final

from farebox.access.flows.handlers import HANDLERS
from farebox.access.flows.remind_rentals import RentalReminders
from farebox.billing.flows import handlers as billing
from farebox.billing.flows.deliver_invoices import Deliveries
from farebox.billing.flows.fill_wallets import WalletFilling
from farebox.billing.flows.issue_invoices import InvoicesDue
from farebox.billing.flows.orders_due import DueOrders
from farebox.billing.flows.rate_usage import UsageDue
from farebox.billing.flows.renew_subscription import DueSchedules
from farebox.events.inbox import Inbox
from farebox.events.lease import Lease
from farebox.events.reader import Reader
from farebox.events.service_positions import expect_follower
from farebox.kernel.clock import SECOND_US
from farebox.notifications.flows import handlers as notifications
from farebox.notifications.flows.forget_letters import LetterRetention
from farebox.storage import Database
from farebox.wiring.followed import log_of
from farebox.wiring.gateways import payments
from farebox.wiring.keeping import forgetting
from farebox.wiring.letters import letters
from farebox.wiring.settings import FOLLOWS, SERVICES, Service, Settings
from farebox.wiring.transports import Transports
from farebox.workers.following import Following
from farebox.workers.look import Look
from farebox.workers.loops import Loop, Loops, Worker
from farebox.workers.periods import Periods
from farebox.workers.relay import Relay
from farebox.workers.retention import Retention
from farebox.workers.rollups import Rollups
from farebox.workers.subscriptions import DueSubscriptions
from farebox.workers.unchanged import WhenChanged
from farebox.workers.webhooks import DeliveryRetention

LEASE: Final = "loops"
DUE_EVERY_S: Final = 1.0
FOLLOW_EVERY_S: Final = 0.25
"""So often a log is asked for over HTTP."""
PAY_EVERY_S: Final = 0.25
SELF_S: Final = 1.0
"""So often whoever is woken by a look looks by itself, in case that one fails."""
TRIM_EVERY_S: Final = 600.0
PATIENCE_US: Final = 60 * SECOND_US
"""Longer than a broker takes to deliver again what a process died with."""


class ServiceLoops:
    """The loops of one service in one process; only one process of a database works at a time."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._closing = ExitStack()
        try:
            self._start(settings, database)
        except BaseException:
            self._closing.close()
            raise

    def _start(self, settings: Settings, database: Database) -> None:
        service = _service(database)
        inbox = INBOXES[service](database)
        transports = Transports(settings, database, inbox)
        self._closing.callback(transports.close)
        if service == "billing" and settings.nats_url is None:
            # Access cannot make up for what it misses of billing's, so nothing is removed before
            # it has asked for the first time. Billing itself begins with a snapshot.
            database.run(lambda tx: expect_follower(tx, "access"))
        lease = Lease(database, LEASE)
        relays = [Relay(database, sender, lease=lease) for sender in transports.senders]
        woken: list[Worker] = [*relays, inbox, *transports.workers]
        loops = [Loop(worker=Look(database), woken=False)]
        loops += [Loop(worker=worker, idle_s=SELF_S) for worker in woken]
        loops += [Loop(worker=worker) for worker in transports.receivers]
        loops += self._following(settings, inbox)
        if service == "billing":
            paying = payments(settings, database, self._closing)
            loops.append(Loop(worker=WhenChanged(paying, database), idle_s=PAY_EVERY_S))
        if service == "notifications":
            sending = letters(settings, database, self._closing)
            loops.append(Loop(worker=sending, idle_s=DUE_EVERY_S))
        due = due_of(settings, database)
        loops += [Loop(worker=worker, idle_s=DUE_EVERY_S, woken=False) for worker in due]
        kept: list[Worker] = [forgetting(settings, database)]
        if settings.keep_events_days is not None:
            days = settings.keep_events_days
            kept += [Retention(database, days=days), DeliveryRetention(database, days=days)]
        if service == "notifications" and settings.keep_letters_days is not None:
            kept.append(LetterRetention(database, days=settings.keep_letters_days))
        loops += [Loop(worker=worker, idle_s=TRIM_EVERY_S, woken=False) for worker in kept]
        self._closing.callback(Loops(lease, loops).start().close)

    def _following(self, settings: Settings, inbox: Inbox) -> Sequence[Loop]:
        """Return what brings the other services' logs into the inbox, unless a broker does."""
        own = _service(inbox.database)
        loops: list[Loop] = []
        for other in FOLLOWS[own]:
            followed = log_of(settings, other, self._closing, reader=own)
            if followed is None:
                continue
            reader = Reader(followed.log, inbox)
            # Access keeps no copies of billing's, so a snapshot could not make up for what is gone.
            worker: Worker = reader if own == "access" else Following(reader)
            if followed.look is None:
                loops.append(Loop(worker=worker, idle_s=FOLLOW_EVERY_S))
            else:
                loops.append(Loop(worker=followed.look, woken=False))
                loops.append(Loop(worker=worker, idle_s=SELF_S))
        return loops

    def close(self) -> None:
        """Let what is under way finish, and give the work to another process."""
        self._closing.close()


def access_inbox(database: Database) -> Inbox:
    """Return access's inbox."""
    return Inbox(database, HANDLERS, patience_us=PATIENCE_US)


def billing_inbox(database: Database) -> Inbox:
    """Return billing's inbox."""
    return Inbox(database, billing.HANDLERS, copies=billing.COPIES, patience_us=PATIENCE_US)


def notifications_inbox(database: Database) -> Inbox:
    """Return notifications' inbox: what the queue `SendNotify` brings."""
    return Inbox(
        database, notifications.HANDLERS, copies=notifications.COPIES, patience_us=PATIENCE_US
    )


INBOXES: Final[dict[Service, Callable[[Database], Inbox]]] = {
    "access": access_inbox,
    "billing": billing_inbox,
    "notifications": notifications_inbox,
}


def _service(database: Database) -> Service:
    return next(one for one in SERVICES if one == database.name)


def due_of(settings: Settings, database: Database) -> Sequence[Worker]:
    """Return what does for a service what has fallen due by the clock."""
    service = _service(database)
    if service == "access":
        return access_due(settings, database)
    return billing_due(database) if service == "billing" else ()


def access_due(settings: Settings, database: Database) -> Sequence[Worker]:
    """Return what writes down for access what has fallen due."""
    grace_us = settings.usage_grace_seconds * SECOND_US
    return (
        Rollups(database, grace_us=grace_us),
        Periods(database, grace_us=grace_us),
        DueSubscriptions(database),
        RentalReminders(database),
    )


def billing_due(database: Database) -> Sequence[Worker]:
    """Return what does for billing what has fallen due."""
    return (
        DueSchedules(database),
        UsageDue(database),
        DueOrders(database),
        InvoicesDue(database),
        WalletFilling(database),
        Deliveries(database),
    )
