"""Inserts of many rows: the same on both engines but for how the rows are handed over."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from farebox.storage.statements import adding

Row = tuple[Any, ...]


class Inserts(ABC):
    """The part of a transaction that inserts many rows."""

    def insert_many(self, table: sa.Table, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Insert rows in as few statements as the engine allows."""
        self._insert(table, columns, rows, "")

    def insert_missing(
        self, table: sa.Table, key: str, columns: Sequence[str], rows: Sequence[Row]
    ) -> int:
        """Insert rows whose key is not there yet, in the given order; return how many were."""
        return self._insert(table, columns, rows, f" ON CONFLICT ({key}) DO NOTHING")

    def add_many(
        self,
        table: sa.Table,
        key: Sequence[str],
        rows: Sequence[Row],
        *,
        kept: Sequence[str] = (),
        sums: Sequence[str] = (),
        maxima: Sequence[str] = (),
    ) -> None:
        """Insert rows, and add those to what is there whose key is: no two of them have one key.

        A row is the values of the key, of `kept` (which stay as they are where the row is there),
        of `sums` (which are added) and of `maxima` (of which the larger stays).
        """
        columns = (*key, *kept, *sums, *maxima)
        self._insert(table, columns, rows, adding(table.name, key, sums, maxima))

    @abstractmethod
    def _insert(
        self, table: sa.Table, columns: Sequence[str], rows: Sequence[Row], end: str
    ) -> int:
        """Insert rows by a statement that ends so; return how many were inserted or changed."""
