"""What the journal says of use: who used how much of what, in the order of the log.

A use that was decided here stands in the journal as rows from a bucket to its asset's sink of
usage, with actor and product. What was reported goes to another sink, because its own record
counts it; what a cap counts is no use at all. A reversal is no row of use either: whoever takes a
use back keeps the record of it.
"""

import operator
from collections.abc import Container, Sequence
from typing import Any, Final, cast

import msgspec
import sqlalchemy as sa

from farebox.ledger import store
from farebox.ledger.model import AccountKind, Kind, Sink
from farebox.storage import Tx

_USES = tuple(int(kind) for kind in (Kind.USE, Kind.CAPTURE, Kind.DEBT))
_IS_USAGE = (
    # Written out, so that the index of sinks is found fit.
    store.account.c.kind == sa.literal_column(str(AccountKind.SINK.value)),
    store.account.c.name == Sink.USAGE.name.lower(),
)
_OF_DRAW = [
    store.transfer.c[name]
    for name in ("operation", "line", "bucket", "amount", "at", "actor", "product", "meta")
]
_place = operator.itemgetter(0, 1)


Draw = tuple[int, int, int, int, int, str | None]
"""What one bucket gave: from, to, count, amount, largest, meta.

To one operation, between whose draws lies no time: the first of them counts it (1, others 0) and
has what it drew in all as `largest` (others 0); `meta` is the JSON text that came with it. Or,
where a span is read so, to all operations of one slot of time, added up, without `meta`.
"""


class JournalUse(msgspec.Struct, frozen=True, array_like=True):
    """What one actor drew for one product from one bucket."""

    actor: str
    product: str
    bucket: int
    draws: list[Draw]


class JournalSums(msgspec.Struct, frozen=True, array_like=True):
    """Uses of one actor, product and bucket in one slot of time, added up."""

    actor: str
    product: str
    bucket: int
    slot: int
    count: int
    quantity: int
    maximum: int


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of the journal: its uses, and how each touched bucket stood at its end.

    `rows` counts all of its rows, uses or not.
    """

    uses: tuple[JournalUse, ...]
    left: dict[int, int]
    rows: int


NOTHING: Final = Span(uses=(), left={}, rows=0)


class DecidedUse(msgspec.Struct, frozen=True, kw_only=True):
    """A use that was decided here: `taken` is what the operation drew."""

    actor: str
    product: str
    bucket: int
    at: int
    taken: int
    meta: str | None


def reach(tx: Tx, after: int, rows: int) -> int:
    """Return the position up to so many rows after another, before which no row can appear.

    An operation's rows all lie before it or all behind it: else it would count twice.
    """
    return tx.log_reach(store.transfer, after, rows, together=store.transfer.c.operation)


def end(tx: Tx) -> int:
    """Return the position after all that anybody who has begun by now may write."""
    return tx.log_end(store.transfer)


def span(
    tx: Tx,
    after: int,
    until: int | None,
    *,
    slot_us: int | None = None,
    apart: sa.Select[tuple[str]] | None = None,
) -> Span:
    """Return the uses between two positions, and what is left on every bucket touched there.

    With `slot_us`, those of one slot of so many microseconds are added up by the database, but
    for uses of the products that `apart` selects and those that were drawn in several parts.
    """
    sinks = tx.run(sa.select(store.account.c.id).where(*_IS_USAGE)).scalars().all()
    journal = store.transfer
    here = tx.log_span(journal, after, until)
    used = (
        here,
        journal.c.kind.in_(_USES),
        journal.c.credit.in_(sinks),
        journal.c.actor.is_not(None),
        journal.c.product.is_not(None),
    )
    last_line = sa.func.coalesce(sa.func.max(journal.c.line), 0)
    of_buckets = sa.func.count(sa.func.nullif(journal.c.bucket, 0))
    count: Any = tx.run(sa.select(sa.func.count(), of_buckets, last_line).where(here)).one()
    rows, touching, parted = count
    uses: dict[tuple[str, str, int], list[Draw]] = {}
    ends: dict[int, int] = {}
    if slot_us is None:
        _add_draws(tx, uses, *used)
    else:
        single: list[sa.ColumnElement[bool]] = []
        if apart is not None:
            single.append(journal.c.product.not_in(apart))
        if parted:
            of_several = sa.select(journal.c.operation).where(here, journal.c.line > 0)
            single.append(journal.c.operation.not_in(of_several))
        added = _add_sums(tx, uses, ends, slot_us, *used, *single)
        if added < touching:
            ends = {}
        if single:
            _add_draws(tx, uses, *used, sa.not_(sa.and_(*single)))
    return Span(
        uses=tuple(JournalUse(*who, draws) for who, draws in uses.items()),
        left=_left(tx, here, ends),
        rows=rows,
    )


def joined(before: Span, then: Span, *, slot_us: int, apart: Container[str]) -> Span:
    """Return two spans, the second of which begins where the first ends, as one.

    Uses of one slot are added up, but for those of the products `apart`.
    """
    uses = {(one.actor, one.product, one.bucket): [*one.draws] for one in before.uses}
    for one in then.uses:
        draws = uses.setdefault((one.actor, one.product, one.bucket), [])
        for draw in one.draws:
            known = draws[-1] if draws and one.product not in apart else None
            if known is not None and known[0] // slot_us == draw[0] // slot_us:
                draws[-1] = _added(known, draw)
            else:
                draws.append(draw)
    return Span(
        uses=tuple(JournalUse(*who, draws) for who, draws in uses.items()),
        left={**before.left, **then.left},
        rows=before.rows + then.rows,
    )


def _added(one: Draw, other: Draw) -> Draw:
    first, last, count, amount, largest, _ = one
    first_too, last_too, more, drawn, largest_too, _ = other
    return (
        min(first, first_too),
        max(last, last_too),
        count + more,
        amount + drawn,
        max(largest, largest_too),
        None,
    )


def _add_draws(
    tx: Tx, uses: dict[tuple[str, str, int], list[Draw]], *used: sa.ColumnElement[bool]
) -> None:
    """Add what each operation drew from each bucket."""
    found: dict[tuple[int, int], list[Any]] = {}
    first: dict[int, list[Any]] = {}
    rows: Sequence[Any] = tx.run(sa.select(*_OF_DRAW).where(*used)).all()
    for row in sorted(rows, key=_place):
        operation, _, bucket, amount, at, actor, product, meta = row
        # A bucket may give from several grants: one draw.
        known = found.get((operation, bucket))
        if known is None:
            draw = found[operation, bucket] = [actor, product, bucket, at, at, 0, amount, 0, meta]
            if operation not in first:
                draw[5] = 1
                first[operation] = draw
        else:
            known[6] += amount
        first[operation][7] += amount
    for actor, product, bucket, *draw in found.values():
        uses.setdefault((actor, product, bucket), []).append(cast("Draw", tuple(draw)))


def _add_sums(
    tx: Tx,
    uses: dict[tuple[str, str, int], list[Draw]],
    ends: dict[int, int],
    slot_us: int,
    *used: sa.ColumnElement[bool],
) -> int:
    """Add what the operations of each slot drew, each of which has one row; returns their number.

    `ends` gets the last of these rows of each bucket.
    """
    journal = store.transfer
    rows: Sequence[Any] = tx.run(
        sa.select(
            journal.c.actor,
            journal.c.product,
            journal.c.bucket,
            sa.func.max(journal.c.seq),
            sa.func.min(journal.c.at),
            sa.func.max(journal.c.at),
            sa.func.count(),
            sa.cast(sa.func.sum(journal.c.amount), sa.BigInteger),
            sa.func.max(journal.c.amount),
            sa.null(),
        )
        .where(*used)
        # Whole numbers first: rows of different buckets are told apart without reading texts.
        .group_by(
            journal.c.bucket,
            journal.c.at - journal.c.at % slot_us,
            journal.c.actor,
            journal.c.product,
        )
    ).all()
    count = 0
    for actor, product, bucket, last, *draw in rows:
        uses.setdefault((actor, product, bucket), []).append(cast("Draw", tuple(draw)))
        ends[bucket] = max(last, ends.get(bucket, 0))
        count += draw[2]
    return count


def _left(tx: Tx, here: sa.ColumnElement[bool], ends: dict[int, int]) -> dict[int, int]:
    """Return what was left on each bucket by the last of its rows in a span.

    `ends` are these rows where they are known. Whoever writes to a bucket holds its lock, so its
    rows are numbered in their order.
    """
    if ends:
        statement = "SELECT bucket, available_after FROM transfer WHERE seq IN :keys"
        known: list[Any] = tx.select_in(
            statement, ("bucket", "available_after"), sorted(ends.values())
        )
        return dict(known)
    journal = store.transfer
    last = sa.select(sa.func.max(journal.c.seq)).where(here, journal.c.bucket != 0)
    rows: Sequence[Any] = tx.run(
        sa.select(journal.c.bucket, journal.c.available_after).where(
            journal.c.seq.in_(last.group_by(journal.c.bucket))
        )
    ).all()
    return dict(rows)


def sums_after(
    tx: Tx,
    after: int,
    *,
    slot_us: int,
    since: int,
    before: int,
    actor: str | None = None,
    product: str | None = None,
    buckets: Sequence[int] | None = None,
) -> tuple[JournalSums, ...]:
    """Add up the uses after a position that happened in a time, by slots of so many microseconds.

    With `actor`, those of the actor or of the named buckets; without it, of the named buckets.
    """
    journal = store.transfer
    more = [journal.c.at >= since, journal.c.at < before]
    if product is not None:
        more.append(journal.c.product == product)
    uses = _uses(tx, after, None, *more).subquery()
    # Only now, so that an operation's rows on other buckets have been counted in its total.
    wanted: list[sa.ColumnElement[bool]] = []
    if buckets is not None:
        wanted.append(uses.c.bucket.in_(buckets))
    if actor is not None:
        wanted.append(uses.c.actor == actor)
    counted = sa.case((uses.c.place == 1, 1), else_=0)
    largest = sa.case((uses.c.place == 1, uses.c.total), else_=0)
    slot = (uses.c.at - uses.c.at % slot_us).label("slot")
    rows = tx.run(
        sa.select(
            uses.c.actor, uses.c.product, uses.c.bucket, slot,
            sa.cast(sa.func.sum(counted), sa.BigInteger).label("uses"),
            sa.cast(sa.func.sum(uses.c.amount), sa.BigInteger).label("quantity"),
            sa.func.max(largest).label("maximum"),
        )
        .where(sa.or_(*wanted) if wanted else sa.true())
        .group_by(uses.c.actor, uses.c.product, uses.c.bucket, slot)
    )  # fmt: skip
    return tuple(
        JournalSums(
            row.actor, row.product, row.bucket, row.slot, row.uses, row.quantity, row.maximum
        )
        for row in rows
    )


def decided_uses(tx: Tx, operations: Sequence[int]) -> dict[int, DecidedUse]:
    """Return those of these operations that are uses decided here."""
    if not operations:
        return {}
    journal = store.transfer
    rows = tx.run(
        _of_use(
            sa.select(
                journal.c.operation, journal.c.line, journal.c.actor, journal.c.product,
                journal.c.bucket, journal.c.at, journal.c.amount, journal.c.meta,
            )
        ).where(journal.c.operation.in_(operations)).order_by(journal.c.operation, journal.c.line)
    )  # fmt: skip
    found: dict[int, DecidedUse] = {}
    for row in rows:
        known = found.get(row.operation)
        found[row.operation] = DecidedUse(
            actor=row.actor,
            product=row.product,
            bucket=row.bucket if known is None else known.bucket,
            at=row.at,
            taken=row.amount + (0 if known is None else known.taken),
            meta=row.meta if known is None else known.meta,
        )
    return found


def _of_use(statement: sa.Select[Any]) -> sa.Select[Any]:
    """Keep the journal's rows that are uses."""
    journal, sink = store.transfer, store.account
    return statement.join(sink, sink.c.id == journal.c.credit).where(
        journal.c.kind.in_(_USES),
        *_IS_USAGE,
        journal.c.actor.is_not(None),
        journal.c.product.is_not(None),
    )


def _uses(tx: Tx, after: int, until: int | None, *more: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """Select the rows of use of a span, each with its place in its operation and what that drew."""
    journal = store.transfer
    place = sa.func.row_number().over(partition_by=journal.c.operation, order_by=journal.c.line)
    total = sa.func.sum(journal.c.amount).over(partition_by=journal.c.operation)
    return _of_use(
        sa.select(
            journal.c.operation, journal.c.bucket, journal.c.actor, journal.c.product,
            journal.c.at, journal.c.amount, journal.c.line, place.label("place"),
            sa.cast(total, sa.BigInteger).label("total"), journal.c.meta,
        )
    ).where(tx.log_span(journal, after, until), *more)  # fmt: skip
