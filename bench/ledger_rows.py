"""The ledger without HTTP: the only place of the bench that knows its tables and its front door."""

import shutil
import sqlite3
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Final, Self

import sqlalchemy as sa

from bench.model import Wrong
from bench.peers.raw_sqlite import Batch, Row
from bench.rounds import say
from farebox.kernel.clock import SystemClock
from farebox.kernel.refusals import TryAgain
from farebox.ledger import store
from farebox.ledger.loading import Memory
from farebox.ledger.model import Applied, Grant, Outcome, Request, Source, Use
from farebox.ledger.service import Ledger, request
from farebox.storage import Database, Problem, migrate, open_database, problem_of
from farebox.storage.sqlite import PRAGMAS

GRANT_AMOUNT: Final = 1_000_000_000
GRANTS_A_BUCKET: Final = 2
CALLER: Final = "bench"
PRODUCT: Final = "films"

APPENDED: Final[Mapping[str, Sequence[str]]] = {
    "operation": tuple(column.name for column in store.operation.c),
    "transfer": store.TRANSFER,
    "mark": tuple(column.name for column in store.mark.c),
}
"""The tables to which a use adds rows, in the order in which the ledger writes them."""


class Node:
    """A process's ledger on one database: each call of `use` is one transaction and one commit."""

    def __init__(self, url: str) -> None:
        self.database: Database = open_database("bench", url, SystemClock())
        self._ledger = Ledger()
        self._memory = Memory()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.database.close()

    def create(self, count: int) -> list[int]:
        """Make the tables and `count` buckets with two grants each; return the buckets."""
        migrate(self.database, ["ledger"])
        with self.database.write() as tx:
            films = self._ledger.open_asset(tx, PRODUCT)
            buckets = [self._ledger.open_bucket(tx, films) for _ in range(count)]
            grants = [
                request(Grant(bucket=bucket, amount=GRANT_AMOUNT, priority=priority))
                for bucket in buckets
                for priority in range(GRANTS_A_BUCKET)
            ]
            self._ledger.apply(tx, grants)
        return buckets

    def use(self, buckets: Sequence[int], keys: Sequence[str | None]) -> tuple[int, int]:
        """Use one unit of each bucket, in one transaction; return the first and last operation.

        Making the requests (ids, digests, fingerprints) is the ledger's own work and is timed.
        """
        requests = [
            request(
                Use(sources=(Source(bucket),), amount=1, actor=CALLER, product=PRODUCT),
                caller=CALLER,
                key=key,
            )
            for bucket, key in zip(buckets, keys, strict=True)
        ]
        self._commit(requests)
        return requests[0].operations[0], requests[-1].operations[0]

    def _commit(self, requests: Sequence[Request]) -> None:
        outcomes = None
        while outcomes is None:
            outcomes = self._attempt(requests)
        if denied := [one for [one] in outcomes if not isinstance(one, Applied)]:
            raise Wrong(f"{len(denied)} of {len(requests)} uses were not applied: {denied[0]}")

    def _attempt(self, requests: Sequence[Request]) -> Sequence[tuple[Outcome, ...]] | None:
        """Run one batch as a lane does; None when another node was in the way."""
        try:
            return self._once(requests)
        except TryAgain:
            self._memory.forget()
        except sa.exc.DBAPIError as error:
            self._memory.forget()
            if problem_of(error) is not Problem.TRANSIENT:
                raise
        return None

    def _once(self, requests: Sequence[Request]) -> Sequence[tuple[Outcome, ...]]:
        with self.database.write() as tx:
            outcomes, books = self._ledger.run(tx, requests, self._memory)
            epoch = tx.epoch_after
        self._memory.keep(books, epoch)
        return outcomes


def buckets_of(node: Node) -> list[int]:
    """Return every bucket of the node's database."""
    with node.database.read() as tx:
        statement = store.account.select().where(store.account.c.kind == 1)
        return [row.id for row in tx.run(statement.order_by(store.account.c.id))]


def used(path: Path) -> int:
    """Return the units used so far, as the balances of an SQLite file say."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        row = connection.execute("SELECT sum(debits_posted) FROM account WHERE kind = 1").fetchone()
    finally:
        connection.close()
    return int(row[0] or 0)


class Workload:
    """A repeatable stream of uses: buckets drawn evenly, a new key for each use."""

    def __init__(self, buckets: Sequence[int], *, seed: int, keyed: bool = True) -> None:
        self._buckets = buckets
        self._random = Random(seed)
        self._keyed = keyed

    def batch(self, size: int) -> tuple[list[int], list[str | None]]:
        """Return the buckets and the keys of one batch."""
        buckets = self._random.choices(self._buckets, k=size)
        if not self._keyed:
            return buckets, [None] * size
        return buckets, [f"{self._random.getrandbits(128):032x}" for _ in range(size)]


def grow(
    path: Path,
    *,
    operations: int,
    batch: int,
    seed: int,
    buckets: Sequence[int] | None = None,
) -> None:
    """Use buckets, by default all, until `operations` more are in the journal, each with a key."""
    with Node(f"sqlite:///{path}") as node:
        workload = Workload(buckets or buckets_of(node), seed=seed)
        for done in range(0, operations, batch):
            if done % (operations // 4) < batch:
                say(f"  growing the journal of {path.parent.name}: {done:,} of {operations:,}")
            node.use(*workload.batch(min(batch, operations - done)))
    settle(path)


def pragmas() -> Sequence[str]:
    """Return the ledger's own settings of SQLite."""
    return PRAGMAS


def settle(path: Path) -> None:
    """Move everything from the write-ahead log into the file, so that it can be copied."""
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()


def copy(source: Path, target: Path) -> Path:
    """Copy a settled SQLite file to another folder, and return the copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return target


def rows_since(path: Path, bounds: Sequence[tuple[int, int]]) -> list[Batch]:
    """Read back what each batch added, by the bounds of its operations.

    Keys come in the order of their table's index, as the ledger inserts them too.
    """
    orders = {"operation": "digest", "transfer": "seq", "mark": "bucket, entry"}
    firsts = [first for first, _ in bounds]
    batches: list[dict[str, list[Row]]] = [{table: [] for table in APPENDED} for _ in bounds]
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        for table, columns in APPENDED.items():
            place = columns.index("operation")
            select = f"SELECT {', '.join(columns)} FROM {table} WHERE operation >= ?"  # noqa: S608 - our own tables' names
            for row in connection.execute(f"{select} ORDER BY {orders[table]}", firsts[:1]):
                batches[bisect_right(firsts, row[place]) - 1][table].append(row)
    finally:
        connection.close()
    return list(batches)
