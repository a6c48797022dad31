"""What a customer has ordered of an item: for shells that know the item, not the order."""

from typing import Final

import msgspec
import sqlalchemy as sa

from farebox.billing.orders import store
from farebox.billing.orders.model import Order, OrderLine
from farebox.storage import Tx

_MOST: Final = 100


class Ordered(msgspec.Struct, frozen=True, kw_only=True):
    """A line with the order that it is of."""

    order: Order
    line: OrderLine


def ordered_of(
    tx: Tx, customer: str, item: str, *, period_hours: int | None = None
) -> list[Ordered]:
    """Return what a customer has ordered of an item, newest first, and not got back since.

    What came to nothing is not among it; what is not paid yet is.
    """
    order, line = store.order, store.line
    found = (
        sa.select(line)
        .join(order, order.c.id == line.c.order_id)
        .where(
            order.c.customer == customer,
            line.c.item == item,
            line.c.state.in_(("open", "pinned", "granted")),
            order.c.state.in_(("created", "awaiting_funds", "paid", "fulfilled")),
        )
        .order_by(line.c.id.desc())
        .limit(_MOST)
    )
    lines = [store.line_of(row) for row in tx.run(found)]
    wanted = [each for each in lines if period_hours in {None, each.period_hours}]
    ids = {each.order for each in wanted}
    rows = tx.run(sa.select(order).where(order.c.id.in_(ids))) if ids else ()
    orders = {row.id: store.order_of(row) for row in rows}
    return [Ordered(order=orders[each.order], line=each) for each in wanted]
