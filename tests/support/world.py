"""The deciding function alone, over several buckets: no database, and time is a number.

What a database would remember between batches (the journal, whose grant it is, the keys) is kept
here in plain lists. Instants are small: the world begins at 0, and a bucket's first entry is at 1.
"""

from collections import defaultdict
from typing import Any, Final

import pytest

from farebox.ledger.accounts import BucketBook, GrantBook, ScheduleBook, Taking
from farebox.ledger.books import Books
from farebox.ledger.decide import decide
from farebox.ledger.model import (
    CREDIT_PRIORITY,
    FOREVER,
    Command,
    Grant,
    Kind,
    Outcome,
    Request,
    Sink,
    Source,
    Use,
    sink_id,
)

FILM: Final = 1
EURO: Final = 2
POSTED: Final = {
    Kind.GRANT, Kind.USE, Kind.CAPTURE, Kind.BREAKAGE, Kind.REVERSE, Kind.MOVE_OUT, Kind.MOVE_IN,
    Kind.VOID, Kind.DEBT,
}  # fmt: skip
Row = tuple[Any, ...]


def cases(table: list[Any]) -> list[Any]:
    """Return a table's lines as parameters; the first word of each is the case's name."""
    return [pytest.param(*line[1:], id=line[0]) for line in table]


def lot(amount: int, **terms: Any) -> Grant:
    """Write a grant whose bucket is filled in later."""
    return Grant(bucket=0, amount=amount, **terms)


class World:
    """Buckets in memory, and the same law over them as over a database."""

    def __init__(self) -> None:
        self._last = 1000
        self.now = 0
        self.books = Books(self.mint)
        self.journal: list[Row] = []
        self.asked: dict[int, Command] = {}

    def mint(self) -> int:
        """Return the next id."""
        self._last += 1
        return self._last

    # -- setting the scene -----------------------------------------------------------------------

    def bucket(self, *lots: int | Grant, credit: int = 0, asset: int = FILM) -> int:
        """Open a bucket with grants: an amount each, or all their terms."""
        number = self.mint()
        made = BucketBook(number, asset, -credit, 0, 0, 0, 0, 0, 0, 0, 0, 0, FOREVER, 0)
        made.horizon, made.foresees = FOREVER, True
        self.books.buckets[number] = made
        if credit:
            made.grants = 1
            made.add(
                GrantBook(
                    self.mint(), -credit, CREDIT_PRIORITY, 0, 0, FOREVER, None, None, 1, 0, 0, 0
                )
            )
        for each in lots:
            terms = lot(each) if isinstance(each, int) else each
            fields = {name: getattr(terms, name) for name in terms.__struct_fields__}
            self.do(Grant(**{**fields, "bucket": number}))
        return number

    def recur(self, bucket: int, amount: int, **terms: Any) -> None:
        """Add a recurring grant, as the database would load it."""
        wanted: dict[str, Any] = {
            "unit": "minute", "unit_count": 1, "anchor_at": 0, "zone": "UTC", "priority": 0,
            "class_": 0, "rollover": 0, "ends_at": FOREVER, **terms,
        }  # fmt: skip
        schedule = ScheduleBook(
            self.mint(), amount, **wanted, last_period=-1, next_at=wanted["anchor_at"]
        )
        book = self.books.buckets[bucket]
        book.schedules.append(schedule)
        book.wake_at(schedule.next_at)

    # -- asking ----------------------------------------------------------------------------------

    def batch(self, *requests: Request) -> list[tuple[Outcome, ...]]:
        """Decide requests as one batch at the present instant."""
        self.books.forget_changes()
        self.books.takings = self._takings()
        answers = decide(self.books, requests, self.now)
        self.journal += self.books.transfers
        self.books.grant_bucket.update(self.books.new_grants)
        return answers

    def asking(self, *commands: Command, key: str | None = None, payload: str = "") -> Request:
        """Make a request of linked commands."""
        return Request(
            commands=commands,
            operations=tuple(self.mint() for _ in commands),
            digest=None if key is None else key.encode().ljust(16),
            fingerprint=None if key is None else payload.encode().ljust(16),
        )

    def do(self, *commands: Command, at: int | None = None, **options: Any) -> Any:
        """Decide one request, perhaps after moving the clock; returns its last outcome."""
        if at is not None:
            self.now = at
        return self.batch(self.asking(*commands, **options))[0][-1]

    def use(self, bucket: int, amount: int, **options: Any) -> Any:
        """Use an amount of one bucket."""
        return self.do(Use(sources=(Source(bucket),), amount=amount), **options)

    # -- reading ---------------------------------------------------------------------------------

    def room(self, bucket: int) -> int:
        """Return what the bucket gives, as it was left by the last command."""
        return self.books.buckets[bucket].room()

    def left(self, bucket: int) -> list[int]:
        """Return what each grant has left that nobody holds, oldest first."""
        book = self.books.buckets[bucket]
        grants = [grant for _, grant in sorted(book.by_id.items())]
        return [grant.credited - grant.debited - grant.pending for grant in grants]

    def rows(self, kind: Kind) -> list[tuple[int, int]]:
        """Return (amount, at) of the journal's rows of a kind."""
        return [(row[8], row[11]) for row in self.journal if row[2] == kind]

    def in_sink(self, sink: int) -> int:
        """Return what went to a sink of films, less what came from it."""
        account = sink_id(FILM, Sink(sink))
        posted = [row for row in self.journal if row[2] in POSTED]
        came = sum(int(row[8]) for row in posted if row[7] == account)
        return came - sum(int(row[8]) for row in posted if row[6] == account)

    def _takings(self) -> dict[int, list[Taking]]:
        """Return what every operation took and nobody has given back."""
        takings: dict[int, list[Taking]] = defaultdict(list)
        for row in self.journal:
            if row[2] in (Kind.USE, Kind.CAPTURE):
                takings[row[0]].append(Taking(row[3], row[6], row[7], row[1], row[8]))
        for row in self.journal:
            left = row[8]
            for taking in reversed(takings.get(row[10], [])):
                if taking.grant == row[7]:
                    part = min(taking.left, left)
                    taking.left -= part
                    left -= part
        return dict(takings)
