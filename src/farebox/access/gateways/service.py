"""Routes: made, read, replaced, removed. Every change is in the audit log."""

import msgspec
import sqlalchemy as sa

from farebox.access.catalog.service import read_product
from farebox.access.catalog.service_features import read_feature
from farebox.access.gateways import store
from farebox.access.gateways.model import (
    MOST_ROUTES,
    EdgeRouteTaken,
    EdgeRouteUnknown,
    Route,
    TooManyEdgeRoutes,
)
from farebox.access.gateways.rules import checked_route
from farebox.kernel.ids import record_id
from farebox.platform.model import Actor, Page
from farebox.platform.rules import checked_limit, page_of
from farebox.platform.service_audit import record
from farebox.storage import Tx


def create_route(tx: Tx, actor: Actor, wanted: Route) -> Route:
    """Make a route; its id and its time are given here.

    Refuses one that cannot be (`value_invalid`), an unknown product or feature, an address that
    has a route already (`edge_route_taken`) and one too many (`too_many_edge_routes`).
    """
    made = msgspec.structs.replace(wanted, id=record_id("rte"), created_at=tx.now_us)
    _check(tx, made)
    count = tx.run(sa.select(sa.func.count()).select_from(store.edge_route)).scalar_one()
    if int(count) >= MOST_ROUTES:
        raise TooManyEdgeRoutes
    row = msgspec.structs.asdict(made)
    if not tx.insert_once(store.edge_route, row, key=("host", "method", "path")):
        raise EdgeRouteTaken
    record(tx, actor, "edge_route.created", made.id, after=made)
    return made


def replace_route(tx: Tx, actor: Actor, route_id: str, wanted: Route) -> Route:
    """Put a route in place of another one; it keeps its id. Refuses as `create_route` does."""
    old = read_route(tx, route_id, lock=True)
    new = msgspec.structs.replace(wanted, id=old.id, created_at=old.created_at)
    _check(tx, new)
    if new == old:
        return old
    tx.run(store.edge_route.delete().where(store.edge_route.c.id == old.id))
    # Inserted anew, so that of two who want the same address at once one is told.
    if not tx.insert_once(
        store.edge_route, msgspec.structs.asdict(new), key=("host", "method", "path")
    ):
        raise EdgeRouteTaken
    record(tx, actor, "edge_route.replaced", old.id, before=old, after=new)
    return new


def remove_route(tx: Tx, actor: Actor, route_id: str) -> Route:
    """Remove a route and return it: calls to its address are denied. Refuses an unknown one."""
    old = read_route(tx, route_id, lock=True)
    tx.run(store.edge_route.delete().where(store.edge_route.c.id == old.id))
    record(tx, actor, "edge_route.removed", old.id, before=old)
    return old


def read_route(tx: Tx, route_id: str, *, lock: bool = False) -> Route:
    """Return a route; refuses an unknown one (`edge_route_unknown`)."""
    statement = sa.select(store.edge_route).where(store.edge_route.c.id == route_id)
    row = tx.one(statement.with_for_update() if lock else statement)
    if row is None:
        raise EdgeRouteUnknown
    return store.route_of(row)


def list_routes(tx: Tx, *, after: str | None = None, limit: int = 100) -> Page[Route]:
    """Return routes in the order in which they were made."""
    statement = sa.select(store.edge_route).order_by(store.edge_route.c.id)
    if after is not None:
        statement = statement.where(store.edge_route.c.id > after)
    rows = tx.run(statement.limit(checked_limit(limit) + 1))
    return page_of([store.route_of(row) for row in rows], limit, lambda one: one.id)


def all_routes(tx: Tx) -> tuple[Route, ...]:
    """Return every route; there are at most 1,000."""
    rows = tx.run(sa.select(store.edge_route).order_by(store.edge_route.c.id))
    return tuple(store.route_of(row) for row in rows)


def _check(tx: Tx, route: Route) -> None:
    checked_route(route)
    if route.product is not None:
        read_product(tx, route.product)
    if route.feature is not None:
        read_feature(tx, route.feature)
