"""Schemathesis makes requests from the description, good and bad ones, and finds nothing.

All of its checks are on: no 500, no undocumented status, type or field, nothing good refused,
nothing bad accepted, no way around the credential. Beside them: a refused request has changed no
row of any table. Good requests name things that exist, so that they come further than a 404.

Each run makes the same few requests. `FAREBOX_SCHEMA_EXAMPLES=60` makes so many other ones of each
operation instead.
"""

import contextlib
import functools
import os
import uuid
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from litestar.testing import TestClient
from schemathesis.checks import load_all_checks
from schemathesis.generation.feedback import FeedbackSources
from schemathesis.pytest._test_builder import build_operation_test
from schemathesis.python._constants.orchestrator import make_constants_value_source

from farebox.http import waiting
from farebox.http.app import App
from farebox.http.deps import Services
from farebox.kernel.clock import ManualClock
from farebox.storage import Database
from tests.api.conftest import (
    Api,
    Headers,
    app_over_nothing,
    bearer,
    operator_key,
    rows_of,
    services_over,
    tell_billing,
)
from tests.support.engines import BILLING, NOTIFICATIONS, Engine
from tests.support.order_desk import OrderDesk

APP = app_over_nothing()
HUNT = int(os.environ.get("FAREBOX_SCHEMA_EXAMPLES", "0"))


@schemathesis.serializer("application/x-ndjson")
def lines_of_json(ctx: Any, value: Any) -> bytes:
    """Send a text as it is: its lines are judged by themselves."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


schema = schemathesis.openapi.from_asgi("/openapi.json", APP)
OPERATIONS = [
    f"{method.upper()} {path}"
    for path, methods in schema.raw_schema["paths"].items()
    for method in methods
]


class Stage(NamedTuple):
    """Both databases with one of everything in them, and an admin's headers."""

    database: Database
    billing: Database
    headers: Headers
    scene: dict[str, str]


class Furnished(NamedTuple):
    """What every test begins with a copy of."""

    urls: tuple[str, str, str]
    headers: Headers
    scene: dict[str, str]


_furnished: dict[str, Furnished] = {}


@contextlib.contextmanager
def opened(engine: Engine, *urls: str) -> Iterator[Services]:
    """Open access's and billing's databases for the app that Schemathesis calls."""
    clock = ManualClock()
    database = engine.open(urls[0], clock)
    billing = engine.open(urls[1], clock, "billing")
    letters = engine.open(urls[2], clock, "notifications")
    with services_over(database, clock, billing, letters) as services:
        yield services
    letters.close()
    billing.close()
    database.close()


def furnish(engine: Engine, app: App) -> Furnished:
    """Make the databases with one of everything once; it takes a second."""
    urls = engine.migrated(), engine.migrated(BILLING), engine.migrated(NOTIFICATIONS)
    with opened(engine, *urls) as services:
        # Not the app of the tests: Schemathesis keeps the lifespan of its own.
        app.state.services = services
        headers = bearer(operator_key(services.database, "admin"))
        with TestClient(app, raise_server_exceptions=False) as client:
            scene = made_scene(Api(client, headers), services)
    return Furnished(urls, headers, scene)


@pytest.fixture
def stage(engine: Engine, app: App, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """Return databases of this test's own, with one of everything in them."""
    # No other service is at work here, so nobody would bring what a request waits for.
    monkeypatch.setattr(waiting, "PATIENCE_S", 0)
    made = _furnished.get(engine.name)
    if made is None:
        made = _furnished[engine.name] = furnish(engine, app)
    urls = [engine.copy(url) for url in made.urls]
    with opened(engine, *urls) as services:
        assert services.billing is not None
        APP.state.services = services
        yield Stage(services.database, services.billing, made.headers, made.scene)
    for url in urls:
        engine.drop(url)


def made_scene(admin: Api, services: Services) -> dict[str, str]:
    """Make one of everything: what a parameter or a field of this name may say."""
    assert services.billing is not None
    films = admin.post("/v1/products", {"code": "films", "name": "Films"})["code"]
    who = admin.post("/v1/consumers", {"name": "Ada"})["id"]
    admin.post(f"/v1/consumers/{who}/keys", {})
    group = admin.post("/v1/groups", {"name": "Family"})["id"]
    admin.put(f"/v1/groups/{group}/members/{who}")
    plan = admin.post(
        "/v1/service-plans", {"product": films, "group": group, "bucket_limit": 1_000}
    )
    admin.post(f"/v1/buckets/{plan['bucket']}/grants?reason=7", {"amount": 3})
    use = {"quantity": 1, "metadata": {"film": "Metropolis"}}
    admin.post(f"/v1/buckets/{plan['bucket']}/consume", use)
    operator = admin.post("/v1/operators", {"name": "Vera", "roles": ["viewer"]})["id"]
    hook = admin.post("/v1/webhooks", {"url": "https://hooks.example.org/farebox"})
    tell_billing(services.database, services.billing)
    return {
        **marketplace(admin, services.database, films, who),
        **wallet(admin, who),
        **bills(admin, who),
        **priced(admin, films),
        "consumer": who,
        "holder": who,
        "group": group,
        "plan": plan["id"],
        "bucket": plan["bucket"],
        "product": films,
        "code": films,
        "operator": operator,
        "webhook": hook["id"],
        "url": hook["url"],
        "key": admin.post(f"/v1/operators/{operator}/keys", {})["id"],
    }


def marketplace(admin: Api, database: Database, code: str, who: str) -> dict[str, str]:
    """An item of this code, bought and watched by somebody, and a place in their cart."""
    offers = [
        {"code": "online", "kind": "online_rental", "periods": [24, 48]},
        {"code": "hall", "kind": "theatre_ticket", "capacity": 9},
    ]
    body = {"code": code, "kind": "premiere", "title": {"ru": "Маузер"}, "offers": offers}
    admin.post("/v1/items", body)
    admin.post(f"/v1/items/{code}/publish")
    wanted = {"item": code, "offer": "online", "period_hours": 24, "consumer": who}
    bought = admin.post("/v1/purchases", wanted)["id"]
    OrderDesk(database).tell("order.completed", "ord_1", purchaseId=bought)
    place = admin.post("/v1/places", {"item": code, "offer": "hall", "consumer": who})
    rental = admin.get(f"/v1/purchases/{bought}")["rental"]
    return {
        "item": code, "offer": "hall", "purchase": bought, "place": place["id"], "rental": rental,
    }  # fmt: skip


def wallet(admin: Api, who: str) -> dict[str, str]:
    """A customer with money in a wallet, and a top-up that is asked for."""
    path = f"/v1/customers/{who}"
    admin.put(f"{path}/tax-number", {"number": "DE136695976"})
    admin.post(f"{path}/wallets/RUB/fills", {"amount": 1_000, "reason": "paid at the desk"})
    terms = {"level": 10, "amount": 100, "most": 1_000}
    admin.put(f"{path}/wallets/RUB/automatic-top-up", terms)
    admin.put(f"{path}/wallets/RUB/low-level", {"level": 10})
    asked = admin.post(f"{path}/wallets/RUB/top-ups", {"amount": 100})
    kept = {"gateway": "sandbox", "token": "sandbox_ok"}
    method = admin.post(f"{path}/payment-methods", kept)["id"]
    return {
        "payment": asked["payment"], "method": method, "gateway": "sandbox",
        "customer": who, "currency": "RUB", "top_up": asked["id"], "number": "DE136695976",
        "zone": "Europe/Moscow", "email": "ada@example.org", "invoice_email": "ada@example.org",
    }  # fmt: skip


def priced(admin: Api, code: str) -> dict[str, str]:
    """A price of this product, a promotion, a coupon and a tax."""
    terms = {"charge": {"model": "per_unit", "unit": "0.5"}}
    body = {"of": "product", "code": code, "currency": "USD", "terms": terms}
    rate = {"code": "vat", "percent": "20", "country": "FR"}
    sale = {"name": "Autumn", "of": "product", "code": code, "percent": "20"}
    return {
        "price": admin.post("/v1/prices", body)["id"],
        "promotion": admin.post("/v1/promotions", sale)["id"],
        "coupon": admin.post("/v1/coupons", {"code": "TENTH", "percent": "10"})["code"],
        "tax_rate": admin.post("/v1/tax-rates", rate)["id"],
    }


def bills(admin: Api, who: str) -> dict[str, str]:
    """A seller, an issued invoice of a customer, and a credit note of it."""
    admin.put("/v1/seller", {"name": "Films", "country": "DE", "tax_number": "DE136695976"})
    rates = [{"code": "vat", "percent": "20"}]
    line = {"description": "Films", "amount": 900, "rates": rates}
    draft = admin.post("/v1/invoices", {"customer": who, "currency": "RUB", "lines": [line]})
    invoice = admin.post(f"/v1/invoices/{draft['id']}/issue")["id"]
    credited = {"reason": "late", "amount": 100}
    note = admin.post(f"/v1/invoices/{invoice}/credit-notes", credited)["id"]
    return {"invoice": invoice, "note": note, "series": "invoices"}


def whole(value: Any) -> Any:
    """Write 112.0 as 112: JSON Schema calls it an integer, and we take no floats at all."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: whole(each) for name, each in value.items()}
    return [whole(each) for each in value] if isinstance(value, list) else value


def place(case: Any, scene: dict[str, str]) -> None:
    """Let a good request speak of what exists, under a key that was not used before."""
    if "Idempotency-Key" in case.headers:
        case.headers["Idempotency-Key"] = uuid.uuid4().hex
    case.path_parameters = {
        name: scene.get(name, value) for name, value in case.path_parameters.items()
    }
    case.query = {name: scene.get(name, value) for name, value in case.query.items()}
    if isinstance(case.body, dict):
        body = {name: scene.get(name, value) for name, value in whole(case.body).items()}
        if body.get("credential") and "consumer" in body:
            del body["consumer"]  # one of the two
        case.body = body


class Rows:
    """What stands in the tables, from one request to the next.

    The tables are read only after something was written: most requests write nothing.
    """

    def __init__(self, *databases: Database) -> None:
        self.databases = databases
        self._read()

    def _read(self) -> None:
        self.marks = [mark_of(each) for each in self.databases]
        self.known = [rows_of(each) for each in self.databases]

    def changed(self) -> bool:
        """Tell whether anything has changed since the last time."""
        if [mark_of(each) for each in self.databases] == self.marks:
            return False
        before = self.known
        self._read()
        return self.known != before


def mark_of(database: Database) -> object:
    """Return what is different after every write."""
    if (mark := database.mark()) is not None:
        return mark
    with database.glance() as tx:
        return tx.connection.exec_driver_sql("SELECT pg_current_wal_insert_lsn()").scalar_one()


@pytest.fixture
def rows(stage: Stage) -> Rows:
    return Rows(stage.database, stage.billing)


@settings(
    max_examples=HUNT or 5,
    derandomize=not HUNT,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def ask(case: Any, stage: Stage, rows: Rows) -> None:
    """Make a request, and look at the answer and at what has changed."""
    if case.meta.generation.mode.is_positive:
        place(case, stage.scene)
    response = case.call(headers=stage.headers)
    case.validate_response(response)
    changed = rows.changed()
    if response.status_code >= 400:
        assert not changed


@functools.lru_cache(maxsize=4)
def requests_of(operation: str) -> Callable[..., None]:
    """Return what makes all requests of an operation.

    `schema.parametrize()` does this for every operation in every worker before the first test.
    """
    method, path = operation.split()
    load_all_checks()
    return build_operation_test(
        config=schema.config,
        operation=schema[path][method],
        test_func=ask,
        given_kwargs={},
        feedback=FeedbackSources(constants_value_source=make_constants_value_source(schema)),
    )


@pytest.fixture(params=OPERATIONS)
def operation(request: pytest.FixtureRequest) -> str:
    """Return each operation in turn, for one engine after the other."""
    return str(request.param)


def test_the_api_is_what_it_says(operation: str, stage: Stage, rows: Rows) -> None:
    requests_of(operation)(stage=stage, rows=rows)
