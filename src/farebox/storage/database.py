"""What the rest of Farebox sees of a database: `Database` gives transactions, `Tx` runs statements.

Ordinary statements are SQLAlchemy Core. The ledger's batches use the driver-level bulk methods,
where a whole batch is one statement: the drivers let go of Python's interpreter lock once per
statement step, and a step per row would hand it back and forth a hundred times a batch.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from enum import Enum
from typing import Any, Final, TypeVar

import sqlalchemy as sa

from farebox.kernel.clock import Clock
from farebox.kernel.refusals import TryAgain
from farebox.storage.inserts import Inserts, Row
from farebox.storage.statements import built, insert_once_of, upsert_of

T = TypeVar("T")
Keys = Sequence[int] | Sequence[str] | Sequence[bytes]
ATTEMPTS: Final = 8
LOG_MB: Final = 16


class Problem(Enum):
    """What went wrong in the database, as far as a caller may act on it."""

    TRANSIENT = "transient"  # serialization failure, deadlock, lost connection: run again
    UNIQUE = "unique"  # a unique constraint fired
    CHECK = "check"  # a CHECK fired: the second guard
    VALUE = "value"  # the database cannot hold a value that was sent
    OTHER = "other"


class Tx(Inserts):
    """One open transaction. Whoever opened it commits by leaving its `with` block.

    `service` is the name of the service whose database it is. `memo` is for what was found out
    in it and does not change before its end; it goes with the transaction.
    """

    def __init__(self, connection: sa.Connection, database: "Database") -> None:
        self.connection = connection
        self.service = database.name
        self.secrets = database.secrets
        self.memo: dict[tuple[object, ...], Any] = {}
        self._known = database.known
        self._clock = database.clock
        self._moved_us = 0
        self._moved_by = database.moved_by
        self._after_commit: list[Callable[[], None]] = []

    def known(self, key: tuple[object, ...]) -> Any | None:  # noqa: ANN401 - whatever was found out
        """Return what `know` has kept under a key, or None."""
        found = self.memo.get(key)
        return self._known.get(key) if found is None else found

    def know(self, key: tuple[object, ...], found: T) -> T:
        """Keep what never changes once it is written: for this transaction, and for all after it.

        For later ones only when this one has committed: what it wrote may be taken back.
        """
        self.memo[key] = found
        self.after_commit(lambda: self._known.update({key: found}))
        return found

    @property
    @abstractmethod
    def now_us(self) -> int:
        """Return the transaction's time in microseconds, taken after its first lock."""

    def _moved(self, at_us: int) -> int:
        """Return an instant as this database shows it: later by what its test clock was moved."""
        if self._moved_by is None:
            return at_us
        self._moved_us = int(self.connection.exec_driver_sql(self._moved_by).scalar_one())
        return at_us + self._moved_us

    @property
    def moved_us(self) -> int:
        """Return by how much a test clock has moved the transaction's time."""
        self.now_us  # noqa: B018 - the two are taken together
        return self._moved_us

    @property
    @abstractmethod
    def epoch(self) -> object | None:
        """Return a mark that stays equal while nobody else wrote to this database, or None.

        None means that the engine cannot tell and remembered rows must be compared by version.
        """

    @property
    def epoch_after(self) -> object | None:
        """Return the epoch that the next transaction finds if nobody else writes in between."""
        return None

    @abstractmethod
    def lock_rows(self, table: sa.Table, ids: Sequence[int], columns: Sequence[str]) -> list[Row]:
        """Lock the rows with these ids in id order and return their columns, in that order."""

    @abstractmethod
    def select_in(self, statement: str, columns: Sequence[str], keys: Keys) -> list[Row]:
        """Run a named SELECT whose `IN :keys` takes any number of keys of one type."""

    @abstractmethod
    def update_many(
        self,
        table: sa.Table,
        columns: Sequence[str],
        rows: Sequence[Row],
        *,
        key: Sequence[str] = ("id",),
    ) -> int:
        """Set columns of many rows. Each row is the key's values, then the columns' values.

        Returns how many rows matched their key.
        """

    def run(
        self,
        statement: sa.Executable,
        parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None,
    ) -> sa.CursorResult[Any]:
        """Run a SQLAlchemy Core statement."""
        # SQLAlchemy lets through what the driver could not even encode.
        with translated_errors():
            return self.connection.execute(statement, parameters)

    def one(self, statement: sa.Executable) -> sa.Row[Any] | None:
        """Return the first row or None."""
        return self.run(statement).first()

    def upsert(self, table: sa.Table, values: Mapping[str, Any], *, key: Sequence[str]) -> None:
        """Insert a row, or set its columns where a row with that key exists."""
        name = ("upsert", table, tuple(values), tuple(key))
        self.run(self.built(name, lambda: upsert_of(self.insert_of(table), values, key)), values)

    def insert_once(
        self, table: sa.Table, values: Mapping[str, Any], *, key: Sequence[str]
    ) -> bool:
        """Insert a row unless one with that key exists; tells whether it was inserted."""
        name = ("insert_once", table, tuple(key))
        statement = self.built(name, lambda: insert_once_of(self.insert_of(table), table, key))
        if any(isinstance(value, sa.ClauseElement) for value in values.values()):
            # What the database is to work out is a part of the statement.
            return self.run(statement.values(values)).first() is not None
        return self.run(statement, values).first() is not None

    def insert_unless_taken(self, table: sa.Table, values: Mapping[str, Any]) -> bool:
        """Insert a row unless another is in its way, by whichever key; tells whether it was."""
        insert = self.insert_of(table).values(values).on_conflict_do_nothing()
        return self.run(insert.returning(sa.literal(1))).first() is not None

    def built(self, name: object, build: Callable[[], T]) -> T:
        """Return a statement that is the same in every transaction of its engine: built once."""
        return built((type(self), name), build)

    @abstractmethod
    def insert_of(self, table: sa.Table) -> Any:  # noqa: ANN401 - the dialects' Inserts share no base
        """Return the engine's INSERT that knows ON CONFLICT."""

    @property
    @abstractmethod
    def safe_position(self) -> sa.ColumnElement[bool] | None:
        """Return a condition on `txid` below which no row can appear any more, or None if all."""

    @abstractmethod
    def log_reach(
        self, log: sa.Table, after: int, rows: int, *, together: sa.Column[int] | None = None
    ) -> int:
        """Return the position that lies up to so many rows of a log after another one.

        Rows of one transaction that follow each other with the same value of `together` all lie
        on one side of it, be there a few more of them. A log has columns `seq` and `txid` and is
        named in an `ORDERED_LOG`. No row will appear before the position any more, whatever is
        still being written.
        """

    @abstractmethod
    def log_end(self, log: sa.Table) -> int:
        """Return the position after every row that anybody who has begun by now may write.

        Ask in a writing transaction. Whoever reads up to here has seen all that was done before.
        """

    @abstractmethod
    def log_span(self, log: sa.Table, after: int, until: int | None) -> sa.ColumnElement[bool]:
        """Return the condition for a log's rows after one position, up to another if given."""

    def after_commit(self, call: Callable[[], None]) -> None:
        """Run `call` once this transaction is durable; never if it is rolled back."""
        self._after_commit.append(call)

    def committed(self) -> None:
        """Run the calls that wait for the commit."""
        for call in self._after_commit:
            call()


class Database(ABC):
    """One service's own database; `name` is the service's.

    `moved_by` is a SELECT of one number, the microseconds by which every transaction's time is
    moved: a test clock's. None, as in production, costs no statement and cannot be moved.
    `secrets` are what this process was told and the database must not hold, by their names.
    `reads_at_once` says that reading waits for nobody, neither a network nor a writer.
    """

    reads_at_once = False

    def __init__(self, name: str, clock: Clock) -> None:
        self.name = name
        self.clock = clock
        self.moved_by: str | None = None
        self.secrets: Mapping[str, tuple[bytes, ...]] = {}
        self.known: dict[tuple[object, ...], Any] = {}

    def now_us(self) -> int:
        """Return the time for what is kept in memory: without a statement unless it is moved."""
        if self.moved_by is None:
            return self.clock.now_us()
        with self.read() as tx:
            return tx.now_us

    def mark(self) -> object | None:
        """Return what is different after every write, asked of no database; None if unknown."""
        return None

    @abstractmethod
    def write(self, *, log_mb: int = LOG_MB) -> AbstractContextManager[Tx]:
        """Open a writing transaction; commits at the end of the block, rolls back on an error.

        Where commits copy the engine's log back into its file, as SQLite's do, this one does when
        the log is larger than `log_mb`. A small log makes such commits short and many, a large one
        long and few, and less in all where many pages change again before they are copied.
        """

    @abstractmethod
    def read(self) -> AbstractContextManager[Tx]:
        """Open a reading transaction on one consistent snapshot."""

    def glance(self) -> AbstractContextManager[Tx]:
        """Open what is like `read`, but cheap to open again and again.

        One statement sees one consistent snapshot, the next perhaps a later one.
        """
        return self.read()

    @abstractmethod
    def translate(self, statement: str) -> list[str]:
        """Turn a statement of the portable migration language into the engine's own."""

    @abstractmethod
    def close(self) -> None:
        """Close every connection."""

    def run(self, work: Callable[[Tx], T]) -> T:
        """Run `work` in a writing transaction, again while the database says 'run again'.

        `work` must be repeatable: the same ids, nothing outside the transaction. Gives up with
        `TryAgain` after a few attempts.
        """
        for _ in range(ATTEMPTS):
            try:
                with self.write() as tx:
                    return work(tx)
            except TryAgain:
                # A key or a row was taken by somebody else meanwhile: look at what is there now.
                continue
            except sa.exc.DBAPIError as error:
                if problem_of(error) is not Problem.TRANSIENT:
                    raise
        raise TryAgain


@contextmanager
def translated_errors() -> Iterator[None]:
    """Wrap what a driver raises in bulk methods as SQLAlchemy does: callers see one kind."""
    try:
        yield
    except sa.exc.SQLAlchemyError:
        raise
    except OverflowError as error:
        raise sa.exc.DataError("bulk", None, error) from error
    except UnicodeEncodeError as error:
        raise sa.exc.DataError("bulk", None, error) from error
    except Exception as error:
        # A driver has a class for every state; SQLAlchemy knows the families that they belong to.
        names = (base.__name__ for base in type(error).__mro__)
        kind = next((_FAMILIES[name] for name in names if name in _FAMILIES), None)
        if kind is None:
            raise
        raise kind("bulk", None, error) from error


_FAMILIES: Final[dict[str, Any]] = {
    kind.__name__: kind
    for kind in (
        sa.exc.IntegrityError,
        sa.exc.DataError,
        sa.exc.OperationalError,
        sa.exc.InterfaceError,
        sa.exc.ProgrammingError,
        sa.exc.InternalError,
        sa.exc.NotSupportedError,
        sa.exc.DatabaseError,
    )
}

_BY_STATE: Final = {
    "40001": Problem.TRANSIENT,
    "40P01": Problem.TRANSIENT,
    "55P03": Problem.TRANSIENT,
    "57014": Problem.TRANSIENT,
    "57P01": Problem.TRANSIENT,
    "57P02": Problem.TRANSIENT,
    "57P03": Problem.TRANSIENT,
    "25006": Problem.TRANSIENT,
    "25P03": Problem.TRANSIENT,  # this connection was idle too long and is gone
    "53300": Problem.TRANSIENT,  # the server has no connection left
    "23505": Problem.UNIQUE,
    "23514": Problem.CHECK,
}


def problem_of(error: BaseException) -> Problem:
    """Say what a database error means to a caller; drivers' messages stay out of business code."""
    if not isinstance(error, sa.exc.DBAPIError):
        return Problem.OTHER
    cause = error.orig
    if isinstance(cause, (OverflowError, UnicodeEncodeError)) or isinstance(
        error, sa.exc.DataError
    ):
        return Problem.VALUE
    state = getattr(cause, "sqlstate", None)
    if state in _BY_STATE:
        return _BY_STATE[state]
    if isinstance(state, str) and state.startswith(("08", "22")):
        return Problem.TRANSIENT if state.startswith("08") else Problem.VALUE
    text = str(cause)
    if "CHECK constraint failed" in text:
        return Problem.CHECK
    if "UNIQUE constraint failed" in text:
        return Problem.UNIQUE
    if "datatype mismatch" in text or "cannot store" in text:
        return Problem.VALUE
    lost = state is None and isinstance(error, (sa.exc.OperationalError, sa.exc.InterfaceError))
    if error.connection_invalidated or (lost and "sqlite" not in type(cause).__module__):
        return Problem.TRANSIENT
    return Problem.TRANSIENT if "database is locked" in text else Problem.OTHER
