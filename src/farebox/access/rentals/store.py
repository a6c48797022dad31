"""The tables of rentals and of what is due to be told of them."""

from functools import partial
from typing import Any

import msgspec
import sqlalchemy as sa

from farebox.access.rentals.model import Rental
from farebox.storage import table

metadata = sa.MetaData()
_table = partial(table, metadata)
_INT, _TEXT = sa.BigInteger, sa.Text
rental = _table(
    "rental", id=_TEXT, consumer=_TEXT, item=_TEXT, offer=_TEXT, order_id=_TEXT, entitlement=_TEXT,
    starts_at=_INT, period_hours=_INT, finish_within_hours=_INT, window_end=_INT,
    first_played_at=_INT, moved=_INT, extended=_INT, revoked_at=_INT, revoked_why=_TEXT,
    device=_TEXT, version=_INT, created_at=_INT,
)  # fmt: skip
reminder = _table(
    "rental_reminder", rental=_TEXT, kind=_TEXT, version=_INT, due_at=_INT, done_at=_INT, told=_INT,
)  # fmt: skip


def rental_of(row: sa.Row[Any]) -> Rental:
    """Return a row of `rental`."""
    return Rental(
        id=row.id,
        consumer=row.consumer,
        item=row.item,
        offer=row.offer,
        order=row.order_id,
        entitlement=row.entitlement,
        starts_at=row.starts_at,
        period_hours=row.period_hours,
        finish_within_hours=row.finish_within_hours,
        window_end=row.window_end,
        first_played_at=row.first_played_at,
        moved=row.moved,
        extended=row.extended,
        revoked_at=row.revoked_at,
        revoked_why=row.revoked_why,
        device=row.device,
        version=row.version,
        created_at=row.created_at,
    )


def rental_row(made: Rental) -> dict[str, object]:
    """Return the row that a rental is."""
    row = msgspec.structs.asdict(made)
    row["order_id"] = row.pop("order")
    return row
