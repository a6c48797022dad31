"""Limits of entitlements in the ledger: a bucket each, granted once or anew each period.

The limit of a right to a product is drawn by whoever uses the product; that of a feature or an
item counts in an asset of its own, `right:<key>`. An entitlement that has expired keeps its
bucket as it is, because a later end brings it back; nobody draws on it meanwhile.
"""

import msgspec

from farebox.access.buckets.service import create_bucket
from farebox.access.entitlements.model import Consumption, Entitlement
from farebox.access.subscriptions.service_ledger import close_bucket, standing_of, void_used
from farebox.kernel.amounts import MAX_AMOUNT
from farebox.ledger.model import Grant
from farebox.ledger.service import Ledger, request
from farebox.platform.model import Actor
from farebox.storage import Tx

_ledger = Ledger()
PRIORITY = -1
"""What is included is drawn before what was bought."""


def open_limit(tx: Tx, actor: Actor, one: Entitlement) -> int | None:
    """Make the bucket of an entitlement's limit and return it.

    A right to a product without a limit gets one that never runs out, so that what is used of it
    is counted; another right without a limit needs none.
    """
    if one.limit is None and one.kind != "product":
        return None
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
            credit_limit=MAX_AMOUNT if one.limit is None else 0,
            overage=one.limit is None,
        ).id
    else:
        bucket = _ledger.open_bucket(tx, _ledger.open_asset(tx, f"right:{one.key}"))
    _fill(tx, bucket, one)
    return bucket


def reset_limit(tx: Tx, actor: Actor, old: Entitlement, new: Entitlement) -> Entitlement:
    """Let an entitlement's bucket follow a new limit; what was used counts against it.

    A bucket with a limit and one without are two: the one of before stays for its history.
    """
    if new.limit is None:
        new = msgspec.structs.replace(new, period=None)
    if old.bucket is None or old.limit is None:
        return msgspec.structs.replace(new, bucket=open_limit(tx, actor, new))
    used = consumption_of(tx, old)
    close_limit(tx, old)
    if new.limit is None:
        return msgspec.structs.replace(new, bucket=open_limit(tx, actor, new))
    _fill(tx, old.bucket, new)
    if used is not None:
        void_used(tx, old.bucket, used.used)
    return new


def close_limit(tx: Tx, one: Entitlement) -> None:
    """Let nothing more be drawn under an entitlement's limit."""
    if one.bucket is not None and one.limit is not None:
        close_bucket(tx, one.bucket)


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


def _fill(tx: Tx, bucket: int, one: Entitlement) -> None:
    if not one.limit:
        return
    if one.period is None:
        starts = one.starts_at if one.starts_at > tx.now_us else 0
        grant = Grant(bucket=bucket, amount=one.limit, starts_at=starts)
        _ledger.apply(tx, [request(grant)])
        return
    _ledger.add_schedule(
        tx,
        bucket,
        one.limit,
        unit=one.period,
        anchor_at=one.starts_at,
        begins_at=max(one.starts_at, tx.now_us),
    )
