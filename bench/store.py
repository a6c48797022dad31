"""The premiere store as its visitors meet it: the page of a search, and the confirmation.

Both over HTTP, as the browser asks, one after the other: the page is the whole page with its cards
and prices, the confirmation is from the click to the answer that leads to the order, with the place
pinned, the wallet charged and the rental there.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import quantiles
from typing import Final
from urllib.parse import urlsplit

import httpx2

from bench import farebox
from bench.model import NotMeasured, Row
from bench.postgres_server import serving as postgres
from bench.processes import free_port, running
from bench.promises import measured, promised
from bench.rounds import say
from bench.shelf import ITEMS, Shelf, fill
from bench.stage import Stage
from farebox.access.consumers.service_accounts import hash_password, set_account
from farebox.billing.pricing import store as prices
from farebox.demo.premieres import CURRENCY, furnish
from farebox.kernel.clock import SystemClock
from farebox.platform.model import SYSTEM
from farebox.storage import Tx, open_database
from farebox.wiring.services import prepare
from farebox.wiring.settings import Settings, as_environment, changed

_QUICK_ITEMS: Final = 10_000
_QUERIES: Final = 40  # of each kind
_BUYERS: Final = 200
_QUICK_BUYERS: Final = 60
_PASSWORD: Final = "as good as any other"  # noqa: S105 - of a measurement
_FIELD: Final = re.compile(r'name="([a-z_]+)" value="([^"]*)"')
_PRICE: Final = 45_000


def store(stage: Stage) -> list[Row]:
    """Measure p50 and p99 of both, on both engines."""
    quick = stage.sizes.name == "quick"
    items, buyers = (_QUICK_ITEMS, _QUICK_BUYERS) if quick else (ITEMS, _BUYERS)
    lite = _times(_settings(stage.folder("store")), items, buyers)
    with postgres(stage.folder("store-postgres")) as server:
        urls = {
            f"{name}_database_url": _database_at(server.url, name)
            for name in ("access", "billing", "notifications")
        }
        settings = _settings(stage.folder("store-on-postgres"), **urls)
        big = _times(settings, items, buyers)
    note = f"{items:,} items with prices, {buyers} buyers, one after the other; SQLite, PostgreSQL"
    figures = [
        quantiles(times, n=100)[mark - 1]
        for kind in ("page", "confirmation")
        for times in (lite[kind], big[kind])
        for mark in (50, 99)
    ]
    return [
        measured(row, ours=figure, note=note)
        for row, figure in zip(promised("store"), figures, strict=True)
    ]


def _settings(data: Path, **urls: str) -> Settings:
    own = {"admin_key": farebox.ADMIN_KEY, "port": free_port(), "log_level": "error"}
    return changed(Settings(data=str(data)), **own, **urls)


def _database_at(url: str, name: str) -> str:
    """Make a database of a server, and return its URL."""
    import psycopg  # noqa: PLC0415 - as the server itself, needed for PostgreSQL only

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE farebox_{name}")
    parts = urlsplit(url)
    return parts._replace(path=f"/farebox_{name}").geturl()


def _times(settings: Settings, items: int, buyers: int) -> dict[str, list[float]]:
    prepare(settings, lambda _: None)
    shelf = Shelf()
    _stock(settings, shelf, items)
    with _served(settings):
        headers = {"Authorization": f"Bearer {farebox.ADMIN_KEY}"}
        with httpx2.Client(base_url=settings.address, headers=headers, timeout=60) as admin:
            furnish(admin)
            people = [_buyer(admin, settings, number) for number in range(buyers)]
        found = {
            "page": _pages(settings.address, shelf),
            "confirmation": [_confirm(settings.address, email) for email in people],
        }
    for kind, times in found.items():
        say(f"  {kind:<14} p50 {quantiles(times, n=100)[49]:8.1f} ms")
    return found


def _stock(settings: Settings, shelf: Shelf, count: int) -> None:
    """Put items on the shelf, each with a price that billing knows."""
    access = open_database("access", settings.url_of("access"), SystemClock())
    fill(access, shelf.items(count))
    access.close()
    billing = open_database("billing", settings.url_of("billing"), SystemClock())
    for first in range(1, count + 1, 1_000):
        last = min(first + 1_000, count + 1)
        billing.run(partial(_price, numbers=range(first, last)))
    billing.close()


def _price(tx: Tx, numbers: range) -> None:
    """Write prices as the service does, many at once."""
    ids = {number: f"prc_{number:027x}" for number in numbers}
    named = {"kind": "item", "offer": "online", "period_hours": None, "currency": CURRENCY}
    state = {"state": "active", "version": 1, "created_at": tx.now_us}
    tx.run(
        prices.price.insert(),
        [{"id": ids[n], "code": f"item-{n}", **named, **state} for n in numbers],
    )
    terms = f'{{"charge":{{"model":"flat","amount":"{_PRICE // 100}.00"}}}}'
    version = {
        "version": 1,
        "terms": terms,
        "unit": None,
        "units": None,
        "timing": "advance",
        "tax_behaviour": "exclusive",
        "tax_category": None,
        "providers": "[]",
        "metadata": "{}",
        "used": 0,
        "changed_at": tx.now_us,
    }
    tx.run(prices.price_version.insert(), [{"price": ids[n], **version} for n in numbers])


@contextmanager
def _served(settings: Settings) -> Iterator[None]:
    command = [farebox.program(), "serve"]
    log = Path(settings.data) / "serve.log"
    environment = as_environment(settings)
    with running(command, port=settings.port, environment=environment, log=log):
        farebox.await_ready(settings.port)
        yield


def _buyer(admin: httpx2.Client, settings: Settings, number: int) -> str:
    """Make a customer who can sign in and has money, and put a premiere into their cart."""
    email = f"buyer-{number}@example.org"
    made = _said(admin.post("/v1/consumers", json={"name": f"Buyer {number}"}, headers=_key()))
    account = {"email": email, "password": _PASSWORD}
    path = f"/v1/consumers/{made['id']}"
    if number == 0:
        _said(admin.put(f"{path}/account", json=account))
    else:
        _same_password(settings, made["id"], email)
    wallet = f"/v1/customers/{made['id']}/wallets/{CURRENCY}/fills"
    until = time.monotonic() + 30
    fill_ = {"amount": 1_000_00, "reason": "a measurement"}
    while (said := admin.post(wallet, json=fill_, headers=_key())).status_code != 201:
        if time.monotonic() > until:
            raise NotMeasured(f"a wallet could not be filled: {said.text}")
        time.sleep(0.1)
    return email


_hashed: list[str] = []


def _same_password(settings: Settings, consumer: str, email: str) -> None:
    """Give everybody one password: hashing it anew for each would take longer than all the rest."""
    if not _hashed:
        _hashed.append(hash_password(_PASSWORD))
    database = open_database("access", settings.url_of("access"), SystemClock())
    database.run(
        lambda tx: set_account(tx, SYSTEM, consumer=consumer, email=email, password=_hashed[0])
    )
    database.close()


def _pages(address: str, shelf: Shelf) -> list[float]:
    """Return the milliseconds of each search page; every one was looked at."""
    times = []
    with httpx2.Client(base_url=address, timeout=60) as browser:
        for kind, queries in shelf.queries(_QUERIES).items():
            browser.get("/store/", params={"q": queries[0]})
            for query in queries:
                begun = time.perf_counter()
                page = browser.get("/store/", params={"q": query})
                times.append((time.perf_counter() - begun) * 1_000)
                if page.status_code != 200 or "</html>" not in page.text:
                    raise NotMeasured(f"the search page for {kind} failed: {page.status_code}")
    return times


def _confirm(address: str, email: str) -> float:
    """Buy a premiere as a browser does; return the milliseconds of the confirmation alone."""
    with httpx2.Client(base_url=address, timeout=60, follow_redirects=True) as browser:
        _send(browser, "/store/sign-in", "/store/sign-in", email=email, password=_PASSWORD)
        premiere = "/store/premieres/P2"
        _send(browser, premiere, premiere, terms="online:24")
        confirm = _send(browser, "/store/checkout", "/store/checkout")
        begun = time.perf_counter()
        done = browser.post("/store/confirm", data=_fields(confirm), follow_redirects=False)
        took = (time.perf_counter() - begun) * 1_000
        if not re.fullmatch(r"/store/orders/[^/]+/done", done.headers.get("location", "")):
            raise NotMeasured(f"the confirmation failed: {done.status_code} {done.text[:500]}")
        return took


def _send(browser: httpx2.Client, form: str, address: str, **more: str) -> httpx2.Response:
    return browser.post(address, data={**_fields(browser.get(form)), **more})


def _fields(page: httpx2.Response) -> dict[str, str]:
    return dict(_FIELD.findall(page.text))


def _key() -> dict[str, str]:
    return {"Idempotency-Key": f"bench-{time.perf_counter_ns()}"}


def _said(answer: httpx2.Response) -> dict[str, str]:
    if not answer.is_success:
        raise NotMeasured(f"the store could not be furnished: {answer.text}")
    said: dict[str, str] = answer.json()
    return said
