"""Death, and faults, between any two statements that a process sends to its database.

Every statement of both drivers goes through a cursor; a commit is a method of the connection, or
on SQLite a statement. `Statements` counts them and lets something happen before the n-th. The place
after the commit, when it is done and nobody knows yet, is counted as well.
"""

import os
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import psycopg

Strike = Callable[[Any], None]


class Statements:
    """Count what a process sends to its databases, and strike at one of them.

    It wraps the drivers for the rest of the process's life: for children of the nursery only.
    """

    def __init__(self) -> None:
        self.count = 0
        self._position = 0
        self._times = 0
        self._strike: Strike = _spare
        self._wrap_sqlite()
        self._wrap_postgresql()

    def strike_at(self, position: int, strike: "Strike", times: int = 1) -> None:
        """Count from here on; let `strike` happen at the n-th place, and at the following ones."""
        self.count = 0
        self._position = position
        self._times = times
        self._strike = strike

    def step(self, connection: Any) -> None:
        """Pass one place."""
        self.count += 1
        if 0 <= self.count - self._position < self._times:
            self._strike(connection)

    def _wrap_sqlite(self) -> None:
        step = self.step

        class Cursor(sqlite3.Cursor):
            def execute(self, *arguments: Any) -> "Cursor":
                step(self.connection)
                super().execute(*arguments)
                if arguments[0] == "COMMIT":
                    step(self.connection)
                return self

            def executemany(self, *arguments: Any) -> "Cursor":
                step(self.connection)
                super().executemany(*arguments)
                return self

        class Connection(sqlite3.Connection):
            def cursor(self, *_: Any) -> Any:
                return super().cursor(Cursor)

            def execute(self, *arguments: Any) -> Any:
                # Up to Python 3.12 this does not come by `Cursor.execute`.
                return self.cursor().execute(*arguments)

            def executemany(self, *arguments: Any) -> Any:
                return self.cursor().executemany(*arguments)

            def commit(self) -> None:
                step(self)
                super().commit()
                step(self)

        sqlite3.connect = partial(sqlite3.connect, factory=Connection)  # type: ignore[assignment]

    def _wrap_postgresql(self) -> None:
        step = self.step
        execute, commit = psycopg.Cursor.execute, psycopg.Connection.commit

        def counted_execute(self: Any, *arguments: Any, **options: Any) -> Any:
            step(self.connection)
            return execute(self, *arguments, **options)

        def counted_commit(self: Any) -> None:
            step(self)
            commit(self)
            step(self)

        psycopg.Cursor.execute = counted_execute  # type: ignore[method-assign]
        psycopg.Connection.commit = counted_commit  # type: ignore[method-assign]


def _spare(_: Any) -> None:
    """Let it pass."""


def _die(_: Any) -> None:
    """End at once: no rollback, no goodbye."""
    os._exit(9)


def _fail(connection: Any) -> None:
    """Fail as the driver does when the disk, or the line to the server, fails."""
    if isinstance(connection, sqlite3.Connection):
        raise sqlite3.OperationalError("disk I/O error")
    connection.close()
    raise psycopg.OperationalError("server closed the connection unexpectedly")


STRIKES: Final[dict[str, Strike]] = {"none": _spare, "die": _die, "fail": _fail}
