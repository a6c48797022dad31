"""What stories share: a place where commands start without a delay, and a stage for flows."""

from collections.abc import Iterator

import pytest

from tests.support.both_sides import RealBilling
from tests.support.commands import Farebox
from tests.support.flows import BILLING_HOLDS, Billing, Flows, flows_over
from tests.support.proof import faults


@pytest.fixture
def farebox(command_nursery, tmp_path) -> Farebox:
    """Return the command, with the default settings, in a folder of its own."""
    return Farebox(command_nursery, tmp_path)


@pytest.fixture
def farebox_on_engine(command_nursery, tmp_path, database_url) -> Farebox:
    """Return the command, once for each engine, on a freshly migrated database."""
    return Farebox(command_nursery, tmp_path, FAREBOX_ACCESS_DATABASE_URL=database_url)


@pytest.fixture
def billing_url(engine) -> Iterator[str]:
    """Return the URL of billing's own database."""
    url = engine.migrated(BILLING_HOLDS)
    yield url
    engine.drop(url)


@pytest.fixture
def flows(database, billing_url, open_database_at, clock) -> Iterator[Flows]:
    """Return access over HTTP with billing beside it; the books are proved at the end."""
    played = Billing(open_database_at(billing_url, name="billing"), database)
    with flows_over(database, played, clock) as made:
        yield made
    assert faults(database) == []


@pytest.fixture
def both(database, billing, clock) -> Iterator[Flows]:
    """Return access over HTTP and billing as it is; the books of both are proved at the end."""
    real = RealBilling(billing, database)
    with flows_over(database, real, clock) as made:
        yield made
    real.close()
    assert faults(database) == []
    assert faults(billing) == []
