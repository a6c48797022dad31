"""The tables of the copies."""

from functools import partial
from typing import Any

import msgspec
import sqlalchemy as sa

from farebox.notifications.copies.model import RentalCopy
from farebox.storage import table

metadata = sa.MetaData()
_table = partial(table, metadata)
_INT, _TEXT = sa.BigInteger, sa.Text
title = _table("title_copy", kind=_TEXT, code=_TEXT, title=_TEXT, unit=_TEXT, scale=_INT)
rental = _table(
    "rental_copy", rental=_TEXT, order_id=_TEXT, consumer=_TEXT, item=_TEXT, offer=_TEXT,
    starts_at=_INT, ends_at=_INT, period_hours=_INT, version=_INT, revoked=_INT,
)  # fmt: skip
part = _table("rental_change_part", rental=_TEXT, period_hours=_INT, paid=_TEXT, done=_TEXT)


def rental_of(row: sa.Row[Any]) -> RentalCopy:
    """Return a row of `rental_copy`."""
    facts = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's own name for a row as a mapping
    return RentalCopy(**{**facts, "revoked": bool(row.revoked)})


def row_of(one: RentalCopy) -> dict[str, Any]:
    """Return a rental as a row."""
    return {**msgspec.structs.asdict(one), "revoked": int(one.revoked)}
