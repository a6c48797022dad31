"""Reading buckets: as they are, as they were, and how they came to be so.

Every read first settles, in memory only, what has fallen due on the bucket, so that a reader sees
what the next use would see. A bucket's history is a chain: each journal row names the operation
before it, and every 128th entry leaves a mark with its time, from which an instant in the past is
at most 128 steps away.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from farebox.kernel.refusals import ValueRefused
from farebox.ledger import store
from farebox.ledger.accounts import BucketBook
from farebox.ledger.loading import Memory
from farebox.ledger.model import (
    FOREVER,
    AccountKind,
    BucketUnknown,
    CursorUnknown,
    Kind,
    Look,
    Source,
)
from farebox.ledger.service import Ledger, request
from farebox.storage import Tx

LONGEST_PAGE: Final = 1000
_STRIDE: Final = 128
_COLUMNS: Final = (
    "operation", "line", "kind", "entry", "previous", "debit", "credit", "amount", "hold",
    "reverses", "at", "available_after", "actor", "product", "meta",
)  # fmt: skip
_CHAIN: Final = sa.text(f"""
    WITH RECURSIVE chain (operation, step) AS (
        SELECT CAST(:start AS BIGINT), 0
        UNION ALL
        SELECT (SELECT max(t.previous) FROM transfer t
                WHERE t.operation = chain.operation AND t.bucket = :bucket), step + 1
        FROM chain WHERE step < :steps AND chain.operation <> 0
    )
    SELECT {", ".join("t." + name for name in _COLUMNS)}
    FROM chain JOIN transfer t ON t.operation = chain.operation AND t.bucket = :bucket
    ORDER BY chain.step, t.line DESC
""")  # noqa: S608 - column names of our own


class GrantView(msgspec.Struct, frozen=True, kw_only=True):
    """One open or waiting grant. Amounts are smallest units, times microseconds UTC."""

    id: int
    amount: int
    available: int
    held: int
    priority: int
    class_: int
    starts_at: int
    expires_at: int
    waiting: bool


class BucketView(msgspec.Struct, frozen=True, kw_only=True):
    """A bucket as the next use would find it.

    `available` is what a use can take, credit limit included; `balance` is without it and may be
    negative. `granted` and `spent` only ever grow; `spent` counts everything that left (uses,
    breakage, moves, voids).
    """

    id: int
    asset: int
    available: int
    balance: int
    held: int
    granted: int
    spent: int
    waiting: int
    credit_limit: int
    frozen: bool
    fault: bool
    entries: int
    grants: tuple[GrantView, ...]


class HistoryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One journal row of a bucket. `change` is its effect on what is available."""

    operation: int
    line: int
    kind: Kind
    at: int
    amount: int
    change: int
    available_after: int
    grant: int
    hold: int | None
    reverses: int | None
    actor: str | None
    product: str | None
    meta: str | None


def bucket_view(ledger: Ledger, tx: Tx, bucket_id: int) -> BucketView:
    """Return a bucket as it is now; refuses an unknown one (`bucket_unknown`)."""
    bucket, _ = _settled(ledger, tx, bucket_id)
    grants = tuple(
        GrantView(
            id=grant.id,
            amount=grant.credited,
            available=grant.room() + min(grant.floor, 0),
            held=grant.pending,
            priority=grant.priority,
            class_=grant.class_,
            starts_at=grant.starts_at,
            expires_at=grant.expires_at,
            waiting=grant.state == 2,  # noqa: PLR2004 - GrantState.WAITING
        )
        for grant in sorted(
            bucket.by_id.values(),
            key=lambda grant: (grant.priority, grant.expires_at, grant.class_, grant.id),
        )
        if grant.state != 3 and not grant.floor  # noqa: PLR2004 - GrantState.CLOSED
    )
    return BucketView(
        id=bucket.id,
        asset=bucket.asset,
        available=max(bucket.room(), 0),
        balance=bucket.room() + bucket.floor,
        held=bucket.pending,
        granted=bucket.credited,
        spent=bucket.debited,
        waiting=bucket.waiting,
        credit_limit=-bucket.floor,
        frozen=bucket.frozen == 1,
        fault=bucket.frozen == 2,  # noqa: PLR2004 - a fault, see uses.FAULT
        entries=bucket.entries,
        grants=grants,
    )


def available_in(ledger: Ledger, tx: Tx, buckets: Sequence[int]) -> dict[int, int]:
    """Return what the next use could take of each bucket, in a few statements for all of them."""
    looks = [
        request(Look(sources=(Source(bucket),), amount=0), operations=(0,)) for bucket in buckets
    ]
    _, books = ledger.run(tx, looks, Memory(), writes=False, everything=True)
    return {number: max(bucket.room(), 0) for number, bucket in books.looked.items()}


def last_grant(tx: Tx, bucket_id: int, now: int) -> tuple[int | None, int | None]:
    """Return amount and end of the grant of a bucket that ends next after now, used up or not.

    Both are None where there is none; the end is None for one without an end.
    """
    account = store.account
    here = (
        account.c.bucket == bucket_id,
        account.c.kind == AccountKind.GRANT.value,
        account.c.floor == 0,
        account.c.starts_at <= now,
        account.c.expires_at > now,
    )
    found = tx.one(
        sa.select(account.c.credits_posted, account.c.expires_at)
        .where(*here)
        .order_by(account.c.id.desc())
        .limit(1)
    )
    if found is None:
        return None, None
    ends_at = int(found.expires_at)
    return int(found.credits_posted), None if ends_at >= FOREVER else ends_at


def grant_terms(tx: Tx, grants: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Return class and end of grants by their ids, whatever has become of them."""
    select = 'SELECT id, "class", expires_at FROM account WHERE id IN :keys'
    rows = tx.select_in(select, ("id", "class", "expires_at"), sorted(set(grants)))
    return {int(number): (int(class_), int(end)) for number, class_, end in rows}


def bucket_of_operation(tx: Tx, operation: int) -> int | None:
    """Return the bucket that an operation's first row is about, or None if it wrote none."""
    journal = store.transfer
    first = sa.select(journal.c.bucket).where(journal.c.operation == operation)
    found = tx.one(first.order_by(journal.c.line).limit(1))
    return None if found is None or found.bucket is None else int(found.bucket)


def history(
    ledger: Ledger, tx: Tx, bucket_id: int, *, before: int | None = None, limit: int = 50
) -> tuple[list[HistoryEntry], int | None]:
    """Return a bucket's operations newest first, all rows of `limit` of them, and where to go on.

    `before` is the operation that a page ended with; another bucket's is refused. What is due but
    not yet written leads the first page, with the operation 0.
    """
    if not 1 <= limit <= LONGEST_PAGE:
        raise ValueRefused(f"a page has 1 to {LONGEST_PAGE} operations")
    bucket, due = _settled(ledger, tx, bucket_id)
    start: int | None = bucket.head if not due else _stored_head(tx, bucket_id)
    rows = [_entry_of(row, written=False) for row in reversed(due)]
    if before is not None:
        rows = []
        start = _previous(tx, bucket_id, before)
    if not start:
        return rows, None
    stored = _chain(tx, bucket_id, start, limit - 1)
    rows += [_entry(row) for row in stored]
    last = stored[-1]
    return rows, last.operation if last.previous else None


def as_of(ledger: Ledger, tx: Tx, bucket_id: int, at: int) -> int:
    """Return what was, or will be, available at an instant, that instant's events included.

    What it says of the past never changes. For the future it is what is left if nobody uses any.
    """
    bucket, due = _settled(ledger, tx, bucket_id, until=at)
    earlier = [row for row in due if row[11] <= at]
    if earlier:
        return max(int(earlier[-1][13]), 0)
    mark = sa.select(store.mark.c.operation).where(
        store.mark.c.bucket == bucket_id, store.mark.c.at > at
    )
    found = tx.one(mark.order_by(store.mark.c.at).limit(1))
    start: int = found.operation if found is not None else _stored_head(tx, bucket_id)
    for row in walk(tx, bucket_id, start):
        if row.at <= at:
            return max(int(row.available_after), 0)
    return -bucket.floor


def walk(tx: Tx, bucket_id: int, start: int) -> Iterator[sa.Row[Any]]:
    """Yield a bucket's journal rows from an operation back to the first, newest first."""
    while start:
        rows = _chain(tx, bucket_id, start, _STRIDE)
        yield from rows
        start = rows[-1].previous if rows else 0


def _settled(
    ledger: Ledger, tx: Tx, bucket_id: int, until: int = 0
) -> tuple[BucketBook, Sequence[tuple[Any, ...]]]:
    """Return a bucket settled in memory, and the journal rows that this would write."""
    look = request(Look(sources=(Source(bucket_id),), amount=0), operations=(0,))
    memory = Memory()
    _, books = ledger.run(tx, [look], memory, writes=False, until=until, everything=True)
    bucket = books.looked.get(bucket_id)
    if bucket is None:
        raise BucketUnknown
    # Settling a cap settles the bucket that it caps as well.
    return bucket, [row for row in books.transfers if row[3] == bucket_id]


def _stored_head(tx: Tx, bucket_id: int) -> int:
    statement = sa.select(store.account.c.head).where(store.account.c.id == bucket_id)
    return int(tx.run(statement).scalar_one())


def _previous(tx: Tx, bucket_id: int, operation: int) -> int:
    statement = sa.select(store.transfer.c.previous).where(
        store.transfer.c.operation == operation, store.transfer.c.bucket == bucket_id
    )
    found = tx.one(statement)
    if found is None:
        raise CursorUnknown
    return int(found.previous)


def _chain(tx: Tx, bucket_id: int, start: int, steps: int) -> Sequence[sa.Row[Any]]:
    return tx.run(_CHAIN, {"start": start, "bucket": bucket_id, "steps": steps}).all()


CREDITS: Final = frozenset(
    {Kind.GRANT, Kind.RELEASE, Kind.EXPIRE_HOLD, Kind.REVERSE, Kind.MOVE_IN, Kind.START}
)
DEBITS: Final = frozenset({Kind.USE, Kind.HOLD, Kind.BREAKAGE, Kind.MOVE_OUT, Kind.VOID})
_CREDITED_SIDE: Final = frozenset({Kind.GRANT, Kind.REVERSE, Kind.MOVE_IN})


def change_of(kind: int, amount: int) -> int:
    """Return a row's effect on what its bucket gives; a capture's was felt when it was held."""
    return amount if kind in CREDITS else -amount if kind in DEBITS else 0


def _entry(row: sa.Row[Any]) -> HistoryEntry:
    kind = Kind(row.kind)
    return HistoryEntry(
        operation=row.operation,
        line=row.line,
        kind=kind,
        at=row.at,
        amount=row.amount,
        change=change_of(kind, row.amount),
        available_after=row.available_after,
        grant=row.credit if kind in _CREDITED_SIDE else row.debit,
        hold=row.hold,
        reverses=row.reverses,
        actor=row.actor,
        product=row.product,
        meta=row.meta,
    )


def _entry_of(row: tuple[Any, ...], *, written: bool) -> HistoryEntry:
    kind = Kind(row[2])
    return HistoryEntry(
        operation=row[0] if written else 0,
        line=row[1],
        kind=kind,
        at=row[11],
        amount=row[8],
        change=change_of(kind, row[8]),
        available_after=row[13],
        grant=row[7] if kind in _CREDITED_SIDE else row[6],
        hold=row[9],
        reverses=row[10],
        actor=row[14],
        product=row[15],
        meta=row[16],
    )
