"""The table of recipients' cards."""

from functools import partial
from typing import Any

import sqlalchemy as sa

from farebox.notifications.recipients.model import Card
from farebox.storage import table

metadata = sa.MetaData()
_table = partial(table, metadata)
card = _table(
    "recipient_card",
    origin=sa.Text,
    id=sa.Text,
    name=sa.Text,
    owner=sa.Text,
    email=sa.Text,
    phone=sa.Text,
    locale=sa.Text,
    locale_at=sa.BigInteger,
    zone=sa.Text,
    zone_at=sa.BigInteger,
)


def card_of(row: sa.Row[Any]) -> Card:
    """Return a row of `recipient_card`."""
    return Card(**row._mapping)  # noqa: SLF001 - SQLAlchemy's own name for a row as a mapping
