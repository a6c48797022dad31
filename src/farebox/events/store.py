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
_INT, _TEXT = sa.BigInteger, sa.Text
outbox = _table(
    "outbox", seq=_INT, txid=_INT, id=_TEXT, source=_TEXT, type=_TEXT, subject=_TEXT,
    subject_version=_INT, at=_INT, payload=_TEXT,
)  # fmt: skip
subject_version = _table("subject_version", subject=_TEXT, version=_INT)
inbox = _table(
    "inbox", seq=_INT, source=_TEXT, id=_TEXT, type=_TEXT, subject=_TEXT, subject_version=_INT,
    time=_TEXT, payload=_TEXT, received_at=_INT, state=_TEXT, copies_only=_INT, tries=_INT,
    due_at=_INT, ended_at=_INT, error=_TEXT,
)  # fmt: skip
inbox_subject = _table(
    "inbox_subject", source=_TEXT, subject=_TEXT, version=_INT, seen=_INT, due_at=_INT, dead=_INT,
    head=_INT,
)  # fmt: skip
copy_version = _table("copy_version", copy=_TEXT, source=_TEXT, subject=_TEXT, version=_INT)
log_position = _table(
    "log_position", kind=_TEXT, name=_TEXT, txid=_INT, seq=_INT, until_txid=_INT, until_seq=_INT,
    at=_INT, failures=_INT, due_at=_INT, error=_TEXT,
)  # fmt: skip
lease = _table("lease", name=_TEXT, holder=_TEXT, until=_INT)


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
