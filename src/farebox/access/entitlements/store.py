"""The tables of entitlements and of what other billing systems said. Use is the ledger's."""

from functools import partial
from typing import Any

import msgspec
import sqlalchemy as sa

from farebox.access.catalog.model import FeatureValue
from farebox.access.entitlements.model import Entitlement, ExternalSubscription
from farebox.storage import table

metadata = sa.MetaData()
_table = partial(table, metadata)
_INT, _TEXT = sa.BigInteger, sa.Text
entitlement = _table(
    "entitlement", id=_TEXT, holder_kind=_TEXT, holder=_TEXT, key=_TEXT, kind=_TEXT,
    source_kind=_TEXT, source=_TEXT, roles=_TEXT, value=_TEXT, use_limit=_INT, period=_TEXT,
    bucket=_INT, granted_at=_INT, starts_at=_INT, expires_at=_INT, revoked_at=_INT,
    version=_INT,
)  # fmt: skip
processed = _table(
    "processed_event", source=_TEXT, event_id=_TEXT, type=_TEXT, fingerprint=sa.LargeBinary,
    subject=_TEXT, occurred_at=_INT, processed_at=_INT, outcome=_TEXT,
)  # fmt: skip
external = _table(
    "external_subscription", source=_TEXT, subscription=_TEXT, consumer=_TEXT, product=_TEXT,
    add_ons=_TEXT, state=_TEXT, period_ends_at=_INT, applied_at=_INT,
)  # fmt: skip


def entitlement_of(row: sa.Row[Any]) -> Entitlement:
    """Return a row of `entitlement`."""
    found = row._asdict()
    value = found.pop("value")
    roles = msgspec.json.decode(found.pop("roles"), type=tuple[str, ...])
    return Entitlement(
        limit=found.pop("use_limit"),
        roles=roles,
        value=None if value is None else msgspec.json.decode(value, type=FeatureValue),
        **found,
    )


def row_of(one: Entitlement) -> dict[str, Any]:
    """Return an entitlement as a row."""
    row = msgspec.structs.asdict(one)
    row["use_limit"] = row.pop("limit")
    row["roles"] = msgspec.json.encode(one.roles).decode()
    row["value"] = None if one.value is None else msgspec.json.encode(one.value).decode()
    return row


def external_of(row: sa.Row[Any]) -> ExternalSubscription:
    """Return a row of `external_subscription`."""
    found = row._asdict()
    add_ons = msgspec.json.decode(found.pop("add_ons"), type=tuple[str, ...])
    return ExternalSubscription(add_ons=add_ons, **found)


def external_row_of(one: ExternalSubscription) -> dict[str, Any]:
    """Return a subscription of another billing system as a row."""
    return {**msgspec.structs.asdict(one), "add_ons": msgspec.json.encode(one.add_ons).decode()}
