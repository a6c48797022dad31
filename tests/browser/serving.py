"""`farebox serve` with the premieres in it, at noon of the example's day, for one test each.

The example is furnished once; every test gets a copy of its folder and a server of its own.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx2
import msgspec

from farebox.demo.premieres import OPENING, Premieres, furnish
from tests.support.commands import Farebox, answers, kill_family, until
from tests.support.nursery import Nursery
from tests.support.ports import free_port
from tests.support.served import ADMIN

PASSWORD: Final = "correct horse"
_HOUR_US: Final = 3_600_000_000


class Furnished(msgspec.Struct, frozen=True, kw_only=True):
    """A folder with the example in it, and how far its test clock stands ahead."""

    folder: Path
    premieres: Premieres
    offset_us: int


class Served:
    """A running server, and what the operator does there meanwhile."""

    def __init__(self, url: str, premieres: Premieres) -> None:
        self.url = url
        self.premieres = premieres
        self.admin = httpx2.Client(
            base_url=url, headers={"X-API-Key": ADMIN}, trust_env=False, timeout=20
        )

    def key_of(self, name: str) -> str:
        return self.premieres.people[name].key

    def call(self, method: str, path: str, body: Any = None, *, of: str | None = None) -> Any:
        """Call the API as an operator, or as a customer; whatever is refused fails the test."""
        headers = {"Idempotency-Key": f"browser-{time.monotonic_ns()}"}
        if of is not None:
            headers["X-API-Key"] = self.key_of(of)
        answer = self.admin.request(method, path, json=body, headers=headers)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def at(self, moment: str) -> None:
        """Move the clock to a moment of the example's time zone: `2026-11-20T12:31`."""
        self.call("POST", "/v1/test-clock", {"to": f"{moment}:00+03:00"})

    def id_of(self, name: str) -> str:
        return self.premieres.people[name].id

    def wallet(self, name: str) -> int:
        found = self.call("GET", f"/v1/customers/{self.id_of(name)}/wallets/RUB")
        return int(found["available"])

    def entries(self, name: str) -> list[int]:
        """Return the amounts of a customer's statement, oldest first."""
        path = f"/v1/customers/{self.id_of(name)}/wallets/RUB/statement"
        return [one["amount"] for one in self.call("GET", path)["items"]][::-1]

    def orders(self, name: str) -> list[Any]:
        found = self.call("GET", f"/v1/orders?customer={self.id_of(name)}")
        return list(found["items"])

    def fill(self, name: str, amount: int) -> None:
        path = f"/v1/customers/{self.id_of(name)}/wallets/RUB"
        part = "fills" if amount > 0 else "adjustments"
        body = {"amount": amount, "reason": "for the test"}
        self.call("POST", f"{path}/{part}", body if amount > 0 else {**body, "part": "paid"})


@contextmanager
def serving(nursery: Nursery, folder: Path, *, back_us: int, **settings: str) -> Iterator[str]:
    """Serve a folder until the block ends, with a clock turned back; yields the address."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    farebox = Farebox(
        nursery,
        folder.parent,
        FAREBOX_DATA=str(folder),
        FAREBOX_PORT=str(port),
        FAREBOX_ADMIN_KEY=ADMIN,
        FAREBOX_SANDBOX_SECRET="a secret of the browser tests, for the sandbox",
        FAREBOX_LOG_LEVEL="warning",
        **settings,
    )
    with farebox.started("serve", "--test-clock", back_us=back_us) as process:
        until(lambda: answers(f"{url}/readyz"), process)
        try:
            yield url
        finally:
            # Its folder is not used again.
            kill_family(process)


def furnished(nursery: Nursery, folder: Path) -> Furnished:
    """Furnish a folder once: premieres, customers, and the passwords that they sign in with."""
    opening_us = int(OPENING.timestamp()) * 1_000_000
    back_us = time.time_ns() // 1_000 - opening_us + _HOUR_US
    with (
        serving(nursery, folder, back_us=back_us) as url,
        httpx2.Client(
            base_url=url, headers={"X-API-Key": ADMIN}, trust_env=False, timeout=20
        ) as client,
    ):
        made = furnish(client)
        for person in made.people.values():
            account = {"email": f"{person.name.lower()}@example.org", "password": PASSWORD}
            answer = client.put(f"/v1/consumers/{person.id}/account", json=account)
            assert answer.is_success, answer.text
        client.post("/v1/test-clock", json={"advance_seconds": 1})
        shown = client.get("/v1/test-clock").json()
    return Furnished(folder=folder, premieres=made, offset_us=int(shown["offset_us"]))


@contextmanager
def a_copy(nursery: Nursery, of: Furnished, folder: Path) -> Iterator[Served]:
    """Serve a copy of what was furnished; it is half a minute past noon there."""
    shutil.copytree(of.folder, folder)
    opening_us = int(OPENING.timestamp()) * 1_000_000
    back_us = time.time_ns() // 1_000 + of.offset_us - opening_us - 10_000_000
    with serving(nursery, folder, back_us=back_us) as url:
        made = Served(url, of.premieres)
        with made.admin:
            yield made
