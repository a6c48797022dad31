"""The table of routes."""

import msgspec
import sqlalchemy as sa

from farebox.access.gateways.model import Route

metadata = sa.MetaData()
edge_route = sa.Table(
    "edge_route",
    metadata,
    sa.Column("id", sa.Text),
    sa.Column("host", sa.Text),
    sa.Column("method", sa.Text),
    sa.Column("path", sa.Text),
    sa.Column("mode", sa.Text),
    sa.Column("product", sa.Text),
    sa.Column("feature", sa.Text),
    sa.Column("quantity", sa.BigInteger),
    sa.Column("empty_status", sa.BigInteger),
    sa.Column("created_at", sa.BigInteger),
)


def route_of(row: sa.Row[tuple[object, ...]]) -> Route:
    """Return a row of `edge_route`."""
    return msgspec.convert(row, Route, from_attributes=True)
