"""What children of storage tests do; see `tests.support.nursery`."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from farebox.kernel.clock import ManualClock
from farebox.storage import Database, migrate, open_database
from tests.support.engines import ACCESS, existing
from tests.support.nursery import Link


@contextmanager
def _opened(url: str) -> Iterator[Database]:
    database = open_database("access", url, ManualClock())
    try:
        yield database
    finally:
        database.close()


def write_until_told(link: Link, url: str, writer: str) -> None:
    """Write rows one after the other, without a pause, until the other side hangs up or speaks."""
    with _opened(url) as database:
        link._end.setblocking(False)
        row = sa.text("INSERT INTO turn (writer) VALUES (:writer)")
        written = 0
        while True:
            with database.write() as tx:
                tx.run(row, {"writer": writer})
            written += 1
            if written == 1:
                link.say("writing")
            try:
                link._end.recv(1)
            except BlockingIOError:
                continue
            break
        link._end.setblocking(True)
        link.say(written)


def bring_up_to_date(link: Link, url: str) -> None:
    """Say that it is ready, then migrate as soon as it is told, and say how many steps it did."""
    with _opened(url) as database:
        link.say("ready")
        link.hear()
        link.say(len(migrate(database, existing(ACCESS))))


def open_new_files(link: Link, urls: list[str]) -> None:
    """Open files that are not there yet and read each, every one when told to."""
    for url in urls:
        link.say("ready")
        link.hear()
        with _opened(url) as database, database.read() as tx:
            link.say(str(tx.run(sa.text("PRAGMA journal_mode")).scalar_one()))


def hold_the_turn(link: Link, url: str) -> None:
    """Take the turn to write, say so, and keep it until killed or told to let go."""
    with _opened(url) as database, database.write() as tx:
        tx.run(sa.text("INSERT INTO turn (writer) VALUES ('held')"))
        link.say("held")
        link.hear()
