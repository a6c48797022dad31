"""The tables of buckets, caps and service plans. Balances are the ledger's."""

from functools import partial
from typing import Any

import msgspec
import sqlalchemy as sa

from farebox.access.buckets.model import Bucket, ServicePlan
from farebox.storage import table

metadata = sa.MetaData()
_table = partial(table, metadata)
_INT, _TEXT = sa.BigInteger, sa.Text
bucket = _table(
    "bucket_record", id=_INT, product=_TEXT, holder_kind=_TEXT, holder=_TEXT, priority=_INT,
    label=_TEXT, created_at=_INT, origin=_TEXT, overage=_INT,
)  # fmt: skip
cap = _table("member_cap", bucket=_INT, consumer=_TEXT, cap_bucket=_INT, amount=_INT, given=_INT)
plan = _table(
    "service_plan", id=_TEXT, product=_TEXT, consumer_group=_TEXT, bucket=_INT, bucket_limit=_INT,
    created_at=_INT,
)  # fmt: skip


def bucket_of(row: sa.Row[Any]) -> Bucket:
    """Return a row of `bucket_record`."""
    return Bucket(
        id=row.id,
        product=row.product,
        holder_kind=row.holder_kind,
        holder=row.holder,
        priority=row.priority,
        label=row.label,
        created_at=row.created_at,
        origin=row.origin,
        overage=bool(row.overage),
    )


def row_of(one: Bucket) -> dict[str, Any]:
    """Return a bucket's record as a row."""
    return {**msgspec.structs.asdict(one), "overage": int(one.overage)}


def plan_of(row: sa.Row[Any]) -> ServicePlan:
    """Return a row of `service_plan`."""
    return ServicePlan(
        id=row.id,
        product=row.product,
        group=row.consumer_group,
        bucket=row.bucket,
        bucket_limit=row.bucket_limit,
        created_at=row.created_at,
    )
