"""What children do with events: carry them from one service to another, and die on the way.

A journey publishes facts with their events, relays the log by a sender that delivers into the
inbox of another service (as a broker would, at least once), follows the log as a reader besides,
and applies what came. So every event arrives twice, and may be under way when the child dies.
"""

import logging
import os
import signal
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import psycopg  # noqa: F401 - imported here, so that every child has it
import sqlalchemy as sa
import sqlalchemy.dialects.postgresql.psycopg
import structlog

from farebox.events.inbox import Inbox
from farebox.events.lease import Lease
from farebox.events.model import Event, TransportDown
from farebox.events.reader import Reader
from farebox.events.service import publish
from farebox.events.transports.in_process import DatabaseLog
from farebox.kernel.clock import SECOND_US, ManualClock
from farebox.storage import Database, Tx, open_database
from farebox.workers.relay import Relay
from tests.support.dying import Statements
from tests.support.nursery import Link

structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))

BILLING: Final = "/farebox/billing"
PAID: Final = "payment.succeeded"
SUBJECTS: Final = ("sub_1", "sub_2")
BASE_US: Final = 1_800_000_000 * SECOND_US


def make_tables(teller: Database, reader: Database) -> None:
    """Make the tables of facts and of what was done about them."""
    for database, name in ((teller, "fact"), (reader, "done")):
        with database.write() as tx:
            tx.run(sa.text(f"CREATE TABLE {name} (id TEXT NOT NULL, subject TEXT NOT NULL)"))


def note(tx: Tx, table: str, event: Event) -> None:
    """Write an event's id down; there is no unique key, so what happens twice is seen."""
    row = {"id": event.id, "subject": event.subject}
    tx.run(sa.text(f"INSERT INTO {table} (id, subject) VALUES (:id, :subject)"), row)  # noqa: S608


def _die(_: Any) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Delivery:
    """A sender that delivers into an inbox, and writes down what it delivered."""

    name: Final = "delivery"

    def __init__(self, inbox: Inbox, path: Path) -> None:
        self._inbox = inbox
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def send(self, events: Sequence[Event]) -> None:
        """Deliver, then write it down."""
        if self._inbox.take(events):
            raise TransportDown("not everything was stored")
        for event in events:
            os.write(self._file, f"{event.id}\n".encode())


def travel(link: Link, *, urls: list[str], folder: str, number: int, at: int) -> None:
    """Make one journey, dying before its n-th statement (0: not at all); tell how many it has.

    The first event of each fourth journey fails at its first try, and is due in the next journey.
    """
    clock = ManualClock(BASE_US + number * 30 * SECOND_US)
    statements = Statements()
    teller = open_database("billing", urls[0], clock)
    reader = open_database("access", urls[1], clock)

    def handle(tx: Tx, event: Event) -> None:
        note(tx, "done", event)
        mark = Path(folder) / event.id
        if event.data["fails"] and not mark.exists():
            mark.touch()
            raise ValueError("not the first time")

    inbox = Inbox(reader, {(BILLING, PAID): handle})
    lease = Lease(teller, "loops")
    relay = Relay(teller, Delivery(inbox, Path(folder) / "sent"), lease=lease, page=2)
    follower = Reader(DatabaseLog(teller, name="billing", reader="access"), inbox, page=2)
    statements.strike_at(at, _die)
    for subject in SUBJECTS:
        fails = subject == SUBJECTS[0] and number % 4 == 0
        teller.run(partial(_tell, subject=subject, fails=fails))
    assert lease.take()
    for worker in (relay, follower, inbox):
        while worker.step():
            pass
    link.say({"places": statements.count})
    teller.close()
    reader.close()


def _tell(tx: Tx, subject: str, *, fails: bool) -> None:
    data = {"fails": fails}
    note(tx, "fact", publish(tx, type=PAID, subject=subject, data=data))


def hold_lease(link: Link, *, url: str, ttl_us: int) -> None:
    """Take a lease at each instant that is named; tells whether it is ours."""
    clock = ManualClock(BASE_US)
    lease = Lease(open_database("events", url, clock), "loops", ttl_us=ttl_us)
    while (instant := link.hear()) is not None:
        clock.set(instant)
        link.say(lease.take())
