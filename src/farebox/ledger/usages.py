"""What the journal says of use: who used how much of what, in the order of the log.

A use that was decided here stands in the journal as rows from a bucket to its asset's sink of
usage, with actor and product. What was reported goes to another sink, because its own record
counts it; what a cap counts is no use at all. A reversal is no row of use either: whoever takes a
use back keeps the record of it.
"""

import operator
from collections.abc import Sequence
from typing import Any, cast

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
_OF_SPAN = [
    store.transfer.c[name]
    for name in (
        "operation", "line", "kind", "bucket", "entry", "credit", "amount", "at",
        "available_after", "actor", "product", "meta",
    )
]  # fmt: skip
_place = operator.itemgetter(0, 1)
_NEVER = (-1, 0)


Draw = tuple[int, int, int, int, str | None]
"""What one operation drew from one bucket: at, count, amount, total, meta.

The first of an operation counts it (1, others 0) and has its `total`, what it drew in all (others
0); `meta` is the JSON text that came with it.
"""


class JournalUse(msgspec.Struct, frozen=True, array_like=True):
    """What one actor drew for one product from one bucket, in the order of the log."""

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


def span(tx: Tx, after: int, until: int | None) -> Span:
    """Return the uses between two positions, and what is left on every bucket touched there."""
    sinks = frozenset(tx.run(sa.select(store.account.c.id).where(*_IS_USAGE)).scalars())
    here = tx.log_span(store.transfer, after, until)
    rows: Sequence[Any] = tx.run(sa.select(*_OF_SPAN).where(here)).all()
    left: dict[int, tuple[int, int]] = {}
    found: dict[tuple[int, int], list[Any]] = {}
    first: dict[int, list[Any]] = {}
    for row in sorted(rows, key=_place):
        operation, _, kind, bucket, entry, credit, amount, at, available, actor, product, meta = row
        if bucket and left.get(bucket, _NEVER)[0] < entry:
            left[bucket] = (entry, available)
        if kind not in _USES or credit not in sinks or actor is None or product is None:
            continue
        # A bucket may give from several grants: one draw.
        known = found.get((operation, bucket))
        if known is None:
            draw = found[operation, bucket] = [actor, product, bucket, at, 0, amount, 0, meta]
            if operation not in first:
                draw[4] = 1
                first[operation] = draw
        else:
            known[5] += amount
        first[operation][6] += amount
    uses: dict[tuple[str, str, int], list[Draw]] = {}
    for actor, product, bucket, *draw in found.values():
        uses.setdefault((actor, product, bucket), []).append(cast("Draw", tuple(draw)))
    return Span(
        uses=tuple(JournalUse(*who, draws) for who, draws in uses.items()),
        left={bucket: available for bucket, (_, available) in left.items()},
        rows=len(rows),
    )


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
