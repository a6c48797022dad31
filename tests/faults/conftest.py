"""What the fault scenarios share: processes to kill, and a server that syncs as in production."""

from collections.abc import Callable, Iterator, Sequence

import pytest
import structlog

from farebox.ledger.batch import Lane
from farebox.ledger.service import Ledger
from tests.support.engines import Engine, Postgresql
from tests.support.nursery import Nursery
from tests.support.scene import Scene


@pytest.fixture(scope="session")
def postgresql_engine() -> Iterator[Engine]:
    """Return a server with fsync on, in place of the forgetful one that other tests use."""
    engine = Postgresql(durable=True)
    yield engine
    engine.close()


@pytest.fixture(autouse=True)
def _plain_log() -> Iterator[None]:
    """Write faults down as plain lines: they are planted here by the hundred."""
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.KeyValueRenderer()]
    )
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Return where child processes come from."""
    made = Nursery()
    yield made
    made.close()


@pytest.fixture
def open_lane(database_url, open_database_at) -> Iterator[Callable[..., Lane]]:
    """Return a function that opens a lane with a database of its own, as another process would."""
    lanes: list[Lane] = []

    def open_one(on_alarm: Callable[[Sequence[int]], None] | None = None) -> Lane:
        lanes.append(Lane(open_database_at(database_url), Ledger(), on_alarm=on_alarm))
        return lanes[-1]

    yield open_one
    for lane in lanes:
        lane.close()


@pytest.fixture
def sqlite_scene(sqlite_engine, clock) -> Iterator[tuple[str, Scene]]:
    """Return the URL of a fresh SQLite file, and a scene on it: for what only files do."""
    url = sqlite_engine.migrated()
    database = sqlite_engine.open(url, clock)
    yield url, Scene(database, Ledger(), clock)
    database.close()
    sqlite_engine.drop(url)
