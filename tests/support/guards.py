"""Taking guards away, one at a time: what a fault in our own code, or in the schema, would do.

Each function removes one guard until the test ends. They are applied before a database is opened.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import msgspec
import psycopg
import pytest

from farebox.kernel import clock
from farebox.ledger import decide, loading, store, uses
from farebox.ledger.books import Books
from farebox.ledger.loading import Memory
from farebox.ledger.model import FOREVER, Capture, Release, Use
from farebox.ledger.running import Runner
from farebox.ledger.service import Ledger
from farebox.storage import Database, Tx, sqlite, turns
from farebox.storage.postgresql import PostgresqlTx
from farebox.storage.sqlite import SqliteTx
from tests.support.engines import Engine

TXS = (PostgresqlTx, SqliteTx)


class Site:
    """Where guards are taken away; the schema only where an engine is given."""

    def __init__(
        self, patch: pytest.MonkeyPatch, engine: Engine | None = None, url: str = ""
    ) -> None:
        self.patch = patch
        self.engine = engine
        self.url = url

    def change_schema(self, of_postgresql: str, of_sqlite: str) -> None:
        """Change the schema by the engine's own word; on SQLite it is a setting, or a statement."""
        assert self.engine is not None
        if self.engine.name == "postgresql":
            with psycopg.connect(self.url, autocommit=True) as connection:
                connection.execute(of_postgresql)
        elif of_sqlite.startswith("DROP"):
            file = sqlite3.connect(self.url.removeprefix("sqlite:///"), isolation_level=None)
            file.execute(of_sqlite)
            file.close()
        else:
            self.patch.setattr(sqlite, "PRAGMAS", (*sqlite.PRAGMAS, of_sqlite))


def _put(site: Site, kind: type, step: Callable[..., Any]) -> None:
    """Let a kind of command be decided by another step."""
    steps: dict[type, Any] = decide._STEPS
    site.patch.setitem(steps, kind, step)


def condition(site: Site) -> None:
    """The deciding condition: a use believes that there is plenty."""
    right = decide._STEPS[Use]

    def wrong(books: Books, command: Use, operation: int, now: int) -> Any:
        uses.opened(books, command.sources[0].bucket, now)
        bucket = books.buckets[command.sources[0].bucket]
        funds: list[Any] = [bucket, *bucket.order] if command.amount > bucket.room() else []
        for fund in funds:
            fund.credited += command.amount
        outcome = right(books, command, operation, now)
        for fund in funds:
            fund.credited -= command.amount
        return outcome

    _put(site, Use, wrong)


def balance_check(site: Site) -> None:
    """The CHECKs on balances and counters."""
    site.change_schema(
        "ALTER TABLE account DROP CONSTRAINT account_floor_ck, DROP CONSTRAINT account_counters_ck",
        "ignore_check_constraints=ON",
    )


def hold_state(site: Site) -> None:
    """The look at a hold's state: each is open."""
    for kind in (Capture, Release):
        right = decide._STEPS[kind]

        def wrong(books: Books, command: Any, *rest: Any, right: Any = right) -> Any:
            if (known := books.hold(command.hold)) is not None:
                known.state = 1
            return right(books, command, *rest)

        _put(site, kind, wrong)


def row_lock(site: Site) -> None:
    """The lock on buckets: FOR UPDATE; on SQLite the turns, and beginning at once."""

    def unlocked(self: Any, table: Any, ids: Any, columns: Any) -> Any:
        select = f"SELECT {', '.join(columns)} FROM {table.name} WHERE id IN :keys"  # noqa: S608
        return self.select_in(select, columns, ids)

    site.patch.setattr(PostgresqlTx, "lock_rows", unlocked)
    begin = SqliteTx.begin
    site.patch.setattr(SqliteTx, "begin", lambda self, _: begin(self, "BEGIN DEFERRED"))
    site.patch.setattr(turns.Turns, "turn", lambda self: nullcontext(1))


def version(site: Site) -> None:
    """The comparison of versions when a bucket is written."""
    for tx in TXS:
        site.patch.setattr(tx, "update_many", _without_version(tx.update_many))


def _without_version(right: Callable[..., int]) -> Callable[..., int]:
    def wrong(*where: Any, key: tuple[str, ...] = ("id",)) -> int:
        if key == ("id", "version"):
            return right(*where[:-1], [(row[0], *row[2:]) for row in where[-1]], key=("id",))
        return right(*where, key=key)

    return wrong


def memory_compare(site: Site) -> None:
    """The comparison of what is remembered with what is stored: memory is always believed."""
    right = loading._fresh_buckets

    def wrong(tx: Any, wanted: Any, memory: Memory, books: Books, **options: Any) -> Any:
        memory.buckets = {**memory.before, **memory.buckets}
        return right(tx, wanted, memory, books, **options)

    site.patch.setattr(loading, "_fresh_buckets", wrong)


def memory_forgetting(site: Site) -> None:
    """Forgetting what a failed batch has changed in memory."""
    site.patch.setattr(Memory, "forget", lambda self: None)


def key_recall(site: Site) -> None:
    """Looking up what keys remember."""
    site.patch.setattr(store, "remembered", lambda tx, digests: {})


def key_conflict(site: Site) -> None:
    """Looking whether a key could be recorded."""
    for tx in TXS:
        site.patch.setattr(tx, "insert_missing", _all_of(tx.insert_missing))


def _all_of(right: Callable[..., int]) -> Callable[..., int]:
    def wrong(*arguments: Any) -> int:
        right(*arguments)
        return len(arguments[-1])

    return wrong


def fingerprint(site: Site) -> None:
    """The comparison of payloads under one key."""
    right = decide._answer

    def wrong(books: Books, request: Any, now: int) -> Any:
        known = books.remembered.get(request.digest)
        if known is not None:
            request = msgspec.structs.replace(request, fingerprint=known.fingerprint)
        return right(books, request, now)

    site.patch.setattr(decide, "_answer", wrong)


def guards(site: Site) -> None:
    """The comparison of subjects' revisions."""
    right = decide._answer

    def wrong(books: Books, request: Any, now: int) -> Any:
        return right(books, msgspec.structs.replace(request, guards=()), now)

    site.patch.setattr(decide, "_answer", wrong)


class _Kept(dict[str, int]):
    """Revisions that are never forgotten."""

    def clear(self) -> None:
        """Keep everything."""


def revisions_forgetting(site: Site) -> None:
    """Looking revisions up anew once somebody else has written."""
    right = Memory.__init__

    def wrong(self: Memory) -> None:
        right(self)
        self.revisions = _Kept()

    site.patch.setattr(Memory, "__init__", wrong)


def settling(site: Site) -> None:
    """Settling what is due before a decision."""

    def wrong(books: Books, bucket: Any, until: int) -> None:
        bucket.next_event_at = FOREVER

    site.patch.setattr(uses, "settle", wrong)


def group_undo(site: Site) -> None:
    """Undoing a group of which one command fails."""
    site.patch.setattr(Books, "undo_group", Books.keep_group)


def stopping(site: Site) -> None:
    """The look whether a bucket is frozen."""
    right = decide._STEPS[Use]

    def wrong(books: Books, command: Use, operation: int, now: int) -> Any:
        books.buckets[command.sources[0].bucket].frozen = 0
        return right(books, command, operation, now)

    _put(site, Use, wrong)


def running_alone(site: Site) -> None:
    """Running each request alone where the batch failed."""
    site.patch.setattr(Runner, "_alone", lambda self, request: RuntimeError("the batch failed"))


def faults_declared(site: Site) -> None:
    """Freezing a bucket on which database and decision disagree."""
    site.patch.setattr(Ledger, "declare_fault", lambda self, tx, balances, *, surely: [])


def append_only(site: Site) -> None:
    """The trigger that keeps the journal as it was written."""
    site.change_schema(
        "DROP TRIGGER transfer_append_only ON transfer", "DROP TRIGGER transfer_no_update"
    )


def clock_watch(site: Site) -> None:
    """Watching the wall clock against the monotonic one."""
    site.patch.setattr(clock, "MAX_JUMP_US", 2**62)


class Crossing:
    """Lets two transactions decide before either writes, as far as they run side by side."""

    def __init__(self, patch: pytest.MonkeyPatch, patience_s: float) -> None:
        self._both = threading.Barrier(2)
        self._seen = threading.local()
        write = store.write_changes

        def write_later(tx: Any, books: Books) -> None:
            if not getattr(self._seen, "once", False):
                self._seen.once = True
                # The second waits for a lock as long as the first has not written: then alone.
                with suppress(threading.BrokenBarrierError):
                    self._both.wait(patience_s)
            write(tx, books)

        patch.setattr(store, "write_changes", write_later)


def breaking_commit(patch: pytest.MonkeyPatch, database: Database) -> None:
    """Let the next transactions fail right before their commit, and not by the database."""
    write = database.write

    @contextmanager
    def failing(**_: object) -> Iterator[Tx]:
        with write() as tx:
            yield tx
            raise RuntimeError("not a database's error")

    patch.setattr(database, "write", failing)
