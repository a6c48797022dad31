"""Tables as stores name them: columns and their kinds. Constraints stand in the migrations."""

from typing import Any

import sqlalchemy as sa


def table(
    metadata: sa.MetaData, name: str, /, **columns: type[sa.types.TypeEngine[Any]]
) -> sa.Table:
    """Return a table: `table(metadata, "lease", name=sa.Text, until=sa.BigInteger)`."""
    return sa.Table(name, metadata, *(sa.Column(key, kind) for key, kind in columns.items()))
