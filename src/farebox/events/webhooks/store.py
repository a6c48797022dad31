"""The tables of outgoing webhooks."""

from functools import partial
from typing import Any

import msgspec
import sqlalchemy as sa

from farebox.events.webhooks.model import Attempt, Delivery, Endpoint
from farebox.storage import table

metadata = sa.MetaData()
_table = partial(table, metadata)
_INT, _TEXT, _BYTES = sa.BigInteger, sa.Text, sa.LargeBinary
endpoint = _table(
    "webhook_endpoint", id=_TEXT, url=_TEXT, description=_TEXT, types=_TEXT, state=_TEXT,
    disabled_because=_TEXT, failing_since=_INT, created_at=_INT,
)  # fmt: skip
secret = _table(
    "webhook_secret", endpoint=_TEXT, number=_INT, value=_BYTES, created_at=_INT, expires_at=_INT
)
message = _table("webhook_message", event=_TEXT, type=_TEXT, body=_TEXT, at=_INT)
delivery = _table(
    "webhook_delivery", id=_TEXT, endpoint=_TEXT, event=_TEXT, state=_TEXT, tries=_INT,
    attempts=_INT, due_at=_INT, created_at=_INT, ended_at=_INT,
)  # fmt: skip
attempt = _table(
    "webhook_attempt", seq=_INT, delivery=_TEXT, endpoint=_TEXT, event=_TEXT, number=_INT, at=_INT,
    status=_INT, duration_ms=_INT, error=_TEXT,
)  # fmt: skip


def endpoint_row(made: Endpoint) -> dict[str, Any]:
    """Return an endpoint as a row."""
    return {**msgspec.structs.asdict(made), "types": msgspec.json.encode(made.types).decode()}


def endpoint_of(row: sa.Row[Any]) -> Endpoint:
    """Return a row of `webhook_endpoint`."""
    return Endpoint(
        id=row.id,
        url=row.url,
        description=row.description,
        types=msgspec.json.decode(row.types, type=tuple[str, ...]),
        state=row.state,
        disabled_because=row.disabled_because,
        failing_since=row.failing_since,
        created_at=row.created_at,
    )


def delivery_of(row: sa.Row[Any]) -> Delivery:
    """Return a row of `webhook_delivery` with its message's type."""
    return msgspec.convert(row, Delivery, from_attributes=True)


def attempt_of(row: sa.Row[Any]) -> Attempt:
    """Return a row of `webhook_attempt`."""
    return msgspec.convert(row, Attempt, from_attributes=True)
