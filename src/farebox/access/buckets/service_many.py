"""Many buckets at once: where many consumers may draw, and whose buckets these are."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from farebox.access.buckets import store
from farebox.access.buckets.model import Bucket, BucketSource
from farebox.storage import Tx

_AT_ONCE = 1_000


def sources_of_many(
    tx: Tx, holders: Mapping[str, Sequence[str]], products: Iterable[str]
) -> dict[tuple[str, str], tuple[BucketSource, ...]]:
    """Return where consumers may draw of products, by (consumer, product), in drawing order.

    `holders` says for each consumer whose buckets are drawn, in order. What counts overage comes
    after everything else.
    """
    named = sorted({holder for each in holders.values() for holder in each})
    found: dict[tuple[str, str], list[Bucket]] = {}
    wanted = sorted(set(products))
    for start in range(0, len(named), _AT_ONCE):
        here = store.bucket.c.holder.in_(named[start : start + _AT_ONCE])
        statement = sa.select(store.bucket).where(here, store.bucket.c.product.in_(wanted))
        for row in tx.run(statement.order_by(store.bucket.c.priority, store.bucket.c.id)):
            found.setdefault((row.holder, row.product), []).append(store.bucket_of(row))
    drawers = sorted({drawn[0] for drawn in holders.values()})
    caps = _caps_of(tx, drawers) if found else {}
    sources: dict[tuple[str, str], tuple[BucketSource, ...]] = {}
    for consumer, drawn in holders.items():
        for product in wanted:
            made = [
                _source(bucket, caps.get((bucket.id, drawn[0])))
                for holder in drawn
                for bucket in found.get((holder, product), ())
            ]
            # Sorting keeps the order of equals.
            sources[consumer, product] = tuple(sorted(made, key=lambda source: source.overage))
    return sources


def records_of(tx: Tx, buckets: Iterable[int]) -> dict[int, Bucket]:
    """Return the records of buckets; those without one (a cap's, say) are left out."""
    names = tuple(column.name for column in store.bucket.c)
    statement = f"SELECT {', '.join(names)} FROM bucket_record WHERE id IN :keys"  # noqa: S608 - our own names
    found: dict[int, Bucket] = {}
    for row in tx.select_in(statement, names, sorted(set(buckets))):
        values: dict[str, Any] = dict(zip(names, row, strict=True))
        found[values["id"]] = Bucket(**{**values, "overage": bool(values["overage"])})
    return found


def buckets_held_by(tx: Tx, holder: str) -> tuple[int, ...]:
    """Return the ids of all buckets of a holder."""
    statement = sa.select(store.bucket.c.id).where(store.bucket.c.holder == holder)
    return tuple(row.id for row in tx.run(statement))


def _source(bucket: Bucket, cap: int | None) -> BucketSource:
    return BucketSource(
        bucket=bucket.id,
        product=bucket.product,
        holder=bucket.holder,
        cap=cap,
        origin=bucket.origin,
        overage=bucket.overage,
    )


def _caps_of(tx: Tx, consumers: list[str]) -> dict[tuple[int, str], int]:
    """Return the caps' buckets of consumers, by (bucket, consumer)."""
    cap = store.cap
    found: dict[tuple[int, str], int] = {}
    for start in range(0, len(consumers), _AT_ONCE):
        here = cap.c.consumer.in_(consumers[start : start + _AT_ONCE])
        for row in tx.run(sa.select(cap.c.bucket, cap.c.consumer, cap.c.cap_bucket).where(here)):
            found[row.bucket, row.consumer] = row.cap_bucket
    return found
