"""Schemathesis makes requests from the description, good and bad ones, and finds nothing.

All of its checks are on: no 500, no undocumented status, type or field, nothing good refused,
nothing bad accepted, no way around the credential. Beside them: a refused request has changed no
row of any table. Good requests name things that exist, so that they come further than a 404.

Each run makes the same few requests. `FAREBOX_SCHEMA_EXAMPLES=60` makes so many other ones of each
operation instead.
"""

import os
import uuid
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from farebox.storage import Database
from tests.api.conftest import Api, app_over_nothing, rows_of
from tests.support.order_desk import OrderDesk

APP = app_over_nothing()
HUNT = int(os.environ.get("FAREBOX_SCHEMA_EXAMPLES", "0"))


@schemathesis.serializer("application/x-ndjson")
def lines_of_json(ctx: Any, value: Any) -> bytes:
    """Send a text as it is: its lines are judged by themselves."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


schema = schemathesis.openapi.from_asgi("/openapi.json", APP)


@pytest.fixture
def scene(admin, films, consumer, services, hear):
    """One of everything: what a parameter or a field of this name may say."""
    # Not the app that makes the scene: Schemathesis keeps the lifespan of its own.
    APP.state.services = services
    who, _ = consumer("Ada")
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
    hear()
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
    """A price of this product, a coupon and a tax."""
    terms = {"charge": {"model": "per_unit", "unit": "0.5"}}
    body = {"of": "product", "code": code, "currency": "USD", "terms": terms}
    rate = {"code": "vat", "percent": "20", "country": "FR"}
    return {
        "price": admin.post("/v1/prices", body)["id"],
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
    if isinstance(case.body, dict):
        body = {name: scene.get(name, value) for name, value in whole(case.body).items()}
        if body.get("credential") and "consumer" in body:
            del body["consumer"]  # one of the two
        case.body = body


class Rows:
    """What stands in the tables, from one request to the next."""

    def __init__(self, *databases: Database) -> None:
        self.databases = databases
        self.known = [rows_of(each) for each in databases]

    def changed(self) -> bool:
        """Tell whether anything has changed since the last time."""
        before, self.known = self.known, [rows_of(each) for each in self.databases]
        return self.known != before


@pytest.fixture
def rows(scene, database, billing):
    return Rows(database, billing)


@schema.parametrize()
@settings(
    max_examples=HUNT or 5,
    derandomize=not HUNT,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
def test_the_api_is_what_it_says(case, admin, scene, rows):
    if case.meta.generation.mode.is_positive:
        place(case, scene)
    response = case.call(headers=admin.headers)
    case.validate_response(response)
    changed = rows.changed()
    if response.status_code >= 400:
        assert not changed
