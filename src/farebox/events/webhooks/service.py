"""Endpoints of webhooks: made, changed, disabled, their secrets.

The audit log lies above this folder: operators come in through `platform.service_webhooks`.
"""

import secrets as chance
from collections.abc import Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from farebox.events.webhooks import store
from farebox.events.webhooks.model import (
    LONGEST_URL,
    MOST_ENDPOINTS,
    MOST_TYPES,
    DisabledBecause,
    Endpoint,
    EndpointUnknown,
    NewEndpoint,
    TooManyEndpoints,
)
from farebox.events.webhooks.rules import SECRET_BYTES, checked_types, checked_url, show_secret
from farebox.kernel.ids import record_id
from farebox.kernel.refusals import ValueRefused
from farebox.storage import Tx

LONGEST_OVERLAP_US: Final = 7 * 86_400 * 1_000_000


def create_endpoint(
    tx: Tx, *, url: str, types: Sequence[str] = (), description: str = "", private: bool = False
) -> NewEndpoint:
    """Make an endpoint with its first secret.

    Refuses a wrong URL or type (`value_invalid`), an address of one's own network unless `private`
    (`webhook_address_refused`), and one endpoint too many (`too_many_webhooks`).
    """
    made = Endpoint(
        id=record_id("whk"),
        url=checked_url(url, private=private, longest=LONGEST_URL),
        description=description,
        types=checked_types(types, MOST_TYPES),
        state="active",
        disabled_because=None,
        failing_since=None,
        created_at=tx.now_us,
    )
    count = sa.select(sa.func.count()).select_from(store.endpoint)
    if int(tx.run(count).scalar_one()) >= MOST_ENDPOINTS:
        raise TooManyEndpoints
    tx.run(store.endpoint.insert(), store.endpoint_row(made))
    return NewEndpoint(endpoint=made, secret=show_secret(_add_secret(tx, made.id, 1)))


def read_endpoint(tx: Tx, endpoint: str) -> Endpoint:
    """Return an endpoint; refuses an unknown one (`webhook_unknown`)."""
    row = tx.one(sa.select(store.endpoint).where(store.endpoint.c.id == endpoint))
    if row is None:
        raise EndpointUnknown
    return store.endpoint_of(row)


def locked_endpoint(tx: Tx, endpoint: str) -> Endpoint:
    """Return an endpoint whose row nobody else changes until the commit."""
    here = store.endpoint.c.id == endpoint
    row = tx.one(sa.select(store.endpoint).where(here).with_for_update())
    if row is None:
        raise EndpointUnknown
    return store.endpoint_of(row)


def list_endpoints(tx: Tx, *, after: str | None, rows: int) -> list[Endpoint]:
    """Return up to so many endpoints in the order of their ids."""
    statement = sa.select(store.endpoint).order_by(store.endpoint.c.id).limit(rows)
    if after is not None:
        statement = statement.where(store.endpoint.c.id > after)
    return [store.endpoint_of(row) for row in tx.run(statement)]


def change_endpoint(
    tx: Tx,
    endpoint: str,
    *,
    url: str | None = None,
    types: Sequence[str] | None = None,
    description: str | None = None,
    private: bool = False,
) -> tuple[Endpoint, Endpoint]:
    """Change what is given, and return the endpoint before and after; refuses as when making one.

    What is on its way already goes to the new URL.
    """
    old = locked_endpoint(tx, endpoint)
    new = msgspec.structs.replace(
        old,
        url=old.url if url is None else checked_url(url, private=private, longest=LONGEST_URL),
        types=old.types if types is None else checked_types(types, MOST_TYPES),
        description=old.description if description is None else description,
    )
    return old, _write(tx, old, new)


def disable_endpoint(tx: Tx, endpoint: str, because: DisabledBecause) -> tuple[Endpoint, Endpoint]:
    """Send nothing more to an endpoint; what waits goes on waiting, later events pass it by."""
    old = locked_endpoint(tx, endpoint)
    if old.state == "disabled":
        return old, old
    new = msgspec.structs.replace(old, state="disabled", disabled_because=because)
    return old, _write(tx, old, new)


def enable_endpoint(tx: Tx, endpoint: str) -> tuple[Endpoint, Endpoint]:
    """Send to an endpoint again, from what waits for it on."""
    old = locked_endpoint(tx, endpoint)
    new = msgspec.structs.replace(old, state="active", disabled_because=None, failing_since=None)
    return old, _write(tx, old, new)


def rotate_secret(tx: Tx, endpoint: str, *, overlap_us: int) -> str:
    """Make a new secret and return it as it is shown; the older ones end with the overlap.

    Until then messages carry a signature by each, so that a receiver changes over when it likes.
    """
    if not 0 <= overlap_us <= LONGEST_OVERLAP_US:
        raise ValueRefused("an overlap is at most seven days")
    locked_endpoint(tx, endpoint)
    secret, ours = store.secret, store.secret.c.endpoint == endpoint
    newest = tx.run(sa.select(sa.func.max(secret.c.number)).where(ours)).scalar_one()
    end = tx.now_us + overlap_us
    later = sa.or_(secret.c.expires_at.is_(None), secret.c.expires_at > end)
    tx.run(secret.update().where(ours, later).values(expires_at=end))
    return show_secret(_add_secret(tx, endpoint, int(newest) + 1))


def secrets_of(tx: Tx, endpoints: Sequence[str]) -> dict[str, tuple[bytes, ...]]:
    """Return the secrets in force of each endpoint, newest first."""
    secret = store.secret
    in_force = sa.or_(secret.c.expires_at.is_(None), secret.c.expires_at > tx.now_us)
    statement = sa.select(secret).where(secret.c.endpoint.in_(endpoints), in_force)
    found: dict[str, tuple[bytes, ...]] = {}
    for row in tx.run(statement.order_by(secret.c.number.desc())):
        found[row.endpoint] = (*found.get(row.endpoint, ()), bytes(row.value))
    return found


def _write(tx: Tx, old: Endpoint, new: Endpoint) -> Endpoint:
    if new != old:
        here = store.endpoint.c.id == old.id
        tx.run(store.endpoint.update().where(here).values(store.endpoint_row(new)))
    return new


def _add_secret(tx: Tx, endpoint: str, number: int) -> bytes:
    value = chance.token_bytes(SECRET_BYTES)
    row = {
        "endpoint": endpoint,
        "number": number,
        "value": value,
        "created_at": tx.now_us,
        "expires_at": None,
    }
    tx.run(store.secret.insert(), row)
    return value
