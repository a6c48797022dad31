"""The table of products."""

from typing import Any

import sqlalchemy as sa

from farebox.access.catalog.model import Product

metadata = sa.MetaData()
product = sa.Table(
    "product",
    metadata,
    sa.Column("code", sa.Text),
    sa.Column("name", sa.Text),
    sa.Column("type", sa.Text),
    sa.Column("unit", sa.Text),
    sa.Column("scale", sa.BigInteger),
    sa.Column("state", sa.Text),
    sa.Column("created_at", sa.BigInteger),
)


def product_of(row: sa.Row[Any]) -> Product:
    """Return a row of `product`."""
    return Product(
        code=row.code,
        name=row.name,
        type=row.type,
        unit=row.unit,
        scale=row.scale,
        state=row.state,
        created_at=row.created_at,
    )
