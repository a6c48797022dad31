"""What the fault scenarios share: processes to kill, and a server that syncs as in production."""

from collections.abc import Iterator

import pytest
import structlog

from tests.support.engines import Engine, Postgresql
from tests.support.nursery import Nursery


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
