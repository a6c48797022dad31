"""What may be drawn at this instant, and until when that answer stands."""

from collections.abc import Sequence

import sqlalchemy as sa

from farebox.access.buckets.model import BucketSource
from farebox.access.entitlements import store
from farebox.access.entitlements.rules import state_at
from farebox.access.entitlements.service import list_entitlements
from farebox.access.subscriptions import service_quotas
from farebox.access.subscriptions.service import changes_at as subscriptions_change_at
from farebox.access.subscriptions.service import subscriptions_of
from farebox.storage import Tx


def open_sources(
    tx: Tx, sources: Sequence[BucketSource], holders: Sequence[str]
) -> tuple[BucketSource, ...]:
    """Leave out buckets that their subscription, quota or entitlement does not open now.

    `holders` are the consumer and the groups whose buckets these are. What was opened by itself
    stays. How long the answer stands says `changes_at`.
    """
    found = service_quotas.open_sources(tx, sources, holders)
    origins = {each.origin for each in found if each.origin is not None}
    table = store.entitlement
    rows = tx.run(sa.select(table).where(table.c.id.in_(sorted(origins)))) if origins else ()
    shut = set()
    for row in rows:
        one = store.entitlement_of(row)
        if state_at(one, tx.now_us, opened=True) != "active":
            shut.add(one.id)
    return tuple(each for each in found if each.origin not in shut)


def changes_at(tx: Tx, holders: Sequence[str]) -> int | None:
    """Return when what holders may do next changes without anybody writing; None is never.

    That is the end of a trial, a grace, a subscription or an entitlement, the beginning of a
    planned change or a later entitlement. A quota's new period is the ledger's and is not among
    them.
    """
    now = tx.now_us
    times = [subscriptions_change_at(subscriptions_of(tx, holders))]
    times.append(service_quotas.changes_at(tx, holders))
    table = store.entitlement
    live = sa.and_(table.c.holder.in_(holders), table.c.revoked_at.is_(None))
    for column in (table.c.starts_at, table.c.expires_at):
        next_time = sa.select(sa.func.min(column)).where(live, column > now)
        times.append(tx.run(next_time).scalar_one())
    return min((time for time in times if time is not None), default=None)


def entitled(tx: Tx, holders: Sequence[str], key: str, *, role: str | None = None) -> bool:
    """Tell whether one of the holders has a right to something now."""
    return bool(list_entitlements(tx, holders, key=key, role=role))
