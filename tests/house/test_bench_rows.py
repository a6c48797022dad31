"""The raw SQLite peer gets the very rows that the ledger wrote, no fewer and no others."""

import sqlite3

import pytest

from bench import ledger_rows
from bench.ledger_rows import APPENDED, Node, Workload
from bench.model import Wrong
from bench.peers.raw_sqlite import Manner, RawSqlite


@pytest.fixture
def grown(tmp_path):
    path = tmp_path / "small" / "ledger.db"
    path.parent.mkdir()
    with Node(f"sqlite:///{path}") as node:
        node.create(3)
    ledger_rows.grow(path, operations=400, batch=100, seed=1)
    return path


def rows_of(path):
    with sqlite3.connect(path) as connection:
        tables = {
            table: connection.execute(f"SELECT {', '.join(columns)} FROM {table}").fetchall()  # noqa: S608 - our own tables
            for table, columns in APPENDED.items()
        }
    connection.close()
    return {table: sorted(rows) for table, rows in tables.items()}


@pytest.mark.parametrize("manner", list(Manner))
def test_raw_peer_writes_the_rows_that_the_ledger_wrote(grown, tmp_path, manner):
    raw_path = ledger_rows.copy(grown, tmp_path / "raw" / "ledger.db")
    with Node(f"sqlite:///{grown}") as node:
        workload = Workload(ledger_rows.buckets_of(node), seed=2)
        bounds = [node.use(*workload.batch(150)) for _ in range(4)]
    batches = ledger_rows.rows_since(grown, bounds)
    assert [len(batch["operation"]) for batch in batches] == [150] * 4
    assert sum(len(batch["mark"]) for batch in batches) > 0

    raw = RawSqlite(raw_path, pragmas=ledger_rows.pragmas(), columns=APPENDED)
    raw.insert(batches, manner)
    raw.close()

    assert rows_of(raw_path) == rows_of(grown)


def test_growing_uses_one_unit_an_operation(grown):
    assert ledger_rows.used(grown) == 400
    assert len(rows_of(grown)["operation"]) == 400


def test_denied_use_is_no_speed(grown):
    with Node(f"sqlite:///{grown}") as node, pytest.raises(Wrong, match="1 of 1"):
        node.use([1], ["no-such-bucket"])
