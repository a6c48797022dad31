"""The tables of consumers and groups, and how rows become values."""

from functools import partial
from typing import Any

import msgspec
import sqlalchemy as sa

from farebox.access.consumers.model import Consumer, Group, LocalAccount, Member, Metadata
from farebox.storage import table

metadata = sa.MetaData()
_table = partial(table, metadata)
_INT, _TEXT = sa.BigInteger, sa.Text
consumer = _table(
    "consumer", id=_TEXT, name=_TEXT, state=_TEXT, issuer=_TEXT, subject=_TEXT, owner=_TEXT,
    metadata=_TEXT, created_at=_INT,
)  # fmt: skip
group = _table("consumer_group", id=_TEXT, name=_TEXT, priority=_INT, created_at=_INT)
local_account = _table(
    "local_account", email=_TEXT, consumer=_TEXT, password=_TEXT, failures=_INT,
    closed_until=_INT, changed_at=_INT,
)  # fmt: skip
member = _table("group_member", consumer=_TEXT, consumer_group=_TEXT, added_at=_INT)


def consumer_of(row: sa.Row[Any]) -> Consumer:
    """Return a row of `consumer`."""
    return Consumer(
        id=row.id,
        name=row.name,
        state=row.state,
        issuer=row.issuer,
        subject=row.subject,
        owner=row.owner,
        metadata=msgspec.json.decode(row.metadata, type=Metadata),
        created_at=row.created_at,
    )


def row_of(one: Consumer) -> dict[str, Any]:
    """Return a consumer as a row."""
    return {**msgspec.structs.asdict(one), "metadata": msgspec.json.encode(one.metadata).decode()}


def group_of(row: sa.Row[Any]) -> Group:
    """Return a row of `consumer_group`."""
    return Group(id=row.id, name=row.name, priority=row.priority, created_at=row.created_at)


def member_of(row: sa.Row[Any]) -> Member:
    """Return a row of `group_member`."""
    return Member(group=row.consumer_group, consumer=row.consumer, added_at=row.added_at)


def account_of(row: sa.Row[Any]) -> LocalAccount:
    """Return a row of `local_account`."""
    return LocalAccount(
        email=row.email,
        consumer=row.consumer,
        password=row.password,
        failures=row.failures,
        closed_until=row.closed_until,
        changed_at=row.changed_at,
    )
