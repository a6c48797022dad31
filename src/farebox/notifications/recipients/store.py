"""The table of recipients' cards."""

from typing import Any

import sqlalchemy as sa

from farebox.notifications.recipients.model import Card

metadata = sa.MetaData()
card = sa.Table(
    "recipient_card",
    metadata,
    sa.Column("origin", sa.Text),
    sa.Column("id", sa.Text),
    sa.Column("name", sa.Text),
    sa.Column("owner", sa.Text),
    sa.Column("email", sa.Text),
    sa.Column("phone", sa.Text),
    sa.Column("locale", sa.Text),
    sa.Column("locale_at", sa.BigInteger),
    sa.Column("zone", sa.Text),
    sa.Column("zone_at", sa.BigInteger),
)


def card_of(row: sa.Row[Any]) -> Card:
    """Return a row of `recipient_card`."""
    return Card(**row._mapping)  # noqa: SLF001 - SQLAlchemy's own name for a row as a mapping
