"""SQLite by hand: the rows that the ledger wrote, inserted again with nothing around it.

The rows are ready in memory, the tables and indexes are a copy of the ledger's
own file, the PRAGMAs are the same, and each batch is one transaction with one
synchronised commit. Whatever the ledger does beside (deciding, checking keys,
updating balances) this peer is spared.
"""

import sqlite3
import time
from collections.abc import Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

Row = tuple[Any, ...]
Batch = Mapping[str, Sequence[Row]]
"""The rows of one transaction, by table, in the order in which they are inserted."""


class Manner(Enum):
    """The two quick ways to insert from Python; which is quicker differs, so both are measured."""

    EXECUTEMANY = "executemany"
    VALUES = "multi-row VALUES"


_ROWS_A_STATEMENT = 100


class RawSqlite:
    """An open database that takes batches."""

    def __init__(
        self, path: Path, *, pragmas: Sequence[str], columns: Mapping[str, Sequence[str]]
    ) -> None:
        self._connection = sqlite3.connect(
            path, isolation_level=None, cached_statements=512, check_same_thread=False
        )
        for pragma in pragmas:
            self._connection.execute(f"PRAGMA {pragma}")
        self._columns = columns

    def insert(self, batches: Sequence[Batch], manner: Manner) -> float:
        """Insert each batch in a transaction of its own; return the seconds it took."""
        one_by_one = manner is Manner.EXECUTEMANY
        begun = time.perf_counter()
        for batch in batches:
            self._connection.execute("BEGIN IMMEDIATE")
            for table, rows in batch.items():
                if one_by_one:
                    self._connection.executemany(self._statement(table, 1), rows)
                else:
                    self._insert_values(table, rows)
            self._connection.execute("COMMIT")
        return time.perf_counter() - begun

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _insert_values(self, table: str, rows: Sequence[Row]) -> None:
        for start in range(0, len(rows), _ROWS_A_STATEMENT):
            part = rows[start : start + _ROWS_A_STATEMENT]
            values = [value for row in part for value in row]
            self._connection.execute(self._statement(table, len(part)), values)

    def _statement(self, table: str, count: int) -> str:
        names = self._columns[table]
        one = f"({', '.join('?' * len(names))})"
        values = ", ".join([one] * count)
        return f"INSERT INTO {table} ({', '.join(names)}) VALUES {values}"  # noqa: S608 - our own tables' names
