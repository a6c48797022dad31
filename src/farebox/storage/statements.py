"""Statements that are built once: building one costs more than running it.

They are the same for every row, because values are bound when they are run.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeVar

import sqlalchemy as sa

T = TypeVar("T")
_BUILT: Final[dict[object, Any]] = {}


def built(name: object, build: Callable[[], T]) -> T:
    """Return what was built under a name, building it at first."""
    found: T | None = _BUILT.get(name)
    if found is None:
        found = _BUILT[name] = build()
    return found


def upsert_of(insert: Any, names: Iterable[str], key: Sequence[str]) -> Any:  # noqa: ANN401 - the dialects' Inserts share no base
    """Return an INSERT that sets the named columns where a row with that key exists."""
    changed = {name: insert.excluded[name] for name in names if name not in key}
    return insert.on_conflict_do_update(index_elements=list(key), set_=changed)


def insert_once_of(insert: Any, table: sa.Table, key: Sequence[str]) -> Any:  # noqa: ANN401 - as above
    """Return an INSERT that returns a row unless one with that key exists."""
    once = insert.on_conflict_do_nothing(index_elements=list(key))
    # RETURNING tells it on both engines; SQLAlchemy hides psycopg's count of inserted rows.
    return once.returning(table.c[key[0]])


def adding(table: str, key: Sequence[str], sums: Sequence[str], maxima: Sequence[str]) -> str:
    """Return the end of an INSERT that adds to the row which is there."""
    changes = [f"{name} = {table}.{name} + excluded.{name}" for name in sums]
    changes += [
        f"{name} = CASE WHEN excluded.{name} > {table}.{name}"
        f" THEN excluded.{name} ELSE {table}.{name} END"
        for name in maxima
    ]
    return f" ON CONFLICT ({', '.join(key)}) DO UPDATE SET {', '.join(changes)}"
