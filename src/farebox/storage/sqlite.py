"""SQLite: WAL, synchronous=FULL, BEGIN IMMEDIATE, one writing connection a process.

Writers queue on file locks beside the database and never on SQLite's busy handler, which sleeps
and starves. Two locks make the queue fair: whoever wants to write first takes `next`, then waits
for `writer`; a writer that comes back for more therefore stands behind the one already waiting.
"""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from farebox.kernel.clock import Clock
from farebox.storage.database import Database, Row, Tx, translated_errors

CHECKPOINT_AT: Final = 8 * 2**20
CHECKPOINT_INLINE_AT: Final = 256 * 2**20
# Statements exist for powers of two of rows, so that the driver's statement cache knows them all.
CHUNKS: Final = (256, 128, 64, 32, 16, 8, 4, 2, 1)
PRAGMAS: Final = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    "wal_autocheckpoint=0",
    "cache_size=-65536",
    "temp_store=MEMORY",
    "busy_timeout=10000",
)
_decode_rows = msgspec.json.Decoder(list[list[Any]]).decode


def chunked(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Cut rows into runs whose lengths are in `CHUNKS`."""
    start = 0
    left = len(rows)
    for size in CHUNKS:
        while left >= size:
            yield rows[start : start + size]
            start += size
            left -= size


class SqliteTx(Tx):
    """A transaction on SQLite."""

    def __init__(self, connection: sa.Connection, clock: Clock, writes: int) -> None:
        super().__init__(connection)
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        self._driver = driver
        self._clock = clock
        self._writes = writes
        self._now_us: int | None = None

    @property
    def now_us(self) -> int:
        if self._now_us is None:
            self._now_us = self._clock.now_us()
        return self._now_us

    @property
    def epoch(self) -> object | None:
        version = self._driver.execute("PRAGMA data_version").fetchone()[0]
        return (id(self._driver), version, self._writes)

    @property
    def epoch_after(self) -> object | None:
        version = self._driver.execute("PRAGMA data_version").fetchone()[0]
        return (id(self._driver), version, self._writes + 1)

    def lock_rows(self, table: sa.Table, ids: Sequence[int], columns: Sequence[str]) -> list[Row]:
        names = ", ".join(columns)
        statement = f"SELECT {names} FROM {table.name} WHERE id IN :keys ORDER BY id"  # noqa: S608 - names of our own tables
        return self.select_in(statement, columns, ids)

    def select_in(
        self, statement: str, columns: Sequence[str], keys: Sequence[int] | Sequence[str]
    ) -> list[Row]:
        if not keys:
            return []
        # One row of JSON instead of many rows: one step, so the interpreter lock is let go once.
        inner = statement.replace(":keys", "(SELECT value FROM json_each(?))")
        packed = f"SELECT json_group_array(json_array({', '.join(columns)})) FROM ({inner})"  # noqa: S608 - as above
        with translated_errors():
            text = self._driver.execute(packed, (msgspec.json.encode(keys).decode(),)).fetchone()[0]
        return _decode_rows(text)  # type: ignore[return-value]

    def insert_many(self, table: sa.Table, columns: Sequence[str], rows: Sequence[Row]) -> None:
        self._insert(f"INSERT INTO {table.name}", columns, rows, "")

    def insert_missing(
        self, table: sa.Table, key: str, columns: Sequence[str], rows: Sequence[Row]
    ) -> int:
        return self._insert(
            f"INSERT INTO {table.name}", columns, rows, f" ON CONFLICT ({key}) DO NOTHING"
        )

    def _insert(self, head: str, columns: Sequence[str], rows: Sequence[Row], tail: str) -> int:
        head = f"{head} ({', '.join(columns)}) VALUES "
        one = f"({', '.join('?' * len(columns))})"
        count = 0
        with translated_errors():
            for chunk in chunked(rows):
                values = [value for row in chunk for value in row]
                sql = head + ", ".join([one] * len(chunk)) + tail
                count += self._driver.execute(sql, values).rowcount
        return count

    def update_many(
        self,
        table: sa.Table,
        columns: Sequence[str],
        rows: Sequence[Row],
        *,
        key: Sequence[str] = ("id",),
    ) -> int:
        one = f"({', '.join('?' * (len(key) + len(columns)))})"
        # SQLite names the columns of VALUES column1, column2 ...: the key's come first.
        match = " AND ".join(f"{table.name}.{n} = v.column{i}" for i, n in enumerate(key, 1))
        changes = ", ".join(f"{n} = v.column{i}" for i, n in enumerate(columns, len(key) + 1))
        count = 0
        with translated_errors():
            for chunk in chunked(rows):
                values = [value for row in chunk for value in row]
                sql = (
                    f"UPDATE {table.name} SET {changes} "  # noqa: S608 - names of our own tables
                    f"FROM (VALUES {', '.join([one] * len(chunk))}) AS v WHERE {match}"
                )
                count += self._driver.execute(sql, values).rowcount
        return count

    def insert_of(self, table: sa.Table) -> Any:  # noqa: ANN401 - see the base
        return sqlite.insert(table)

    @property
    def safe_position(self) -> sa.ColumnElement[bool] | None:
        return None


class SqliteDatabase(Database):
    """A database file. All writes of the process share one connection, one at a time."""

    def __init__(self, name: str, path: Path, clock: Clock) -> None:
        super().__init__(name, clock)
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._turn = threading.Lock()
        self._next = os.open(f"{path}.next", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        self._writer = os.open(f"{path}.writer", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        self._engine = sa.create_engine(
            "sqlite://", creator=self._connect, poolclass=sa.pool.NullPool
        )
        self._connection: sa.Connection | None = None
        self._writes = 0
        self._readers = threading.local()
        self._all_readers: list[sa.Connection] = []
        self._closed = False

    def _connect(self) -> sqlite3.Connection:
        driver = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        for pragma in PRAGMAS:
            driver.execute(f"PRAGMA {pragma}")
        return driver

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._turn:
            fcntl.flock(self._next, fcntl.LOCK_EX)
            try:
                fcntl.flock(self._writer, fcntl.LOCK_EX)
            finally:
                fcntl.flock(self._next, fcntl.LOCK_UN)
            try:
                yield
            finally:
                fcntl.flock(self._writer, fcntl.LOCK_UN)

    @contextmanager
    def write(self) -> Iterator[Tx]:
        with self._writing():
            if self._connection is None:
                self._connection = self._engine.connect()
            tx = SqliteTx(self._connection, self.clock, self._writes)
            tx.connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield tx
                tx.connection.commit()
            except BaseException:
                tx.connection.rollback()
                raise
            finally:
                self._writes += 1
            self._checkpoint_when_large()
        tx.committed()

    @contextmanager
    def read(self) -> Iterator[Tx]:
        connection: sa.Connection | None = getattr(self._readers, "connection", None)
        if connection is None:
            connection = self._readers.connection = self._engine.connect()
            self._all_readers.append(connection)
        tx = SqliteTx(connection, self.clock, 0)
        connection.exec_driver_sql("BEGIN")
        try:
            yield tx
        finally:
            connection.rollback()

    @property
    def wal_size(self) -> int:
        """Return the size of the write-ahead log in bytes."""
        try:
            return Path(f"{self.path}-wal").stat().st_size
        except FileNotFoundError:
            return 0

    def _checkpoint_when_large(self) -> None:
        # Only every so often: a stat call per lone command would be felt.
        if self._writes % 64 == 0 and self.wal_size > CHECKPOINT_INLINE_AT:
            assert self._connection is not None
            self._connection.exec_driver_sql("PRAGMA wal_checkpoint(RESTART)")
            self._connection.commit()

    def upkeep(self) -> None:
        if self.wal_size > CHECKPOINT_AT and not self._closed:
            driver = self._connect()
            try:
                driver.execute("PRAGMA wal_checkpoint(PASSIVE)")
            finally:
                driver.close()

    def translate(self, statement: str) -> list[str]:
        word, _, rest = statement.partition(" ")
        if word == "APPEND_ONLY":
            return [
                f"CREATE TRIGGER {rest}_no_{verb} BEFORE {verb} ON {rest} "
                f"BEGIN SELECT RAISE(ABORT, '{rest} is append-only'); END"
                for verb in ("update", "delete")
            ]
        for portable, own in (
            ("IDENTITY", "INTEGER PRIMARY KEY AUTOINCREMENT"),
            ("TXID", "INTEGER NOT NULL DEFAULT 0"),
            ("BIGINT", "INTEGER"),
            ("BYTES", "BLOB"),
        ):
            statement = statement.replace(portable, own)
        return [statement]

    def close(self) -> None:
        self._closed = True
        with self._turn:
            for connection in [
                *self._all_readers,
                *([self._connection] if self._connection else []),
            ]:
                connection.close()
            self._connection = None
        os.close(self._next)
        os.close(self._writer)
