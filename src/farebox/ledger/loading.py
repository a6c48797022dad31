"""Loading books: what a batch needs, what is remembered, what must be read."""

from collections.abc import Iterable, Sequence
from typing import Final

from farebox.ledger import store
from farebox.ledger.accounts import HOLD_OPEN, BucketBook
from farebox.ledger.books import Books
from farebox.ledger.model import (
    Capture,
    Command,
    Freeze,
    Grant,
    Hold,
    Look,
    Move,
    Pin,
    Post,
    Release,
    Request,
    Reverse,
    Use,
    Void,
)
from farebox.storage import Tx

MOST_REMEMBERED: Final = 50_000
# What falls due within this time is loaded along, so that the decision's own instant, which may
# lie a little after the transaction's, always finds it.
LOOK_AHEAD_US: Final = 1_000_000


class Memory:
    """Books kept from one batch to the next; trusted only as far as versions and epoch say.

    `buckets` were seen in this epoch. Of those `before` it only the version can tell.
    """

    def __init__(self) -> None:
        self.buckets: dict[int, BucketBook] = {}
        self.before: dict[int, BucketBook] = {}
        self.revisions: dict[str, int] = {}
        self.epoch: object | None = None

    def forget(self) -> None:
        """Forget everything: what was kept may no longer be true."""
        self.__init__()  # type: ignore[misc]

    def keep(self, books: Books, epoch: object | None) -> None:
        """Keep a batch's books after its commit."""
        if max(len(self.buckets), len(self.before), len(self.revisions)) > MOST_REMEMBERED:
            self.forget()
        for hold in (*books.changed_holds, *books.new_holds):
            for key in (hold.bucket, hold.cap):
                if hold.state != HOLD_OPEN and key in books.buckets:
                    books.buckets[key].holds.pop(hold.id, None)
        (self.before if epoch is None else self.buckets).update(books.buckets)
        self.epoch = epoch

    def doubt(self) -> None:
        """Say that another epoch has begun, or that there is none."""
        self.before.update(self.buckets)
        self.buckets = {}
        self.revisions.clear()

    def drop(self, keys: Iterable[int]) -> None:
        """Forget buckets that were worked on in vain."""
        for key in keys:
            self.buckets.pop(key, None)
            self.before.pop(key, None)


class Needs:
    """What a batch must have loaded, gathered from its commands."""

    def __init__(self, tx: Tx, requests: Sequence[Request]) -> None:
        self.buckets: set[int] = set()
        self.grants: set[int] = set()
        self.reversals: set[int] = set()
        self.holds: set[int] = set()
        self.sinks: set[int] = set()
        for one in requests:
            for command in one.commands:
                if type(command) is Use:
                    # The usual command, without the way through the match below.
                    for source in command.sources:
                        self.buckets.add(source.bucket)
                        if source.cap is not None:
                            self.buckets.add(source.cap)
                else:
                    self._add(command)
        if self.holds:
            own = {operation for request in requests for operation in request.operations}
            self.holds -= own
        self.digests = {r.digest for r in requests if r.digest is not None}
        self.subjects = {subject for r in requests for subject, _ in r.guards}
        self._resolve(tx)

    def _add(self, command: Command) -> None:
        match command:
            case Hold(sources=sources) | Look(sources=sources):
                for source in sources:
                    self.buckets.add(source.bucket)
                    if source.cap is not None:
                        self.buckets.add(source.cap)
            case Grant(bucket=bucket) | Freeze(bucket=bucket):
                self.buckets.add(bucket)
            case Move(source=source_id, target=target_id):
                self.buckets |= {source_id, target_id}
            case Capture(hold=hold) | Release(hold=hold) | Pin(hold=hold):
                self.holds.add(hold)
            case Void(grant=grant):
                self.grants.add(grant)
            case Reverse(operation=operation):
                self.reversals.add(operation)
            case Post(legs=legs):
                self.sinks.update(side for leg in legs for side in (leg.debit, leg.credit))
            case _:
                pass

    def _resolve(self, tx: Tx) -> None:
        """Find the buckets behind holds, grants and operations; these never change."""
        self.hold_bucket: dict[int, int] = {}
        for hold, bucket, cap in store.buckets_of_holds(tx, sorted(self.holds)):
            self.hold_bucket[hold] = bucket
            self.buckets |= {bucket} if cap is None else {bucket, cap}
        self.grant_bucket = dict(store.buckets_of_grants(tx, sorted(self.grants)))
        self.buckets.update(self.grant_bucket.values())
        if self.reversals:
            takings = store.takings_of(tx, sorted(self.reversals))
            self.buckets.update(t.bucket for ts in takings.values() for t in ts)


def load(
    tx: Tx,
    needs: Needs,
    memory: Memory,
    books: Books,
    far: dict[int, int],
    *,
    until: int,
    lock: bool,
) -> None:
    """Fill the books with what is needed: from memory where it still holds, else from the rows."""
    epoch = tx.epoch
    if epoch is None or epoch != memory.epoch:
        memory.doubt()
    fresh = _fresh_buckets(tx, needs.buckets, memory, books, lock=lock)
    now = tx.now_us
    until = (
        max([now, until, *(bucket.last_at for bucket in books.buckets.values())]) + LOOK_AHEAD_US
    )
    # A remembered bucket on which something falls due now is read anew, with what is due.
    overdue = [
        bucket.id
        for bucket in books.buckets.values()
        if bucket.horizon and bucket.next_event_at <= max(now, bucket.last_at) + 1000
    ]
    for bucket in store.lock_buckets(tx, sorted(overdue), lock=lock):
        books.buckets[bucket.id] = bucket
        fresh.append(bucket)
    due = [bucket.id for bucket in fresh if bucket.next_event_at <= until or bucket.id in far]
    # A batch that did not get by with what was loaded gets eight times as much.
    for asked in {far.get(bucket.id, 0) for bucket in fresh}:
        alike = [bucket for bucket in fresh if far.get(bucket.id, 0) == asked]
        settled = [bucket.id for bucket in alike if bucket.id in due]
        most = store.FIRST_GRANTS * 8**asked
        store.load_grants(tx, alike, until, most=most, due=settled)
    books.hold_bucket.update(needs.hold_bucket)
    missing = [key for key in needs.holds if books.hold(key) is None]
    if missing or due:
        store.load_holds(tx, books, sorted(missing), due, until)
    _load_named(tx, needs, memory, books)


def _fresh_buckets(
    tx: Tx,
    wanted: Iterable[int],
    memory: Memory,
    books: Books,
    *,
    lock: bool,
) -> list[BucketBook]:
    """Take remembered buckets where they still hold, lock and read the others."""
    ask = []
    for key in wanted:
        kept = memory.buckets.get(key)
        if kept is None:
            ask.append(key)
        else:
            books.buckets[key] = kept
    fresh = []
    for bucket in store.lock_buckets(tx, sorted(ask), lock=lock):
        kept = memory.before.get(bucket.id)
        if kept is not None and kept.version == bucket.version:
            books.buckets[bucket.id] = kept
        else:
            books.buckets[bucket.id] = bucket
            fresh.append(bucket)
    return fresh


def _load_named(tx: Tx, needs: Needs, memory: Memory, books: Books) -> None:
    if needs.digests:
        books.remembered = store.remembered(tx, sorted(needs.digests))
    # One by one: a difference of the two sets would walk all that is remembered, every batch.
    unknown = sorted(subject for subject in needs.subjects if subject not in memory.revisions)
    if unknown:
        found = store.revisions_of(tx, unknown)
        memory.revisions.update((subject, found.get(subject, 0)) for subject in unknown)
    books.revisions = memory.revisions
    if needs.grants:
        books.grant_bucket = needs.grant_bucket
        store.load_named_grants(tx, books, needs.grants)
    if needs.sinks:
        books.sinks = store.assets_of_sinks(tx, sorted(needs.sinks))
    if needs.reversals:
        books.takings = store.takings_of(tx, sorted(needs.reversals))
        named = [t.grant for takings in books.takings.values() for t in takings]
        store.load_named_grants(tx, books, named)
