"""Usage and subscribers on a day in November, which the tests of usage share."""

import pytest

from tests.support.metering import Metering
from tests.support.subscribers import Subscribers

BEGUN = "2026-11-20T09:00:00Z"


@pytest.fixture
def metering(database, clock) -> Metering:
    made = Metering(database, clock)
    made.at(BEGUN)
    return made


@pytest.fixture
def people(database, clock) -> Subscribers:
    return Subscribers(database, clock, BEGUN)
