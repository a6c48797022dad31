"""The API over a real database on each engine, without a server.

`api` calls the app in this process; `admin`, `edge` and so on are headers of callers who exist;
`tables` returns what stands in every table, to show that a refused request has changed nothing.
A test that asks for `billing`, by an argument or `usefixtures`, has billing's database beside
access's, so that the routes of money work; `hear` lets billing hear what access has told. So it is
with `notifications` and the routes of letters.
"""

import contextlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import pytest
from litestar.handlers import HTTPRouteHandler
from litestar.testing import TestClient

from farebox.access.catalog.service import ensure_product
from farebox.access.flows.callers import Callers
from farebox.access.flows.decide import Decider
from farebox.billing.flows import handlers
from farebox.events.inbox import Inbox
from farebox.events.reader import Reader
from farebox.events.transports.in_process import DatabaseLog
from farebox.http.app import App, create_app
from farebox.http.auth import Lookup
from farebox.http.deps import Services
from farebox.http.metrics import Metrics
from farebox.http.routes import HANDLERS
from farebox.kernel.clock import ManualClock
from farebox.ledger.batch import Lane
from farebox.ledger.service import Ledger
from farebox.platform import (
    service_credentials,
    service_operators,
    service_secrets,
    service_signing,
)
from farebox.platform.model import SYSTEM, Role
from farebox.storage import Database
from tests.support.engines import ACCESS, BILLING, NOTIFICATIONS

Headers = dict[str, str]
_TABLES: Final = {
    "sqlite": "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name",
    "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename",
}


@contextlib.contextmanager
def services_over(
    database: Database,
    clock: ManualClock,
    billing: Database | None = None,
    notifications: Database | None = None,
) -> Iterator[Services]:
    """Return the services of one process over a migrated database, and over others' if given."""
    with database.write() as tx:
        pepper = service_secrets.ensure_pepper(tx)
        service_signing.ensure_signing_key(tx)
        ensure_product(tx, code="accman", name="Accounts", unit="credit")
    lane = Lane(database, Ledger())
    looks = Lane(database, Ledger(), writes=False)
    yield Services(
        database=database,
        components=ACCESS,
        clock=clock,
        decisions=Decider(database, lane, looks, Callers(database, pepper)),
        authenticate=Lookup(database, None),
        issuer="https://farebox.test",
        metrics=Metrics(),
        billing=billing,
        billing_components=() if billing is None else BILLING,
        notifications=notifications,
        notifications_components=() if notifications is None else NOTIFICATIONS,
    )
    lane.close()
    looks.close()


def tell_billing(database: Database, billing: Database) -> None:
    """Let billing hear, and act on, all that access has told so far."""
    inbox = Inbox(billing, handlers.HANDLERS, copies=handlers.COPIES)
    reader = Reader(DatabaseLog(database, name="access", reader="billing"), inbox)
    while reader.step() + inbox.step():
        pass


def operator_key(database: Database, *roles: Role) -> str:
    """Return the key of a new operator with these roles."""
    with database.write() as tx:
        made = service_operators.create_operator(tx, SYSTEM, name="/".join(roles), roles=roles)
        return service_credentials.create_credential(
            tx, SYSTEM, kind="operator", subject=made.id
        ).key


def bearer(key: str) -> Headers:
    return {"Authorization": f"Bearer {key}"}


def rows_of(database: Database) -> dict[str, list[str]]:
    """Return every row of every table."""
    with database.read() as tx:
        run = tx.connection.exec_driver_sql
        names = run(_TABLES[tx.connection.dialect.name]).scalars().all()
        statements = {name: f'SELECT * FROM "{name}"' for name in names}  # noqa: S608 - our own tables
        found = {name: run(statement).fetchall() for name, statement in statements.items()}
    return {name: sorted(map(repr, rows)) for name, rows in found.items()}


class Api:
    """Calls of one caller; every command gets a key of its own unless it names one."""

    def __init__(self, client: TestClient[App], headers: Headers) -> None:
        self._client = client
        self.headers = headers

    def call(self, method: str, path: str, *, key: str | None = "new", **more: Any) -> Any:
        """Return the response to any request."""
        headers = {**self.headers, **more.pop("headers", {})}
        if key is not None and method != "GET":
            headers["Idempotency-Key"] = uuid.uuid4().hex if key == "new" else key
        return self._client.request(method, path, headers=headers, **more)

    def get(self, path: str, **params: Any) -> Any:
        return self.good(self.call("GET", path, params=params))

    def post(self, path: str, body: Any = None, **more: Any) -> Any:
        return self.good(self.call("POST", path, json=body, **more))

    def patch(self, path: str, body: Any = None, **more: Any) -> Any:
        return self.good(self.call("PATCH", path, json=body, **more))

    def put(self, path: str, body: Any = None, **more: Any) -> Any:
        return self.good(self.call("PUT", path, json=body, **more))

    def delete(self, path: str, **more: Any) -> Any:
        return self.good(self.call("DELETE", path, **more))

    @staticmethod
    def good(response: Any) -> Any:
        assert response.status_code < 300, response.text
        return response.json() if response.content else None


def app_over_nothing(handlers: Sequence[HTTPRouteHandler] = HANDLERS) -> App:
    """Return an app with no services behind it: both services' routes, unless some are named."""
    nothing: Any = None
    return create_app(
        Services(
            database=nothing,
            components=(),
            clock=nothing,
            decisions=nothing,
            authenticate=lambda _: None,
            issuer="https://farebox.test",
            metrics=Metrics(),
            test_clock=True,
        ),
        handlers,
    )


@pytest.fixture(scope="session")
def undriven() -> App:
    """Return an app with nothing behind it, for what can be seen from its routes alone."""
    return app_over_nothing()


@pytest.fixture
def services(
    request: pytest.FixtureRequest, database: Database, clock: ManualClock
) -> Iterator[Services]:
    """Return the services of one process: access's, and others' where a test asks for them."""
    others: list[Database | None] = [
        request.getfixturevalue(name) if name in request.fixturenames else None
        for name in ("billing", "notifications")
    ]
    with services_over(database, clock, *others) as made:
        yield made


@pytest.fixture
def hear(database: Database, billing: Database) -> Callable[[], None]:
    """Return a function that lets billing hear, and act on, all that access has told so far."""
    return lambda: tell_billing(database, billing)


@pytest.fixture(scope="session")
def app() -> App:
    """Return the app of this session; making one costs more than most tests do."""
    return app_over_nothing()


@pytest.fixture
def client(app: App, services: Services) -> Iterator[TestClient[App]]:
    app.state.services = services
    with TestClient(app, raise_server_exceptions=False) as made:
        yield made


@pytest.fixture
def tables(database: Database) -> Callable[[], dict[str, list[str]]]:
    """Return a function that reads every row of every table."""
    return lambda: rows_of(database)


@pytest.fixture
def caller(client: TestClient[App], database: Database) -> Callable[..., Api]:
    """Return a function that makes an operator with roles and returns their calls."""
    return lambda *roles: Api(client, bearer(operator_key(database, *roles)))


@pytest.fixture
def admin(caller: Callable[..., Api]) -> Api:
    return caller("admin")


@pytest.fixture
def stranger(client: TestClient[App]) -> Api:
    """Return the calls of somebody without a credential."""
    return Api(client, {})


@pytest.fixture
def consumer(admin: Api, client: TestClient[App]) -> Callable[[str], tuple[str, Api]]:
    """Return a function that makes a consumer with a key: its id, and its calls."""

    def make(name: str) -> tuple[str, Api]:
        made = admin.post("/v1/consumers", {"name": name})
        key = admin.post(f"/v1/consumers/{made['id']}/keys", {})["key"]
        return made["id"], Api(client, bearer(key))

    return make


@pytest.fixture
def films(admin: Api) -> str:
    """Return the code of a product."""
    return str(admin.post("/v1/products", {"code": "films", "name": "Films"})["code"])
