"""What a plan brings: a right to each of its features and to the product of each quota.

They hold while the subscription gives access, so a failed payment or its return changes none of
them. A change of plan that is planned for later lies ready in their times.
"""

from collections.abc import Sequence

import msgspec

from farebox.access.catalog.model import FeatureValue, Plan
from farebox.access.entitlements.model import Entitlement, Kind
from farebox.access.entitlements.service import (
    end_entitlement,
    entitlements_from,
    grant_entitlement,
    write_entitlement,
)
from farebox.access.subscriptions.model import QuotaTerms, Subscription
from farebox.kernel.periods import Unit
from farebox.platform.model import Actor
from farebox.storage import Tx


class Right(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan's line brings."""

    key: str
    kind: Kind
    value: FeatureValue | None = None
    limit: int | None = None
    period: Unit | None = None
    bucket: int | None = None


def rights_of(plan: Plan, quotas: Sequence[QuotaTerms]) -> tuple[Right, ...]:
    """Return what a plan brings; a feature that is switched off is no right."""
    features = [
        Right(key=each.feature, kind="feature", value=each.value)
        for each in plan.features
        if each.value is not False
    ]
    products = [
        Right(
            key=each.product,
            kind="product",
            limit=each.quota_limit,
            period=each.unit,
            bucket=each.bucket,
        )
        for each in quotas
    ]
    return (*features, *products)


def begin_rights(
    tx: Tx, actor: Actor, one: Subscription, plan: Plan, quotas: Sequence[QuotaTerms], *, at: int
) -> None:
    """Let a plan's rights begin at an instant, now or later; what was there before ends then.

    A right that stays as it is goes on untouched.
    """
    there = {(each.kind, each.key): each for each in _live(tx, one.id)}
    for right in rights_of(plan, quotas):
        old = there.pop((right.kind, right.key), None)
        if old is not None and _same(old, right) and old.expires_at is None:
            continue
        if old is not None and at <= tx.now_us:
            write_entitlement(tx, actor, old, _with(old, right), "plan")
            continue
        if old is not None:
            _end(tx, actor, old, at=at)
        grant_entitlement(
            tx,
            actor,
            holder_kind=one.holder_kind,
            holder=one.holder,
            key=right.key,
            kind=right.kind,
            source_kind="plan",
            source=one.id,
            value=right.value,
            limit=right.limit,
            period=right.period,
            bucket=right.bucket,
            starts_at=max(at, tx.now_us),
        )
    for old in there.values():
        _end(tx, actor, old, at=at)


def withdraw_rights(tx: Tx, actor: Actor, subscription: str, *, planned_at: int) -> None:
    """Take back rights that would have begun with a planned change; the old ones stay."""
    for each in _live(tx, subscription):
        if each.starts_at == planned_at:
            end_entitlement(tx, actor, each, "plan")
        elif each.expires_at == planned_at:
            write_entitlement(tx, actor, each, msgspec.structs.replace(each, expires_at=None))


def end_rights(tx: Tx, actor: Actor, subscription: str, reason: str) -> None:
    """End everything that a subscription brought, now."""
    for each in _live(tx, subscription):
        end_entitlement(tx, actor, each, reason)


def _live(tx: Tx, subscription: str) -> tuple[Entitlement, ...]:
    now = tx.now_us
    return tuple(
        each
        for each in entitlements_from(tx, "plan", subscription)
        if each.revoked_at is None and (each.expires_at is None or each.expires_at > now)
    )


def _same(old: Entitlement, right: Right) -> bool:
    return _with(old, right) == old


def _with(old: Entitlement, right: Right) -> Entitlement:
    return msgspec.structs.replace(
        old,
        value=right.value,
        limit=right.limit,
        period=right.period,
        bucket=right.bucket,
        expires_at=None,
    )


def _end(tx: Tx, actor: Actor, old: Entitlement, *, at: int) -> None:
    if at <= tx.now_us:
        end_entitlement(tx, actor, old, "plan")
    elif old.starts_at < at:
        write_entitlement(tx, actor, old, msgspec.structs.replace(old, expires_at=at), "plan")
