"""`farebox replay`: a web server's access log, charged line by line.

Each visitor (the authenticated user, or else the address) becomes a consumer with a bucket of the
product; each line becomes a use of it, keyed by the line's number and text. So a log that is
replayed twice, or was cut off and is replayed again, charges each line once.
"""

import hashlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, Literal

import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from farebox.access.buckets import service as buckets
from farebox.access.buckets.model import Terms
from farebox.access.catalog import service as catalog
from farebox.access.consumers import service as consumers
from farebox.cli.access_log import Reading, Visit, read_log
from farebox.kernel.amounts import MAX_AMOUNT, checked_amount
from farebox.kernel.clock import SystemClock
from farebox.kernel.refusals import ValueRefused
from farebox.ledger.batch import Lane
from farebox.ledger.model import Applied, Denied, Outcome, Request, Source, Use
from farebox.ledger.service import Ledger, request
from farebox.platform.model import SYSTEM
from farebox.storage import Database, Tx
from farebox.wiring.services import opened
from farebox.wiring.settings import Settings

Count = Literal["requests", "bytes"]
UNITS: Final = {"requests": "request", "bytes": "byte"}
LINES_AT_ONCE: Final = 1000
SHOWN_FAULTS: Final = 5


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay charges for: see the command's help."""

    product: str
    count: Count
    allowance: int | None


class Tally(msgspec.Struct):
    """What one visitor used, as far as the log tells."""

    visits: int = 0
    used: int = 0
    refused: int = 0
    left: int | None = None


class Replay(msgspec.Struct):
    """What a replay did, visitor by visitor."""

    visitors: dict[str, Tally] = {}
    lines: int = 0
    free: int = 0
    used_before: int = 0
    faults: list[str] = []
    fault_count: int = 0


def run_replay(settings: Settings, file: str, charge: Charge, *, top: int) -> None:
    """Charge the log and print who used what."""
    if charge.allowance is not None:
        checked_amount(charge.allowance, least=0)
    replay = Replay()
    with _source(file) as (stream, size), opened(settings, SystemClock()) as database:
        database.run(lambda tx: _open_product(tx, charge))
        charger = _Charger(database, charge, replay)
        try:
            _charge_all(stream, size, charger, replay)
        except KeyboardInterrupt:
            print("stopped; the same command goes on where it was", file=sys.stderr)
            raise
        finally:
            charger.close()
    _show(replay, charge.count, top)


@contextmanager
def _source(file: str) -> Iterator[tuple[BinaryIO, int | None]]:
    if file == "-":
        yield sys.stdin.buffer, None
        return
    path = Path(file)
    try:
        with path.open("rb") as stream:
            yield stream, path.stat().st_size
    except OSError as error:
        if error.filename != file:
            raise
        raise ValueRefused(f"{file} cannot be read: {error.strerror}") from error


def _open_product(tx: Tx, charge: Charge) -> None:
    unit = UNITS[charge.count]
    product = catalog.ensure_product(tx, code=charge.product, name=charge.product, unit=unit)
    if product.unit != unit:
        raise ValueRefused(
            f"the product {product.code} is counted in {product.unit}, not in {unit};"
            " name another one by --product"
        )


def _charge_all(stream: BinaryIO, size: int | None, charger: "_Charger", replay: Replay) -> None:
    """Charge a batch of lines at a time, with a bar on standard error where that is a terminal."""
    bar = Progress(
        TextColumn("charging"),
        BarColumn(),
        TextColumn("{task.fields[lines]:,} lines"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
    with bar:
        task = bar.add_task("", total=size, lines=0)
        visits: list[Visit] = []
        for reading in read_log(stream):
            _note(reading, replay)
            if reading.visit is not None:
                visits.append(reading.visit)
            if len(visits) == LINES_AT_ONCE:
                charger.charge(visits)
                visits = []
                bar.update(task, completed=reading.bytes, lines=reading.lines)
        charger.charge(visits)
        bar.update(task, total=size or 1, completed=size or 1, lines=replay.lines)


def _note(reading: Reading, replay: Replay) -> None:
    replay.lines = reading.lines
    if reading.fault is not None:
        replay.fault_count += 1
        if len(replay.faults) < SHOWN_FAULTS:
            replay.faults.append(f"line {reading.lines} {reading.fault}")


class _Charger:
    """Charges visits through a lane of the ledger."""

    def __init__(self, database: Database, charge: Charge, replay: Replay) -> None:
        self._database = database
        self._charge = charge
        self._replay = replay
        self._ledger = Ledger()
        self._lane = Lane(database, self._ledger)
        self._sources: dict[str, tuple[str, tuple[Source, ...]]] = {}

    def close(self) -> None:
        self._lane.close()

    def charge(self, visits: list[Visit]) -> None:
        """Charge a batch; each visit stands or falls alone."""
        new = sorted({visit.visitor for visit in visits} - self._sources.keys())
        if new:
            self._sources.update(self._database.run(lambda tx: self._open(tx, new)))
        paid: list[tuple[Visit, Request]] = []
        for visit in visits:
            cost = 1 if self._charge.count == "requests" else min(visit.size, MAX_AMOUNT)
            if cost:
                paid.append((visit, self._request(visit, cost)))
            else:
                self._replay.free += 1
                self._tally(visit).visits += 1
        answers = self._lane.call_many([asked for _, asked in paid])
        for (visit, asked), answer in zip(paid, answers, strict=True):
            self._count(visit, asked, answer[0])

    def _request(self, visit: Visit, cost: int) -> Request:
        consumer, sources = self._sources[visit.visitor]
        text = hashlib.blake2b(visit.text.encode(), digest_size=12).hexdigest()
        meta = {"line": visit.number, "at": visit.at, "what": visit.what}
        use = Use(
            sources=sources,
            amount=cost,
            actor=consumer,
            product=self._charge.product,
            meta=msgspec.json.encode(meta).decode(),
        )
        caller = f"replay:{self._charge.product}"
        return request(use, caller=caller, key=f"{visit.number}-{text}", payload=b"line")

    def _tally(self, visit: Visit) -> Tally:
        return self._replay.visitors.setdefault(visit.visitor, Tally())

    def _count(self, visit: Visit, asked: Request, outcome: Outcome) -> None:
        tally = self._tally(visit)
        tally.visits += 1
        if isinstance(outcome, Applied):
            tally.used += outcome.amount
            tally.left = outcome.available
            if outcome.operation != asked.operations[0]:
                # A line that was charged before is answered with that operation.
                self._replay.used_before += outcome.amount
        elif isinstance(outcome, Denied):
            tally.refused += 1
            tally.left = outcome.available
        else:
            raise ValueRefused(f"line {visit.number}: {outcome.detail or outcome.code}")

    def _open(self, tx: Tx, visitors: list[str]) -> dict[str, tuple[str, tuple[Source, ...]]]:
        """Find the visitors' buckets, making consumer and bucket at first sight."""
        issuer = f"replay:{self._charge.product}"
        # One replay of a product at a time opens buckets, or two would give an allowance twice.
        self._ledger.advance_revision(tx, issuer)
        found: dict[str, tuple[str, tuple[Source, ...]]] = {}
        for visitor in visitors:
            consumer = consumers.consumer_of_identity(tx, issuer, visitor)
            if consumer is None:
                consumer = consumers.create_consumer(
                    tx, SYSTEM, name=visitor, issuer=issuer, subject=visitor
                )
            bucket = buckets.bucket_of_holder(tx, holder=consumer.id, product=self._charge.product)
            number = self._open_bucket(tx, consumer.id) if bucket is None else bucket.id
            found[visitor] = (consumer.id, (Source(number),))
        return found

    def _open_bucket(self, tx: Tx, consumer: str) -> int:
        allowance = self._charge.allowance
        return buckets.create_bucket(
            tx,
            SYSTEM,
            product=self._charge.product,
            holder_kind="consumer",
            holder=consumer,
            grant=Terms(amount=allowance) if allowance else None,
            credit_limit=MAX_AMOUNT if allowance is None else 0,
        ).id


def _show(replay: Replay, count: Count, top: int) -> None:
    console = Console(highlight=False)
    visitors = sorted(replay.visitors.items(), key=lambda pair: (-pair[1].used, pair[0]))
    table = Table(box=None, pad_edge=False)
    table.add_column("visitor", overflow="fold")
    for heading in ("visits", count, "refused", "left"):
        table.add_column(heading, justify="right", no_wrap=True)
    unlimited = MAX_AMOUNT // 2
    for name, tally in visitors[:top]:
        left = "" if tally.left is None or tally.left > unlimited else f"{tally.left:,}"
        table.add_row(name, f"{tally.visits:,}", f"{tally.used:,}", f"{tally.refused:,}", left)
    if top:
        console.print(table)
    if 0 < top < len(visitors):
        console.print(f"and {len(visitors) - top:,} more")
    used = sum(tally.used for tally in replay.visitors.values())
    refused = sum(tally.refused for tally in replay.visitors.values())
    for number, what in (
        (replay.lines, "lines"),
        (len(visitors), "visitors"),
        (used - replay.used_before, f"{count} charged now"),
        (replay.used_before, f"{count} charged before"),
        (refused, "visits refused"),
        (replay.free, "visits free"),
        (replay.fault_count, "lines not read"),
    ):
        console.print(f"{number:>12,} {what}")
    for fault in replay.faults:
        console.print(f"  {fault}", style="dim")
