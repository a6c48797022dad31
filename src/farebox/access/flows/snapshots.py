"""How things stand on the access side, for those who keep a copy of it.

Each kind of snapshot tells every subject of its kind as the event would that was published of it
last, so a copy needs no second handler. Contexts add their own line.
"""

from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from farebox.access.catalog import service as catalog
from farebox.access.catalog import service_features as features
from farebox.access.catalog import service_plans as plans
from farebox.access.consumers import service as consumers
from farebox.access.consumers import service_groups as groups
from farebox.access.entitlements import service as entitlements
from farebox.access.entitlements.model import Entitlement
from farebox.access.marketplace import service as marketplace
from farebox.access.subscriptions import service as subscriptions
from farebox.events.model import Fact
from farebox.events.service_snapshots import Providers
from farebox.platform import service_test_clock as test_clock
from farebox.platform.model import Page
from farebox.storage import Tx

T = TypeVar("T")
PAGE: Final = 500


def paged(read: Callable[[str | None], Page[T]]) -> Iterator[T]:
    """Yield everything that a list has, a page at a time: memory stays flat."""
    after = None
    while True:
        page = read(after)
        yield from page.items
        if page.next is None:
            return
        after = page.next


def _consumers(tx: Tx) -> Iterator[Fact]:
    for one in paged(lambda after: consumers.list_consumers(tx, after=after, limit=PAGE)):
        yield Fact(type="consumer.updated", subject=one.id, data=consumers.facts_of(one))


def _groups(tx: Tx) -> Iterator[Fact]:
    for one in paged(lambda after: groups.list_groups(tx, after=after, limit=PAGE)):
        yield Fact(type="group.updated", subject=one.id, data=groups.facts_of(one))


def _products(tx: Tx) -> Iterator[Fact]:
    for one in paged(lambda after: catalog.list_products(tx, after=after, limit=PAGE)):
        what = "archived" if one.state == "archived" else "updated"
        subject = f"product:{one.code}"
        yield Fact(type=f"product.{what}", subject=subject, data=catalog.facts_of(one))


def _features(tx: Tx) -> Iterator[Fact]:
    for one in paged(lambda after: features.list_features(tx, after=after, limit=PAGE)):
        what = "archived" if one.state == "archived" else "updated"
        subject = f"feature:{one.code}"
        yield Fact(type=f"feature.{what}", subject=subject, data=features.facts_of(one))


def _plans(tx: Tx) -> Iterator[Fact]:
    """Yield plans in their newest versions."""
    for one in paged(lambda after: plans.list_plans(tx, after=after, limit=PAGE)):
        what = "archived" if one.state == "archived" else "updated"
        yield Fact(type=f"plan.{what}", subject=f"plan:{one.code}", data=plans.facts_of(one))


def _plan_versions(tx: Tx) -> Iterator[Fact]:
    """Yield the versions before the newest, which subscribers may still have; they never change."""
    for newest in paged(lambda after: plans.list_plans(tx, after=after, limit=PAGE)):
        for version in range(1, newest.version):
            one = plans.read_plan(tx, newest.code, version)
            subject = f"plan:{one.code}:{version}"
            yield Fact(type="plan.version", subject=subject, data=plans.facts_of(one))


def _items(tx: Tx) -> Iterator[Fact]:
    for one in paged(lambda after: marketplace.list_items(tx, after=after, limit=PAGE)):
        what = "archived" if one.state == "archived" else "updated"
        data = marketplace.facts_of(one)
        yield Fact(type=f"item.{what}", subject=f"item:{one.code}", data=data)


def _test_clock(tx: Tx) -> Iterator[Fact]:
    """Yield how far the test clock was moved, if it was."""
    reading = test_clock.read_test_clock(tx)
    if reading.offset_us:
        data = test_clock.facts_of(reading)
        yield Fact(type="test_clock.moved", subject=test_clock.SUBJECT, data=data)


def _subscriptions(tx: Tx) -> Iterator[Fact]:
    for one in paged(lambda after: subscriptions.list_subscriptions(tx, after=after, limit=PAGE)):
        data = subscriptions.facts_of(one)
        data = {**data, "previousState": None, "opensAccess": subscriptions.gives_access(one)}
        yield Fact(type="subscription.updated", subject=one.id, data=data)


def _entitlements(tx: Tx) -> Iterator[Fact]:
    def page(after: str | None) -> Page[Entitlement]:
        return entitlements.page_entitlements(tx, active_only=False, after=after, limit=PAGE)

    for one in paged(page):
        what = "updated" if one.revoked_at is None else "revoked"
        data = {**entitlements.facts_of(one, tx.now_us), "reason": None}
        yield Fact(type=f"entitlement.{what}", subject=one.id, data=data)


PROVIDERS: Final[Providers] = {
    "consumers": _consumers,
    "groups": _groups,
    "products": _products,
    "features": _features,
    "plans": _plans,
    "plan_versions": _plan_versions,
    "items": _items,
    "subscriptions": _subscriptions,
    "entitlements": _entitlements,
    "test_clock": _test_clock,
}
