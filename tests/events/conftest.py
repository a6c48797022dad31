"""Two services that hold nothing but events: `database` reads, `other` tells."""

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
def other_url(engine: Engine) -> Iterator[str]:
    """Return the URL of another service's database."""
    url = engine.migrated(EVENTS)
    yield url
    engine.drop(url)


@pytest.fixture
def other(other_url: str, open_database_at: Callable[..., Database]) -> Database:
    """Return the database of another service."""
    return open_database_at(other_url, name="billing")
