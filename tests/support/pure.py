"""The deciding function alone: one bucket in memory, no database, as fast as it gets."""

from collections.abc import Callable
from typing import Any

from farebox.ledger.accounts import BucketBook
from farebox.ledger.books import Books
from farebox.ledger.decide import decide
from farebox.ledger.model import FOREVER, Command, Outcome, Request


class Pure:
    """One bucket with everything loaded; each request is a batch of its own."""

    def __init__(self, *, bucket_id: int = 1000) -> None:
        self._last = bucket_id
        self.bucket_id = bucket_id
        self.books = Books(self.mint)
        bucket = BucketBook(bucket_id, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, FOREVER, 0)
        bucket.horizon, bucket.foresees = FOREVER, True
        self.books.buckets[bucket_id] = bucket

    @property
    def bucket(self) -> BucketBook:
        """Return the bucket as it is now."""
        return self.books.buckets[self.bucket_id]

    def mint(self) -> int:
        """Return the next id."""
        self._last += 1
        return self._last

    def batch(self, *commands: Command, now: int) -> list[Outcome]:
        """Decide single commands in one batch."""
        self.books.forget_changes()
        requests = [Request(commands=(one,), operations=(self.mint(),)) for one in commands]
        return [outcomes[-1] for outcomes in decide(self.books, requests, now)]

    def do(self, command: Command, now: int) -> Any:
        """Decide one command."""
        return self.batch(command, now=now)[0]

    def faults(self) -> list[str]:
        """Return what does not add up in the bucket."""
        bucket = self.bucket
        grants = list(bucket.by_id.values())
        held = [hold for hold in bucket.holds.values() if hold.state == 1]
        checks: dict[str, Callable[[], bool]] = {
            "credited": lambda: bucket.credited == sum(grant.credited for grant in grants),
            "debited": lambda: bucket.debited == sum(grant.debited for grant in grants),
            "pending": lambda: bucket.pending == sum(grant.pending for grant in grants),
            "held": lambda: bucket.pending == sum(hold.amount for hold in held),
            "room": lambda: bucket.room() >= 0 and all(grant.room() >= 0 for grant in grants),
        }
        return [name for name, holds in checks.items() if not holds()]
