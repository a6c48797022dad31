"""What the children of `tests.support.nursery` do: each role is a process of its own.

A role opens its own database on the shared URL, with its own lane, as a server's process does. It
answers to nobody but its link and its log, so that it may be killed at any instant.
"""

import itertools
import logging
import os
import random
import resource
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

# Imported here, so that every child has it: by the engines, only when a database is opened.
import psycopg  # noqa: F401
import sqlalchemy.dialects.postgresql.psycopg  # noqa: F401
import structlog

from farebox.kernel import ids
from farebox.kernel.clock import SystemClock
from farebox.kernel.refusals import Refusal, TryAgain
from farebox.ledger import running
from farebox.ledger.batch import Lane
from farebox.ledger.model import (
    Applied,
    Capture,
    Command,
    Denied,
    Grant,
    Hold,
    Look,
    Outcome,
    Request,
    Source,
    Use,
)
from farebox.ledger.remote import LaneServer
from farebox.ledger.running import Answer, Runner
from farebox.ledger.service import Ledger, request
from farebox.storage import LOG_MB, Database, open_database, sqlite
from farebox.storage.turns import Turns
from tests.support.dying import STRIKES, Statements
from tests.support.nursery import Link
from tests.support.services import PATIENCE_S
from tests.support.threads import Worker, together

# Faults are what is expected here; drawing each one's traceback would cost more than the fault.
structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def opened(url: str) -> Database:
    """Open the shared database as a process of its own does."""
    return open_database("access", url, SystemClock())


def checkpoint_every(*, pages: int) -> None:
    """Let SQLite write its log back so often; 0 is never."""
    name = "wal_autocheckpoint"
    others = tuple(pragma for pragma in sqlite.PRAGMAS if not pragma.startswith(name))
    sqlite.PRAGMAS = (*others, f"{name}={pages}")  # type: ignore[misc, assignment]
    # A lane chooses a size by what it has to do, which would take the place of this one.
    running.BRIEF_LOG_MB = running.LARGE_LOG_MB = LOG_MB  # type: ignore[misc]


class Journal:
    """A file of answers, one line each, on the disk before anything else happens."""

    def __init__(self, path: Path) -> None:
        self.lines = path.read_text().splitlines() if path.exists() else []
        self._file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)

    def write(self, line: object) -> None:
        """Add a line."""
        self.lines.append(str(line))
        os.write(self._file, f"{line}\n".encode())
        os.fsync(self._file)


# -- F1: draw one unit after the other, and be killed ----------------------------------------------


def draw_units(
    link: Link, *, url: str, bucket: int, clients: list[str], folder: str, at_most: int | None
) -> None:
    """Let clients draw a unit at a time until the bucket is empty, or each has drawn `at_most`.

    A client's n-th unit has the n-th key. It goes on where its log ends: a key whose answer was
    not written down is sent again.
    """
    # Checkpoints are to be among what a kill interrupts.
    checkpoint_every(pages=40)
    database = opened(url)
    lane = Lane(database, Ledger())

    def draw(name: str) -> None:
        log = Journal(Path(folder) / name)
        drawn = 0
        while at_most is None or drawn < at_most:
            use = Use(sources=(Source(bucket),), amount=1, actor=name)
            [outcome] = lane.call(request(use, caller=name, key=f"unit-{len(log.lines)}"))
            if isinstance(outcome, Denied):
                return
            assert isinstance(outcome, Applied), outcome
            log.write(outcome.operation)
            drawn += 1

    threads = [threading.Thread(target=draw, args=(name,), daemon=True) for name in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    link.say("done")
    # One who has done what this life allows waits to be killed, or for a word to go.
    link.hear()
    lane.close()
    database.close()


# -- F2: die, or fail, between two statements ------------------------------------------------------


def batch_at(buckets: Sequence[int], hold: int, name: str) -> list[Request]:
    """Return a batch with every kind of writing: grant, use, hold, capture, linked, with keys."""
    first, second = (Source(bucket) for bucket in buckets)
    commands: list[tuple[Command, ...]] = [
        (Grant(bucket=first.bucket, amount=5),),
        (Use(sources=(first,), amount=2),),
        (Hold(sources=(first,), amount=3, ttl_us=3_600_000_000),),
        (Capture(hold=hold, amount=1),),
        (Use(sources=(first,), amount=1), Use(sources=(second,), amount=1)),
        (Use(sources=(second,), amount=1000),),
    ]
    return [
        request(*linked, caller=name, key=f"command-{place}")
        for place, linked in enumerate(commands)
    ]


def kind_of(outcome: Outcome) -> str:
    """Return applied, denied or refused."""
    return str(outcome.__struct_config__.tag)


def kinds_of(answer: Answer | Exception) -> list[str]:
    """Return what commands were answered: applied, denied or refused, or a refusal's code."""
    if isinstance(answer, Refusal):
        return [answer.code]
    assert not isinstance(answer, Exception), answer
    return [kind_of(outcome) for outcome in answer]


def strike_in_batch(
    link: Link,
    *,
    url: str,
    buckets: list[int],
    hold: int,
    name: str,
    strike: str,
    at: int,
    times: int = 1,
) -> None:
    """Run a batch of keyed commands as a lane does; let something happen at the n-th statement.

    Tells how many statements it was and what the commands were answered.
    """
    statements = Statements()
    database = opened(url)
    runner = Runner(database, Ledger())
    # The connection is made, and the ledger's tables are seen, before counting begins.
    runner.run([request(Look(sources=(Source(buckets[0]),), amount=0))])
    statements.strike_at(at, STRIKES[strike], times)
    answers = [kinds_of(answer) for answer in runner.run(batch_at(buckets, hold, name))]
    link.say({"places": statements.count, "answers": answers})
    database.close()


# -- F3: a load on a file that is copied while it runs ---------------------------------------------


def load_file(link: Link, *, url: str, buckets: list[int], log: str, checkpoints: bool) -> None:
    """Use two buckets in linked commands, for ever; note each answer with the log's size then."""
    checkpoint_every(pages=30 if checkpoints else 0)
    database = opened(url)
    wal = Path(f"{url.removeprefix('sqlite:///')}-wal")
    lane = Lane(database, Ledger())
    answers = Journal(Path(log))
    writing = threading.Lock()

    def draw(name: str) -> None:
        for place in itertools.count():
            uses = [Use(sources=(Source(bucket),), amount=1, actor=name) for bucket in buckets]
            first, second = lane.call(request(*uses, caller=name, key=f"{place}"))
            assert isinstance(first, Applied), first
            assert isinstance(second, Applied), second
            size = wal.stat().st_size
            with writing:
                answers.write(f"{first.operation} {second.operation} {size}")
                link.say("answered")

    for client in range(3):
        threading.Thread(target=draw, args=(f"client-{client}",), daemon=True).start()
    link.hear()


# -- F5: many threads for the last unit ------------------------------------------------------------


def rush(link: Link, *, url: str, bucket: int, threads: int, name: str) -> None:
    """Let many threads ask for one unit each at the same time; tells how each was answered."""
    database = opened(url)
    lane = Lane(database, Ledger())
    start = threading.Barrier(threads + 1)

    def ask(place: int) -> str:
        use = request(Use(sources=(Source(bucket),), amount=1), caller=name, key=f"{place}")
        start.wait()
        return kind_of(lane.call(use)[0])

    workers = [Worker(ask, place) for place in range(threads)]
    for worker in workers:
        worker.start()
    link.say("ready")
    link.hear()
    start.wait()
    link.say([worker.result() for worker in workers])
    lane.close()
    database.close()


# -- The ledger's own process ----------------------------------------------------------------------


def serve_ledger(link: Link, *, url: str, path: str) -> None:
    """Serve a ledger on a socket until killed."""
    database = opened(url)
    ledger = Ledger()
    runners = Runner(database, ledger), Runner(database, ledger, writes=False)
    server = LaneServer(Path(path), *runners)
    link.say("serving")
    server.serve()


# -- Ids -------------------------------------------------------------------------------------------


def mint_ids(link: Link, *, count: int) -> None:
    """Mint ids as fast as it goes, and tell them."""
    link.say("ready")
    link.hear()
    link.say([ids.mint() for _ in range(count)])


# -- F10, fairness: groups of buckets in any order, and turns on one file --------------------------


def cross_buckets(link: Link, *, url: str, buckets: list[int], seed: int, rounds: int) -> None:
    """Use random buckets in random order, linked, from several threads; tell what was answered."""
    database = opened(url)
    lane = Lane(database, Ledger())

    def cross(thread: int) -> list[list[str]]:
        chance = random.Random(seed * 10 + thread)
        answers = []
        for _ in range(rounds):
            chosen = chance.sample(buckets, chance.randint(2, len(buckets)))
            uses = [Use(sources=(Source(bucket),), amount=1) for bucket in chosen]
            answers.append([kind_of(outcome) for outcome in lane.call(request(*uses))])
        return answers

    link.say("ready")
    link.hear()
    link.say([answer for answers in together(cross, range(3)) for answer in answers])
    lane.close()
    database.close()


def writes_waited_for() -> list[int]:
    """Return a list that grows with each turn: how many others wrote while it was waited for."""
    waited: list[int] = []
    turn = Turns.turn

    @contextmanager
    def counted(turns: Turns) -> Iterator[int]:
        asked = turns.counter()
        with turn(turns) as before:
            waited.append((before - asked + 1) // 2)
            yield before

    Turns.turn = counted  # type: ignore[method-assign, assignment]
    return waited


def take_turns(link: Link, *, url: str, bucket: int, name: str, uses: int) -> None:
    """Use a bucket again and again without a pause; tell how many others wrote before each use.

    Told are the use that first waited for another's and the `uses` after it; then, when the other
    worker needs nobody to meet any more and a word comes, how many uses it was in all.
    """
    database = opened(url)
    waited = writes_waited_for()
    lane = Lane(database, Ledger())
    use = Use(sources=(Source(bucket),), amount=1, actor=name)
    done = itertools.count()

    def draw() -> int:
        lane.call(request(use))
        next(done)
        return waited[-1]

    draw()
    link.say("ready")
    link.hear()
    # Heard by a thread, since whoever stops to listen is nobody to meet.
    word = Worker(link.hear)
    word.start()
    deadline = time.monotonic() + PATIENCE_S
    while not draw():
        assert time.monotonic() < deadline, "it met nobody"
    for _ in range(uses):
        draw()
    link.say(waited[-uses - 1 :])
    while word.is_alive():
        draw()
    link.say(next(done))
    lane.close()
    database.close()


# -- F4: no room to write --------------------------------------------------------------------------


def fill_disk(link: Link, *, url: str, bucket: int, seed: int) -> None:
    """Use a bucket under a limit on the size of files that is raised whenever it is reached."""
    # Beyond the limit a write fails, as on a full disk, instead of ending the process.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    checkpoint_every(pages=25)
    chance = random.Random(seed)
    wal = Path(f"{url.removeprefix('sqlite:///')}-wal")
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    database = opened(url)
    lane = Lane(database, Ledger())
    answered, refused = [], 0
    for key in range(60):
        if key % 3 == 0:
            # Somewhere in the next few writes: in a page, in a frame's head, behind the log.
            limit = wal.stat().st_size + chance.randrange(1, 20_000)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
        batch = [
            request(Use(sources=(Source(bucket),), amount=1), caller="c", key=f"{key}-{place}")
            for place in range(chance.randint(1, 6))
        ]
        for one in batch:
            try:
                [outcome] = lane.call(one)
            except TryAgain:
                refused += 1
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, hard))
                [outcome] = lane.call(one)
            assert isinstance(outcome, Applied), outcome
            answered.append(outcome.operation)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, hard))
    lane.close()
    database.close()
    link.say({"answered": sorted(answered), "refused": refused})


def write_read_only(link: Link, *, url: str, bucket: int) -> None:
    """Use a bucket before, while and after its database may only be read."""
    database = opened(url)
    runner = Runner(database, Ledger())
    use = Use(sources=(Source(bucket),), amount=1)

    def ask(key: str) -> str:
        [answer] = runner.run([request(use, caller="c", key=key)])
        return kinds_of(answer)[0]

    def query_only(on: int) -> None:
        assert isinstance(database, sqlite.SqliteDatabase)
        assert database._connection is not None
        database._connection.exec_driver_sql(f"PRAGMA query_only={on}")
        database._connection.rollback()

    told = [ask("one")]
    query_only(1)
    told += [ask("two"), ask("two")]
    query_only(0)
    link.say([*told, ask("two")])
    database.close()
