"""The ledger in process, against SQLite by hand, and with a large journal against a small one."""

import time
from collections.abc import Callable
from pathlib import Path

from bench import ledger_rows
from bench.ledger_rows import Node, Workload
from bench.model import OURS, Row, Sizes, middle
from bench.peers.raw_sqlite import Batch, Manner, RawSqlite
from bench.promises import measured, promised
from bench.rounds import fastest, interleave
from bench.stage import Stage


class LedgerSide:
    """Uses in batches on one database; remembers which operations the last round made."""

    def __init__(self, path: Path, sizes: Sizes, *, seed: int) -> None:
        self.path = path
        self.node = Node(f"sqlite:///{path}")
        self.bounds: list[tuple[int, int]] = []
        self._sizes = sizes
        self._workload = Workload(ledger_rows.buckets_of(self.node), seed=seed)
        self._run(max(5, sizes.batches_a_round // 10))

    def __call__(self) -> float:
        """Run one round; return uses a second."""
        return self._run(self._sizes.batches_a_round)

    def _run(self, count: int) -> float:
        batches = [self._workload.batch(self._sizes.batch) for _ in range(count)]
        begun = time.perf_counter()
        self.bounds = [self.node.use(*batch) for batch in batches]
        elapsed = time.perf_counter() - begun
        ledger_rows.settle(self.path)
        return count * self._sizes.batch / elapsed


class RawSide:
    """Inserts the rows that a ledger's last round wrote into a copy of its database."""

    def __init__(self, path: Path, ledger: LedgerSide, manner: Manner) -> None:
        self._path = path
        self._ledger = ledger
        self._manner = manner
        self._sqlite = RawSqlite(path, pragmas=ledger_rows.pragmas(), columns=ledger_rows.APPENDED)

    def __call__(self) -> float:
        """Insert one round's rows; return uses a second."""
        batches: list[Batch] = ledger_rows.rows_since(self._ledger.path, self._ledger.bounds)
        uses = sum(len(batch["operation"]) for batch in batches)
        elapsed = self._sqlite.insert(batches, self._manner)
        ledger_rows.settle(self._path)
        return uses / elapsed

    def close(self) -> None:
        """Close the database."""
        self._sqlite.close()


def in_process(stage: Stage) -> list[Row]:
    """Measure uses against raw inserts of the very rows that they wrote."""
    small, sizes = stage.ledger_file(), stage.sizes
    ours = LedgerSide(ledger_rows.copy(small, stage.folder("uses") / "ledger.db"), sizes, seed=2)
    sides: dict[str, Callable[[], float]] = {OURS: ours}
    raws = {}
    for manner in Manner:
        path = ledger_rows.copy(ours.path, stage.folder(f"raw-{manner.name}") / "ledger.db")
        raws[f"raw SQLite, {manner.value}"] = RawSide(path, ours, manner)
    try:
        rounds = interleave({**sides, **raws}, rounds=sizes.rounds, unit="/s")
    finally:
        ours.node.database.close()
        for raw in raws.values():
            raw.close()
    best = fastest(rounds, list(raws))
    [row] = promised("in-process")
    note = (
        "the rows that the ledger wrote are inserted again, ready in memory, into a copy of its"
        f" file with the same indexes and PRAGMAs, one commit a batch; {sizes.journal_small:,}"
        " operations in both journals; of executemany and multi-row VALUES the quicker is taken"
    )
    return [
        measured(
            row,
            ours=middle(rounds[OURS]),
            peer_name=best,
            peer=middle(rounds[best]),
            rounds=rounds,
            note=note,
        )
    ]


def journal(stage: Stage) -> list[Row]:
    """Measure uses on a large journal against the same on a small one."""
    small, sizes = stage.ledger_file(), stage.sizes
    large = ledger_rows.copy(small, stage.folder("journal-large") / "ledger.db")
    more = sizes.journal_large - sizes.journal_small
    ledger_rows.grow(large, operations=more, batch=sizes.batch, seed=3)
    little = ledger_rows.copy(small, stage.folder("journal-small") / "ledger.db")
    [row] = promised("journal")
    sides = {
        OURS: LedgerSide(large, sizes, seed=4),
        row.peer_name: LedgerSide(little, sizes, seed=4),
    }
    try:
        rounds = interleave(sides, rounds=sizes.rounds, unit="/s")
    finally:
        for side in sides.values():
            side.node.database.close()
    note = (
        f"{sizes.journal_large:,} operations against {sizes.journal_small:,}, each with a key;"
        f" batches of {sizes.batch:,}"
    )
    ours, peer = middle(rounds[OURS]), middle(rounds[row.peer_name])
    return [measured(row, ours=ours, peer=peer, rounds=rounds, note=note)]
