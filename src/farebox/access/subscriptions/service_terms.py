"""The quotas that a subscription has: begun with it, replaced with its plan, ended.

Plan change, pause and resumption follow one rule. The old quota ends and what is left of it is
written off; the new one begins in the period that the same anchor gives; and **what was used of
the old one in that period counts against the new limit**, so that changing a plan to and fro
brings nothing. A change that is planned for later writes nothing off: its quotas lie ready, begin
at their instant without anybody, and the old ones cannot be drawn from then on.

Worked example: of 100 films a month 30 are used by the 20th, then the plan changes to 50 a month.
On the 20th 20 films are left, from the 1st on 50.
"""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from farebox.access.buckets.service import create_bucket
from farebox.access.catalog.model import Plan, Quota
from farebox.access.subscriptions import store
from farebox.access.subscriptions.model import QuotaTerms, Subscription
from farebox.access.subscriptions.rules import anchor_of, period_of
from farebox.access.subscriptions.service_ledger import close_bucket, standing_of, void_used
from farebox.kernel.amounts import MAX_AMOUNT
from farebox.ledger import reading
from farebox.ledger.service import Ledger
from farebox.platform.model import Actor
from farebox.storage import Tx

_ledger = Ledger()
PRIORITY = -1
"""A quota is drawn before what was bought, where no operator ordered it otherwise."""


def quotas_from(tx: Tx, subscription: str) -> tuple[QuotaTerms, ...]:
    """Return every quota that a subscription has in the ledger, also those that begin later."""
    here = sa.and_(store.quota.c.subscription == subscription, store.quota.c.closed == 0)
    rows = tx.run(sa.select(store.quota).where(here).order_by(store.quota.c.bucket))
    return tuple(store.quota_of(row) for row in rows)


def begin_quotas(
    tx: Tx, actor: Actor, one: Subscription, plan: Plan, *, at: int
) -> tuple[QuotaTerms, ...]:
    """Begin the quotas of a plan at an instant, now or later, and return them.

    Those that the subscription had end at the same instant; if that is now, what was used of them
    counts against the new ones.
    """
    now = tx.now_us
    old = quotas_from(tx, one.id)
    made = []
    for quota in plan.quotas:
        terms = _opened(tx, actor, one, quota, at=max(at, now))
        used = 0
        if at <= now:
            same = [each for each in old if each.product == quota.product]
            used = sum(_used(tx, each, since=period_of(terms, now).start_us) for each in same)
        tx.run(store.quota.insert(), store.quota_row_of(terms))
        void_used(tx, terms.bucket, used)
        made.append(terms)
    end_quotas(tx, old, at=at)
    return tuple(made)


def end_quotas(tx: Tx, quotas: Sequence[QuotaTerms], *, at: int) -> None:
    """Let quotas end at an instant; if that is not later than now, in the ledger as well."""
    for each in quotas:
        ended = each.ends_at is not None and each.ends_at <= at
        ends_at = each.ends_at if ended else max(at, each.starts_at)
        _write(tx, msgspec.structs.replace(each, ends_at=ends_at, closed=at <= tx.now_us))
        if at <= tx.now_us:
            close_bucket(tx, each.bucket)


def pause_quotas(tx: Tx, subscription: str) -> None:
    """Let nothing recur any more: the present period of each quota is its last."""
    now = tx.now_us
    for each in quotas_from(tx, subscription):
        _ledger.end_schedules(tx, each.bucket)
        last = period_of(each, now).end_us
        _write(tx, msgspec.structs.replace(each, ends_at=min(last, each.ends_at or last)))


def withdraw_quotas(tx: Tx, subscription: str, *, planned_at: int) -> None:
    """Take back quotas that would have begun with a planned change; the old ones stay."""
    for each in quotas_from(tx, subscription):
        if each.starts_at == planned_at:
            close_bucket(tx, each.bucket)
            _write(tx, msgspec.structs.replace(each, ends_at=each.starts_at, closed=True))
        elif each.ends_at == planned_at:
            _write(tx, msgspec.structs.replace(each, ends_at=None))


def close_ended(tx: Tx, subscription: str) -> None:
    """Write into the ledger which quotas have ended by now."""
    ended = [
        each
        for each in quotas_from(tx, subscription)
        if each.ends_at is not None and each.ends_at <= tx.now_us
    ]
    end_quotas(tx, ended, at=tx.now_us)


def _opened(tx: Tx, actor: Actor, one: Subscription, quota: Quota, *, at: int) -> QuotaTerms:
    """Open the buckets of a quota that begins at an instant, and let it recur."""
    named = {
        "product": quota.product,
        "holder_kind": one.holder_kind,
        "holder": one.holder,
        "priority": PRIORITY,
        "origin": one.id,
    }
    bucket = create_bucket(tx, actor, label="quota", **named).id  # type: ignore[arg-type]
    above = None
    if quota.overage:
        above = create_bucket(
            tx, actor, label="overage", credit_limit=MAX_AMOUNT, overage=True,
            **named,  # type: ignore[arg-type]
        ).id  # fmt: skip
    anchor = anchor_of(quota, since=one.anchor_at, at=at)
    if quota.limit:
        _ledger.add_schedule(
            tx,
            bucket,
            quota.limit,
            unit=quota.unit,
            unit_count=quota.count,
            anchor_at=anchor,
            zone=quota.zone,
            rollover=quota.limit if quota.rollover else 0,
            begins_at=at,
        )
    return QuotaTerms(
        bucket=bucket,
        overage_bucket=above,
        subscription=one.id,
        holder=one.holder,
        product=quota.product,
        quota_limit=quota.limit,
        unit=quota.unit,
        unit_count=quota.count,
        anchor_at=anchor,
        zone=quota.zone,
        hard=quota.hard,
        starts_at=at,
    )


def _used(tx: Tx, old: QuotaTerms, *, since: int) -> int:
    """Return what was used of a quota's present period since an instant, holds included."""
    if old.starts_at > tx.now_us or (old.ends_at is not None and old.ends_at <= tx.now_us):
        return 0
    had, remaining, _ = standing_of(tx, old.bucket)
    if had is None:
        return 0
    began = max(period_of(old, tx.now_us).start_us, old.starts_at)
    if since > began:
        had = reading.as_of(_ledger, tx, old.bucket, since)
    return max(had - remaining, 0)


def _write(tx: Tx, terms: QuotaTerms) -> None:
    here = store.quota.c.bucket == terms.bucket
    tx.run(store.quota.update().where(here).values(store.quota_row_of(terms)))
