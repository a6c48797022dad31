"""Purchases that access has pinned for an order that is not here: kept for a while, then let go."""

from typing import Any

import msgspec
import sqlalchemy as sa

from farebox.billing.orders import store
from farebox.billing.orders.model import HOLD_US
from farebox.storage import Tx


def keep_waiting(tx: Tx, purchase: str, order_id: str, facts: dict[str, Any]) -> None:
    """Keep a purchase until its order is opened, for as long as a price is guaranteed."""
    row = {
        "id": purchase,
        "order_id": order_id,
        "facts": msgspec.json.encode(facts).decode(),
        "due_at": tx.now_us + HOLD_US,
    }
    tx.insert_once(store.waiting, row, key=("id",))


def waiting_for(tx: Tx, order_id: str) -> list[dict[str, Any]]:
    """Return what access has told of the purchases that wait for an order."""
    table = store.waiting
    rows = tx.run(sa.select(table).where(table.c.order_id == order_id).order_by(table.c.id))
    return [msgspec.json.decode(row.facts, type=dict[str, Any]) for row in rows]


def due_waiting(tx: Tx, limit: int) -> list[dict[str, Any]]:
    """Return what access has told of purchases whose order has not come in time."""
    table = store.waiting
    due = sa.select(table).where(table.c.due_at <= tx.now_us).order_by(table.c.due_at, table.c.id)
    return [msgspec.json.decode(row.facts, type=dict[str, Any]) for row in tx.run(due.limit(limit))]


def drop_waiting(tx: Tx, purchase: str) -> bool:
    """Forget a purchase that waited; tells whether it was still there."""
    table = store.waiting
    gone = table.delete().where(table.c.id == purchase).returning(table.c.id)
    return tx.one(gone) is not None
