"""SQLite: WAL, synchronous=FULL, BEGIN IMMEDIATE, one writing connection a process."""

import sqlite3
import threading
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from farebox.kernel.clock import Clock
from farebox.storage.database import LOG_MB, Database, Keys, Tx, translated_errors
from farebox.storage.inserts import Row
from farebox.storage.language import refusal_of
from farebox.storage.turns import Turns

# Bulk statements exist for these numbers of rows; what is missing to the next one is filled with
# rows of nulls, which the statement leaves out. So a batch is one statement a table, and the
# driver's statement cache knows them all.
SIZES: Final = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)
_PAGES_A_MB: Final = 250
PRAGMAS: Final = (
    "journal_mode=WAL",
    "synchronous=FULL",
    "foreign_keys=ON",
    # REPLACE removes the row that is in its way: without this, past the triggers that keep it.
    "recursive_triggers=ON",
    # Inline, by whoever's commit passes so many pages: measured, a thread that checkpoints beside
    # the writer doubles the time of its commits (decisions/0013).
    f"wal_autocheckpoint={LOG_MB * _PAGES_A_MB}",
    "cache_size=-65536",
    "temp_store=MEMORY",
    "busy_timeout=10000",
)
_decode_rows = msgspec.json.Decoder(list[list[Any]]).decode


def filled(rows: Sequence[Row]) -> Iterator[tuple[int, list[Any]]]:
    """Cut rows into runs of the known sizes: yields each size and its flat, filled-up values."""
    for start in range(0, len(rows), SIZES[-1]):
        run = rows[start : start + SIZES[-1]]
        size = SIZES[bisect_left(SIZES, len(run))]
        values = [value for row in run for value in row]
        values += [None] * ((size - len(run)) * len(run[0]))
        yield size, values


@lru_cache(maxsize=1024)
def _insert_sql(table: str, columns: Sequence[str], size: int, end: str) -> str:
    rows = ", ".join([f"({', '.join('?' * len(columns))})"] * size)
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) "  # noqa: S608 - names of our own tables
        f"SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL{end}"
    )


@lru_cache(maxsize=64)
def _insert_missing_sql(table: str, key: str, columns: Sequence[str]) -> str:
    # A row at a time: measured, half the cost of many rows in one statement.
    row = ", ".join("?" * len(columns))
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({row})"  # noqa: S608 - as above
        f" ON CONFLICT ({key}) DO NOTHING"
    )


@lru_cache(maxsize=64)
def _update_sql(table: str, key: Sequence[str], columns: Sequence[str]) -> str:
    # A row at a time: measured, less than half the cost of UPDATE ... FROM (VALUES ...).
    match = " AND ".join(f"{name} = ?{place}" for place, name in enumerate(key, 1))
    changes = ", ".join(f"{name} = ?{place}" for place, name in enumerate(columns, len(key) + 1))
    return f"UPDATE {table} SET {changes} WHERE {match}"  # noqa: S608 - names of our own tables


class SqliteTx(Tx):
    """A transaction on SQLite."""

    def __init__(self, connection: sa.Connection, database: Database, epoch: int | None) -> None:
        super().__init__(connection, database)
        driver = connection.connection.driver_connection
        assert isinstance(driver, sqlite3.Connection)
        self._driver = driver
        self._epoch = epoch
        self._now_us: int | None = None

    @property
    def now_us(self) -> int:
        if self._now_us is None:
            self._now_us = self._moved(self._clock.now_us())
        return self._now_us

    @property
    def epoch(self) -> object | None:
        return self._epoch

    @property
    def epoch_after(self) -> object | None:
        return None if self._epoch is None else self._epoch + 2

    def lock_rows(self, table: sa.Table, ids: Sequence[int], columns: Sequence[str]) -> list[Row]:
        names = ", ".join(columns)
        statement = f"SELECT {names} FROM {table.name} WHERE id IN :keys ORDER BY id"  # noqa: S608 - names of our own tables
        return self.select_in(statement, columns, ids)

    def select_in(self, statement: str, columns: Sequence[str], keys: Keys) -> list[Row]:
        if not keys:
            return []
        if isinstance(keys[0], bytes):
            return self._select_in_bytes(statement, keys)
        # One row of JSON instead of many rows: one step, so the interpreter lock is let go once.
        inner = statement.replace(":keys", "(SELECT value FROM json_each(?))")
        packed = f"SELECT json_group_array(json_array({', '.join(columns)})) FROM ({inner})"  # noqa: S608 - as above
        with translated_errors():
            text = self._driver.execute(packed, (msgspec.json.encode(keys).decode(),)).fetchone()[0]
        return _decode_rows(text)  # type: ignore[return-value]

    def _select_in_bytes(self, statement: str, keys: Sequence[object]) -> list[Row]:
        """Run a SELECT for keys that JSON cannot carry; a null beside them matches nothing."""
        found: list[Row] = []
        with translated_errors():
            for size, values in filled([(key,) for key in keys]):
                sql = statement.replace(":keys", f"({', '.join('?' * size)})")
                found += self._driver.execute(sql, values).fetchall()
        return found

    def insert_missing(
        self, table: sa.Table, key: str, columns: Sequence[str], rows: Sequence[Row]
    ) -> int:
        if not rows:
            return 0
        sql = _insert_missing_sql(table.name, key, tuple(columns))
        with translated_errors():
            return self._driver.executemany(sql, rows).rowcount

    def _insert(
        self, table: sa.Table, columns: Sequence[str], rows: Sequence[Row], end: str
    ) -> int:
        count = 0
        with translated_errors():
            for size, values in filled(rows):
                sql = _insert_sql(table.name, tuple(columns), size, end)
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
        if not rows:
            return 0
        with translated_errors():
            return self._driver.executemany(
                _update_sql(table.name, tuple(key), tuple(columns)), rows
            ).rowcount

    def begin(self, how: str) -> None:
        """Begin by the driver: SQLAlchemy's way round costs more than the statement."""
        with translated_errors():
            self._driver.execute(how)

    def end(self, how: str) -> None:
        """Commit or roll back, and let SQLAlchemy know where it took part."""
        if how == "ROLLBACK":
            # Also after a failed commit, which SQLAlchemy holds against the connection for ever.
            self.connection.rollback()
        elif self.connection.in_transaction():
            self.connection.commit()
        if self._driver.in_transaction:
            with translated_errors():
                self._driver.execute(how)

    def insert_of(self, table: sa.Table) -> Any:  # noqa: ANN401 - see the base
        return sqlite.insert(table)

    def log_reach(
        self, log: sa.Table, after: int, rows: int, *, together: sa.Column[int] | None = None
    ) -> int:
        # One writer at a time: rows appear in the order of their numbers.
        page = sa.select(log.c.seq).where(log.c.seq > after).order_by(log.c.seq).limit(rows)
        last = sa.select(sa.func.max(page.subquery().c.seq)).scalar_subquery()
        if together is not None:
            value = sa.select(together).where(log.c.seq == last).scalar_subquery()
            last = sa.select(sa.func.max(log.c.seq)).where(together == value).scalar_subquery()
        return int(self.run(sa.select(last)).scalar_one() or after)

    def log_end(self, log: sa.Table) -> int:
        # Nobody else writes while this transaction does.
        return int(self.run(sa.select(sa.func.max(log.c.seq))).scalar_one() or 0)

    def log_span(self, log: sa.Table, after: int, until: int | None) -> sa.ColumnElement[bool]:
        later = log.c.seq > after
        return later if until is None else sa.and_(later, log.c.seq <= until)

    @property
    def safe_position(self) -> sa.ColumnElement[bool] | None:
        return None


def _is_logged(path: Path) -> bool:
    """Tell whether a file is in WAL mode: bytes 18 and 19 of its header are 2 (SQLite's format)."""
    try:
        with path.open("rb") as file:
            return file.read(20)[18:] == b"\x02\x02"
    except FileNotFoundError:
        return False


class SqliteDatabase(Database):
    """A database file. All writes of the process share one connection, one at a time."""

    reads_at_once = True

    def __init__(self, name: str, path: Path, clock: Clock) -> None:
        super().__init__(name, clock)
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._turns = Turns(path)
        self._begin_log()
        self._engine = sa.create_engine(
            "sqlite://", creator=self._connect, poolclass=sa.pool.NullPool
        )
        self._connection: sa.Connection | None = None
        self._log_mb = LOG_MB
        self._readers = threading.local()
        self._all_readers: list[sa.Connection] = []

    def _begin_log(self) -> None:
        """Give a new file its write-ahead log, which SQLite refuses to two who try at once."""
        if not _is_logged(self.path):
            with (
                self._turns.turn(),
                translated_errors(),
                closing(sqlite3.connect(self.path)) as driver,
            ):
                driver.execute("PRAGMA journal_mode=WAL")

    def _connect(self) -> sqlite3.Connection:
        driver = sqlite3.connect(
            self.path, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        for pragma in PRAGMAS:
            driver.execute(f"PRAGMA {pragma}")
        return driver

    def mark(self) -> object | None:
        return self._turns.counter()

    @contextmanager
    def write(self, *, log_mb: int = LOG_MB) -> Iterator[Tx]:
        with self._turns.turn() as before:
            if self._connection is None:
                self._connection = self._engine.connect()
                self._log_mb = LOG_MB
            tx = SqliteTx(self._connection, self, None if before % 2 else before)
            if log_mb != self._log_mb:
                tx.begin(f"PRAGMA wal_autocheckpoint={log_mb * _PAGES_A_MB}")
                self._log_mb = log_mb
            tx.begin("BEGIN IMMEDIATE")
            try:
                yield tx
                tx.end("COMMIT")
            except BaseException:
                self._roll_back(tx)
                raise
        tx.committed()

    def _roll_back(self, tx: SqliteTx) -> None:
        """Undo a transaction; where not even that succeeds, the next writer opens a connection."""
        try:
            tx.end("ROLLBACK")
        except sa.exc.DBAPIError:
            self._connection = None
            tx.connection.invalidate()
            tx.connection.close()

    @contextmanager
    def read(self) -> Iterator[Tx]:
        connection: sa.Connection | None = getattr(self._readers, "connection", None)
        if connection is None:
            connection = self._readers.connection = self._engine.connect()
            self._all_readers.append(connection)
        before = self._turns.counter()
        tx = SqliteTx(connection, self, None if before % 2 else before)
        tx.begin("BEGIN")
        try:
            yield tx
        finally:
            tx.end("ROLLBACK")

    def translate(self, statement: str) -> list[str]:
        word, _, rest = statement.partition(" ")
        if word == "APPEND_ONLY":
            return [
                f"CREATE TRIGGER {rest}_no_{verb} BEFORE {verb} ON {rest} "
                f"BEGIN SELECT RAISE(ABORT, '{rest} is append-only'); END"
                for verb in ("update", "delete")
            ]
        if word == "EXPIRING":
            until = f"coalesce((SELECT until FROM expiry WHERE log = '{rest}'), 0)"  # noqa: S608
            later = (
                f"CREATE TRIGGER {rest}_no_delete BEFORE DELETE ON {rest} WHEN OLD.at >= {until} "
                f"BEGIN SELECT RAISE(ABORT, '{rest} is append-only'); END"
            )
            return [f"DROP TRIGGER {rest}_no_delete", later]
        if word == "REFUSE":
            one = refusal_of(statement)
            # Before the fact, so that REPLACE meets the row that it would remove unseen.
            trigger = (
                f"CREATE TRIGGER {one.name} BEFORE {one.verb} ON {one.table} WHEN {one.condition} "
                f"BEGIN SELECT RAISE(ABORT, '{one.text}'); END"
            )
            return [trigger]
        if word == "ORDERED_LOG":
            return []
        for portable, own in (
            ("IDENTITY", "INTEGER PRIMARY KEY AUTOINCREMENT"),
            ("TXID", "INTEGER NOT NULL DEFAULT 0"),
            ("BIGINT", "INTEGER"),
            ("BYTES", "BLOB"),
        ):
            statement = statement.replace(portable, own)
        return [statement]

    def close(self) -> None:
        for connection in self._all_readers:
            connection.close()
        if self._connection is not None:
            with self._turns.turn():
                self._connection.close()
            self._connection = None
        self._turns.close()
