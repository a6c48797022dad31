"""Limits of entitlements in the ledger: a bucket each, granted once or anew each period.

The limit of a right to a product is drawn by whoever uses the product; that of a feature or an
item counts in an asset of its own, `right:<key>`.
"""

import msgspec
import sqlalchemy as sa

from farebox.access.buckets.service import create_bucket
from farebox.access.entitlements import store
from farebox.access.entitlements.model import Consumption, Entitlement
from farebox.access.subscriptions.service_ledger import close_bucket, standing_of, void_used
from farebox.kernel.periods import period_at
from farebox.ledger.model import FOREVER, Grant
from farebox.ledger.service import Ledger, request
from farebox.platform.model import Actor
from farebox.storage import Tx

_ledger = Ledger()
PRIORITY = -1
"""What is included is drawn before what was bought."""


def open_limit(tx: Tx, actor: Actor, one: Entitlement) -> int:
    """Make the bucket of an entitlement's limit and return it."""
    if one.kind == "product":
        bucket = create_bucket(
            tx,
            actor,
            product=one.key,
            holder_kind=one.holder_kind,
            holder=one.holder,
            priority=PRIORITY,
            label="entitlement",
            origin=one.id,
        ).id
    else:
        bucket = _ledger.open_bucket(tx, _ledger.open_asset(tx, f"right:{one.key}"))
    _fill(tx, bucket, one)
    return bucket


def reset_limit(tx: Tx, actor: Actor, old: Entitlement, new: Entitlement) -> Entitlement:
    """Let an entitlement's bucket follow a new limit; what was used counts against it.

    None is no limit any more: the bucket is closed and stays for its history.
    """
    if old.bucket is None:
        return msgspec.structs.replace(new, bucket=open_limit(tx, actor, new))
    used = consumption_of(tx, old)
    close_limit(tx, old.bucket)
    if new.limit is None:
        return msgspec.structs.replace(new, bucket=None, period=None)
    _fill(tx, old.bucket, new)
    if used is not None:
        void_used(tx, old.bucket, used.used)
    return msgspec.structs.replace(new, closed=False)


def close_limit(tx: Tx, bucket: int) -> None:
    """Let nothing more be drawn under a limit."""
    close_bucket(tx, bucket)


def consumption_of(tx: Tx, one: Entitlement) -> Consumption | None:
    """Return what is used of an entitlement's limit; None where it has none."""
    if one.bucket is None or one.limit is None:
        return None
    had, remaining, ends_at = standing_of(tx, one.bucket)
    limit = had if had is not None else one.limit
    return Consumption(
        limit=limit,
        used=limit - remaining,
        remaining=remaining,
        resets_at=ends_at if one.period not in (None, "lifetime") else None,
    )


def close_expired(tx: Tx, limit: int = 100) -> int:
    """Write off what is left under limits whose entitlement has ended; returns how many."""
    table = store.entitlement
    open_ended = sa.and_(table.c.closed == 0, table.c.bucket.is_not(None))
    due = sa.and_(open_ended, table.c.source_kind != "plan", table.c.expires_at <= tx.now_us)
    statement = sa.select(table).where(due).order_by(table.c.expires_at)
    rows = tx.run(statement.limit(limit).with_for_update()).all()
    for row in rows:
        close_limit(tx, row.bucket)
        tx.run(table.update().where(table.c.id == row.id).values(closed=1))
    return len(rows)


def _fill(tx: Tx, bucket: int, one: Entitlement) -> None:
    if not one.limit:
        return
    if one.period is None:
        starts = one.starts_at if one.starts_at > tx.now_us else 0
        grant = Grant(bucket=bucket, amount=one.limit, starts_at=starts)
        _ledger.apply(tx, [request(grant)])
        return
    anchor = one.starts_at
    if (period := period_at(one.period, 1, anchor, "UTC", tx.now_us)) is not None:
        # Periods that are over need not be granted again.
        anchor = anchor if period.index == 0 else period.start_us
    _ledger.add_schedule(tx, bucket, one.limit, unit=one.period, anchor_at=anchor)


assert FOREVER > 0
