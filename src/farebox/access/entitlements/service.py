"""Entitlements granted, changed, revoked, listed.

Every change advances the holder's revision, is in the audit log and leaves as
`entitlement.created`, `entitlement.updated` or `entitlement.revoked`.
"""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from farebox.access.buckets.model import HolderKind
from farebox.access.catalog.model import FeatureValue
from farebox.access.catalog.service import read_product
from farebox.access.catalog.service_features import read_feature
from farebox.access.consumers.model import DeviceRefused
from farebox.access.consumers.service import read_consumer
from farebox.access.consumers.service_groups import read_group
from farebox.access.entitlements import store
from farebox.access.entitlements.model import (
    LONGEST_SOURCE,
    Entitlement,
    EntitlementOfPlan,
    EntitlementOver,
    EntitlementState,
    EntitlementUnknown,
    Kind,
    LimitMissing,
    SourceKind,
)
from farebox.access.entitlements.rules import checked_roles, checked_span, is_for, state_at
from farebox.access.entitlements.service_limits import close_limit, open_limit, reset_limit
from farebox.access.subscriptions.service import gives_access, shown_end, subscriptions_of
from farebox.events.service import publish
from farebox.kernel.amounts import checked_amount
from farebox.kernel.ids import record_id
from farebox.kernel.periods import Unit
from farebox.ledger.service import Ledger
from farebox.platform.model import Actor, Page
from farebox.platform.rules import checked_limit, checked_text, page_of
from farebox.platform.service_audit import record
from farebox.storage import Tx

_ledger = Ledger()


def grant_entitlement(
    tx: Tx,
    actor: Actor,
    *,
    holder_kind: HolderKind,
    holder: str,
    key: str,
    kind: Kind,
    source_kind: SourceKind,
    source: str,
    roles: tuple[str, ...] = (),
    limit: int | None = None,
    period: Unit | None = None,
    value: FeatureValue | None = None,
    starts_at: int | None = None,
    expires_at: int | None = None,
    bucket: int | None = None,
) -> Entitlement:
    """Grant the right to use something; tells of it by `entitlement.created`.

    A `limit` gets a bucket of its own in the ledger, unless `bucket` names the one of a plan's
    quota. Refuses unknown holders, products and features, a device as holder
    (`device_draws_as_owner`), an end that does not follow the start, a period without a limit
    (`limit_missing`).
    """
    _check_holder(tx, holder_kind, holder)
    if kind == "product":
        read_product(tx, key)
    elif kind == "feature":
        read_feature(tx, key)
    if limit is not None:
        checked_amount(limit, least=0)
    elif period is not None:
        raise LimitMissing
    start = tx.now_us if starts_at is None else starts_at
    checked_span(start, expires_at)
    made = Entitlement(
        id=record_id("ent"),
        holder_kind=holder_kind,
        holder=holder,
        key=checked_text(key, "a key", longest=LONGEST_SOURCE),
        kind=kind,
        source_kind=source_kind,
        source=checked_text(source, "a source", longest=LONGEST_SOURCE),
        granted_at=tx.now_us,
        starts_at=start,
        roles=checked_roles(roles),
        value=value,
        limit=limit,
        period=period,
        bucket=bucket,
        expires_at=expires_at,
    )
    if bucket is None:
        made = msgspec.structs.replace(made, bucket=open_limit(tx, actor, made))
    tx.run(store.entitlement.insert(), store.row_of(made))
    _tell(tx, actor, "created", None, made)
    return made


def read_entitlement(tx: Tx, entitlement_id: str) -> Entitlement:
    """Return an entitlement; refuses an unknown one (`entitlement_unknown`)."""
    row = tx.one(sa.select(store.entitlement).where(store.entitlement.c.id == entitlement_id))
    if row is None:
        raise EntitlementUnknown
    return store.entitlement_of(row)


def update_entitlement(
    tx: Tx,
    actor: Actor,
    entitlement_id: str,
    *,
    roles: tuple[str, ...] | None = None,
    limit: int | msgspec.UnsetType | None = msgspec.UNSET,
    value: FeatureValue | msgspec.UnsetType | None = msgspec.UNSET,
    expires_at: int | msgspec.UnsetType | None = msgspec.UNSET,
    reason: str | None = None,
) -> Entitlement:
    """Change what is given; tells of it by `entitlement.updated`.

    What was used in the present period counts against a new limit. One that has expired comes
    back with a later end; a revoked one does not (`entitlement_over`). An end in the past is one
    now. What a plan brings changes with the subscription only (`entitlement_of_plan`).
    """
    old = _locked(tx, entitlement_id)
    if old.revoked_at is not None:
        raise EntitlementOver
    new = old if roles is None else msgspec.structs.replace(old, roles=checked_roles(roles))
    if value is not msgspec.UNSET:
        new = msgspec.structs.replace(new, value=value)
    if expires_at is not msgspec.UNSET and expires_at != old.expires_at:
        checked_span(old.starts_at, expires_at)
        new = msgspec.structs.replace(new, expires_at=expires_at)
    if limit is not msgspec.UNSET and limit != old.limit:
        if limit is not None:
            checked_amount(limit, least=0)
        new = msgspec.structs.replace(new, limit=limit)
    if new == old:
        return old
    if old.source_kind == "plan":
        raise EntitlementOfPlan
    if new.limit != old.limit:
        new = reset_limit(tx, actor, old, new)
    return _write(tx, actor, "updated", old, new, reason=reason)


def revoke_entitlement(
    tx: Tx, actor: Actor, entitlement_id: str, *, reason: str | None = None
) -> Entitlement:
    """Take a right back, from now on; tells of it by `entitlement.revoked`.

    Repeating changes nothing. What a plan brings ends with the subscription only
    (`entitlement_of_plan`).
    """
    old = _locked(tx, entitlement_id)
    if old.source_kind == "plan":
        raise EntitlementOfPlan
    return end_entitlement(tx, actor, old, reason)


def end_entitlement(tx: Tx, actor: Actor, old: Entitlement, reason: str | None) -> Entitlement:
    """Revoke an entitlement of any source, now."""
    if old.revoked_at is not None:
        return old
    new = msgspec.structs.replace(old, revoked_at=tx.now_us)
    if old.bucket is not None and old.source_kind != "plan":
        close_limit(tx, old)
    return _write(tx, actor, "revoked", old, new, reason=reason)


def revoke_source(
    tx: Tx, actor: Actor, source_kind: SourceKind, source: str, *, reason: str | None = None
) -> tuple[Entitlement, ...]:
    """Take back everything that a source brought; returns what was taken back by this."""
    return tuple(
        end_entitlement(tx, actor, each, reason)
        for each in entitlements_from(tx, source_kind, source)
        if each.revoked_at is None
    )


def entitlements_from(tx: Tx, source_kind: SourceKind, source: str) -> tuple[Entitlement, ...]:
    """Return everything that a source ever brought, revoked ones too, oldest first."""
    table = store.entitlement
    here = sa.and_(table.c.source_kind == source_kind, table.c.source == source)
    return _found(tx, sa.select(table).where(here).order_by(table.c.id))


def list_entitlements(
    tx: Tx,
    holders: Sequence[str],
    *,
    key: str | None = None,
    role: str | None = None,
    active_only: bool = True,
) -> tuple[Entitlement, ...]:
    """Return what consumers and groups are entitled to, oldest first.

    With `active_only` what holds at this instant: begun, not ended, not revoked, and one from a
    plan while the subscription gives access.
    """
    table = store.entitlement
    statement = sa.select(table).where(table.c.holder.in_(holders)).order_by(table.c.id)
    if key is not None:
        statement = statement.where(table.c.key == key)
    if active_only:
        ended = sa.or_(table.c.expires_at.is_(None), table.c.expires_at > tx.now_us)
        statement = statement.where(table.c.revoked_at.is_(None), ended)
    found = [one for one in _found(tx, statement) if is_for(one, role)]
    if not active_only:
        return tuple(found)
    giving = open_plans(tx, found)
    return tuple(one for one in found if state_of(one, tx.now_us, giving) == "active")


def page_entitlements(
    tx: Tx,
    *,
    key: str | None = None,
    role: str | None = None,
    active_only: bool = True,
    after: str | None = None,
    limit: int = 100,
) -> Page[Entitlement]:
    """Return everybody's entitlements in the order of their ids.

    What is left out by `role` or `active_only` makes a page shorter, never the last one.
    """
    table = store.entitlement
    statement = sa.select(table).order_by(table.c.id)
    if key is not None:
        statement = statement.where(table.c.key == key)
    if after is not None:
        statement = statement.where(table.c.id > after)
    found = _found(tx, statement.limit(checked_limit(limit) + 1))
    page = page_of(found, limit, lambda one: one.id)
    giving = open_plans(tx, page.items)
    kept = [
        one
        for one in page.items
        if is_for(one, role) and (not active_only or state_of(one, tx.now_us, giving) == "active")
    ]
    return Page(items=tuple(kept), next=page.next)


def open_plans(tx: Tx, found: Sequence[Entitlement]) -> frozenset[str]:
    """Return which of the subscriptions behind these entitlements give access now."""
    holders = sorted({one.holder for one in found if one.source_kind == "plan"})
    if not holders:
        return frozenset()
    return frozenset(one.id for one in subscriptions_of(tx, holders) if gives_access(one))


def state_of(one: Entitlement, now: int, giving: frozenset[str]) -> EntitlementState:
    """Return how an entitlement stands, given the subscriptions that give access."""
    return state_at(one, now, opened=one.source_kind != "plan" or one.source in giving)


def facts_of(one: Entitlement, now: int) -> dict[str, object]:
    """Return what events say of an entitlement; a group's names no consumer."""
    return {
        "entitlementId": one.id,
        "holderKind": one.holder_kind,
        "consumerId": one.holder if one.holder_kind == "consumer" else None,
        "groupId": one.holder if one.holder_kind == "group" else None,
        "entitlementKey": one.key,
        "kind": one.kind,
        "sourceKind": one.source_kind,
        "source": one.source,
        "roles": list(one.roles),
        "value": one.value,
        "limit": one.limit,
        "period": one.period,
        "state": state_at(one, now, opened=True),
        "startsAt": shown_end(one.starts_at),
        "expiresAt": shown_end(one.expires_at),
        "revokedAt": shown_end(one.revoked_at),
    }


def write_entitlement(
    tx: Tx, actor: Actor, old: Entitlement, new: Entitlement, reason: str | None = None
) -> Entitlement:
    """Write a changed entitlement of any source; tells of it by `entitlement.updated`."""
    return old if new == old else _write(tx, actor, "updated", old, new, reason=reason)


def _write(
    tx: Tx, actor: Actor, what: str, old: Entitlement, new: Entitlement, *, reason: str | None
) -> Entitlement:
    new = msgspec.structs.replace(new, version=old.version + 1)
    here = store.entitlement.c.id == old.id
    tx.run(store.entitlement.update().where(here).values(store.row_of(new)))
    _tell(tx, actor, what, old, new, reason=reason)
    return new


def _tell(
    tx: Tx,
    actor: Actor,
    what: str,
    old: Entitlement | None,
    new: Entitlement,
    *,
    reason: str | None = None,
) -> None:
    _ledger.advance_revision(tx, new.holder)
    record(tx, actor, f"entitlement.{what}", new.id, before=old, after=new)
    data = {**facts_of(new, tx.now_us), "reason": reason or actor.reason}
    publish(tx, type=f"entitlement.{what}", subject=new.id, data=data)


def _check_holder(tx: Tx, holder_kind: HolderKind, holder: str) -> None:
    if holder_kind == "group":
        read_group(tx, holder)
    elif read_consumer(tx, holder).owner is not None:
        raise DeviceRefused


def _locked(tx: Tx, entitlement_id: str) -> Entitlement:
    here = store.entitlement.c.id == entitlement_id
    row = tx.one(sa.select(store.entitlement).where(here).with_for_update())
    if row is None:
        raise EntitlementUnknown
    return store.entitlement_of(row)


def _found(tx: Tx, statement: sa.Select[tuple[object, ...]]) -> tuple[Entitlement, ...]:
    return tuple(store.entitlement_of(row) for row in tx.run(statement))
