"""The premiere store at noon of its opening, furnished once for each engine: tests get copies.

Furnishing is a hundred requests, some of which hash a password. A module whose tests begin in the
store imports the fixtures of this one: its `database_url` and `billing_urls` are copies then.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Final, NamedTuple

import pytest

from farebox.demo.premieres import Premieres
from farebox.kernel.clock import ManualClock, parse_time
from tests.support.both_sides import RealBilling
from tests.support.engines import BILLING, Engine
from tests.support.flows import flows_over
from tests.support.premieres import NOON, furnished

_NOON_US: Final = parse_time(NOON)


class Opening(NamedTuple):
    """What was made, the headers of the admin who made it, and where it stands."""

    made: Premieres
    headers: dict[str, str]
    access: str
    billing: str


@cache
def _made_on(engine: Engine) -> Opening:
    clock = ManualClock(_NOON_US)
    urls = engine.migrated(), engine.migrated(BILLING)
    access, billing = engine.open(urls[0], clock), engine.open(urls[1], clock, "billing")
    real = RealBilling(billing, access)
    with flows_over(access, real, clock) as both:
        made = furnished(both.admin, both.settle)
        both.settle()
        headers = both.admin.headers
    real.close()
    billing.close()
    access.close()
    return Opening(made, headers, *urls)


@pytest.fixture(name="opening")
def opened(engine: Engine, clock: ManualClock) -> Iterator[Opening]:
    """Return a copy of the store, at its noon."""
    clock.set(_NOON_US)
    found = _made_on(engine)
    copy = found._replace(access=engine.copy(found.access), billing=engine.copy(found.billing))
    yield copy
    engine.drop(copy.access)
    engine.drop(copy.billing)


@pytest.fixture
def database_url(opening: Opening) -> str:
    """Return the URL of access's copy."""
    return opening.access


@pytest.fixture
def billing_urls(opening: Opening) -> Callable[[], str]:
    """Return a function that returns the URL of billing's copy."""
    return lambda: opening.billing
