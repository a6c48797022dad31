"""The living example, set up through the API.

Every step carries an Idempotency-Key of its own. So a start on a folder that has the example is
answered with what was made there, keys included, and a start that was cut off is finished.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import httpx2
import msgspec

from farebox.contracts.accounts import ACCOUNTS_PATH
from farebox.contracts.problems import PROBLEM_MEDIA_TYPE
from farebox.kernel.refusals import Refusal

PRODUCT: Final = "films"
FAMILY: Final = ("Anna", "Boris", "Vera")
FILMS_OF_THE_FAMILY: Final = 20
CREDENTIAL: Final = "demo-credit"
CREDIT: Final = 500
GUESTS: Final = ("Dina", "Yegor")
FILMS_OF_THE_HOTEL: Final = 100_000
CREDENTIAL_OF_GUESTS: Final = "demo-guests"
CREDIT_OF_GUESTS: Final = 1_000_000
# Another step than before under the same key would be refused: whoever changes a step counts on.
_EDITION: Final = 1


class ExampleRefused(Refusal):
    """The example cannot be set up in this folder."""

    code = "example_refused"


class Sharing(msgspec.Struct, frozen=True, kw_only=True):
    """A group that shares films: its bucket, and its members' keys by name."""

    bucket: str
    keys: dict[str, str]


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """What was set up."""

    family: Sharing
    hotel: Sharing
    key_of_films: str


class Admin:
    """The API as the admin sees it."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client

    def make(
        self,
        step: str,
        path: str,
        body: dict[str, Any] | None,
        *,
        method: str = "POST",
        unless: str = "",
    ) -> Any:  # noqa: ANN401 - what a route answers
        """Do one step of the example, once; `unless` is the code that says it was done already."""
        headers = {"Idempotency-Key": f"demo-{_EDITION}-{step}"}
        said = self._client.request(method, path, json=body, headers=headers)
        if said.is_success:
            return said.json()
        problem = said.json() if said.headers.get("content-type") == PROBLEM_MEDIA_TYPE else {}
        code = problem.get("code", said.status_code)
        if code == unless:
            return None
        raise ExampleRefused(
            f"the example cannot be set up: {step}: {problem.get('detail', said.text)} ({code});"
            " in another folder (FAREBOX_DATA) it begins anew"
        )

    def left_in(self, bucket: str) -> int:
        """Return what a bucket has available."""
        left: int = self._client.get(f"/v1/buckets/{bucket}").raise_for_status().json()["available"]
        return left


@contextmanager
def admin_of(url: str, key: str) -> Iterator[Admin]:
    """Connect to the API as its admin."""
    with client_of(url, key) as connected:
        yield Admin(connected)


def client_of(url: str, key: str) -> httpx2.Client:
    """Return a client of the API that shows a key."""
    return client(headers={"Authorization": f"Bearer {key}"}, base_url=url)


def client(**options: Any) -> httpx2.Client:  # noqa: ANN401 - httpx2's own
    """Return a client for our own servers: no proxy, and no TLS, whose roots take long to read."""
    return httpx2.Client(timeout=10, trust_env=False, verify=False, **options)


def set_up(admin: Admin) -> Example:
    """Make the example, or find what was made of it before."""
    product = {"code": PRODUCT, "name": "Films", "unit": "film"}
    admin.make("films", "/v1/products", product, unless="product_taken")
    family = _share(admin, "Family Ivanov", FAMILY, FILMS_OF_THE_FAMILY)
    hotel = _share(admin, "Hotel Metropol", GUESTS, FILMS_OF_THE_HOTEL)
    for credential, amount in (CREDENTIAL, CREDIT), (CREDENTIAL_OF_GUESTS, CREDIT_OF_GUESTS):
        account = {"amount": amount, "credential": credential}
        admin.make(credential, ACCOUNTS_PATH, account, unless="credential_taken")
    service = {"name": "Film service", "roles": ["edge"]}
    operator = admin.make("film-service", "/v1/operators", service)["id"]
    key = admin.make("key-of-films", f"/v1/operators/{operator}/keys", {"label": "demo"})["key"]
    return Example(family=family, hotel=hotel, key_of_films=key)


def _share(admin: Admin, name: str, members: Sequence[str], films: int) -> Sharing:
    """Let a group share so many films."""
    step = name.replace(" ", "-")
    group = admin.make(step, "/v1/groups", {"name": name})["id"]
    keys = {}
    for member in members:
        consumer = admin.make(member, "/v1/consumers", {"name": member})["id"]
        path = f"/v1/groups/{group}/members/{consumer}"
        admin.make(f"{step}-{member}", path, {}, method="PUT")
        label = {"label": "demo"}
        keys[member] = admin.make(f"key-of-{member}", f"/v1/consumers/{consumer}/keys", label)[
            "key"
        ]
    plan = {"product": PRODUCT, "group": group, "bucket_limit": films}
    bucket = admin.make(f"plan-of-{step}", "/v1/service-plans", plan)["bucket"]
    return Sharing(bucket=bucket, keys=keys)
