"""Databases for tests.

`database` runs a test once on each engine, on a freshly migrated database that is gone afterwards.
`engine`, `database_url` and `open_database_at` are for tests that open a database several times, or
from several processes. The clock stands still until a test moves it.
"""

import signal
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, settings

from farebox.kernel.clock import Clock, ManualClock
from farebox.ledger.service import Ledger
from farebox.storage import Database
from tests.golden.summary import pytest_terminal_summary  # noqa: F401 - workers report to here
from tests.support.engines import (
    BILLING,
    ENGINES,
    NOTIFICATIONS,
    Engine,
    Postgresql,
    Sqlite,
    start,
)
from tests.support.garbage import (  # noqa: F401 - pytest finds them here
    nothing_left_open,
    pytest_collection_finish,
)
from tests.support.nursery import Nursery
from tests.support.scene import Scene

OpenAt = Callable[..., Database]

# Each run tries the same examples, however long one takes. With `--hypothesis-profile=default`
# others are drawn every time, to look for what nobody has thought of.
settings.register_profile(
    "same", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("same")


def pytest_configure() -> None:
    """Let programs that tests start hear Ctrl-C, also where a shell runs us in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def sqlite_engine() -> Iterator[Engine]:
    engine = start("sqlite")
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def postgresql_engine() -> Iterator[Engine]:
    engine = start("postgresql")
    yield engine
    engine.close()


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    """Return each engine in turn; a server is started when a test first asks for it."""
    found: Sqlite | Postgresql = request.getfixturevalue(f"{request.param}_engine")
    return found


@pytest.fixture(scope="session")
def command_nursery() -> Iterator[Nursery]:
    """Return where the command `farebox` starts without a delay."""
    made = Nursery("tests.support.command_role")
    yield made
    made.close()


@pytest.fixture
def clock() -> ManualClock:
    """Return a clock that stands still until it is moved."""
    return ManualClock()


@pytest.fixture
def database_url(engine: Engine) -> Iterator[str]:
    """Return the URL of a freshly migrated database."""
    url = engine.migrated()
    yield url
    engine.drop(url)


@pytest.fixture
def empty_url(engine: Engine) -> Iterator[str]:
    """Return the URL of a database without a table."""
    url = engine.empty()
    yield url
    engine.drop(url)


@pytest.fixture
def open_database_at(engine: Engine, clock: ManualClock) -> Iterator[OpenAt]:
    """Return a function that opens a URL (as another process would); all are closed at the end."""
    opened: list[Database] = []

    def open_at(url: str, of_clock: Clock | None = None, name: str = "access") -> Database:
        opened.append(engine.open(url, of_clock or clock, name))
        return opened[-1]

    yield open_at
    for database in opened:
        database.close()


@pytest.fixture
def database(database_url: str, open_database_at: OpenAt) -> Database:
    """Return a freshly migrated database, once for each engine."""
    return open_database_at(database_url)


@pytest.fixture
def billing_urls(engine: Engine) -> Iterator[Callable[[], str]]:
    """Return a function that makes a freshly migrated database of billing, and returns its URL."""
    made: list[str] = []

    def make() -> str:
        made.append(engine.migrated(BILLING))
        return made[-1]

    yield make
    for url in made:
        engine.drop(url)


@pytest.fixture
def billing(billing_urls: Callable[[], str], open_database_at: OpenAt) -> Database:
    """Return billing's own database, once for each engine."""
    return open_database_at(billing_urls(), name="billing")


@pytest.fixture
def notifications_url(engine: Engine) -> Iterator[str]:
    """Return the URL of a freshly migrated database of notifications."""
    url = engine.migrated(NOTIFICATIONS)
    yield url
    engine.drop(url)


@pytest.fixture
def notifications(notifications_url: str, open_database_at: OpenAt) -> Database:
    """Return notifications' own database, once for each engine."""
    return open_database_at(notifications_url, name="notifications")


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def scene(database: Database, ledger: Ledger, clock: ManualClock) -> Scene:
    """Return short ways to open buckets and run commands on `database`."""
    return Scene(database, ledger, clock)
