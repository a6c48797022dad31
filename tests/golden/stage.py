"""The ledger on one database, as golden cases need it: open, send, try, read, and move the clock.

Time. Recorded time strictly increases, so two entries at one instant of a clock that stands still
are a microsecond apart. A case counts its seconds from what it did before; therefore the clock is
moved to its instant plus however far the recorded time has run ahead of it (`go`).
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa

from farebox.kernel import ids
from farebox.kernel.amounts import MAX_AMOUNT, Asset
from farebox.kernel.clock import SECOND_US, ManualClock
from farebox.ledger import reading
from farebox.ledger.batch import Lane
from farebox.ledger.model import (
    Applied,
    Command,
    Grant,
    Look,
    Outcome,
    Request,
    Sink,
    Source,
    sink_id,
)
from farebox.ledger.reading import BucketView, HistoryEntry
from farebox.ledger.service import Ledger, request
from farebox.ledger.verify import sink_balance
from farebox.storage import Database, Tx
from tests.support.proof import faults
from tests.support.threads import together

MINUTE_US: Final = 60 * SECOND_US
_PAGE: Final = 1000
# Proving walks every entry of the journal; a case with more is proved by what it expects.
MOST_PROVED: Final = 20_000
_BATCH: Final = 4_000


class _Undone(Exception):
    """Rolls a trial back."""


class Trial:
    """Requests inside a transaction that is rolled back: what would happen?"""

    def __init__(self, ledger: Ledger, tx: Tx) -> None:
        self._ledger = ledger
        self._tx = tx

    def send(self, commands: Sequence[Command], operations: Sequence[int]) -> tuple[Outcome, ...]:
        """Decide linked commands after those that were sent before in this trial."""
        return self._ledger.apply(self._tx, [request(*commands, operations=tuple(operations))])[0]

    def balance(self, bucket: int) -> int:
        """Return what is left of what was credited; negative where credit was used."""
        return reading.bucket_view(self._ledger, self._tx, bucket).balance

    def frozen(self, bucket: int) -> bool:
        """Tell whether a bucket takes no new movement."""
        return reading.bucket_view(self._ledger, self._tx, bucket).frozen

    def available(self, sources: Sequence[Source]) -> int:
        """Return what sources give together."""
        found = self.send([Look(sources=tuple(sources), amount=0)], [ids.mint()])[0]
        assert isinstance(found, Applied), found
        return found.available


class Stage:
    """One ledger, its clock, and what a case opened."""

    def __init__(self, database: Database, ledger: Ledger, clock: ManualClock) -> None:
        self.database = database
        self.ledger = ledger
        self.clock = clock
        self.latest = 0
        self.sent = 0
        self._nominal = clock.now_us()
        self._ahead = 0
        self._assets: dict[str, Asset] = {}
        self._lanes: list[Lane] = []

    # -- opening ---------------------------------------------------------------------------------

    def asset(self, code: str = "unit", scale: int = 0) -> Asset:
        """Return an asset, making it at first."""
        if code not in self._assets:
            self._assets[code] = self.database.run(
                lambda tx: self.ledger.open_asset(tx, code, scale)
            )
        return self._assets[code]

    def bucket(self, asset: Asset, amount: int = 0, *, credit_limit: int = 0) -> int:
        """Open a bucket and grant it an amount."""
        made = self.database.run(
            lambda tx: self.ledger.open_bucket(tx, asset, credit_limit=credit_limit)
        )
        if amount:
            self.do(Grant(bucket=made, amount=amount))
        return made

    def unlimited(self, asset: Asset) -> int:
        """Open a bucket that may go below zero as far as the ledger counts."""
        return self.bucket(asset, credit_limit=MAX_AMOUNT)

    def sink(self, asset: Asset, name: str) -> int:
        """Return one of an asset's sinks by its name, making it at first."""
        return self.database.run(lambda tx: self.ledger.open_sink(tx, asset, name))

    # -- sending ---------------------------------------------------------------------------------

    def send(self, *commands: Command, **options: Any) -> tuple[Outcome, ...]:
        """Run one request of linked commands in a transaction of its own."""
        return self.batch([request(*commands, **options)])[0]

    def batch(self, requests: Sequence[Request]) -> list[tuple[Outcome, ...]]:
        """Run requests in one batch."""
        outcomes = self.database.run(lambda tx: self.ledger.apply(tx, requests))
        self._saw(outcomes)
        return outcomes

    def do(self, *commands: Command, **options: Any) -> Applied:
        """Run one request that must take effect; return the outcome of its last command."""
        outcomes = self.send(*commands, **options)
        assert isinstance(outcomes[-1], Applied), outcomes
        return outcomes[-1]

    def bulk(self, commands: Sequence[Command]) -> list[Applied]:
        """Run many single commands that must take effect, some thousands a batch."""
        done: list[Applied] = []
        for start in range(0, len(commands), _BATCH):
            requests = [request(command) for command in commands[start : start + _BATCH]]
            for outcome in self.batch(requests):
                assert isinstance(outcome[0], Applied), outcome
                done.append(outcome[0])
        return done

    def together(self, requests: Sequence[Request]) -> list[tuple[Outcome, ...]]:
        """Run requests at once, each from a thread of its own, over two lanes as of two servers."""
        if not self._lanes:
            self._lanes = [Lane(self.database, self.ledger) for _ in range(2)]
        each = [(self._lanes[place % 2], one) for place, one in enumerate(requests)]
        outcomes: list[tuple[Outcome, ...]] = together(lambda pair: pair[0].call(pair[1]), each)
        self._saw(outcomes)
        return outcomes

    def _saw(self, outcomes: Sequence[tuple[Outcome, ...]]) -> None:
        self.sent += len(outcomes)
        for outcome in (one for group in outcomes for one in group):
            if isinstance(outcome, Applied):
                self.latest = max(self.latest, outcome.at)

    @contextmanager
    def trial(self) -> Iterator[Trial]:
        """Open a transaction in which requests can be tried; nothing of it stays."""
        try:
            with self.database.write() as tx:
                yield Trial(self.ledger, tx)
                raise _Undone  # noqa: TRY301 - the way out of a transaction is an exception
        except _Undone:
            pass

    # -- reading ---------------------------------------------------------------------------------

    def _read(self, work: Callable[[Tx], Any]) -> Any:
        with self.database.read() as tx:
            return work(tx)

    def view(self, bucket: int) -> BucketView:
        """Return a bucket as the next use would find it."""
        found: BucketView = self._read(lambda tx: reading.bucket_view(self.ledger, tx, bucket))
        return found

    def balance(self, bucket: int) -> int:
        """Return what is left of what was credited; negative where credit was used."""
        return self.view(bucket).balance

    def frozen(self, bucket: int) -> bool:
        """Tell whether a bucket takes no new movement."""
        return self.view(bucket).frozen

    def as_of(self, bucket: int, at: int) -> int:
        """Return what was, or will be, available at an instant, credit included."""
        return int(self._read(lambda tx: reading.as_of(self.ledger, tx, bucket, at)))

    def history(self, bucket: int) -> list[HistoryEntry]:
        """Return all that happened to a bucket, newest first."""
        entries: list[HistoryEntry] = []
        before: int | None = None
        with self.database.read() as tx:
            while True:
                page, before = reading.history(self.ledger, tx, bucket, before=before, limit=_PAGE)
                entries += page
                if before is None:
                    return entries

    def own_sink(self, asset: Asset, sink: Sink) -> int:
        """Return the balance of one of an asset's own sinks: what it was credited with."""
        return self.sink_balance(sink_id(asset.number, sink))

    def sink_balance(self, sink: int) -> int:
        return int(self._read(lambda tx: sink_balance(tx, sink)))

    def rows(self, sql: str, **parameters: Any) -> list[Any]:
        """Read rows as they lie in the tables."""
        return list(self._read(lambda tx: tx.run(sa.text(sql), parameters).all()))

    # -- time ------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        """Return the case's own time, without what recorded time has run ahead."""
        return self._nominal

    def begin(self, at: int | None = None) -> int:
        """Leave what was set up a minute behind, or go to exactly an instant; return the now."""
        self._nominal = self._nominal + MINUTE_US if at is None else at
        self._ahead = 0
        self.clock.set(self._nominal)
        return self._nominal

    def go(self, to: int) -> None:
        """Go to an instant of the case's time."""
        self._ahead = max(self._ahead, self.latest - self._nominal)
        self._nominal = to
        self.clock.set(self.shown(to))

    def shown(self, at: int) -> int:
        """Return what the clock shows at an instant of the case's time."""
        return at + self._ahead

    # -- the end ---------------------------------------------------------------------------------

    def close(self) -> None:
        """Stop the lanes."""
        for lane in self._lanes:
            lane.close()

    def prove(self) -> None:
        """Prove the whole ledger by its journal and by its tables."""
        if self.sent <= MOST_PROVED:
            assert faults(self.database) == []
