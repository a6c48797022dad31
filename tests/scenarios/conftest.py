"""What the stories of the command line share: a place where commands start without a delay."""

from collections.abc import Iterator

import pytest

from tests.support.commands import Farebox
from tests.support.nursery import Nursery


@pytest.fixture(scope="session")
def command_nursery() -> Iterator[Nursery]:
    made = Nursery("tests.support.command_role")
    yield made
    made.close()


@pytest.fixture
def farebox(command_nursery, tmp_path) -> Farebox:
    """Return the command, with the default settings, in a folder of its own."""
    return Farebox(command_nursery, tmp_path)


@pytest.fixture
def farebox_on_engine(command_nursery, tmp_path, database_url) -> Farebox:
    """Return the command, once for each engine, on a freshly migrated database."""
    return Farebox(command_nursery, tmp_path, FAREBOX_ACCESS_DATABASE_URL=database_url)
