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
from farebox.access.entitlements import service as entitlements
from farebox.access.entitlements.model import Entitlement
from farebox.access.subscriptions import service as subscriptions
from farebox.events.model import Fact
from farebox.events.service_snapshots import Providers
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
    """Yield plans in their newest versions; older ones are read from the API."""
    for one in paged(lambda after: plans.list_plans(tx, after=after, limit=PAGE)):
        what = "archived" if one.state == "archived" else "updated"
        yield Fact(type=f"plan.{what}", subject=f"plan:{one.code}", data=plans.facts_of(one))


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
    "products": _products,
    "features": _features,
    "plans": _plans,
    "subscriptions": _subscriptions,
    "entitlements": _entitlements,
}
