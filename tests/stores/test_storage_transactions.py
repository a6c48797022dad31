"""What a transaction promises, on both engines, between threads and processes."""

import functools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from farebox.kernel.clock import ManualClock
from farebox.kernel.refusals import ClockJumped, TryAgain
from farebox.storage import Database, Problem, Tx, problem_of
from farebox.storage.database import ATTEMPTS
from tests.support.engines import Engine
from tests.support.nursery import Nursery
from tests.support.world import cases

OpenAt = Callable[..., Database]
MB = 1_000_000
TABLES = """
    CREATE TABLE turn (number IDENTITY, writer TEXT NOT NULL) STRICT;
    CREATE TABLE purse (
      id BIGINT NOT NULL,
      owner TEXT,
      coins BIGINT NOT NULL,
      CONSTRAINT purse_pk PRIMARY KEY (id),
      CONSTRAINT purse_owner_uq UNIQUE (owner),
      CONSTRAINT purse_coins_ck CHECK (coins >= 0)
    ) STRICT;
    CREATE TABLE diary (id BIGINT NOT NULL, CONSTRAINT diary_pk PRIMARY KEY (id)) STRICT;
    APPEND_ONLY diary
"""
purse = sa.table(
    "purse", sa.column("id", sa.BigInteger), sa.column("owner"), sa.column("coins", sa.BigInteger)
)
PURSE = sa.Table(
    "purse", sa.MetaData(), sa.Column("id", sa.BigInteger), sa.Column("coins", sa.BigInteger)
)


@pytest.fixture
def url(empty_url: str, open_database_at: OpenAt) -> str:
    database = open_database_at(empty_url)
    with database.write() as tx:
        for statement in TABLES.split(";"):
            for own in database.translate(statement.strip()):
                tx.connection.exec_driver_sql(own)
    return empty_url


@pytest.fixture
def database(url: str, open_database_at: OpenAt) -> Database:
    return open_database_at(url)


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    found = Nursery("tests.support.storage_roles")
    yield found
    found.close()


def add(tx: Tx, number: int, coins: int = 0, owner: str | None = None) -> None:
    tx.run(sa.insert(purse).values(id=number, coins=coins, owner=owner))


def purses(database: Database) -> list[int]:
    with database.read() as tx:
        return [row.id for row in tx.run(sa.select(purse.c.id).order_by(purse.c.id))]


class Broken(Exception):
    """What a use case may raise."""


# -- commit and rollback -------------------------------------------------------------------------


def test_write_commits_at_the_end_of_its_block(
    database: Database, url: str, open_database_at: OpenAt
) -> None:
    other = open_database_at(url)
    with database.write() as tx:
        add(tx, 1)
        assert purses(other) == []
    assert purses(other) == [1]


def test_write_undoes_everything_when_its_block_fails(database: Database) -> None:
    with pytest.raises(Broken), database.write() as tx:  # noqa: PT012 - it fails at its end
        add(tx, 1)
        raise Broken
    with database.write() as tx:
        add(tx, 2)
    assert purses(database) == [2]


def test_statement_that_fails_leaves_the_connection_usable(database: Database) -> None:
    for _ in range(3):
        with pytest.raises(sa.exc.IntegrityError), database.write() as tx:
            add(tx, 1, coins=-1)
    with database.write() as tx:
        add(tx, 1)
    assert purses(database) == [1]


def test_read_sees_one_snapshot_while_others_write(
    database: Database, url: str, open_database_at: OpenAt
) -> None:
    other = open_database_at(url)
    with database.read() as tx:
        count = sa.select(sa.func.count()).select_from(purse)
        assert tx.run(count).scalar_one() == 0
        with other.write() as writing:
            add(writing, 1)
        assert tx.run(count).scalar_one() == 0
    assert purses(database) == [1]


def test_read_keeps_nothing(database: Database) -> None:
    with pytest.raises(sa.exc.DBAPIError), database.read() as tx:  # noqa: PT012 - either may refuse
        add(tx, 1)
        raise sa.exc.DBAPIError("thrown away", None, Broken())
    assert purses(database) == []


def test_what_waits_for_the_commit_runs_after_it_and_never_without(
    database: Database, url: str, open_database_at: OpenAt
) -> None:
    other = open_database_at(url)
    seen: list[list[int]] = []
    with database.write() as tx:
        tx.after_commit(lambda: seen.append(purses(other)))
        add(tx, 1)
        assert seen == []
    assert seen == [[1]]
    with pytest.raises(Broken), database.write() as tx:  # noqa: PT012 - it fails at its end
        tx.after_commit(lambda: seen.append([]))
        raise Broken
    assert seen == [[1]]


# -- running again -------------------------------------------------------------------------------


class Injected(Exception):
    """A driver's error with a state of PostgreSQL's."""

    def __init__(self, sqlstate: str) -> None:
        self.sqlstate = sqlstate
        super().__init__(sqlstate)


def failing(times: int, sqlstate: str, seen: list[int]) -> Callable[[Tx], int]:
    def work(tx: Tx) -> int:
        add(tx, 42)
        seen.append(42)
        if len(seen) <= times:
            raise sa.exc.OperationalError("work", None, Injected(sqlstate))
        return 7

    return work


@pytest.mark.parametrize("sqlstate", ["40001", "40P01"])
def test_run_works_again_with_the_same_ids_when_the_database_says_so(
    database: Database, sqlstate: str
) -> None:
    seen: list[int] = []
    assert database.run(failing(3, sqlstate, seen)) == 7
    assert seen == [42] * 4
    assert purses(database) == [42]


def test_run_gives_up_after_a_few_attempts(database: Database) -> None:
    seen: list[int] = []
    with pytest.raises(TryAgain):
        database.run(failing(10**6, "40001", seen))
    assert len(seen) == ATTEMPTS
    assert purses(database) == []


def test_run_does_not_repeat_what_cannot_come_out_differently(database: Database) -> None:
    seen: list[int] = []
    with pytest.raises(sa.exc.OperationalError):
        database.run(failing(1, "23514", seen))
    assert len(seen) == 1


def test_deadlock_is_resolved_without_the_callers_noticing(
    postgresql_engine: Engine, clock: ManualClock
) -> None:
    url = postgresql_engine.empty()
    database = postgresql_engine.open(url, clock)
    try:
        with database.write() as tx:
            for statement in TABLES.split(";")[1:2]:
                for own in database.translate(statement.strip()):
                    tx.connection.exec_driver_sql(own)
            add(tx, 1)
            add(tx, 2)
        meet = threading.Barrier(2, timeout=20)
        tries: list[int] = []

        def swap(first: int, second: int) -> None:
            def work(tx: Tx) -> None:
                tries.append(first)
                tx.lock_rows(PURSE, [first], ("id",))
                if len(tries) <= 2:
                    meet.wait()
                tx.lock_rows(PURSE, [second], ("id",))
                tx.update_many(PURSE, ("coins",), [(first, first), (second, second)])

            database.run(work)

        threads = [threading.Thread(target=swap, args=order) for order in ((1, 2), (2, 1))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # Whoever runs again may be first at the row it gave up, and meet the other once more.
        assert len(tries) > 2
        with database.read() as tx:
            coins = sa.select(purse.c.coins).order_by(purse.c.id)
            assert tx.run(coins).scalars().all() == [1, 2]
    finally:
        database.close()
        postgresql_engine.drop(url)


# -- what went wrong -----------------------------------------------------------------------------

# fmt: off
PROBLEMS = [
    ("a second row with its key", {"id": 1},                     Problem.UNIQUE),
    ("a second row of its owner", {"id": 2, "owner": "ann"},     Problem.UNIQUE),
    ("a check",                   {"id": 2, "coins": -1},        Problem.CHECK),
    ("beyond 64 bits",            {"id": 2, "coins": 2**63},     Problem.VALUE),
    ("a lone surrogate",          {"id": 2, "owner": "\ud800"},  Problem.VALUE),
]
# fmt: on


@pytest.mark.parametrize(("values", "problem"), cases(PROBLEMS))
@pytest.mark.parametrize("bulk", [False, True])
def test_problem_is_known_by_its_kind(
    database: Database, values: dict[str, Any], problem: Problem, *, bulk: bool
) -> None:
    with database.write() as tx:
        add(tx, 1, owner="ann")
    row = {"id": 0, "coins": 0, "owner": None, **values}
    table = sa.Table(
        "purse", sa.MetaData(), sa.Column("id", sa.BigInteger), sa.Column("owner", sa.Text),
        sa.Column("coins", sa.BigInteger),
    )  # fmt: skip

    def insert(tx: Tx) -> None:
        if bulk:
            tx.insert_many(table, tuple(row), [tuple(row.values())])
        else:
            tx.run(sa.insert(table).values(row))

    with pytest.raises(sa.exc.DBAPIError) as caught, database.write() as tx:
        insert(tx)
    assert problem_of(caught.value) is problem
    assert purses(database) == [1]


def test_append_only_table_takes_rows_and_keeps_them(database: Database) -> None:
    with database.write() as tx:
        tx.run(sa.text("INSERT INTO diary VALUES (1)"))
    for statement in ("UPDATE diary SET id = 2", "DELETE FROM diary"):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"), database.write() as tx:
            tx.run(sa.text(statement))
    with database.read() as tx:
        assert tx.run(sa.text("SELECT id FROM diary")).scalars().all() == [1]


# -- time ----------------------------------------------------------------------------------------


def test_transaction_has_one_time(database: Database, clock: ManualClock) -> None:
    with database.write() as tx:
        before = tx.now_us
        clock.move(1000)
        assert tx.now_us == before == clock.now_us() - 1000


def test_time_is_taken_again_with_the_locks(url: str, open_database_at: OpenAt) -> None:
    class Ticking(ManualClock):
        def now_us(self) -> int:
            self.move(1)
            return super().now_us()

    database = open_database_at(url, Ticking(1000))
    with database.write() as tx:
        add(tx, 1)
    with database.write() as tx:
        tx.lock_rows(PURSE, [1], ("id",))
        locked = tx.now_us
        assert tx.now_us == locked


def test_clock_that_jumped_stops_transactions_that_ask_for_the_time(
    url: str, open_database_at: OpenAt
) -> None:
    class Jumped(ManualClock):
        def now_us(self) -> int:
            raise ClockJumped

    database = open_database_at(url, Jumped())
    with pytest.raises(ClockJumped), database.write() as tx:
        _ = tx.now_us


# -- who writes when -----------------------------------------------------------------------------


def epochs(database: Database) -> tuple[Any, Any]:
    with database.write() as tx:
        return tx.epoch, tx.epoch_after


def test_epoch_tells_whether_anybody_else_wrote(
    engine: Engine, database: Database, url: str, open_database_at: OpenAt
) -> None:
    other = open_database_at(url)
    _, after = epochs(database)
    again, _ = epochs(database)
    if engine.name == "postgresql":
        assert after is again is None
        return
    assert again == after
    with database.read() as tx:
        quiet = tx.epoch
    with database.read() as tx:
        assert tx.epoch == quiet is not None
    with other.write() as tx:
        add(tx, 1)
    with database.read() as tx:
        assert tx.epoch != quiet
    assert epochs(database)[0] != quiet


def test_epoch_is_unknown_after_a_writer_died(
    engine: Engine, database: Database, url: str, nursery: Nursery
) -> None:
    child = nursery.start("hold_the_turn", url=url)
    assert child.hear() == "held"
    child.kill()
    assert epochs(database)[0] is None
    with database.read() as tx:
        assert tx.run(sa.text("SELECT count(*) FROM turn")).scalar_one() == 0
    if engine.name == "sqlite":
        assert epochs(database)[0] is not None


def test_threads_of_one_process_write_one_after_the_other(database: Database) -> None:
    def work(number: int) -> None:
        for turn in range(20):
            database.run(functools.partial(add, number=number * 100 + turn))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(purses(database)) == 160


@pytest.mark.parametrize("log_mb", [1, 4])
def test_a_log_is_copied_back_when_it_is_as_large_as_the_writer_asks(
    sqlite_engine: Engine, clock: ManualClock, log_mb: int
) -> None:
    url = sqlite_engine.empty()
    log = Path(url.removeprefix("sqlite:///") + "-wal")
    database = sqlite_engine.open(url, clock)
    try:
        with database.write() as tx:
            tx.run(sa.text("CREATE TABLE page (number INTEGER PRIMARY KEY, text BLOB) STRICT"))
        for _ in range(100):
            with database.write(log_mb=log_mb) as tx:
                tx.run(sa.text("INSERT INTO page (text) VALUES (zeroblob(100000))"))
        assert log_mb * MB < log.stat().st_size < (log_mb + 1) * MB
        for _ in range(100):
            with database.write() as tx:
                tx.run(sa.text("INSERT INTO page (text) VALUES (zeroblob(100000))"))
        assert log.stat().st_size > 8 * MB
    finally:
        database.close()
        sqlite_engine.drop(url)
