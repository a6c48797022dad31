"""The outbox, and how rows become envelopes."""

from typing import Any

import msgspec
import sqlalchemy as sa

from farebox.events.model import SPEC_VERSION, Event
from farebox.kernel.clock import show_time

metadata = sa.MetaData()
outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("seq", sa.BigInteger),
    sa.Column("txid", sa.BigInteger),
    sa.Column("id", sa.Text),
    sa.Column("source", sa.Text),
    sa.Column("type", sa.Text),
    sa.Column("subject", sa.Text),
    sa.Column("subject_version", sa.BigInteger),
    sa.Column("at", sa.BigInteger),
    sa.Column("payload", sa.Text),
)
subject_version = sa.Table(
    "subject_version",
    metadata,
    sa.Column("subject", sa.Text),
    sa.Column("version", sa.BigInteger),
)


def event_of(row: sa.Row[Any]) -> Event:
    """Return a row of `outbox` as an envelope."""
    return Event(
        specversion=SPEC_VERSION,
        id=row.id,
        source=row.source,
        type=row.type,
        subject=row.subject,
        time=show_time(row.at),
        datacontenttype="application/json",
        subjectversion=row.subject_version,
        data=msgspec.json.decode(row.payload),
    )
