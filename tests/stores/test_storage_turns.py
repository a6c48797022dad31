"""Whose turn it is to write a SQLite file, between processes."""

import fcntl
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from farebox.kernel.clock import ManualClock
from tests.support.engines import Engine
from tests.support.nursery import Nursery


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    found = Nursery("tests.support.storage_roles")
    yield found
    found.close()


def somebody_stands_in_line(path: Path) -> bool:
    """Tell whether a writer waits for the one at work: it keeps the place behind it."""
    with Path(f"{path}.next").open("rb") as place:
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_writer_that_comes_back_stands_behind_the_one_that_waits(
    sqlite_engine: Engine, clock: ManualClock, nursery: Nursery
) -> None:
    url = sqlite_engine.empty()
    database = sqlite_engine.open(url, clock)
    path = Path(url.removeprefix("sqlite:///"))
    row = sa.text("INSERT INTO turn (writer) VALUES ('busy')")
    try:
        with database.write() as tx:
            tx.run(sa.text("CREATE TABLE turn (number INTEGER PRIMARY KEY, writer TEXT) STRICT"))
        for _ in range(20):
            child = nursery.start("ask_for_the_turn", url=url)
            assert child.hear() == "ready"
            with database.write() as tx:
                tx.run(row)
                child.say("ask")
                while not somebody_stands_in_line(path):
                    pass
            with database.write() as tx:
                tx.run(row)
            assert child.hear() == "written"
            child.wait()
        with database.read() as tx:
            writers = tx.run(sa.text("SELECT writer FROM turn ORDER BY number")).scalars().all()
        assert writers == ["busy", "patient", "busy"] * 20
    finally:
        database.close()
        sqlite_engine.drop(url)
