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


def ask_for_the_turn(link: Link, url: str) -> None:
    """Open the file, and when told to ask for the turn; write a row when it comes."""
    with _opened(url) as database:
        link.say("ready")
        link.hear()
        with database.write() as tx:
            tx.run(sa.text("INSERT INTO turn (writer) VALUES ('patient')"))
        link.say("written")


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
