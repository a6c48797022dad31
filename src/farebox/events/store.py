"""The tables of events, and how rows become envelopes."""

from functools import partial
from typing import Any

import msgspec
import sqlalchemy as sa

from farebox.events.model import SPEC_VERSION, Event, Position, Standing
from farebox.kernel.clock import show_time
from farebox.storage import table

metadata = sa.MetaData()
_table = partial(table, metadata)
outbox = _table(
    "outbox",
    seq=sa.BigInteger,
    txid=sa.BigInteger,
    id=sa.Text,
    source=sa.Text,
    type=sa.Text,
    subject=sa.Text,
    subject_version=sa.BigInteger,
    at=sa.BigInteger,
    payload=sa.Text,
)
subject_version = _table(
    "subject_version",
    subject=sa.Text,
    version=sa.BigInteger,
)
inbox = _table(
    "inbox",
    seq=sa.BigInteger,
    source=sa.Text,
    id=sa.Text,
    type=sa.Text,
    subject=sa.Text,
    subject_version=sa.BigInteger,
    time=sa.Text,
    payload=sa.Text,
    received_at=sa.BigInteger,
    state=sa.Text,
    copies_only=sa.BigInteger,
    tries=sa.BigInteger,
    due_at=sa.BigInteger,
    ended_at=sa.BigInteger,
    error=sa.Text,
)
inbox_subject = _table(
    "inbox_subject",
    source=sa.Text,
    subject=sa.Text,
    version=sa.BigInteger,
    seen=sa.BigInteger,
    due_at=sa.BigInteger,
    dead=sa.BigInteger,
    head=sa.BigInteger,
)
copy_version = _table(
    "copy_version",
    copy=sa.Text,
    source=sa.Text,
    subject=sa.Text,
    version=sa.BigInteger,
)
log_position = _table(
    "log_position",
    kind=sa.Text,
    name=sa.Text,
    txid=sa.BigInteger,
    seq=sa.BigInteger,
    until_txid=sa.BigInteger,
    until_seq=sa.BigInteger,
    at=sa.BigInteger,
    failures=sa.BigInteger,
    due_at=sa.BigInteger,
    error=sa.Text,
)
lease = _table(
    "lease",
    name=sa.Text,
    holder=sa.Text,
    until=sa.BigInteger,
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
