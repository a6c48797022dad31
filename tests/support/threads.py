"""Threads whose failure is the test's failure."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa

from farebox.storage import Database
from tests.support.services import PATIENCE_S


class Worker(threading.Thread):
    """A thread that keeps what its function returned or raised."""

    def __init__(self, work: Callable[..., Any], *arguments: Any) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._arguments = arguments
        self._returned: Any = None
        self._raised: BaseException | None = None

    def run(self) -> None:
        try:
            self._returned = self._work(*self._arguments)
        except BaseException as error:  # noqa: BLE001 - handed to whoever asks for the result
            self._raised = error

    def result(self, timeout: float = 60) -> Any:
        """Wait for the end; return or raise what the function did."""
        self.join(timeout)
        assert not self.is_alive(), f"still at work: {self._work}{self._arguments}"
        if self._raised is not None:
            raise self._raised
        return self._returned


def together(work: Callable[..., Any], each: Sequence[Any]) -> list[Any]:
    """Run a function on each argument, all at once; return what they returned."""
    workers = [Worker(work, argument) for argument in each]
    for worker in workers:
        worker.start()
    return [worker.result() for worker in workers]


def wait_until_it_waits(database: Database, worker: threading.Thread) -> None:
    """Return when somebody waits for a lock; on SQLite whoever writes second does at once."""
    waiting = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    _wait_until(database, waiting, worker.join)


def wait_until_the_dead_let_go(database: Database) -> None:
    """Return when nobody but us has a transaction; on SQLite the dead hold nothing.

    PostgreSQL ends what a killed process had open when it next looks at the line, and that may be a
    moment after the kill: until then the rows that it had locked are passed over by others.
    """
    nobody = (
        "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = current_database() "
        "AND backend_type = 'client backend' AND pid <> pg_backend_pid() "
        "AND xact_start IS NOT NULL"
    )
    _wait_until(database, nobody, time.sleep)


def _wait_until(database: Database, asked: str, pause: Callable[[float], object]) -> None:
    for _ in range(int(PATIENCE_S * 100)):
        with database.read() as tx:
            postgresql = tx.connection.dialect.name == "postgresql"
            if not postgresql or tx.run(sa.text(asked)).scalar_one():
                return
        pause(0.01)
    raise AssertionError(asked)
