"""`farebox replay`: a web server's access log, charged line by line.

Each visitor (the authenticated user, or else the address) becomes a consumer with a bucket of the
product; each line becomes a use of it, keyed by the line's number and text. So a log that is
replayed twice, or was cut off and is replayed again, charges each line once.
"""

import hashlib
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from farebox.access.buckets import service as buckets
from farebox.access.buckets.model import Terms
from farebox.access.catalog import service as catalog
from farebox.access.consumers import service as consumers
from farebox.kernel.amounts import MAX_AMOUNT
from farebox.kernel.clock import SystemClock
from farebox.kernel.refusals import ValueRefused
from farebox.ledger.batch import Lane
from farebox.ledger.model import Applied, Denied, Outcome, Request, Source, Use
from farebox.ledger.service import Ledger, request
from farebox.platform.model import SYSTEM
from farebox.storage import Database, Tx
from farebox.wiring.services import opened
from farebox.wiring.settings import Settings

LINES_AT_ONCE: Final = 1000
SHOWN_FAULTS: Final = 5
_LINE: Final = re.compile(
    r'(?P<host>\S+) \S+ (?P<user>\S+) \[(?P<at>[^\]]+)\] "(?P<what>(?:[^"\\]|\\.)*)" '
    r'(?P<status>\d{3}) (?P<bytes>\d+|-)(?: "(?:[^"\\]|\\.)*" "(?:[^"\\]|\\.)*")?\s*$'
)
_TIME: Final = "%d/%b/%Y:%H:%M:%S %z"


class Visit(msgspec.Struct, frozen=True):
    """One line of the log. `number` counts lines from 1."""

    number: int
    text: str
    visitor: str
    what: str
    size: int


class Tally(msgspec.Struct):
    """What one visitor used."""

    visits: int = 0
    used: int = 0
    refused: int = 0
    left: int | None = None


class Replay(msgspec.Struct):
    """What a replay did, visitor by visitor."""

    visitors: dict[str, Tally] = {}
    lines: int = 0
    free: int = 0
    faults: list[str] = []
    fault_count: int = 0


def read_visit(number: int, text: str) -> Visit | None:
    """Read a line of combined or common log format, or None if it is not one."""
    match = _LINE.match(text)
    if match is None:
        return None
    try:
        datetime.strptime(match["at"], _TIME)  # noqa: DTZ007 - %z is in the format
    except ValueError:
        return None
    visitor = match["user"] if match["user"] != "-" else match["host"]
    size = 0 if match["bytes"] == "-" else int(match["bytes"])
    return Visit(number, text, visitor[:200], match["what"][:200], size)


def run_replay(
    settings: Settings, file: str, *, product: str, count: str, allowance: int | None, top: int
) -> None:
    """Charge the log and print who used what."""
    if count not in {"requests", "bytes"}:
        raise ValueRefused("a visit is counted in requests or in bytes")
    with opened(settings, SystemClock()) as database, _source(file) as (stream, size):
        database.run(
            lambda tx: catalog.ensure_product(tx, code=product, name=product, unit=count[:-1])
        )
        charger = _Charger(database, product, count, allowance)
        try:
            with Progress(console=Console(stderr=True)) as progress:
                task = progress.add_task("charging", total=size)
                for done, visits in _batches(stream, charger.replay):
                    charger.charge(visits)
                    progress.update(task, completed=done)
        finally:
            charger.close()
    _show(charger.replay, count, top)


@contextmanager
def _source(file: str) -> Iterator[tuple[BinaryIO, int | None]]:
    if file == "-":
        yield sys.stdin.buffer, None
        return
    path = Path(file)
    try:
        stream = path.open("rb")
    except OSError as error:
        raise ValueRefused(f"{file} cannot be read: {error.strerror}") from error
    with stream:
        yield stream, path.stat().st_size


def _batches(stream: BinaryIO, replay: Replay) -> Iterator[tuple[int, list[Visit]]]:
    """Yield visits a batch at a time, with the bytes read so far; memory stays flat."""
    visits: list[Visit] = []
    done = 0
    for number, line in enumerate(stream, 1):
        done += len(line)
        replay.lines += 1
        visit = read_visit(number, line.decode("utf-8", "replace").rstrip("\r\n"))
        if visit is not None:
            visits.append(visit)
        elif line.strip():
            replay.fault_count += 1
            if len(replay.faults) < SHOWN_FAULTS:
                replay.faults.append(f"line {number} is not of the combined format")
        if len(visits) == LINES_AT_ONCE:
            yield done, visits
            visits = []
    yield done, visits


class _Charger:
    """Charges visits through a lane of the ledger."""

    def __init__(self, database: Database, product: str, count: str, allowance: int | None) -> None:
        self._database = database
        self._product = product
        self._count = count
        self._allowance = allowance
        self._lane = Lane(database, Ledger())
        self._sources: dict[str, tuple[str, tuple[Source, ...]]] = {}
        self.replay = Replay()

    def close(self) -> None:
        self._lane.close()

    def charge(self, visits: list[Visit]) -> None:
        """Charge a batch; each visit stands or falls alone."""
        new = sorted({visit.visitor for visit in visits} - self._sources.keys())
        if new:
            self._sources.update(self._database.run(lambda tx: self._open(tx, new)))
        paid = []
        for visit in visits:
            cost = 1 if self._count == "requests" else min(visit.size, MAX_AMOUNT)
            if cost:
                paid.append((visit, self._request(visit, cost)))
            else:
                self.replay.free += 1
                self._tally(visit).visits += 1
        answers = self._lane.call_many([each for _, each in paid])
        for (visit, _), answer in zip(paid, answers, strict=True):
            self._count_answer(visit, answer[0])

    def _request(self, visit: Visit, cost: int) -> Request:
        consumer, sources = self._sources[visit.visitor]
        text = hashlib.blake2b(visit.text.encode("utf-8", "replace"), digest_size=12).hexdigest()
        use = Use(
            sources=sources,
            amount=cost,
            actor=consumer,
            product=self._product,
            meta=msgspec.json.encode({"line": visit.number, "what": visit.what}).decode(),
        )
        caller = f"replay:{self._product}:{self._count}"
        return request(use, caller=caller, key=f"{visit.number}-{text}", payload=b"line")

    def _tally(self, visit: Visit) -> Tally:
        return self.replay.visitors.setdefault(visit.visitor, Tally())

    def _count_answer(self, visit: Visit, outcome: Outcome) -> None:
        tally = self._tally(visit)
        tally.visits += 1
        if isinstance(outcome, Applied):
            tally.used += outcome.amount
            tally.left = outcome.available
        elif isinstance(outcome, Denied):
            tally.refused += 1
            tally.left = outcome.available
        else:
            raise ValueRefused(f"line {visit.number}: {outcome.code}")

    def _open(self, tx: Tx, visitors: list[str]) -> dict[str, tuple[str, tuple[Source, ...]]]:
        """Find the visitors' buckets, making consumer and bucket at first sight."""
        issuer = f"replay:{self._product}"
        found: dict[str, tuple[str, tuple[Source, ...]]] = {}
        for visitor in visitors:
            consumer = consumers.consumer_of_identity(tx, issuer, visitor)
            if consumer is None:
                consumer = consumers.create_consumer(
                    tx, SYSTEM, name=visitor, issuer=issuer, subject=visitor
                )
            held = buckets.list_buckets(tx, holder=consumer.id, product=self._product, limit=1)
            bucket = held.items[0].id if held.items else self._open_bucket(tx, consumer.id)
            found[visitor] = (consumer.id, (Source(bucket),))
        return found

    def _open_bucket(self, tx: Tx, consumer: str) -> int:
        limited = self._allowance is not None
        return buckets.create_bucket(
            tx,
            SYSTEM,
            product=self._product,
            holder_kind="consumer",
            holder=consumer,
            grant=Terms(amount=self._allowance) if limited and self._allowance else None,
            credit_limit=0 if limited else MAX_AMOUNT,
        ).id


def _show(replay: Replay, count: str, top: int) -> None:
    console = Console()
    visitors = sorted(replay.visitors.items(), key=lambda pair: (-pair[1].used, pair[0]))
    table = Table(title="Who used what", title_justify="left")
    table.add_column("visitor", overflow="fold")
    for heading in ("visits", count, "refused", "left"):
        table.add_column(heading, justify="right")
    unlimited = MAX_AMOUNT // 2
    for name, tally in visitors[:top]:
        left = "" if tally.left is None or tally.left > unlimited else f"{tally.left:,}"
        table.add_row(name, f"{tally.visits:,}", f"{tally.used:,}", f"{tally.refused:,}", left)
    console.print(table)
    if len(visitors) > top:
        console.print(f"and {len(visitors) - top:,} more")
    used = sum(tally.used for tally in replay.visitors.values())
    refused = sum(tally.refused for tally in replay.visitors.values())
    console.print(
        f"{replay.lines:,} lines, {len(visitors):,} visitors, {used:,} {count} charged, "
        f"{refused:,} visits refused, {replay.free:,} free, {replay.fault_count:,} lines unread"
    )
    for fault in replay.faults:
        console.print(f"  {fault}", style="dim")
