"""PostgreSQL: psycopg 3, READ COMMITTED with explicit row locks, bulk statements over arrays.

Custom plans are forced because a generic plan for `= ANY(array)` guesses the array's length.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from farebox.kernel.clock import Clock
from farebox.storage.database import LOG_MB, Database, Keys, Tx, translated_errors
from farebox.storage.inserts import Row
from farebox.storage.language import RefusalOf, refusal_of

OPTIONS: Final = "-c plan_cache_mode=force_custom_plan -c lock_timeout=20s -c timezone=UTC"
_NOW: Final = "(extract(epoch from clock_timestamp()) * 1000000)::bigint"
_HORIZON: Final = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
_LATEST: Final = "pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
_ARRAYS: Final[tuple[tuple[type[sa.types.TypeEngine[Any]], str], ...]] = (
    (sa.Integer, "bigint[]"),
    (sa.LargeBinary, "bytea[]"),
    (sa.Text, "text[]"),
)


def array_of(column: sa.Column[Any]) -> str:
    """Return the array type that carries a column's values."""
    for kind, array in _ARRAYS:
        if isinstance(column.type, kind):
            return array
    raise AssertionError(f"no array type for {column}")


class PostgresqlTx(Tx):
    """A transaction on PostgreSQL."""

    def __init__(self, connection: sa.Connection, database: Database) -> None:
        super().__init__(connection, database)
        self._now_us: int | None = None

    @property
    def now_us(self) -> int:
        if self._now_us is None:
            self._take_time(self.connection.exec_driver_sql(f"SELECT {_NOW}").scalar_one())
        assert self._now_us is not None
        return self._now_us

    def _take_time(self, at_us: int) -> None:
        # The host's clock is asked too: its jump must stop decisions on this engine as well.
        self._clock.now_us()
        self._now_us = self._moved(self._clock.shown_at(at_us))

    @property
    def epoch(self) -> object | None:
        return None

    def _cursor(self) -> Any:  # noqa: ANN401 - the driver's cursor is used untyped here alone
        driver = self.connection.connection.driver_connection
        assert driver is not None
        return driver.cursor()

    def lock_rows(self, table: sa.Table, ids: Sequence[int], columns: Sequence[str]) -> list[Row]:
        names = ", ".join(columns)
        sql = (
            f"SELECT {names}, {_NOW} FROM {table.name} "  # noqa: S608 - names of our own tables
            "WHERE id = ANY(%s) ORDER BY id FOR UPDATE"
        )
        with translated_errors(), self._cursor() as cursor:
            rows = cursor.execute(sql, (list(ids),)).fetchall()
        if rows:
            # The last row was locked last: its time lies after every wait.
            self._take_time(max(row[-1] for row in rows))
        return [row[:-1] for row in rows]

    def select_in(
        self,
        statement: str,
        columns: Sequence[str],  # noqa: ARG002 - SQLite's form needs their names
        keys: Keys,
    ) -> list[Row]:
        if not keys:
            return []
        sql = statement.replace("%", "%%").replace("IN :keys", "= ANY(%s)")
        with translated_errors(), self._cursor() as cursor:
            rows: list[Row] = cursor.execute(sql, (list(keys),)).fetchall()
        return rows

    def _insert(
        self, table: sa.Table, columns: Sequence[str], rows: Sequence[Row], end: str
    ) -> int:
        if not rows:
            return 0
        arrays = ", ".join(f"%s::{array_of(table.c[name])}" for name in columns)
        sql = f"INSERT INTO {table.name} ({', '.join(columns)}) SELECT * FROM unnest({arrays}){end}"  # noqa: S608
        with translated_errors(), self._cursor() as cursor:
            count: int = cursor.execute(
                sql, [list(values) for values in zip(*rows, strict=True)]
            ).rowcount
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
        names = [f"k_{name}" for name in key] + [f"v_{name}" for name in columns]
        arrays = ", ".join(f"%s::{array_of(table.c[name])}" for name in [*key, *columns])
        changes = ", ".join(f"{name} = v.v_{name}" for name in columns)
        match = " AND ".join(f"{table.name}.{name} = v.k_{name}" for name in key)
        sql = (
            f"UPDATE {table.name} SET {changes} FROM unnest({arrays}) "  # noqa: S608
            f"AS v ({', '.join(names)}) WHERE {match}"
        )
        with translated_errors(), self._cursor() as cursor:
            count: int = cursor.execute(
                sql, [list(values) for values in zip(*rows, strict=True)]
            ).rowcount
        return count

    def insert_of(self, table: sa.Table) -> Any:  # noqa: ANN401 - see the base
        return postgresql.insert(table)

    def log_reach(
        self,
        log: sa.Table,
        after: int,
        rows: int,
        *,
        together: sa.Column[int] | None = None,  # noqa: ARG002 - a transaction is never parted
    ) -> int:
        # Numbers of a sequence appear out of order, but below the oldest running transaction
        # nothing more is written. A position is the first transaction that is not counted yet.
        horizon = int(self.connection.exec_driver_sql(f"SELECT {_HORIZON}").scalar_one())
        span = sa.and_(log.c.txid >= after, log.c.txid < horizon)
        row = sa.select(log.c.txid).where(span).order_by(log.c.txid).offset(rows).limit(1)
        beyond = self.run(row).scalar()
        return horizon if beyond is None else max(int(beyond), after + 1)

    def log_end(self, log: sa.Table) -> int:  # noqa: ARG002 - one numbering for all logs
        # Whoever has taken the time of a change has a transaction id, and so lies below this.
        return int(self.connection.exec_driver_sql(f"SELECT {_LATEST}").scalar_one())

    def log_span(self, log: sa.Table, after: int, until: int | None) -> sa.ColumnElement[bool]:
        later = log.c.txid >= after
        return later if until is None else sa.and_(later, log.c.txid < until)

    @property
    def safe_position(self) -> sa.ColumnElement[bool] | None:
        horizon = "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
        return sa.literal_column("txid", sa.BigInteger) < sa.literal_column(horizon, sa.BigInteger)


class PostgresqlDatabase(Database):
    """A database on a PostgreSQL server."""

    def __init__(self, name: str, url: str, clock: Clock) -> None:
        super().__init__(name, clock)
        self._engine = sa.create_engine(
            url,
            pool_size=8,
            max_overflow=32,
            pool_pre_ping=False,
            connect_args={"options": OPTIONS, "connect_timeout": 10},
        )
        self._glancing = threading.Lock()
        self._glancer: sa.Connection | None = None

    @contextmanager
    def write(self, *, log_mb: int = LOG_MB) -> Iterator[Tx]:  # noqa: ARG002 - the server copies
        with self._engine.connect() as connection:
            tx = PostgresqlTx(connection, self)
            with connection.begin():
                yield tx
        tx.committed()

    @contextmanager
    def read(self) -> Iterator[Tx]:
        with self._engine.connect() as connection:
            snapshot = connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
            with snapshot.begin():
                yield PostgresqlTx(snapshot, self)

    @contextmanager
    def glance(self) -> Iterator[Tx]:
        # Measured, a tenth of a transaction's cost: no BEGIN, no change of the isolation level.
        with self._glancing:
            if self._glancer is None:
                self._glancer = self._engine.connect().execution_options(
                    isolation_level="AUTOCOMMIT"
                )
            try:
                yield PostgresqlTx(self._glancer, self)
            except BaseException:
                self._glancer.invalidate()
                self._glancer.close()
                self._glancer = None
                raise

    def translate(self, statement: str) -> list[str]:
        word, _, rest = statement.partition(" ")
        if word == "APPEND_ONLY":
            function = (
                f"CREATE FUNCTION {rest}_append_only() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN RAISE EXCEPTION '{rest} is append-only'; END $$"
            )
            trigger = (
                f"CREATE TRIGGER {rest}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {rest} "
                f"FOR EACH STATEMENT EXECUTE FUNCTION {rest}_append_only()"
            )
            return [function, trigger]
        if word == "EXPIRING":
            until = f"coalesce((SELECT until FROM expiry WHERE log = '{rest}'), 0)"  # noqa: S608
            function = (
                f"CREATE FUNCTION {rest}_expiry() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN IF OLD.at < {until} THEN RETURN OLD; END IF; "
                f"RAISE EXCEPTION '{rest} is append-only'; END $$"
            )
            never = (
                f"CREATE TRIGGER {rest}_append_only BEFORE UPDATE OR TRUNCATE ON {rest} "
                f"FOR EACH STATEMENT EXECUTE FUNCTION {rest}_append_only()"
            )
            later = (
                f"CREATE TRIGGER {rest}_expiry BEFORE DELETE ON {rest} "
                f"FOR EACH ROW EXECUTE FUNCTION {rest}_expiry()"
            )
            return [f"DROP TRIGGER {rest}_append_only ON {rest}", never, function, later]
        if word == "REFUSE":
            return _refusing(refusal_of(statement))
        if word == "ORDERED_LOG":
            return [f"CREATE INDEX {rest}_txid_ix ON {rest} (txid)"]
        for portable, own in (
            ("IDENTITY", "BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY"),
            ("TXID", "BIGINT NOT NULL DEFAULT (pg_current_xact_id()::text::bigint)"),
            ("BYTES", "BYTEA"),
            (" WITHOUT ROWID", ""),
            (" STRICT,", ""),
            (" STRICT", ""),
        ):
            statement = statement.replace(portable, own)
        return [statement]

    def close(self) -> None:
        with self._glancing:
            if self._glancer is not None:
                self._glancer.close()
                self._glancer = None
        self._engine.dispose()


def _refusing(one: RefusalOf) -> list[str]:
    """Return the triggers of a REFUSE.

    After the fact, and after the checks of references, whose names sort first: these wait for
    whoever holds the row referred to, so the condition is asked of what was committed meanwhile.
    """
    function = (
        f"CREATE FUNCTION {one.name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF {one.condition} THEN RAISE EXCEPTION '{one.text}'; END IF; RETURN NULL; END $$"
    )
    trigger = (
        f"CREATE TRIGGER {one.name} AFTER {one.verb} ON {one.table} "
        f"FOR EACH ROW EXECUTE FUNCTION {one.name}()"
    )
    if one.verb != "DELETE":
        return [function, trigger]
    all_of_it = (
        f"CREATE FUNCTION {one.name}_whole() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"RAISE EXCEPTION '{one.text}'; END $$"
    )
    emptied = (
        f"CREATE TRIGGER {one.name}_whole BEFORE TRUNCATE ON {one.table} "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {one.name}_whole()"
    )
    return [function, trigger, all_of_it, emptied]
