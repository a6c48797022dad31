"""F3: what a power cut leaves of a SQLite file: a prefix of the groups, with all acknowledged."""

import os
import random
import shutil
import signal
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from farebox.kernel.clock import SystemClock
from farebox.ledger.service import Ledger
from farebox.storage import open_database
from tests.support.proof import faults, rows
from tests.support.scene import Scene

COPIES = 12
CUTS = 4
ROWS = "SELECT seq, operation, line, bucket, amount, available_after FROM transfer ORDER BY seq"


@pytest.fixture
def clock():
    """Return the time that the other processes have."""
    return SystemClock()


@pytest.fixture
def stage(sqlite_engine, clock):
    """Return the URL of a file with two buckets of plenty, and these."""
    url = sqlite_engine.migrated()
    database = sqlite_engine.open(url, clock)
    scene = Scene(database, Ledger(), clock)
    buckets = [scene.bucket(10**6), scene.bucket(10**6)]
    database.close()
    yield url, buckets
    sqlite_engine.drop(url)


def halt(child):
    """Stop every thread of a process, wherever it is."""
    child.signal(signal.SIGSTOP)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        stats = [path.read_text() for path in Path(f"/proc/{child.pid}/task").glob("*/stat")]
        if all(stat.rpartition(")")[2].split()[0] in "Tt" for stat in stats):
            return
        os.sched_yield()
    raise AssertionError("it does not stop")


@contextmanager
def load(nursery, stage, tmp_path, *, checkpoints):
    """Let a process use the file for ever; gives it and where it notes what was answered."""
    url, buckets = stage
    log = tmp_path / "answers"
    terms = {"url": url, "buckets": buckets, "log": str(log), "checkpoints": checkpoints}
    child = nursery.start("load_file", **terms)
    try:
        yield child, Path(url.removeprefix("sqlite:///")), log
    finally:
        child.kill()


def copies_of(loaded, tmp_path, chance):
    """Yield copies of the file at random instants: (folder, what was answered until then)."""
    child, path, log = loaded
    for number in range(COPIES):
        for _ in range(20):
            assert child.hear() == "answered"
        # From here on the instant is a random one.
        time.sleep(chance.uniform(0, 0.01))
        halt(child)
        copy = tmp_path / f"copy-{number}"
        copy.mkdir()
        for name in ("access.db", "access.db-wal"):
            shutil.copyfile(path.with_name(name), copy / name)
        answers = [[int(word) for word in line.split()] for line in log.read_text().splitlines()]
        child.signal(signal.SIGCONT)
        yield copy, answers


def damaged(copy, cut, how):
    """Return a copy of a copy whose log is good up to `cut` only."""
    other = copy.with_name(f"{copy.name}-{cut}-{how}")
    shutil.copytree(copy, other)
    log = other / "access.db-wal"
    length = log.stat().st_size
    os.truncate(log, cut)
    if how == "zeros":
        os.truncate(log, length)
    elif how == "noise":
        with log.open("ab") as file:
            file.write(random.Random(cut).randbytes(length - cut))
    return other


def after_the_cut(copy):
    """Open what is left, as the next start does; return the journal, and what is wrong."""
    database = open_database("access", f"sqlite:///{copy / 'access.db'}", SystemClock())
    found = [tuple(row) for row in rows(database, ROWS)], faults(database)
    database.close()
    return found


def operations_of(answers):
    """Return the operations that were acknowledged."""
    return {operation for first, second, _ in answers for operation in (first, second)}


@pytest.mark.parametrize("seed", [7, 8])
def test_a_log_cut_anywhere_leaves_a_prefix_of_whole_groups_with_all_acknowledged_before(
    nursery, stage, tmp_path, seed
):
    chance = random.Random(seed)
    lost = 0
    with load(nursery, stage, tmp_path, checkpoints=False) as loaded:
        for copy, answers in copies_of(loaded, tmp_path, chance):
            length = (copy / "access.db-wal").stat().st_size
            whole, wrong = after_the_cut(damaged(copy, length, "nothing"))
            assert wrong == []
            assert operations_of(answers) <= {row[1] for row in whole}
            # Also right behind what was acknowledged last, where it matters most.
            cuts = {chance.randrange(length) for _ in range(CUTS)} | {answers[-1][2], length - 1}
            for cut in cuts:
                how = chance.choice(["cut", "zeros", "noise"])
                left, wrong = after_the_cut(damaged(copy, cut, how))
                assert wrong == []
                assert left == whole[: len(left)]
                lost += len(whole) - len(left)
                operations = {row[1] for row in left}
                for first, second, size in answers:
                    assert (first in operations) == (second in operations)
                    assert first in operations or size > cut
    assert lost > 0


@pytest.mark.parametrize("seed", [9])
def test_a_file_stopped_anywhere_between_checkpoints_has_all_that_was_acknowledged(
    nursery, stage, tmp_path, seed
):
    restarts = set()
    with load(nursery, stage, tmp_path, checkpoints=True) as loaded:
        for copy, answers in copies_of(loaded, tmp_path, random.Random(seed)):
            restarts.add((copy / "access.db-wal").read_bytes()[12:16])
            whole, wrong = after_the_cut(copy)
            assert wrong == []
            assert operations_of(answers) <= {row[1] for row in whole}
    # The log counts how often it was begun anew, as it is after a checkpoint of all of it.
    assert len(restarts) > 2
