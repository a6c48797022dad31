"""What owning a product brings, given and taken back as a whole (source 003).

An add-on's limit adds to the product's: each has an entitlement of its own under the same key.
"""

import msgspec
import sqlalchemy as sa

from farebox.access.catalog.model import ProductEntitlement
from farebox.access.catalog.service import read_product
from farebox.access.catalog.service_features import find_feature
from farebox.access.entitlements import store
from farebox.access.entitlements.model import Entitlement, ExternalSubscription, SourceKind
from farebox.access.entitlements.rules import end_of
from farebox.access.entitlements.service import (
    entitlements_from,
    grant_entitlement,
    revoke_entitlement,
    revoke_source,
    update_entitlement,
)
from farebox.kernel.refusals import TryAgain
from farebox.platform.model import Actor
from farebox.storage import Tx


class Owned(msgspec.Struct, frozen=True, kw_only=True):
    """A product that somebody owns by a source, with add-ons, until an end if there is one."""

    consumer: str
    product: str
    source_kind: SourceKind
    source: str
    add_ons: tuple[str, ...] = ()
    ends_at: int | None = None

    def with_add_ons(self) -> tuple["Owned", ...]:
        """Return the product and each of its add-ons as something owned by a source of its own."""
        return (self, *(self.add_on(code) for code in self.add_ons))

    def add_on(self, code: str) -> "Owned":
        """Return an add-on as something owned by a source of its own."""
        return msgspec.structs.replace(
            self, product=code, source_kind="add_on", source=f"{self.source}/{code}", add_ons=()
        )


def give_product(
    tx: Tx, actor: Actor, owned: Owned, *, without: tuple[str, ...] = (), reason: str
) -> tuple[str, ...]:
    """Let somebody have exactly what a product and its add-ons bring; returns what changed.

    What is there already is prolonged, shortened or limited anew, what is missing is granted, and
    what the product no longer brings is revoked, as are the add-ons named in `without`.
    """
    changed: tuple[str, ...] = ()
    for each in owned.with_add_ons():
        changed += _give(tx, actor, each, reason)
    for code in without:
        if code not in owned.add_ons:
            changed += _take(tx, actor, owned.add_on(code), reason)
    return changed


def take_product(tx: Tx, actor: Actor, owned: Owned, *, reason: str) -> tuple[str, ...]:
    """Revoke everything that a product and its add-ons brought, now; returns what was revoked."""
    return tuple(gone for each in owned.with_add_ons() for gone in _take(tx, actor, each, reason))


def end_product(
    tx: Tx, actor: Actor, owned: Owned, *, ends_at: int, reason: str
) -> tuple[str, ...]:
    """Let everything that a product and its add-ons brought end at an instant, if not before."""
    there = [
        one
        for each in owned.with_add_ons()
        for one in entitlements_from(tx, each.source_kind, each.source)
    ]
    shortened = [
        update_entitlement(tx, actor, each.id, expires_at=ends_at, reason=reason).id
        for each in there
        if each.revoked_at is None and (each.expires_at is None or each.expires_at > ends_at)
    ]
    return tuple(shortened)


def locked_external(
    tx: Tx, first: ExternalSubscription, *, products: tuple[str, ...] = ()
) -> ExternalSubscription:
    """Return what another billing system last said of a subscription; `first` if it is new.

    Nobody else changes it until the commit. With `products` the subscription is the user's one of
    any of these, whatever it is called.
    """
    table = store.external
    if products:
        mine = (table.c.source == first.source, table.c.consumer == first.consumer)
        named = sa.select(table.c.subscription).where(*mine, table.c.product.in_(products))
        if (found := tx.one(named.limit(1))) is not None:
            first = msgspec.structs.replace(first, subscription=found.subscription)
    tx.insert_once(table, store.external_row_of(first), key=("source", "subscription"))
    here = (table.c.source == first.source, table.c.subscription == first.subscription)
    row = tx.one(sa.select(table).where(*here).with_for_update())
    if row is None:
        raise TryAgain
    return store.external_of(row)


def write_external(tx: Tx, one: ExternalSubscription) -> None:
    """Write what another billing system now says of a subscription."""
    table = store.external
    here = (table.c.source == one.source, table.c.subscription == one.subscription)
    tx.run(table.update().where(*here).values(store.external_row_of(one)))


def _give(tx: Tx, actor: Actor, owned: Owned, reason: str) -> tuple[str, ...]:
    """Give what one product brings, without its add-ons."""
    product = read_product(tx, owned.product)
    there = {
        (each.key, each.roles, each.period): each
        for each in entitlements_from(tx, owned.source_kind, owned.source)
        if each.revoked_at is None
    }
    changed = []
    for line in product.entitlements or (ProductEntitlement(key=product.code),):
        old = there.pop((line.key, line.roles, line.period), None)
        if old is None:
            changed.append(_grant(tx, actor, owned, line).id)
            continue
        ends_at = end_of(line, starts_at=old.starts_at, source_ends_at=owned.ends_at)
        new = update_entitlement(
            tx, actor, old.id, limit=line.limit, expires_at=ends_at, reason=reason
        )
        if new != old:
            changed.append(new.id)
    gone = [revoke_entitlement(tx, actor, old.id, reason=reason).id for old in there.values()]
    return (*changed, *gone)


def _take(tx: Tx, actor: Actor, owned: Owned, reason: str) -> tuple[str, ...]:
    gone = revoke_source(tx, actor, owned.source_kind, owned.source, reason=reason)
    return tuple(each.id for each in gone)


def _grant(tx: Tx, actor: Actor, owned: Owned, line: ProductEntitlement) -> Entitlement:
    return grant_entitlement(
        tx,
        actor,
        holder_kind="consumer",
        holder=owned.consumer,
        key=line.key,
        kind="product" if find_feature(tx, line.key) is None else "feature",
        source_kind=owned.source_kind,
        source=owned.source,
        roles=line.roles,
        limit=line.limit,
        period=line.period,
        expires_at=end_of(line, starts_at=tx.now_us, source_ends_at=owned.ends_at),
    )
