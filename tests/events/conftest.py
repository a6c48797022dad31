"""Databases that hold nothing but events, so that each engine's template is made at once."""

from collections.abc import Callable, Iterator

import pytest

from farebox.storage import Database
from tests.support.engines import Engine

EVENTS = ("events",)


@pytest.fixture
def database_url(engine: Engine) -> Iterator[str]:
    """Return the URL of a fresh database of a service that reads and tells."""
    url = engine.migrated(EVENTS)
    yield url
    engine.drop(url)


@pytest.fixture
def other(engine: Engine, open_database_at: Callable[..., Database]) -> Iterator[Database]:
    """Return the database of another service."""
    url = engine.migrated(EVENTS)
    database = open_database_at(url)
    yield database
    database.close()
    engine.drop(url)
