"""What consumers and groups may use at this instant, and until when that answer stands."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from farebox.access.buckets.model import BucketSource
from farebox.access.entitlements import store
from farebox.access.entitlements.model import Entitlement
from farebox.access.entitlements.service import list_entitlements, state_of
from farebox.access.subscriptions import service_quotas
from farebox.access.subscriptions.model import QuotaTerms, Subscription
from farebox.access.subscriptions.service import changes_at as subscriptions_change_at
from farebox.access.subscriptions.service import gives_access, subscriptions_of
from farebox.storage import Tx


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """What holders have: all their subscriptions, and the quotas and rights that are open now.

    `changes_at` is when this next changes without anybody writing (None: never): at the end of a
    trial, a grace, a subscription or an entitlement, at the beginning of a planned change or a
    later entitlement. A quota's new period is the ledger's and is not among them.
    """

    subscriptions: tuple[Subscription, ...]
    quotas: tuple[QuotaTerms, ...]
    entitlements: tuple[Entitlement, ...]
    changes_at: int | None

    def opens(self, source: BucketSource) -> bool:
        """Tell whether a bucket may be drawn: what brought it is open, or nothing brought it."""
        if source.origin is None:
            return True
        if any(source.bucket in (one.bucket, one.overage_bucket) for one in self.quotas):
            return True
        # An entitlement whose limit has come or gone has an older bucket for its history.
        return any(
            one.id == source.origin and one.bucket == source.bucket for one in self.entitlements
        )


def access_of(tx: Tx, holders: Sequence[str]) -> Access:
    """Return what a consumer and its groups have, in the order of `holders`."""
    now = tx.now_us
    subscriptions = subscriptions_of(tx, holders)
    quotas = service_quotas.all_quotas(tx, holders) if subscriptions else ()
    table = store.entitlement
    live = sa.and_(
        table.c.holder.in_(holders),
        table.c.revoked_at.is_(None),
        sa.or_(table.c.expires_at.is_(None), table.c.expires_at > now),
    )
    rows = tx.run(sa.select(table).where(live).order_by(table.c.id))
    found = tuple(store.entitlement_of(row) for row in rows)
    giving = frozenset(one.id for one in subscriptions if gives_access(one))
    times = [subscriptions_change_at(subscriptions), service_quotas.change_at(tx, quotas)]
    times += [time for one in found for time in (one.starts_at, one.expires_at)]
    return Access(
        subscriptions=subscriptions,
        quotas=service_quotas.running(tx, quotas, subscriptions, holders),
        entitlements=tuple(one for one in found if state_of(one, now, giving) == "active"),
        changes_at=min((time for time in times if time is not None and time > now), default=None),
    )


def open_sources(
    tx: Tx, sources: Sequence[BucketSource], holders: Sequence[str]
) -> tuple[BucketSource, ...]:
    """Leave out buckets that their subscription, quota or entitlement does not open now.

    `holders` are the consumer and the groups whose buckets these are. What was opened by itself
    stays.
    """
    if all(source.origin is None for source in sources):
        return tuple(sources)
    access = access_of(tx, holders)
    return tuple(each for each in sources if access.opens(each))


def changes_at(tx: Tx, holders: Sequence[str]) -> int | None:
    """Return when what holders may use next changes without anybody writing; None is never."""
    return access_of(tx, holders).changes_at


def entitled(tx: Tx, holders: Sequence[str], key: str, *, role: str | None = None) -> bool:
    """Tell whether one of the holders has a right to something now."""
    return bool(list_entitlements(tx, holders, key=key, role=role))
