"""The tables of events, and how rows become envelopes."""

from typing import Any

import msgspec
import sqlalchemy as sa

from farebox.events.model import SPEC_VERSION, Event, Position, Standing
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
inbox = sa.Table(
    "inbox",
    metadata,
    sa.Column("seq", sa.BigInteger),
    sa.Column("source", sa.Text),
    sa.Column("id", sa.Text),
    sa.Column("type", sa.Text),
    sa.Column("subject", sa.Text),
    sa.Column("subject_version", sa.BigInteger),
    sa.Column("time", sa.Text),
    sa.Column("payload", sa.Text),
    sa.Column("received_at", sa.BigInteger),
    sa.Column("state", sa.Text),
    sa.Column("copies_only", sa.BigInteger),
    sa.Column("tries", sa.BigInteger),
    sa.Column("due_at", sa.BigInteger),
    sa.Column("ended_at", sa.BigInteger),
    sa.Column("error", sa.Text),
)
inbox_subject = sa.Table(
    "inbox_subject",
    metadata,
    sa.Column("source", sa.Text),
    sa.Column("subject", sa.Text),
    sa.Column("version", sa.BigInteger),
    sa.Column("seen", sa.BigInteger),
    sa.Column("due_at", sa.BigInteger),
    sa.Column("dead", sa.BigInteger),
    sa.Column("head", sa.BigInteger),
)
copy_version = sa.Table(
    "copy_version",
    metadata,
    sa.Column("copy", sa.Text),
    sa.Column("source", sa.Text),
    sa.Column("subject", sa.Text),
    sa.Column("version", sa.BigInteger),
)
log_position = sa.Table(
    "log_position",
    metadata,
    sa.Column("kind", sa.Text),
    sa.Column("name", sa.Text),
    sa.Column("txid", sa.BigInteger),
    sa.Column("seq", sa.BigInteger),
    sa.Column("until_txid", sa.BigInteger),
    sa.Column("until_seq", sa.BigInteger),
    sa.Column("at", sa.BigInteger),
    sa.Column("failures", sa.BigInteger),
    sa.Column("due_at", sa.BigInteger),
    sa.Column("error", sa.Text),
)
lease = sa.Table(
    "lease",
    metadata,
    sa.Column("name", sa.Text),
    sa.Column("holder", sa.Text),
    sa.Column("until", sa.BigInteger),
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


def received_of(row: sa.Row[Any]) -> Event:
    """Return a row of `inbox` as the envelope that came."""
    return Event(
        specversion=SPEC_VERSION,
        id=row.id,
        source=row.source,
        type=row.type,
        subject=row.subject,
        time=row.time,
        datacontenttype="application/json",
        subjectversion=row.subject_version,
        data=msgspec.json.decode(row.payload),
    )


def standing_of(row: sa.Row[Any]) -> Standing:
    """Return a row of `log_position`."""
    until = None if row.until_txid is None else Position(row.until_txid, row.until_seq)
    return Standing(
        kind=row.kind,
        name=row.name,
        position=Position(row.txid, row.seq),
        until=until,
        at=row.at,
        failures=row.failures,
        due_at=row.due_at,
        error=row.error,
    )
