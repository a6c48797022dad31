"""The ledger's tables, and how books are read from them and changes written to them."""

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from farebox.kernel.refusals import TryAgain
from farebox.ledger.accounts import (
    CLOSED,
    BucketBook,
    GrantBook,
    HoldBook,
    ScheduleBook,
    Taking,
    burn_order,
)
from farebox.ledger.books import Books
from farebox.ledger.model import FOREVER, AccountKind, GrantState, Kind, Outcome, Remembered
from farebox.storage import Tx, table

metadata = sa.MetaData()
_table = partial(table, metadata)
_INT, _TEXT, _BYTES = sa.BigInteger, sa.Text, sa.LargeBinary
asset = _table("asset", number=_INT, code=_TEXT, scale=_INT)
account = _table(
    "account", id=_INT, kind=_INT, asset=_INT, bucket=_INT, name=_TEXT, floor=_INT, priority=_INT,
    **{"class": _INT}, starts_at=_INT, expires_at=_INT, schedule=_INT, period=_INT, state=_INT,
    debits_pending=_INT, debits_posted=_INT, credits_posted=_INT, waiting=_INT, grants=_INT,
    version=_INT, entries=_INT, last_at=_INT, head=_INT, next_event_at=_INT, frozen=_INT,
)  # fmt: skip
schedule = _table(
    "schedule", id=_INT, bucket=_INT, amount=_INT, unit=_TEXT, unit_count=_INT, anchor_at=_INT,
    zone=_TEXT, priority=_INT, **{"class": _INT}, rollover=_INT, ends_at=_INT,
)  # fmt: skip
transfer = _table(
    "transfer", seq=_INT, txid=_INT, operation=_INT, line=_INT, kind=_INT, bucket=_INT, entry=_INT,
    previous=_INT, debit=_INT, credit=_INT, amount=_INT, hold=_INT, reverses=_INT, at=_INT,
    effective_at=_INT, available_after=_INT, actor=_TEXT, product=_TEXT, meta=_TEXT,
)  # fmt: skip
mark = _table("mark", bucket=_INT, entry=_INT, at=_INT, operation=_INT)
operation = _table(
    "operation", digest=_BYTES, fingerprint=_BYTES, operation=_INT, outcome=_BYTES, denied=_INT,
    at=_INT,
)  # fmt: skip
hold = _table(
    "hold", id=_INT, bucket=_INT, cap=_INT, sink=_INT, amount=_INT, captured=_INT, state=_INT,
    expires_at=_INT, on_expiry=_TEXT, over_capture=_TEXT, actor=_TEXT, product=_TEXT, at=_INT,
)  # fmt: skip
hold_part = _table("hold_part", hold=_INT, line=_INT, bucket=_INT, account=_INT, amount=_INT)
revision = _table("revision", subject=_TEXT, revision=_INT)
sink_snapshot = _table(
    "sink_snapshot", account=_INT, seq=_INT, debits_posted=_INT, credits_posted=_INT
)
sink_position = _table("sink_position", id=_INT, seq=_INT)

BUCKET: Final = (
    "id", "asset", "floor", "debits_pending", "debits_posted", "credits_posted", "waiting",
    "grants", "version", "entries", "last_at", "head", "next_event_at", "frozen",
)  # fmt: skip
GRANT: Final = (
    "bucket", "id", "floor", "priority", "class", "starts_at", "expires_at", "schedule", "period",
    "state", "debits_pending", "debits_posted", "credits_posted",
)  # fmt: skip
HOLD: Final = tuple(column.name for column in hold.c)
ACCOUNT: Final = tuple(column.name for column in account.c)
TRANSFER: Final = tuple(column.name for column in transfer.c if column.name not in {"seq", "txid"})
_BUCKET_CHANGES: Final = (
    "debits_pending", "debits_posted", "credits_posted", "waiting", "grants", "version",
    "entries", "last_at", "head", "next_event_at", "frozen",
)  # fmt: skip
_COUNTERS: Final = ("debits_pending", "debits_posted", "credits_posted")
# So many open grants of one bucket are loaded at first; a bucket with more is loaded further when
# a command needs it, so that 100,000 grants cost a use no more than a few.
FIRST_GRANTS: Final = 64
_GRANT_SELECT: Final = f"SELECT {', '.join(GRANT)} FROM account WHERE kind = 2 AND "  # noqa: S608
_encode = msgspec.msgpack.Encoder().encode
_decode_outcomes = msgspec.msgpack.Decoder(tuple[Outcome, ...]).decode


class KeyTaken(TryAgain):
    """Another transaction recorded one of the batch's keys meanwhile."""


class BooksStale(TryAgain):
    """A bucket had changed since it was loaded although it was locked."""


# -- loading -------------------------------------------------------------------------------------


def lock_buckets(tx: Tx, ids: Sequence[int], *, lock: bool) -> list[BucketBook]:
    """Lock buckets in id order and read them; without `lock` only read."""
    if lock:
        rows = tx.lock_rows(account, ids, ("kind", *BUCKET))
    else:
        select = f"SELECT kind, {', '.join(BUCKET)} FROM account WHERE id IN :keys"  # noqa: S608
        rows = tx.select_in(select, ("kind", *BUCKET), ids)
    return [BucketBook(*row[1:]) for row in rows if row[0] == AccountKind.BUCKET]


def load_grants(
    tx: Tx, buckets: Sequence[BucketBook], until: int, *, most: int, due: Sequence[int]
) -> None:
    """Load up to so many open grants in burn order, and of some buckets all that is due."""
    small = [b.id for b in buckets if b.grants <= most]
    books = {bucket.id: bucket for bucket in buckets}
    rows = tx.select_in(_GRANT_SELECT + "state = 1 AND bucket IN :keys", GRANT, small)
    for bucket in buckets:
        bucket.horizon = until
        if bucket.grants > most:
            first = tx.select_in(
                _GRANT_SELECT + "state = 1 AND bucket IN :keys "
                f"ORDER BY priority, expires_at, class, id LIMIT {most}",
                GRANT,
                [bucket.id],
            )
            bucket.edge = burn_order(GrantBook(*first[-1][1:]))
            rows += first
    if due:
        rows += _load_due(tx, books, due, until)
    for owner, *row in rows:
        if row[0] not in books[owner].by_id:
            books[owner].add(GrantBook(*row))


def _load_due(
    tx: Tx, books: dict[int, BucketBook], due: Sequence[int], until: int
) -> list[tuple[Any, ...]]:
    rows = tx.select_in(
        _GRANT_SELECT + f"state = 1 AND expires_at <= {until} AND bucket IN :keys", GRANT, due
    )
    rows += tx.select_in(_GRANT_SELECT + "state = 2 AND bucket IN :keys", GRANT, due)
    later = tx.select_in(
        "SELECT bucket, min(expires_at) AS wake FROM account WHERE kind = 2 AND state = 1 "  # noqa: S608
        f"AND expires_at > {until} AND bucket IN :keys GROUP BY bucket",
        ("bucket", "wake"),
        due,
    )
    later += tx.select_in(
        "SELECT bucket, min(expires_at) AS wake FROM hold WHERE state = 1 "  # noqa: S608
        f"AND expires_at > {until} AND bucket IN :keys GROUP BY bucket",
        ("bucket", "wake"),
        due,
    )
    later += tx.select_in(
        "SELECT cap, min(expires_at) AS wake FROM hold WHERE state = 1 "  # noqa: S608
        f"AND expires_at > {until} AND cap IN :keys GROUP BY cap",
        ("cap", "wake"),
        due,
    )
    for key in due:
        books[key].foresees = True
    for bucket_id, wake in later:
        books[bucket_id].later_at = min(books[bucket_id].later_at, wake)
    _load_schedules(tx, books, due)
    return rows


def _load_schedules(tx: Tx, books: dict[int, BucketBook], due: Sequence[int]) -> None:
    columns = tuple(column.name for column in schedule.c)
    last = {
        row[0]: row[1:]
        for row in tx.select_in(
            "SELECT a.schedule AS schedule, a.period AS period, a.expires_at AS expires_at "
            "FROM account a JOIN (SELECT schedule, max(period) AS period FROM account "
            "WHERE schedule IS NOT NULL AND bucket IN :keys GROUP BY schedule) m "
            "ON a.schedule = m.schedule AND a.period = m.period",
            ("schedule", "period", "expires_at"),
            due,
        )
    }
    select = f"SELECT {', '.join(columns)} FROM schedule WHERE bucket IN :keys"  # noqa: S608
    for row in tx.select_in(select, columns, due):
        facts = dict(zip(columns, row, strict=True))
        period, ended_at = last.get(facts["id"], (-1, facts["anchor_at"]))
        next_at = ended_at if ended_at < facts["ends_at"] else FOREVER
        books[facts["bucket"]].schedules.append(
            ScheduleBook(
                facts["id"], facts["amount"], facts["unit"], facts["unit_count"],
                facts["anchor_at"], facts["zone"], facts["priority"], facts["class"],
                facts["rollover"], facts["ends_at"], period, next_at,
            )
        )  # fmt: skip


def newest_grant(tx: Tx, bucket: int) -> int:
    """Return the id of the grant that a bucket got last."""
    here = sa.and_(account.c.bucket == bucket, account.c.kind == AccountKind.GRANT.value)
    return int(tx.run(sa.select(sa.func.max(account.c.id)).where(here)).scalar_one())


def load_named_grants(tx: Tx, books: Books, ids: Iterable[int]) -> None:
    """Load grants by id, closed ones too: for reversals, voids and holds' parts."""
    wanted = [
        key for key in ids if not any(key in bucket.by_id for bucket in books.buckets.values())
    ]
    for owner, *row in tx.select_in(_GRANT_SELECT + "id IN :keys", GRANT, sorted(set(wanted))):
        if owner in books.buckets:
            books.buckets[owner].add(GrantBook(*row))


def load_holds(tx: Tx, books: Books, ids: Sequence[int], due: Sequence[int], until: int) -> None:
    """Load named holds, the due holds of buckets, their parts and the grants of these."""
    columns = ", ".join(HOLD)
    rows = tx.select_in(f"SELECT {columns} FROM hold WHERE id IN :keys", HOLD, ids)  # noqa: S608
    if due:
        select = f"SELECT {columns} FROM hold WHERE state = 1 AND expires_at <= {until} "  # noqa: S608
        rows += tx.select_in(select + "AND bucket IN :keys", HOLD, due)
        rows += tx.select_in(select + "AND cap IN :keys", HOLD, due)
    found = {row[0]: HoldBook(*row) for row in rows}
    if not found:
        return
    parts = tx.select_in(
        "SELECT hold, line, bucket, account, amount FROM hold_part WHERE hold IN :keys",
        ("hold", "line", "bucket", "account", "amount"),
        sorted(found),
    )
    for hold_id, _, owner, grant, amount in sorted(parts):
        found[hold_id].parts.append((owner, grant, amount))
    for book in found.values():
        books.list_hold(book)
    open_parts = [part[1] for book in found.values() if book.state == 1 for part in book.parts]
    load_named_grants(tx, books, open_parts)


def assets_of_sinks(tx: Tx, ids: Sequence[int]) -> dict[int, int]:
    """Return the assets of those accounts that are sinks; these never change."""
    select = "SELECT id, asset FROM account WHERE kind = 3 AND id IN :keys"
    return dict(tx.select_in(select, ("id", "asset"), ids))


def buckets_of_holds(tx: Tx, ids: Sequence[int]) -> list[tuple[int, int, int | None]]:
    """Return (hold, bucket, cap); these never change, so no lock is needed."""
    select = "SELECT id, bucket, cap FROM hold WHERE id IN :keys"
    return tx.select_in(select, ("id", "bucket", "cap"), ids)


def buckets_of_grants(tx: Tx, ids: Sequence[int]) -> list[tuple[int, int]]:
    """Return (grant, bucket)."""
    select = "SELECT id, bucket FROM account WHERE kind = 2 AND id IN :keys"
    return tx.select_in(select, ("id", "bucket"), ids)


def takings_of(tx: Tx, operations: Sequence[int]) -> dict[int, list[Taking]]:
    """Return what operations took, line by line, less what was already given back."""
    columns = ("operation", "line", "kind", "bucket", "debit", "credit", "amount")
    kinds = f"({int(Kind.USE)}, {int(Kind.CAPTURE)})"
    rows = tx.select_in(
        f"SELECT {', '.join(columns)} FROM transfer WHERE kind IN {kinds} AND operation IN :keys",  # noqa: S608
        columns,
        operations,
    )
    takings: dict[int, list[Taking]] = {}
    for number, line, _, bucket, debit, credit, amount in sorted(rows):
        takings.setdefault(number, []).append(Taking(bucket, debit, credit, line, amount))
    back = ("reverses", "credit", "amount")
    for number, grant, amount in tx.select_in(
        f"SELECT {', '.join(back)} FROM transfer WHERE reverses IN :keys",  # noqa: S608
        back,
        operations,
    ):
        left = amount
        for taking in reversed(takings[number]):
            if taking.grant == grant:
                part = min(taking.left, left)
                taking.left -= part
                left -= part
    return takings


def remembered(tx: Tx, digests: Sequence[bytes]) -> dict[bytes, Remembered]:
    """Return what keys remember."""
    columns = ("digest", "fingerprint", "outcome")
    rows: list[Any] = tx.select_in(
        f"SELECT {', '.join(columns)} FROM operation WHERE digest IN :keys",  # noqa: S608
        columns,
        digests,
    )
    return {
        bytes(digest): Remembered(bytes(fingerprint), _decode_outcomes(outcome))
        for digest, fingerprint, outcome in rows
    }


def revisions_of(tx: Tx, subjects: Sequence[str]) -> dict[str, int]:
    """Return the subjects' revisions; a subject without a row is at 0."""
    select = "SELECT subject, revision FROM revision WHERE subject IN :keys"
    return dict(tx.select_in(select, ("subject", "revision"), subjects))


# -- writing -------------------------------------------------------------------------------------


def write_changes(tx: Tx, books: Books) -> None:
    """Write what a batch changed. Raises `KeyTaken` or `BooksStale` when it must run again."""
    _write_memories(tx, books)
    _insert_grants(tx, books)
    if books.transfers:
        tx.insert_many(transfer, TRANSFER, books.transfers)
    # An entry in the books touches no bucket, and a pinned hold moves nothing: each is half of it.
    if not books.touched:
        return
    _write_holds(tx, books)
    _update_balances(tx, books)
    if books.marks:
        tx.insert_many(mark, ("bucket", "entry", "at", "operation"), books.marks)


def _write_memories(tx: Tx, books: Books) -> None:
    if not books.memories:
        return
    rows = sorted(
        (digest, memory.fingerprint, number, _encode(memory.outcomes), int(denied), at)
        for digest, memory, number, denied, at in books.memories
    )
    columns = ("digest", "fingerprint", "operation", "outcome", "denied", "at")
    if tx.insert_missing(operation, "digest", columns, rows) != len(rows):
        raise KeyTaken


def _insert_grants(tx: Tx, books: Books) -> None:
    rows = []
    for grant_id, bucket_id in books.new_grants:
        bucket = books.buckets[bucket_id]
        grant = bucket.by_id[grant_id]
        rows.append((
            grant.id, AccountKind.GRANT.value, bucket.asset, bucket.id, None, grant.floor,
            grant.priority, grant.class_, grant.starts_at, grant.expires_at, grant.schedule,
            grant.period, int(grant.state), grant.pending, grant.debited, grant.credited,
            0, 0, 0, 0, 0, 0, FOREVER, 0,
        ))  # fmt: skip
        grant.changed = grant.state_changed = False
    if rows:
        tx.insert_many(account, ACCOUNT, rows)


def _write_holds(tx: Tx, books: Books) -> None:
    if books.new_holds:
        tx.insert_many(hold, HOLD, [
            (h.id, h.bucket, h.cap, h.sink, h.amount, h.captured, int(h.state), h.expires_at,
             h.on_expiry, h.over_capture, h.actor, h.product, h.at)
            for h in books.new_holds
        ])  # fmt: skip
        parts = [(h.id, line, *part) for h in books.new_holds for line, part in enumerate(h.parts)]
        tx.insert_many(hold_part, ("hold", "line", "bucket", "account", "amount"), parts)
        for book in books.new_holds:
            book.fresh = False
    if books.changed_holds:
        last = {book.id: book for book in books.changed_holds}
        rows = [(h.id, h.captured, int(h.state), h.expires_at) for h in last.values()]
        tx.update_many(hold, ("captured", "state", "expires_at"), sorted(rows))


def _update_balances(tx: Tx, books: Books) -> None:
    buckets, counters, states = [], [], []
    for bucket in books.touched.values():
        before = bucket.version_read
        bucket.version_read = bucket.version = before + 1
        buckets.append((
            bucket.id, before, bucket.pending, bucket.debited, bucket.credited, bucket.waiting,
            bucket.grants, bucket.version, bucket.entries, bucket.last_at, bucket.head,
            bucket.next_event_at, bucket.frozen,
        ))  # fmt: skip
        closed = []
        for grant in bucket.by_id.values():
            if grant.changed:
                grant.changed = False
                row = (grant.id, grant.pending, grant.debited, grant.credited)
                if grant.state_changed:
                    grant.state_changed = False
                    states.append((*row, int(grant.state)))
                else:
                    counters.append(row)
            if grant.state == CLOSED:
                closed.append(grant.id)
        for grant_id in closed:
            del bucket.by_id[grant_id]
    buckets.sort()
    if tx.update_many(account, _BUCKET_CHANGES, buckets, key=("id", "version")) != len(buckets):
        raise BooksStale
    # Two statements, because naming `state` would rewrite the burn order's index for every use.
    tx.update_many(account, _COUNTERS, counters)
    tx.update_many(account, (*_COUNTERS, "state"), states)


def new_bucket_row(number: int, asset_number: int, floor: int, at: int) -> tuple[Any, ...]:
    """Return the row of an empty bucket."""
    return (
        number, AccountKind.BUCKET.value, asset_number, None, None, floor, 0, 0, 0, FOREVER, None,
        None, GrantState.OPEN.value, 0, 0, 0, 0, 0, 0, 0, at, 0, FOREVER, 0,
    )  # fmt: skip
