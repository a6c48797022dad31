"""The tables of subscriptions and their quotas. What is left of a quota is the ledger's."""

from functools import partial
from typing import Any

import msgspec
import sqlalchemy as sa

from farebox.access.subscriptions.model import QuotaTerms, Subscription
from farebox.storage import table

metadata = sa.MetaData()
_table = partial(table, metadata)
_INT, _TEXT = sa.BigInteger, sa.Text
subscription = _table(
    "subscription", id=_TEXT, holder_kind=_TEXT, holder=_TEXT, plan=_TEXT, plan_version=_INT,
    state=_TEXT, created_at=_INT, started_at=_INT, period_unit=_TEXT, period_count=_INT,
    anchor_at=_INT, trial_ends_at=_INT, grace_ends_at=_INT, cancel_at=_INT, pending_plan=_TEXT,
    pending_version=_INT, pending_at=_INT, paused_at=_INT, shut_at=_INT, ended_at=_INT,
    requested=_TEXT, version=_INT, heard_at=_INT, due_at=_INT,
)  # fmt: skip
quota = _table(
    "subscription_quota", bucket=_INT, overage_bucket=_INT, subscription=_TEXT, holder=_TEXT,
    product=_TEXT, quota_limit=_INT, unit=_TEXT, unit_count=_INT, anchor_at=_INT, zone=_TEXT,
    hard=_INT, starts_at=_INT, ends_at=_INT, closed=_INT,
)  # fmt: skip


def subscription_of(row: sa.Row[Any]) -> Subscription:
    """Return a row of `subscription`."""
    found = row._asdict()
    del found["due_at"]
    return Subscription(**found)


def row_of(one: Subscription, *, due_at: int | None) -> dict[str, Any]:
    """Return a subscription as a row, with when it next changes by itself."""
    return {**msgspec.structs.asdict(one), "due_at": due_at}


def quota_of(row: sa.Row[Any]) -> QuotaTerms:
    """Return a row of `subscription_quota`."""
    found = row._asdict()
    return QuotaTerms(**{**found, "hard": bool(found["hard"]), "closed": bool(found["closed"])})


def quota_row_of(one: QuotaTerms) -> dict[str, Any]:
    """Return a quota as a row."""
    return {**msgspec.structs.asdict(one), "hard": int(one.hard), "closed": int(one.closed)}
