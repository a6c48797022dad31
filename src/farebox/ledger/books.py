"""The open books: what a batch has loaded, and what deciding changed in it."""

from collections.abc import Callable
from typing import Any, cast

from farebox.ledger.accounts import BucketBook, GrantBook, HoldBook, Taking
from farebox.ledger.model import MARK_EVERY, Kind, Leg, Post, Remembered


class NeedMore(Exception):
    """Deciding needs buckets that were not loaded, or not far enough; load them and run again."""

    def __init__(self, *buckets: int, horizon: int = 0) -> None:
        self.buckets = buckets
        self.horizon = horizon
        super().__init__(buckets)


# A journal row in the order of the transfer table's columns, without `seq` and `txid`.
Entry = tuple[Any, ...]
# What accounts were to have, by account: (bucket, held, debited, credited).
Balances = dict[int, tuple[int, int, int, int]]


class Books:
    """Everything one batch knows, and everything it changed."""

    def __init__(self, mint: Callable[[], int]) -> None:
        self.mint = mint
        self.buckets: dict[int, BucketBook] = {}
        self.hold_bucket: dict[int, int] = {}
        self.grant_bucket: dict[int, int] = {}
        self.remembered: dict[bytes, Remembered] = {}
        self.revisions: dict[str, int] = {}
        self.sinks: dict[int, int] = {}  # the sinks that posts name, with their assets
        self.takings: dict[int, list[Taking]] = {}
        self.looked: dict[int, BucketBook] = {}
        self.settling: set[int] = set()
        self._saved: dict[int, BucketBook] | None = None
        self._saved_holds: dict[int, tuple[HoldBook, int, int, int]] = {}
        self._saved_lengths: tuple[int, ...] = ()
        self._saved_takings: dict[int, list[int]] = {}
        self.forget_changes()

    def forget_changes(self) -> None:
        """Start a batch: nothing has changed yet."""
        self.touched: dict[int, BucketBook] = {}
        self.transfers: list[Entry] = []
        self.new_grants: list[tuple[int, int]] = []
        self.new_holds: list[HoldBook] = []
        self.changed_holds: list[HoldBook] = []
        self.marks: list[tuple[int, int, int, int]] = []
        self.memories: list[tuple[bytes, Remembered, int, bool, int]] = []

    def touch(self, bucket: BucketBook) -> None:
        """Declare that a bucket is about to change."""
        if self._saved is not None and bucket.id not in self._saved:
            self._saved[bucket.id] = bucket.copy()
        self.touched[bucket.id] = bucket

    def write(
        self,
        bucket: BucketBook,
        operation: int,
        line: int,
        kind: int,
        debit: int,
        credit: int,
        amount: int,
        at: int,
        *,
        hold: int | None = None,
        reverses: int | None = None,
        actor: str | None = None,
        product: str | None = None,
        meta: str | None = None,
    ) -> None:
        """Append one journal row to a bucket's history."""
        if bucket.head != operation:
            bucket.previous = bucket.head
            bucket.head = operation
        bucket.entries = entry = bucket.entries + 1
        bucket.last_at = at
        self.transfers.append((
            operation, line, kind, bucket.id, entry, bucket.previous, debit, credit, amount,
            hold, reverses, at, None,
            bucket.credited - bucket.debited - bucket.pending - bucket.floor - bucket.waiting,
            actor, product, meta,
        ))  # fmt: skip
        if entry % MARK_EVERY == 0:
            self.marks.append((bucket.id, entry, at, operation))

    def post(self, operation: int, line: int, leg: Leg, at: int, command: Post) -> None:
        """Append one journal row between sinks, which is in no bucket's history."""
        self.transfers.append((
            operation, line, Kind.POST, 0, 0, 0, leg.debit, leg.credit, leg.amount,
            None, None, at, None, 0, command.actor, command.product, command.meta,
        ))  # fmt: skip

    def balances(self) -> Balances:
        """Return what the touched buckets and their grants are to have after this batch."""
        found: Balances = {}
        for bucket in self.touched.values():
            for fund in cast("list[BucketBook | GrantBook]", [bucket, *bucket.by_id.values()]):
                found[fund.id] = (bucket.id, fund.pending, fund.debited, fund.credited)
        return found

    def hold(self, hold_id: int) -> HoldBook | None:
        """Return a hold that is loaded or was made in this batch."""
        bucket = self.buckets.get(self.hold_bucket.get(hold_id, 0))
        return None if bucket is None else bucket.holds.get(hold_id)

    def open_hold(self, hold: HoldBook) -> None:
        """Take a new hold in."""
        hold.fresh = True
        self.list_hold(hold)
        self.new_holds.append(hold)

    def list_hold(self, hold: HoldBook) -> None:
        """List a hold by its bucket and its cap, as far as these are loaded."""
        self.hold_bucket[hold.id] = hold.bucket
        owners = [self.buckets[key] for key in (hold.bucket, hold.cap) if key in self.buckets]
        # One of them may have been remembered with the hold: both must mean the same object.
        known = next((each.holds[hold.id] for each in owners if hold.id in each.holds), hold)
        for each in owners:
            each.holds[hold.id] = known

    def takings_of(self, operation: int) -> list[Taking]:
        """Return what an operation took, also where this batch has not written it yet."""
        if operation not in self.takings:
            self.takings[operation] = [
                Taking(row[3], row[6], row[7], row[1], row[8])
                for row in self.transfers
                if row[0] == operation and row[2] in (Kind.USE, Kind.CAPTURE)
            ]
        return self.takings[operation]

    def change_hold(self, hold: HoldBook) -> None:
        """Declare that a hold is about to change."""
        if self._saved is not None:
            saved = (hold, hold.state, hold.captured, hold.expires_at)
            self._saved_holds.setdefault(hold.id, saved)
        if not hold.fresh:
            self.changed_holds.append(hold)

    # -- linked commands -------------------------------------------------------------------------

    def begin_group(self) -> None:
        """Remember how things stand, so that a failing group can be undone."""
        self._saved = {}
        self._saved_holds = {}
        self._saved_takings = {
            key: [taking.left for taking in takings] for key, takings in self.takings.items()
        }
        self._saved_lengths = (
            len(self.transfers), len(self.new_grants), len(self.new_holds),
            len(self.changed_holds), len(self.marks),
        )  # fmt: skip

    def keep_group(self) -> None:
        """Make the group's changes part of the batch."""
        self._saved = None

    def undo_group(self) -> None:
        """Put everything back to where `begin_group` found it."""
        assert self._saved is not None
        self.buckets.update(self._saved)
        for key, bucket in self._saved.items():
            if key in self.touched:
                self.touched[key] = bucket
        for hold, state, captured, expires_at in self._saved_holds.values():
            hold.state, hold.captured, hold.expires_at = state, captured, expires_at
        for key, lefts in self._saved_takings.items():
            for taking, left in zip(self.takings[key], lefts, strict=True):
                taking.left = left
        self.takings = {key: self.takings[key] for key in self._saved_takings}
        lengths = self._saved_lengths
        for made in self.new_holds[lengths[2] :]:
            del self.hold_bucket[made.id]
        del self.transfers[lengths[0] :], self.new_grants[lengths[1] :]
        del self.new_holds[lengths[2] :], self.changed_holds[lengths[3] :]
        del self.marks[lengths[4] :]
        self._saved = None
