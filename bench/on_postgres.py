"""PostgreSQL: two nodes against one, on disjoint buckets and on one bucket.

A node is a process with its own ledger. It is measured without HTTP, because on
a small machine two web servers and a load generator would measure the cores and
not the database.
"""

import itertools
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import IO

from bench.ledger_rows import Node
from bench.model import NotMeasured, Row, middle
from bench.peers import raw_postgres
from bench.postgres_server import Postgres, serving
from bench.promises import measured, promised
from bench.rounds import Side, interleave
from bench.stage import Stage

_BATCH = 128
_RAW = "raw PostgreSQL"


class NodeProcess:
    """A running node: told to begin, and asked what it did."""

    def __init__(self, url: str, *, first: int, count: int, seed: int) -> None:
        numbers = [str(number) for number in (first, count, _BATCH, seed)]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bench.node", url, *numbers],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if self._line() != "ready":
            raise NotMeasured("a node did not start")

    def begin(self, seconds: float) -> None:
        """Let the node use buckets for so many seconds."""
        pipe = _open(self._process.stdin)
        pipe.write(f"{seconds}\n")
        pipe.flush()

    def used_per_second(self) -> float:
        """Wait until the node is done and return its rate."""
        used, elapsed = self._line().split()
        return int(used) / float(elapsed)

    def close(self) -> None:
        """Let the node end."""
        _open(self._process.stdin).close()
        self._process.wait()
        _open(self._process.stdout).close()

    def _line(self) -> str:
        return _open(self._process.stdout).readline().strip()


class NodesSide:
    """Several nodes that work at the same time; their rates add up."""

    def __init__(self, nodes: Sequence[NodeProcess], seconds: float) -> None:
        self._nodes = nodes
        self._seconds = seconds

    def __call__(self) -> float:
        """Run one round on all nodes at once; return uses a second."""
        for node in self._nodes:
            node.begin(self._seconds)
        return sum(node.used_per_second() for node in self._nodes)


def postgres(stage: Stage) -> list[Row]:
    """Measure one and two nodes, and a hand-written statement beside."""
    with serving(stage.folder("postgres")) as server, ExitStack() as exits:
        accounts = stage.sizes.consumers
        with Node(server.url) as node:
            node.create(accounts)
        raw_postgres.prepare(server, accounts=accounts)
        sides = _sides(stage, server, exits)
        rounds = interleave(sides, rounds=stage.sizes.rounds, unit="/s")
    medians = {name: middle(figures) for name, figures in rounds.items()}
    disjoint, one_bucket, raw = promised("postgres")
    note = f"nodes are processes without HTTP; {_BATCH} commands a commit, each with a key"
    return [
        measured(
            row,
            ours=medians[ours],
            peer=medians[peer],
            rounds={ours: rounds[ours], peer: rounds[peer]},
            note=note,
        )
        for row, ours, peer in (
            (disjoint, "two nodes, disjoint buckets", "one node, all buckets"),
            (one_bucket, "two nodes, one bucket", "one node, one bucket"),
            (raw, "one node, all buckets", _RAW),
        )
    ]


def _sides(stage: Stage, server: Postgres, exits: ExitStack) -> dict[str, Side]:
    accounts, seconds = stage.sizes.consumers, stage.sizes.seconds
    half = accounts // 2
    seeds = itertools.count()

    def nodes(*ranges: tuple[int, int]) -> NodesSide:
        started = []
        for first, count in ranges:
            # Seeds differ, or two nodes would send each other's keys.
            node = NodeProcess(server.url, first=first, count=count, seed=next(seeds))
            exits.callback(node.close)
            started.append(node)
        return NodesSide(started, seconds)

    return {
        "two nodes, disjoint buckets": nodes((0, half), (half, half)),
        "one node, all buckets": nodes((0, accounts)),
        "two nodes, one bucket": nodes((0, 1), (0, 1)),
        "one node, one bucket": nodes((0, 1)),
        _RAW: partial(raw_postgres.uses_per_second, server, accounts=accounts, seconds=seconds),
    }


def _open(pipe: IO[str] | None) -> IO[str]:
    assert pipe is not None
    return pipe
