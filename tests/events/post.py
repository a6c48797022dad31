"""Events from elsewhere, and handlers that write down what they did."""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from farebox.events.inbox import Inbox
from farebox.events.model import Event, TransportDown
from farebox.events.service import publish
from farebox.storage import Database, Tx

BILLING: Final = "/farebox/billing"
PAID: Final = "payment.succeeded"


def event(subject: str, version: int, *, type: str = PAID, id: str = "", **data: Any) -> Event:  # noqa: A002
    """Return an event of billing."""
    return Event(
        specversion="1.0",
        id=id or f"evt_{subject}_{version}",
        source=BILLING,
        type=type,
        subject=subject,
        time="2026-11-20T09:00:00.000000Z",
        datacontenttype="application/json",
        subjectversion=version,
        data=data,
    )


def make_done(database: Database) -> None:
    """Make the table in which handlers write down what they did."""
    with database.write() as tx:
        tx.run(sa.text("CREATE TABLE done (id TEXT NOT NULL, subject TEXT NOT NULL)"))


def write_down(tx: Tx, told: Event) -> None:
    """Write down that an event was applied; an event applied twice is there twice."""
    row = {"id": told.id, "subject": told.subject}
    tx.run(sa.text("INSERT INTO done (id, subject) VALUES (:id, :subject)"), row)


def done(database: Database, subject: str | None = None) -> list[str]:
    """Return what was applied; of one subject in the order in which it was."""
    # Two workers commit side by side, so only a subject's own order means something.
    order = "ctid" if database_is_postgresql(database) else "rowid"
    statement = f"SELECT id, subject FROM done ORDER BY {order}"  # noqa: S608 - one of two words
    with database.read() as tx:
        rows = tx.run(sa.text(statement)).all()
    return [row.id for row in rows if subject in {None, row.subject}]


def database_is_postgresql(database: Database) -> bool:
    """Tell which engine it is: rows have a physical order on both, under different names."""
    with database.read() as tx:
        return tx.connection.dialect.name == "postgresql"


def states(database: Database) -> dict[str, str]:
    """Return the state of each event in the inbox."""
    with database.read() as tx:
        return {row.id: row.state for row in tx.run(sa.text("SELECT id, state FROM inbox"))}


def take_all(inbox: Inbox, events: Sequence[Event]) -> None:
    """Take events and apply what is due."""
    assert inbox.take(events) == ()
    while inbox.step():
        pass


def tell(database: Database, subject: str, count: int = 1, *, type: str = PAID) -> list[str]:  # noqa: A002
    """Publish events as billing, each in a transaction of its own; returns their ids."""

    def one(tx: Tx) -> str:
        return publish(tx, type=type, subject=subject, data={}).id

    return [database.run(one) for _ in range(count)]


class Outside:
    """A sender that keeps what it was sent, or is down."""

    def __init__(self, name: str = "outside") -> None:
        self.name = name
        self.sent: list[str] = []
        self.pages = 0
        self.is_down = False

    def send(self, events: Sequence[Event]) -> None:
        """Keep the events' ids."""
        if self.is_down:
            raise TransportDown("no route to host")
        self.pages += 1
        self.sent += [one.id for one in events]
