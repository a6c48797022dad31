"""The bulk statements: many rows in few statements, the same on both engines."""

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from farebox.kernel.clock import ManualClock
from farebox.storage import Database
from tests.support.engines import Engine

OpenAt = Callable[..., Database]
THING = sa.Table(
    "thing",
    sa.MetaData(),
    sa.Column("id", sa.BigInteger),
    sa.Column("part", sa.BigInteger),
    sa.Column("name", sa.Text),
    sa.Column("digest", sa.LargeBinary),
    sa.Column("amount", sa.BigInteger),
)
COLUMNS = ("id", "part", "name", "digest", "amount")
CREATE = """CREATE TABLE thing (
  id BIGINT NOT NULL,
  part BIGINT NOT NULL,
  name TEXT,
  digest BYTES,
  amount BIGINT,
  CONSTRAINT thing_pk PRIMARY KEY (id)
) STRICT"""
# Around where the engines cut a bulk statement, and far beyond it.
COUNTS = [0, 1, 2, 3, 5, 511, 512, 513, 5000]
_SELECT = "SELECT id, part, name, digest, amount FROM thing ORDER BY id"


@pytest.fixture
def database(empty_url: str, open_database_at: OpenAt) -> Database:
    found = open_database_at(empty_url)
    with found.write() as tx:
        for own in found.translate(CREATE):
            tx.connection.exec_driver_sql(own)
    return found


def things(count: int) -> list[tuple[Any, ...]]:
    names = ["plain", "", None, "ящик", "quote ' and %s and :x", "\U0001f39e"]
    digests = [b"", b"\0\xff" * 8, None]
    amounts = [0, None, -1, 2**62, -(2**63), 2**63 - 1]
    return [
        (number, number % 7, names[number % 6], digests[number % 3], amounts[number % 6])
        for number in range(count)
    ]


def rows(database: Database) -> list[tuple[Any, ...]]:
    with database.read() as tx:
        return [tuple(row) for row in tx.run(sa.text(_SELECT))]


def filled(database: Database, count: int) -> Database:
    with database.write() as tx:
        tx.insert_many(THING, COLUMNS, things(count))
    return database


@pytest.mark.parametrize("count", COUNTS)
def test_rows_are_stored_as_they_were_given(database: Database, count: int) -> None:
    assert rows(filled(database, count)) == things(count)


@pytest.mark.parametrize("count", COUNTS)
def test_rows_whose_key_is_there_stay_and_are_not_counted(database: Database, count: int) -> None:
    filled(database, count // 2)
    changed = [(*row[:2], "changed", *row[3:]) for row in things(count)]
    with database.write() as tx:
        assert tx.insert_missing(THING, "id", COLUMNS, changed) == count - count // 2
        assert tx.insert_missing(THING, "id", COLUMNS, changed) == 0
    assert rows(database) == things(count)[: count // 2] + changed[count // 2 :]


def test_row_given_twice_is_inserted_once(database: Database) -> None:
    with database.write() as tx:
        first, second = (1, 0, "first", None, None), (1, 0, "second", None, None)
        assert tx.insert_missing(THING, "id", COLUMNS, [first, second]) == 1
    assert rows(database) == [first]


@pytest.mark.parametrize("count", COUNTS)
def test_update_sets_what_it_names_and_counts_what_it_found(database: Database, count: int) -> None:
    filled(database, count)
    changes = [(number, f"n{number}", -number) for number in range(0, 2 * count, 2)]
    with database.write() as tx:
        found = tx.update_many(THING, ("name", "amount"), changes)
    assert found == (count + 1) // 2
    expected = [
        (*row[:2], f"n{row[0]}", row[3], -row[0]) if row[0] % 2 == 0 else row
        for row in things(count)
    ]
    assert rows(database) == expected


def test_update_finds_rows_by_every_column_of_the_key(database: Database) -> None:
    filled(database, 4)
    changes = [(0, 0, "right"), (1, 0, "wrong"), (2, 2, "right"), (9, 9, "none")]
    with database.write() as tx:
        assert tx.update_many(THING, ("name",), changes, key=("id", "part")) == 2
    assert [row[2] for row in rows(database)] == ["right", "", "right", "ящик"]


def test_update_can_set_nothing_at_all_to_null(database: Database) -> None:
    filled(database, 2)
    with database.write() as tx:
        assert tx.update_many(THING, ("name", "digest", "amount"), [(0, None, None, None)]) == 1
    assert rows(database)[0] == (0, 0, None, None, None)


@pytest.mark.parametrize("count", COUNTS)
def test_select_takes_any_number_of_keys(database: Database, count: int) -> None:
    filled(database, count)
    statement = "SELECT id, name, amount FROM thing WHERE id IN :keys ORDER BY id"
    with database.read() as tx:
        found = tx.select_in(statement, ("id", "name", "amount"), list(range(-1, count + 1)))
    expected = [(row[0], row[2], row[4]) for row in things(count)]
    assert [tuple(row) for row in found] == expected


def test_select_takes_texts_and_leaves_their_signs_alone(database: Database) -> None:
    filled(database, 6)
    statement = "SELECT id, name FROM thing WHERE name IN :keys AND name LIKE '%'"
    names = ["quote ' and %s and :x", "ящик", "nobody"]
    with database.read() as tx:
        found = tx.select_in(statement, ("id", "name"), names)
    assert sorted(row[0] for row in found) == [3, 4]


def test_select_keeps_integers_that_a_float_would_round(database: Database) -> None:
    filled(database, 6)
    with database.read() as tx:
        statement = "SELECT id, amount FROM thing WHERE id IN :keys"
        found = tx.select_in(statement, ("id", "amount"), [3, 4, 5])
    assert dict(map(tuple, found)) == {3: 2**62, 4: -(2**63), 5: 2**63 - 1}


@pytest.mark.parametrize("count", COUNTS)
def test_select_takes_any_number_of_bytes(database: Database, count: int) -> None:
    digests = [bytes([number % 256, number // 256]) * 8 for number in range(count)]
    rows_of = [(number, 0, None, digest, None) for number, digest in enumerate(digests)]
    with database.write() as tx:
        tx.insert_many(THING, COLUMNS, [*rows_of, (count, 0, None, None, None)])
    statement = "SELECT id, digest FROM thing WHERE digest IN :keys"
    with database.read() as tx:
        found = tx.select_in(statement, ("id", "digest"), [*digests, b"nobody's"])
    assert sorted((row[0], bytes(row[1])) for row in found) == list(enumerate(digests))


@pytest.mark.parametrize("count", COUNTS)
def test_adding_inserts_what_is_new_and_adds_to_what_is_there(
    database: Database, count: int
) -> None:
    first = [(number, None, 5, number % 3) for number in range(count // 2)]
    second = [(number, "later", number, 1) for number in range(count)]
    with database.write() as tx:
        for each in (first, second):
            tx.add_many(THING, ("id",), each, kept=("name",), sums=("amount",), maxima=("part",))
    expected = [
        (number, max(number % 3, 1), None, None, 5 + number)
        if number < count // 2
        else (number, 1, "later", None, number)
        for number in range(count)
    ]
    assert rows(database) == expected


def test_lock_returns_rows_in_the_order_of_their_ids(database: Database) -> None:
    filled(database, 2000)
    wanted = [1999, 5, 700, 6, 5000]
    with database.write() as tx:
        found = tx.lock_rows(THING, wanted, ("id", "part"))
        assert tx.lock_rows(THING, [], ("id",)) == []
    assert [tuple(row) for row in found] == [(5, 5), (6, 6), (700, 0), (1999, 4)]


def test_locked_rows_are_nobody_elses(postgresql_engine: Engine, clock: ManualClock) -> None:
    url = postgresql_engine.empty()
    one, other = (postgresql_engine.open(url, clock) for _ in range(2))
    with one.write() as tx:
        tx.connection.exec_driver_sql(one.translate(CREATE)[0])
    filled(one, 3)
    free = sa.text("SELECT id FROM thing ORDER BY id FOR UPDATE SKIP LOCKED")
    with one.write() as tx:
        tx.lock_rows(THING, [0, 2], ("id",))
        with other.write() as waiting:
            assert waiting.run(free).scalars().all() == [1]
    one.close()
    other.close()
    postgresql_engine.drop(url)


def test_upsert_inserts_or_sets(database: Database) -> None:
    with database.write() as tx:
        for amount in (1, 2):
            tx.upsert(THING, {"id": 1, "part": 0, "amount": amount}, key=("id",))
    assert rows(database) == [(1, 0, None, None, 2)]


def test_insert_once_tells_whether_it_did(database: Database) -> None:
    with database.write() as tx:
        done = [tx.insert_once(THING, {"id": 1, "part": n}, key=("id",)) for n in range(2)]
    assert done == [True, False]
    assert rows(database) == [(1, 0, None, None, None)]
