"""The subscribers' example: a company that sells an API by plans, and three people who use it.

Kira subscribes to Pro and has used most of this month's requests; Kira, Leo and Mila share prepaid
map tiles, of which Leo may draw a part only. One invoice is paid, one waits. `furnish` makes it
through the API of a running Farebox, or finds what it made before; usage goes on to the hour at
which it is called.
"""

import math
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec

from farebox.contracts.problems import PROBLEM_MEDIA_TYPE
from farebox.demo.example import ExampleRefused

CURRENCY: Final = "RUB"
ZONE: Final = "Europe/Moscow"
PASSWORD: Final = "atlas-for-everybody"  # noqa: S105 - of a demonstration, printed by it
GEOCODE: Final = "geocode"
TILES: Final = "tiles"
TEAM: Final = "Field team"
TILES_OF_THE_TEAM: Final = 20_000
CAP_OF_LEO: Final = 3_000
_SOURCE: Final = "atlas-gateway"
_A_DAY: Final = 2_150
_PATIENCE_S: Final = 30.0
_NOT_YET: Final = frozenset({"customer_unknown", "priced_unknown", "subscription_unknown"})


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who may sign in at the pages."""

    id: str
    name: str
    email: str
    key: str


class Subscribers(msgspec.Struct, frozen=True, kw_only=True):
    """What was furnished: the people by name, Kira's subscription, the group and its bucket."""

    people: dict[str, Person]
    subscription: str
    group: str
    bucket: str


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    code: str
    name: str
    about: str
    requests: int
    per_second: int
    seats: int
    bulk: bool
    month: str
    year: str | None = None


_PLANS: Final = (
    _Plan(
        code="atlas-free",
        name="Atlas Free",
        about="To try it out: one key, one project.",
        requests=1_000,
        per_second=2,
        seats=1,
        bulk=False,
        month="0",
    ),
    _Plan(
        code="atlas-pro",
        name="Atlas Pro",
        about="For a product that is in use every day.",
        requests=50_000,
        per_second=20,
        seats=5,
        bulk=True,
        month="1490",
        year="14900",
    ),
    _Plan(
        code="atlas-business",
        name="Atlas Business",
        about="For many teams, with room for peaks.",
        requests=500_000,
        per_second=100,
        seats=50,
        bulk=True,
        month="9900",
        year="99000",
    ),
)
_PEOPLE: Final = (("Kira", "ru"), ("Leo", "en"), ("Mila", "ru"))
_DRAWN: Final = {"Kira": 5_400, "Leo": 2_350, "Mila": 1_120}


class _Desk:
    """The API as the admin sees it: each step under a key of its own, done once."""

    def __init__(self, client: Any, settle: Callable[[], None]) -> None:  # noqa: ANN401 - speaks HTTP
        self._client = client
        self.settle = settle

    def find(self, path: str, **params: str) -> Any:  # noqa: ANN401 - what a route answers
        """Return what is there, or None."""
        said = self._client.request("GET", path, params=params)
        absent = said.status_code == 404 or _code_of(said) == "seller_missing"  # noqa: PLR2004 - not found
        return None if absent else self._read(path, said)

    def make(
        self,
        step: str,
        path: str,
        body: Any,  # noqa: ANN401 - as the API takes it
        *,
        method: str = "POST",
        unless: str = "",
    ) -> Any:  # noqa: ANN401 - as above
        """Do a step; what billing has not heard of yet is waited for. `unless` says it was done."""
        headers = {"Idempotency-Key": f"subscribers-{step}"}
        until = time.monotonic() + _PATIENCE_S
        while True:
            said = self._client.request(method, path, json=body, headers=headers)
            code = _code_of(said)
            if code is not None and code == unless:
                return None
            if code not in _NOT_YET or time.monotonic() > until:
                return self._read(step, said)
            self.settle()

    def wait_for(self, what: str, is_there: Callable[[], Any]) -> Any:  # noqa: ANN401 - as above
        """Wait until something is there and return it."""
        until = time.monotonic() + _PATIENCE_S
        while not (found := is_there()):
            if time.monotonic() > until:
                raise ExampleRefused(f"the subscribers cannot be furnished: {what} did not come")
            self.settle()
        return found

    @staticmethod
    def _read(step: str, said: Any) -> Any:  # noqa: ANN401 - as above
        if said.is_success:
            return said.json()
        raise ExampleRefused(f"the subscribers cannot be furnished: {step}: {said.text}")


def _code_of(said: Any) -> str | None:  # noqa: ANN401 - a response
    problem = said.headers.get("content-type") == PROBLEM_MEDIA_TYPE
    return said.json().get("code") if problem else None


def _pause() -> None:
    time.sleep(0.2)


def furnish(client: Any, *, settle: Callable[[], None] = _pause) -> Subscribers:  # noqa: ANN401 - speaks HTTP
    """Furnish the subscribers' example, once; what it finds of it, it leaves as it is.

    `client` shows an admin's key. `settle` is called while something is under way; against a
    running server that is a pause. Refuses `example_refused`, also where no sandbox for payments
    is set up.
    """
    desk = _Desk(client, settle)
    _catalogue(desk)
    people = {name: _invite(desk, name, language) for name, language in _PEOPLE}
    kira = people["Kira"]
    _pay_by_card(desk, kira)
    group, bucket = _share(desk, people)
    subscription = _subscribe(desk, kira)
    _send_a_bill(desk, kira)
    _use(desk, people, group)
    return Subscribers(people=people, subscription=subscription, group=group, bucket=bucket)


def _catalogue(desk: _Desk) -> None:
    if desk.find("/v1/seller") is None:
        seller = {"name": "Atlas Maps", "country": "RU", "email": "billing@example.org"}
        desk.make("seller", "/v1/seller", seller, method="PUT")
    for code, name, unit in ((GEOCODE, "Geocoding", "request"), (TILES, "Map tiles", "tile")):
        product = {"code": code, "name": name, "unit": unit}
        desk.make(f"product-{code}", "/v1/products", product, unless="product_taken")
    for code, name, kind in (
        ("atlas-bulk", "Bulk requests", "switch"),
        ("atlas-seats", "Seats", "number"),
    ):
        feature = {"code": code, "name": name, "kind": kind}
        desk.make(f"feature-{code}", "/v1/features", feature, unless="feature_taken")
    for plan in _PLANS:
        desk.make(f"plan-{plan.code}", "/v1/plans", _terms_of(plan), unless="plan_taken")
    if not desk.find("/v1/prices", of="plan", code=_PLANS[0].code)["items"]:
        _prices(desk)


def _terms_of(plan: _Plan) -> dict[str, Any]:
    free = plan.code == "atlas-free"
    return {
        "code": plan.code,
        "name": plan.name,
        "description": plan.about,
        "quotas": [
            {
                "product": GEOCODE,
                "limit": plan.requests,
                "unit": "month",
                "anchor": "calendar",
                "zone": ZONE,
                "overage": not free,
            }
        ],
        "rate_limits": [{"limit": plan.per_second, "seconds": 1, "product": GEOCODE}],
        "features": [
            {"feature": "atlas-bulk", "value": plan.bulk},
            {"feature": "atlas-seats", "value": plan.seats},
        ],
    }


def _prices(desk: _Desk) -> None:
    above = {"charge": {"model": "package", "size": "1000", "price": "40"}}
    month = {"unit": "month", "count": 1}
    price = {"of": "product", "code": GEOCODE, "currency": CURRENCY, "terms": above}
    desk.make("price-above", "/v1/prices", {**price, "recurring": month, "timing": "arrears"})
    for plan in reversed(_PLANS):
        for unit, amount in (("month", plan.month), ("year", plan.year)):
            if amount is not None:
                body = {
                    "of": "plan",
                    "code": plan.code,
                    "currency": CURRENCY,
                    "terms": {"charge": {"model": "flat", "amount": amount}},
                    "recurring": {"unit": unit, "count": 1},
                }
                desk.make(f"price-{plan.code}-{unit}", "/v1/prices", body)


def _invite(desk: _Desk, name: str, language: str) -> Person:
    email = f"{name.lower()}@example.org"
    made = desk.make(name, "/v1/consumers", {"name": name})
    key = desk.make(f"key-{name}", f"/v1/consumers/{made['id']}/keys", {"label": "Demo"})
    account = {"email": email, "password": PASSWORD}
    desk.make(f"account-{name}", f"/v1/consumers/{made['id']}/account", account, method="PUT")
    says = {"currency": CURRENCY, "locale": language, "zone": ZONE, "email": email, "country": "RU"}
    desk.make(f"says-{name}", f"/v1/customers/{made['id']}", says, method="PATCH")
    return Person(id=made["id"], name=name, email=email, key=key["key"])


def _pay_by_card(desk: _Desk, kira: Person) -> None:
    gateways = {one["name"] for one in desk.find("/v1/payment-gateways")["items"]}
    if "sandbox" not in gateways:
        raise ExampleRefused("the subscribers need the sandbox for payments")
    path = f"/v1/customers/{kira.id}"
    card = {
        "gateway": "sandbox",
        "token": f"sandbox_ok:{kira.id}",
        "label": "Visa 4242",
        "expires": "2029-04",
    }
    desk.make("card", f"{path}/payment-methods", card, unless="payment_method_taken")
    wallet = f"{path}/wallets/{CURRENCY}"
    desk.make("balance", f"{wallet}/fills", {"amount": 2_500_00, "reason": "Opening balance"})
    gift = {"amount": 300_00, "reason": "Welcome", "part": "bonus"}
    gift |= {"expires_at": _in_days(desk, 45)}
    if desk.find(wallet)["bonus"] == 0:
        desk.make("bonus", f"{wallet}/fills", gift)
    if desk.find(wallet)["low_level"] is None:
        desk.make("low", f"{wallet}/low-level", {"level": 500_00}, method="PUT")
    for label, scopes in (("Production server", [GEOCODE]), ("Laptop", [])):
        body = {"label": label, "scopes": scopes}
        desk.make(f"key-{label}".replace(" ", "-"), f"/v1/consumers/{kira.id}/keys", body)


def _now(desk: _Desk) -> datetime:
    found = desk.find("/v1/test-clock")
    return datetime.now(UTC) if found is None else datetime.fromisoformat(found["now"])


def _in_days(desk: _Desk, days: int) -> str:
    at = _now(desk).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=days)
    return at.isoformat()


def _share(desk: _Desk, people: dict[str, Person]) -> tuple[str, str]:
    """Let the team share tiles, and give Kira some that are their own."""
    group = desk.make("team", "/v1/groups", {"name": TEAM})["id"]
    found = desk.find("/v1/buckets", holder=group)["items"]
    if not found:
        body = {"product": TILES, "holder": group, "label": "Prepaid tiles"}
        body |= {"grant": {"amount": TILES_OF_THE_TEAM, "expires_at": _in_days(desk, 60)}}
        found = [desk.make("tiles-of-team", "/v1/buckets", body)]
    bucket = str(found[0]["id"])
    for person in people.values():
        caps = {"caps": [{"bucket": bucket, "amount": CAP_OF_LEO}]} if person.name == "Leo" else {}
        path = f"/v1/groups/{group}/members/{person.id}"
        desk.make(f"member-{person.name}", path, caps, method="PUT")
    kira = people["Kira"].id
    if not desk.find("/v1/buckets", holder=kira, product=TILES)["items"]:
        body = {"product": TILES, "holder": kira, "label": "Tiles of my own"}
        body |= {"grant": {"amount": 4_000}}
        own = desk.make("tiles-of-kira", "/v1/buckets", body)["id"]
        gift = {"amount": 1_000, "class": "included", "expires_at": _in_days(desk, 21)}
        desk.make("gift-of-tiles", f"/v1/buckets/{own}/grants", gift)
    return group, bucket


def _subscribe(desk: _Desk, kira: Person) -> str:
    """Subscribe Kira to Pro and wait until it is paid."""
    wish = {"plan": "atlas-pro", "consumer": kira.id}
    desk.make("subscription", "/v1/subscriptions", wish, unless="already_subscribed")
    path = "/v1/subscriptions"

    def begun() -> str | None:
        mine = desk.find(path, consumer=kira.id)["items"]
        return next((str(one["id"]) for one in mine if one["started_at"] is not None), None)

    found: str = desk.wait_for("the first payment", begun)
    return found


def _send_a_bill(desk: _Desk, kira: Person) -> None:
    """Send an invoice that waits to be paid."""
    if any(
        one["subscription"] is None for one in desk.find("/v1/invoices", customer=kira.id)["items"]
    ):
        return
    lines = [{"description": "Address book import", "amount": 3_500_00}]
    draft = {"customer": kira.id, "currency": CURRENCY, "lines": lines, "due_days": 14}
    made = desk.make("draft", "/v1/invoices", draft)["id"]
    desk.make("issue", f"/v1/invoices/{made}/issue", {})


def _use(desk: _Desk, people: dict[str, Person], group: str) -> None:
    """Report what was used since the month began, hour by hour; a repeat counts nothing twice."""
    now = _now(desk)
    kira = people["Kira"].id
    reports: list[dict[str, Any]] = []
    for hour in _hours_of_month(now):
        said = {"source": _SOURCE, "consumer": kira, "product": GEOCODE, "at": hour.isoformat()}
        quantity = _requests_in(hour)
        reports.append({**said, "id": f"{kira}-{hour:%Y%m%d%H}", "quantity": quantity})
    _report(desk, reports)
    seen = desk.find("/v1/usage/records", consumer=kira, product=TILES, limit="1")["items"]
    if not seen:
        _report(desk, list(_draws(people, group, now)))


def _report(desk: _Desk, reports: list[dict[str, Any]]) -> None:
    for start in range(0, len(reports), 500):
        part = reports[start : start + 500]
        said = desk.make(f"usage-{part[0]['id']}-{part[-1]['id']}", "/v1/usage/batch", part)
        if said["refused"]:
            bad = next(one for one in said["results"] if not one["accepted"])
            raise ExampleRefused(f"the subscribers cannot be furnished: {bad['detail']}")


def _hours_of_month(now: datetime) -> Iterator[datetime]:
    here = now.astimezone(ZoneInfo(ZONE))
    first = here.replace(day=1, hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)
    hours = int((now - first).total_seconds()) // 3600
    for hour in range(hours):
        yield first + timedelta(hours=hour)


def _requests_in(hour: datetime) -> int:
    """Return how many requests an hour had: more by day and on weekdays, never the same."""
    here = hour.astimezone(ZoneInfo(ZONE))
    by_day = 1 - 0.85 * math.cos(2 * math.pi * (here.hour - 2) / 24)
    weekday = 0.45 if here.weekday() >= 5 else 1.2  # noqa: PLR2004 - Saturday
    # A multiplicative hash: alike on every machine, and no pattern to be seen.
    noise = 0.75 + (int(hour.timestamp()) // 3600 * 2_654_435_761 % 1_000) / 2_000
    return max(1, round(_A_DAY / 24 * by_day * weekday * noise))


def _draws(people: dict[str, Person], group: str, now: datetime) -> Iterator[dict[str, Any]]:
    """Yield what each of the team drew from the shared tiles over the last days."""
    for name, total in _DRAWN.items():
        person, parts = people[name], 10
        for part in range(parts):
            share = total // parts + (total % parts if part == 0 else 0)
            at = now - timedelta(hours=7 * part + 1)
            yield {
                "source": _SOURCE,
                "id": f"{person.id}-tiles-{part}",
                "consumer": person.id,
                "product": TILES,
                "quantity": share,
                "group": group,
                "at": at.replace(microsecond=0).isoformat(),
            }
