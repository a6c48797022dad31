"""Quotas of subscriptions: recurring grants on buckets of their own, and what is left of them."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from farebox.access.subscriptions import rules, store
from farebox.access.subscriptions.model import QuotaStanding, QuotaTerms, Subscription
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
    found = all_quotas(tx, holders, product)
    return running(tx, found, subscriptions_of(tx, holders), holders) if found else ()


def all_quotas(
    tx: Tx, holders: Sequence[str], product: str | None = None
) -> tuple[QuotaTerms, ...]:
    """Return the quotas that holders have, had and will have, oldest first."""
    statement = sa.select(store.quota).where(store.quota.c.holder.in_(holders))
    if product is not None:
        statement = statement.where(store.quota.c.product == product)
    return tuple(store.quota_of(row) for row in tx.run(statement.order_by(store.quota.c.bucket)))


def limits_of(tx: Tx, buckets: Iterable[int]) -> dict[int, int]:
    """Return the limits of the quotas among any number of buckets."""
    statement = "SELECT bucket, quota_limit FROM subscription_quota WHERE bucket IN :keys"
    rows: list[Any] = tx.select_in(statement, ("bucket", "quota_limit"), sorted(buckets))
    return dict(rows)


def running(
    tx: Tx,
    quotas: Sequence[QuotaTerms],
    subscriptions: Sequence[Subscription],
    holders: Sequence[str],
) -> tuple[QuotaTerms, ...]:
    """Return which of the holders' quotas may be drawn now, in the order of the holders."""
    giving = {one.id for one in subscriptions if opens(one.state)}
    found = [one for one in quotas if one.subscription in giving and is_running(one, tx.now_us)]
    place = {holder: number for number, holder in enumerate(holders)}
    return tuple(sorted(found, key=lambda one: place[one.holder]))


def present_period(quota: QuotaTerms, now: int) -> Period:
    """Return the period of a quota that an instant lies in."""
    return period_of(quota, now)


def change_at(tx: Tx, quotas: Sequence[QuotaTerms]) -> int | None:
    """Return when one of the quotas next begins or ends by itself; None is never."""
    return rules.changes_at([one for one in quotas if not one.closed], tx.now_us)


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
