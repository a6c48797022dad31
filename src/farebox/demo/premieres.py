"""The premiere store's own example: four premieres, a seller, three customers, their balances.

`furnish` makes it through the API of a running Farebox, or finds what it made before. On a test
clock that may still be moved there, it is 20 November 2026, noon in Moscow; later than that the
example is furnished as of the time that it is.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import msgspec

from farebox.contracts.problems import PROBLEM_MEDIA_TYPE
from farebox.demo.example import ExampleRefused

PASSWORD: Final = "chance-for-everybody"  # noqa: S105 - of a demonstration, printed by it
CURRENCY: Final = "RUB"
OPENING: Final = datetime(2026, 11, 20, 9, tzinfo=UTC)
SALE_DAYS: Final = 10
ZONE: Final = "Europe/Moscow"
HALL: Final = "hall"
ONLINE: Final = "online"
HOLD_MINUTES: Final = 30
LEAST_TOP_UP: Final = 100_00
MOST_TOP_UP: Final = 50_000_00
LOW_LEVEL: Final = 100_00
COMMISSION: Final = "15"
_PATIENCE_S: Final = 20.0
_NOT_YET: Final = frozenset({"customer_unknown", "priced_unknown"})


class Show(msgspec.Struct, frozen=True, kw_only=True):
    """A premiere as it is furnished; prices in roubles as decimals, rentals by hours."""

    code: str
    ru: str
    en: str
    about_ru: str
    about_en: str
    actors: tuple[str, ...]
    hall: str
    online: dict[int, str]
    percent_off: str | None = None
    sale_ends: bool = True
    places: int | None = None


SHOWS: Final = (
    Show(
        code="P1",
        ru="Маузер",
        en="Mauser",
        about_ru="Комиссар получает приказ, который нельзя выполнить и нельзя не выполнить. "
        "Спектакль в двух действиях.",
        about_en="A commissar gets an order that can neither be carried out nor refused. "
        "A play in two acts.",
        actors=("А. Ёлкина", "П. Громов"),
        hall="1500",
        online={12: "300", 24: "450", 48: "600", 72: "750"},
        percent_off="20",
    ),
    Show(
        code="P2",
        ru="Чайка",
        en="The Seagull",
        about_ru="Комедия Чехова о театре, озере и любви, на которую никто не отвечает вовремя.",
        about_en="Chekhov's comedy of a theatre, a lake, and love that nobody answers in time.",
        actors=("М. Ветрова", "С. Лугин"),
        hall="2000",
        online={24: "500", 48: "700"},
    ),
    Show(
        code="P3",
        ru="Маузеры и розы",
        en="Mausers and Roses",
        about_ru="Камерный показ: один зритель, один зал, одна ночь в оранжерее.",
        about_en="A chamber showing: one spectator, one hall, one night in the greenhouse.",
        actors=("Л. Садовская",),
        hall="1200",
        online={24: "400"},
        places=1,
    ),
    Show(
        code="P4",
        ru="Ёлки. Премьера",
        en="Fir Trees. The Premiere",
        about_ru="Новогодняя история о дворе, где каждый год загадывают одно и то же желание.",
        about_en="A New Year's story of a yard where the same wish is made each year.",
        actors=("И. Снегов", "О. Метелина"),
        hall="900",
        online={24: "333.33"},
        percent_off="15",
        sale_ends=False,
    ),
)


class Guest(msgspec.Struct, frozen=True, kw_only=True):
    """A customer as they are furnished; `balance` in kopecks."""

    name: str
    language: str
    zone: str
    channel: str
    balance: int


GUESTS: Final = (
    Guest(name="Anna", language="ru", zone="Europe/Moscow", channel="mail", balance=1_000_00),
    Guest(name="Boris", language="en", zone="Asia/Vladivostok", channel="mail", balance=200_00),
    Guest(name="Vera", language="ru", zone="Europe/Moscow", channel="sms", balance=0),
)
_PHONES: Final = {"Vera": "+79990000003"}


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who was furnished, with the key that they show."""

    id: str
    name: str
    key: str


class Premieres(msgspec.Struct, frozen=True, kw_only=True):
    """What was furnished: the seller, the customers by name, the prices by item, offer, hours."""

    seller: str
    people: dict[str, Person]
    prices: dict[tuple[str, str, int | None], str]


class Client(Protocol):
    """Whatever speaks HTTP for an admin: an httpx2 client with the admin's key in its headers."""

    @property
    def request(self) -> Callable[..., Any]:
        """Return what sends a request, by its method and path, and returns the response."""
        ...


class _Desk:
    """The API as the admin sees it: each step under a key of its own, done once."""

    def __init__(self, client: Client, settle: Callable[[], None]) -> None:
        self._client = client
        self.settle = settle

    def get(self, path: str, **params: str) -> Any:  # noqa: ANN401 - what a route answers
        return self._read("read", self._client.request("GET", path, params=params))

    def find(self, path: str) -> Any:  # noqa: ANN401 - as above
        """Return what is there, or None."""
        said = self._client.request("GET", path)
        return None if said.status_code == 404 else self._read("find", said)  # noqa: PLR2004 - not found

    def make(self, step: str, path: str, body: Any, *, method: str = "POST") -> Any:  # noqa: ANN401
        """Do a step; what billing has not heard of yet is waited for."""
        headers = {"Idempotency-Key": f"premieres-{step}"}
        until = time.monotonic() + _PATIENCE_S
        while True:
            said = self._client.request(method, path, json=body, headers=headers)
            if _code_of(said) not in _NOT_YET or time.monotonic() > until:
                return self._read(step, said)
            self.settle()

    @staticmethod
    def _read(step: str, said: Any) -> Any:  # noqa: ANN401 - as above
        if said.is_success:
            return said.json()
        raise ExampleRefused(f"the premieres cannot be furnished: {step}: {said.text}")


def _code_of(said: Any) -> str | None:  # noqa: ANN401 - a response
    problem = said.headers.get("content-type") == PROBLEM_MEDIA_TYPE
    return said.json().get("code") if problem else None


def _pause() -> None:
    time.sleep(0.2)


def furnish(client: Client, *, settle: Callable[[], None] = _pause) -> Premieres:
    """Furnish the premiere store, once: on what it furnished before it changes nothing.

    `client` shows an admin's key. `settle` is called while billing has not heard of something yet;
    against a running server that is a pause. Refuses `example_refused`.
    """
    desk = _Desk(client, settle)
    opening = _opening(desk)
    seller = desk.make("seller", "/v1/operators", {"name": "S1", "roles": ["owner"]})["id"]
    for show in SHOWS:
        _stage(desk, show, seller, opening)
    people = {guest.name: _invite(desk, guest) for guest in GUESTS}
    settle()
    _set_rules(desk, seller)
    prices: dict[tuple[str, str, int | None], str] = {}
    for show in SHOWS:
        prices |= _price(desk, show, opening)
    for guest in GUESTS:
        _welcome(desk, guest, people[guest.name])
    return Premieres(seller=seller, people=people, prices=prices)


def _opening(desk: _Desk) -> datetime:
    """Move the test clock to the opening if it lies ahead; return the day that the example has."""
    found = desk.find("/v1/test-clock")
    now = datetime.now(UTC) if found is None else datetime.fromisoformat(found["now"])
    if found is not None and now < OPENING:
        desk.make("opening", "/v1/test-clock", {"to": OPENING.isoformat()})
        return OPENING
    if now < OPENING + timedelta(days=SALE_DAYS):
        return OPENING
    return now.replace(hour=9, minute=0, second=0, microsecond=0)


def _stage(desk: _Desk, show: Show, seller: str, opening: datetime) -> None:
    path = f"/v1/items/{show.code}"
    if desk.find(path) is None:
        begins = opening.replace(hour=16) + timedelta(days=30)
        online: dict[str, Any] = {
            "code": ONLINE,
            "kind": "online_rental",
            "periods": list(show.online),
            "hold_minutes": HOLD_MINUTES,
        }
        if show.places is not None:
            online["capacity"] = show.places
        hall = {
            "code": HALL,
            "kind": "theatre_ticket",
            "starts_at": begins.isoformat(),
            "zone": ZONE,
            "hold_minutes": HOLD_MINUTES,
        }
        item = {
            "code": show.code,
            "kind": "premiere",
            "owner": seller,
            "title": {"ru": show.ru, "en": show.en},
            "description": {"ru": show.about_ru, "en": show.about_en},
            "attributes": {"actors": list(show.actors)},
            "offers": [online, hall],
        }
        desk.make(f"item-{show.code}", "/v1/items", item)
    desk.make(f"publish-{show.code}", f"{path}/publish", {})


def _invite(desk: _Desk, guest: Guest) -> Person:
    metadata = {
        "language": guest.language,
        "zone": guest.zone,
        "channel": guest.channel,
        "email": _email(guest),
    }
    if guest.name in _PHONES:
        metadata["phone"] = _PHONES[guest.name]
    made = desk.make(guest.name, "/v1/consumers", {"name": guest.name, "metadata": metadata})
    key = desk.make(f"key-{guest.name}", f"/v1/consumers/{made['id']}/keys", {"label": "demo"})
    account = {"email": _email(guest), "password": PASSWORD}
    desk.make(f"account-{guest.name}", f"/v1/consumers/{made['id']}/account", account, method="PUT")
    return Person(id=made["id"], name=guest.name, key=key["key"])


def _email(guest: Guest) -> str:
    return f"{guest.name.lower()}@example.org"


def _set_rules(desk: _Desk, seller: str) -> None:
    limits = {"least": LEAST_TOP_UP, "most": MOST_TOP_UP}
    desk.make("limits", f"/v1/top-up-limits/{CURRENCY}", limits, method="PUT")
    desk.make("commission", f"/v1/commissions/{seller}", {"percent": COMMISSION}, method="PUT")
    name = {"name": "Шанс-видео", "country": "RU", "email": "help@example.org"}
    desk.make("shop", "/v1/seller", name, method="PUT")
    for code, rules in POLICIES.items():
        desk.make(f"policy-{code}", f"/v1/refund-policies/{code}", {"rules": rules}, method="PUT")


POLICIES: Final[dict[str, list[dict[str, Any]]]] = {
    "online_rental": [
        {"percent": "100", "reason": "our_fault"},
        {"percent": "0", "played": True},
        {"percent": "100", "started": False},
        {"percent": "50", "started": True, "played": False},
    ],
    "theatre_ticket": [
        {"percent": "100", "reason": "our_fault"},
        {"percent": "100", "reason": "illness", "started": False},
        {"percent": "100", "hours_before_start": 240},
        {"percent": "50", "hours_before_start": 120},
        {"percent": "30", "hours_before_start": 72},
    ],
}


def _price(desk: _Desk, show: Show, opening: datetime) -> dict[tuple[str, str, int | None], str]:
    """Price a premiere's offers, once; return the prices' ids."""
    wanted: dict[tuple[str, int | None], str] = {(HALL, None): show.hall}
    wanted |= {(ONLINE, hours): amount for hours, amount in show.online.items()}
    made = {}
    for (offer, hours), amount in wanted.items():
        body: dict[str, Any] = {
            "of": "item",
            "code": show.code,
            "offer": offer,
            "currency": CURRENCY,
            "terms": {"charge": {"model": "flat", "amount": amount}},
        }
        if hours is not None:
            body["period_hours"] = hours
        step = f"price-{show.code}-{offer}-{hours}"
        made[show.code, offer, hours] = desk.make(step, "/v1/prices", body)["id"]
    known = desk.get("/v1/promotions", of="item", code=show.code)["items"]
    if show.percent_off is not None and not known:
        sale: dict[str, Any] = {
            "name": "Осень · Autumn",
            "of": "item",
            "code": show.code,
            "offer": ONLINE,
            "percent": show.percent_off,
        }
        if show.sale_ends:
            last = opening.replace(hour=20, minute=59, second=59) + timedelta(days=SALE_DAYS)
            sale["valid_until"] = last.isoformat()
        desk.make(f"sale-{show.code}", "/v1/promotions", sale)
    return made


def _welcome(desk: _Desk, guest: Guest, person: Person) -> None:
    """Say in which language and currency a customer pays, and fill their wallet."""
    path = f"/v1/customers/{person.id}"
    wallet = f"{path}/wallets/{CURRENCY}"
    if guest.balance:
        fill = {"amount": guest.balance, "reason": "Opening balance"}
        desk.make(f"balance-{guest.name}", f"{wallet}/fills", fill)
    low = {"level": LOW_LEVEL}
    desk.make(f"low-{guest.name}", f"{wallet}/low-level", low, method="PUT")
    said = {
        "currency": CURRENCY,
        "locale": guest.language,
        "zone": guest.zone,
        "email": _email(guest),
    }
    desk.make(f"says-{guest.name}", path, said, method="PATCH")
