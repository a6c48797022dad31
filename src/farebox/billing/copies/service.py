"""Keeping the copies by what access tells, and reading them.

Each `keep_*` upserts by the version of its subject, so events may come twice, late, or again by a
replay or a snapshot: what is older than what is held changes nothing.
"""

from typing import Final, TypeVar

import msgspec
import sqlalchemy as sa

from farebox.billing.copies import store
from farebox.billing.copies.model import (
    ConsumerCopy,
    FeatureCopy,
    GroupCopy,
    ItemCopy,
    PlanCopy,
    ProductCopy,
    SubscriptionCopy,
)
from farebox.events.model import Event
from farebox.events.service_inbox import forget_copy, newer
from farebox.storage import Tx

COPY: Final = "catalogue"
T = TypeVar("T", bound=msgspec.Struct)


def keep_product(tx: Tx, event: Event) -> None:
    """Keep a product as access tells it."""
    _keep(tx, event, ProductCopy, store.product)


def keep_feature(tx: Tx, event: Event) -> None:
    """Keep a feature as access tells it."""
    _keep(tx, event, FeatureCopy, store.feature)


def keep_plan(tx: Tx, event: Event) -> None:
    """Keep a plan and the version that is told; a version is kept whenever it comes."""
    keep_plan_version(tx, event)
    _keep(tx, event, PlanCopy, store.plan)


def keep_plan_version(tx: Tx, event: Event) -> None:
    """Keep a version of a plan. It never changes, so there is no older one to refuse."""
    row = store.row_of(_told(event, PlanCopy), store.plan_version)
    tx.insert_once(store.plan_version, row, key=("plan", "version"))


def keep_item(tx: Tx, event: Event) -> None:
    """Keep an item with its offers as access tells it."""
    _keep(tx, event, ItemCopy, store.item)


def keep_consumer(tx: Tx, event: Event) -> None:
    """Keep a consumer as access tells it."""
    _keep(tx, event, ConsumerCopy, store.consumer)


def keep_group(tx: Tx, event: Event) -> None:
    """Keep a group as access tells it."""
    _keep(tx, event, GroupCopy, store.group)


def drop_group(tx: Tx, event: Event) -> None:
    """Forget a group that access has deleted; what was told before that stays forgotten."""
    if newer(tx, event, copy=COPY):
        here = store.group.c.group_id == _told(event, GroupCopy).group_id
        tx.run(store.group.delete().where(here))


def keep_subscription(tx: Tx, event: Event) -> None:
    """Keep who has which plan, in access's words."""
    _keep(tx, event, SubscriptionCopy, store.subscription)


def find_product(tx: Tx, code: str) -> ProductCopy | None:
    """Return a product, or None where access has told of none."""
    return _find(tx, store.product, code, ProductCopy)


def find_feature(tx: Tx, code: str) -> FeatureCopy | None:
    """Return a feature or None."""
    return _find(tx, store.feature, code, FeatureCopy)


def find_plan(tx: Tx, code: str, version: int | None = None) -> PlanCopy | None:
    """Return a version of a plan, the newest unless one is named, or None."""
    plan, terms = store.plan, store.plan_version
    which = terms.c.version == (plan.c.version if version is None else version)
    joined = sa.select(terms, plan.c.state).join(plan, plan.c.plan == terms.c.plan)
    row = tx.one(joined.where(plan.c.plan == code, which))
    return None if row is None else store.copy_of(row, PlanCopy)


def find_item(tx: Tx, code: str) -> ItemCopy | None:
    """Return an item or None."""
    return _find(tx, store.item, code, ItemCopy)


def find_consumer(tx: Tx, consumer_id: str) -> ConsumerCopy | None:
    """Return a consumer or None."""
    return _find(tx, store.consumer, consumer_id, ConsumerCopy)


def find_group(tx: Tx, group_id: str) -> GroupCopy | None:
    """Return a group or None."""
    return _find(tx, store.group, group_id, GroupCopy)


def find_subscription(tx: Tx, subscription_id: str) -> SubscriptionCopy | None:
    """Return a subscription or None."""
    return _find(tx, store.subscription, subscription_id, SubscriptionCopy)


def empty_copies(tx: Tx) -> None:
    """Empty every copy, to fill them anew by a snapshot or a replay."""
    for table in store.TABLES:
        tx.run(table.delete())
    forget_copy(tx, COPY)


def _keep(tx: Tx, event: Event, kind: type[msgspec.Struct], table: sa.Table) -> None:
    """Upsert what an event tells, if it is newer than what is held of its subject."""
    told = _told(event, kind)
    if newer(tx, event, copy=COPY):
        tx.upsert(table, store.row_of(told, table), key=(table.c[0].name,))


def _told(event: Event, kind: type[T]) -> T:
    return msgspec.convert(event.data, kind)


def _find(tx: Tx, table: sa.Table, key: str, kind: type[T]) -> T | None:
    row = tx.one(sa.select(table).where(table.c[0] == key))
    return None if row is None else store.copy_of(row, kind)
