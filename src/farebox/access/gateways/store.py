"""The table of routes."""

from functools import partial

import msgspec
import sqlalchemy as sa

from farebox.access.gateways.model import Route
from farebox.storage import table

metadata = sa.MetaData()
_table = partial(table, metadata)
edge_route = _table(
    "edge_route",
    id=sa.Text,
    host=sa.Text,
    method=sa.Text,
    path=sa.Text,
    mode=sa.Text,
    product=sa.Text,
    feature=sa.Text,
    quantity=sa.BigInteger,
    empty_status=sa.BigInteger,
    created_at=sa.BigInteger,
)


def route_of(row: sa.Row[tuple[object, ...]]) -> Route:
    """Return a row of `edge_route`."""
    return msgspec.convert(row, Route, from_attributes=True)
