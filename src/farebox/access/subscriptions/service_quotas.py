"""Quotas of subscriptions: recurring grants on buckets of their own, and what is left of them."""

from collections.abc import Sequence

import sqlalchemy as sa

from farebox.access.buckets.model import BucketSource
from farebox.access.subscriptions import rules, store
from farebox.access.subscriptions.model import QuotaStanding, QuotaTerms
from farebox.access.subscriptions.rules import is_running, opens, period_of
from farebox.access.subscriptions.service import subscriptions_of
from farebox.access.subscriptions.service_ledger import standing_of
from farebox.kernel.periods import Period
from farebox.ledger import reading
from farebox.ledger.model import FOREVER
from farebox.ledger.service import Ledger
from farebox.storage import Tx

_ledger = Ledger()


def quotas_of(
    tx: Tx, holders: Sequence[str], product: str | None = None
) -> tuple[QuotaStanding, ...]:
    """Return how the quotas stand that give access now, in the order in which they are drawn."""
    return tuple(_standing(tx, terms) for terms in open_quotas(tx, holders, product))


def open_quotas(
    tx: Tx, holders: Sequence[str], product: str | None = None
) -> tuple[QuotaTerms, ...]:
    """Return the quotas that may be drawn now: the subscription opens access, they have begun."""
    statement = sa.select(store.quota).where(store.quota.c.holder.in_(holders))
    if product is not None:
        statement = statement.where(store.quota.c.product == product)
    rows = tx.run(statement.order_by(store.quota.c.bucket)).all()
    if not rows:
        return ()
    giving = {one.id for one in subscriptions_of(tx, holders) if opens(one.state)}
    found = [store.quota_of(row) for row in rows]
    running = [one for one in found if one.subscription in giving and is_running(one, tx.now_us)]
    return tuple(sorted(running, key=lambda one: holders.index(one.holder)))


def present_period(quota: QuotaTerms, now: int) -> Period:
    """Return the period of a quota that an instant lies in."""
    return period_of(quota, now)


def period_end(tx: Tx, quota: QuotaTerms) -> int:
    """Return when the present period of a quota ends; `FOREVER` for one for life."""
    return period_of(quota, tx.now_us).end_us


def open_sources(
    tx: Tx, sources: Sequence[BucketSource], holders: Sequence[str]
) -> tuple[BucketSource, ...]:
    """Leave out the buckets of subscriptions that give no access now, and of quotas not begun.

    What was opened by itself, or came by an entitlement, stays: that ends in the ledger itself.
    """
    if all(source.origin is None for source in sources):
        return tuple(sources)
    here = store.quota.c.holder.in_(holders)
    rows = tx.run(sa.select(store.quota.c.bucket, store.quota.c.overage_bucket).where(here))
    bound = {number for row in rows for number in row}
    quotas = open_quotas(tx, holders)
    usable = {one.bucket for one in quotas} | {one.overage_bucket for one in quotas}
    return tuple(each for each in sources if each.bucket not in bound or each.bucket in usable)


def changes_at(tx: Tx, holders: Sequence[str]) -> int | None:
    """Return when a quota of the holders next begins or ends by itself; None is never."""
    here = sa.and_(store.quota.c.holder.in_(holders), store.quota.c.closed == 0)
    rows = tx.run(sa.select(store.quota).where(here))
    return rules.changes_at([store.quota_of(row) for row in rows], tx.now_us)


def _standing(tx: Tx, terms: QuotaTerms) -> QuotaStanding:
    period = period_of(terms, tx.now_us)
    had, remaining, _ = standing_of(tx, terms.bucket)
    limit = terms.quota_limit if had is None else had
    return QuotaStanding(
        subscription=terms.subscription,
        holder=terms.holder,
        product=terms.product,
        bucket=terms.bucket,
        overage_bucket=terms.overage_bucket,
        limit=limit,
        used=limit - remaining,
        remaining=remaining,
        overage=_overage(tx, terms, max(period.start_us, terms.starts_at)),
        period_from=period.start_us,
        resets_at=None if period.end_us >= FOREVER else period.end_us,
        hard=terms.hard,
    )


def _overage(tx: Tx, terms: QuotaTerms, since: int) -> int:
    """Return what was used above the quota since an instant."""
    if terms.overage_bucket is None:
        return 0
    before = reading.as_of(_ledger, tx, terms.overage_bucket, since - 1)
    return before - reading.bucket_view(_ledger, tx, terms.overage_bucket).available
