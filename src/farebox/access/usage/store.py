"""The tables of usage, and how rows become values."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from farebox.access.usage.model import (
    Aggregation,
    LowMark,
    PeriodRow,
    Position,
    Standing,
    UsageRecord,
)
from farebox.storage import Tx, table

metadata = sa.MetaData()
_table = partial(table, metadata)
_INT, _TEXT, _BYTES = sa.BigInteger, sa.Text, sa.LargeBinary
record = _table(
    "usage_record", seq=_INT, txid=_INT, id=_INT, source=_TEXT, event=_TEXT, fingerprint=_BYTES,
    kind=_TEXT, consumer=_TEXT, product=_TEXT, consumer_group=_TEXT, quantity=_INT, drawn=_INT,
    overage=_INT, counted=_INT, at=_INT, recorded_at=_INT, period=_INT, late=_INT, operation=_INT,
    corrects=_INT, remains=_INT, reporter=_TEXT, quota=_TEXT, metadata=_TEXT,
)  # fmt: skip
rollup = _table(
    "usage_rollup", consumer=_TEXT, product=_TEXT, consumer_group=_TEXT, slot=_INT, period=_INT,
    late=_INT, uses=_INT, quantity=_INT, maximum=_INT,
)  # fmt: skip
position = _table(
    "usage_position", id=_INT, journal=_INT, records=_INT, marked_journal=_INT,
    marked_records=_INT, marked_at=_INT, settled_until=_INT,
)  # fmt: skip
period = _table(
    "usage_period", consumer=_TEXT, starts_at=_INT, due_at=_INT, ends_at=_INT, closed_at=_INT,
    event=_TEXT,
)  # fmt: skip
aggregation = _table(
    "usage_aggregation", product=_TEXT, name=_TEXT, kind=_TEXT, dimension=_TEXT, split_by=_TEXT,
    created_at=_INT,
)  # fmt: skip
value = _table(
    "usage_value", consumer=_TEXT, period=_INT, product=_TEXT, name=_TEXT, part=_TEXT, value=_TEXT,
    amount=_INT, uses=_INT, quantity=_INT,
)  # fmt: skip
overage = _table("usage_overage", consumer=_TEXT, product=_TEXT, bucket=_INT)
notice = _table("quota_notice", bucket=_INT, period_from=_INT, percent=_INT, at=_INT)
low_mark = _table("bucket_low_mark", bucket=_INT, level=_INT, told=_INT)

RECORD: Final = tuple(column.name for column in record.c if column.name not in {"seq", "txid"})
_encode = msgspec.json.Encoder().encode
_standing = msgspec.json.Decoder(Standing).decode


def record_of(row: sa.Row[Any]) -> UsageRecord:
    """Return a row of `usage_record`."""
    return UsageRecord(
        seq=row.seq,
        id=row.id,
        source=row.source,
        event=row.event,
        fingerprint=bytes(row.fingerprint),
        kind=row.kind,
        consumer=row.consumer,
        product=row.product,
        group=row.consumer_group or None,
        quantity=row.quantity,
        drawn=row.drawn,
        overage=row.overage,
        counted=row.counted,
        at=row.at,
        recorded_at=row.recorded_at,
        period=row.period,
        late=bool(row.late),
        operation=row.operation,
        corrects=row.corrects,
        remains=row.remains,
        reporter=row.reporter,
        quota=None if row.quota is None else _standing(row.quota),
        metadata=row.metadata,
    )


def row_of(one: UsageRecord) -> tuple[Any, ...]:
    """Return a record as a row in the order of `RECORD`."""
    return (
        one.id, one.source, one.event, one.fingerprint, one.kind, one.consumer, one.product,
        one.group or "", one.quantity, one.drawn, one.overage, one.counted, one.at,
        one.recorded_at, one.period, int(one.late), one.operation, one.corrects, one.remains,
        one.reporter, None if one.quota is None else _encode(one.quota).decode(), one.metadata,
    )  # fmt: skip


def position_of(row: sa.Row[Any]) -> Position:
    """Return the row of `usage_position`."""
    return Position(
        journal=row.journal,
        records=row.records,
        marked_journal=row.marked_journal,
        marked_records=row.marked_records,
        marked_at=row.marked_at,
        settled_until=row.settled_until,
    )


def period_of(row: sa.Row[Any]) -> PeriodRow:
    """Return a row of `usage_period`."""
    return PeriodRow(
        consumer=row.consumer,
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        closed_at=row.closed_at,
        event=row.event,
    )


def aggregation_of(row: sa.Row[Any]) -> Aggregation:
    """Return a row of `usage_aggregation`."""
    return Aggregation(
        product=row.product,
        name=row.name,
        kind=row.kind,
        dimension=row.dimension,
        split_by=row.split_by,
        created_at=row.created_at,
    )


def low_mark_of(row: sa.Row[Any]) -> LowMark:
    """Return a row of `bucket_low_mark`."""
    return LowMark(bucket=row.bucket, level=row.level, told=bool(row.told))


def low_marks_of(tx: Tx, buckets: Sequence[int]) -> list[LowMark]:
    """Return the low marks of any number of buckets."""
    statement = "SELECT bucket, level, told FROM bucket_low_mark WHERE bucket IN :keys"
    rows: list[Any] = tx.select_in(statement, ("bucket", "level", "told"), buckets)
    return [LowMark(bucket=bucket, level=level, told=bool(told)) for bucket, level, told in rows]
