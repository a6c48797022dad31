"""Reading usage: sums by time, exact at once, and the single records."""

import zoneinfo
from collections.abc import Iterable

import msgspec
import sqlalchemy as sa

from farebox.access.buckets.service_many import buckets_held_by
from farebox.access.usage import store
from farebox.access.usage.model import (
    SLOT_US,
    Bucketing,
    SpanRefused,
    Sums,
    UsageRecord,
    UsageSlot,
    UsageUnknown,
)
from farebox.access.usage.rules import span_of
from farebox.access.usage.service_rollups import attributed, read_position
from farebox.ledger import usages
from farebox.platform.model import Page
from farebox.platform.rules import checked_limit, page_of
from farebox.storage import Tx

MOST_SLOTS = 1_000
_LENGTH_US = {
    "hour": 3_600_000_000,
    "day": 86_400_000_000,
    "month": 28 * 86_400_000_000,
}
_COUNTING = ("report", "correction")
_SumsOf = dict[tuple[str, int], Sums]


class _Asked(msgspec.Struct, frozen=True):
    """From when to when, and whose use."""

    since: int
    before: int
    named: dict[str, str | None]


def usage_by_time(
    tx: Tx,
    *,
    since: int,
    before: int,
    bucketing: Bucketing = "day",
    zone: str = "UTC",
    consumer: str | None = None,
    product: str | None = None,
    group: str | None = None,
) -> tuple[UsageSlot, ...]:
    """Return what was used in a time, by product and hour, day or month of a zone.

    By the time of use, whatever period it counted in. Needs a consumer, a product or a group;
    `since` and `before` lie on quarters of an hour, at most 1,000 buckets of time apart. Refuses
    (`span_refused`) anything else. Call it in a reading transaction.
    """
    if consumer is None and product is None and group is None:
        raise SpanRefused("name a consumer, a product or a group")
    if since % SLOT_US or before % SLOT_US or not 0 <= since < before:
        raise SpanRefused("usage is counted from and to a quarter of an hour")
    if before - since > MOST_SLOTS * _LENGTH_US[bucketing]:
        raise SpanRefused(f"an answer has at most {MOST_SLOTS} hours, days or months")
    try:
        zoneinfo.ZoneInfo(zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SpanRefused(f"{zone!r} is not a time zone") from error
    sums: _SumsOf = {}
    named = {"consumer": consumer, "product": product, "consumer_group": group}
    asked = _Asked(since, before, named)
    position = read_position(tx)
    _add_rollups(tx, sums, asked)
    _add_records(tx, sums, asked, position.records)
    _add_journal(tx, sums, asked, position.journal)
    found: dict[tuple[int, int, str], Sums] = {}
    for (code, slot), one in sums.items():
        start, end = span_of(slot, bucketing, zone)
        _add(found.setdefault((start, end, code), Sums()), one)
    return tuple(
        UsageSlot(
            start=start,
            end=end,
            product=code,
            uses=one.uses,
            quantity=one.quantity,
            maximum=one.maximum,
        )
        for (start, end, code), one in sorted(found.items())
    )


def _add(total: Sums, one: Sums) -> None:
    total.uses += one.uses
    total.quantity += one.quantity
    total.maximum = max(total.maximum, one.maximum)


def _where(table: sa.Table, named: dict[str, str | None]) -> Iterable[sa.ColumnElement[bool]]:
    return [table.c[name] == value for name, value in named.items() if value is not None]


def _add_rollups(tx: Tx, sums: _SumsOf, asked: _Asked) -> None:
    table = store.rollup
    statement = sa.select(
        table.c.product,
        table.c.slot,
        sa.cast(sa.func.sum(table.c.uses), sa.BigInteger).label("uses"),
        sa.cast(sa.func.sum(table.c.quantity), sa.BigInteger).label("quantity"),
        sa.func.max(table.c.maximum).label("maximum"),
    ).where(table.c.slot >= asked.since, table.c.slot < asked.before, *_where(table, asked.named))
    for row in tx.run(statement.group_by(table.c.product, table.c.slot)):
        one = Sums(row.uses, row.quantity, row.maximum)
        _add(sums.setdefault((row.product, row.slot), Sums()), one)


def _add_records(tx: Tx, sums: _SumsOf, asked: _Asked, after: int) -> None:
    """Add the records that the rollups do not have yet."""
    table = store.record
    slot = (table.c.at - table.c.at % SLOT_US).label("slot")
    statement = sa.select(
        table.c.product,
        slot,
        sa.cast(sa.func.sum(table.c.counted), sa.BigInteger).label("uses"),
        sa.cast(sa.func.sum(table.c.quantity), sa.BigInteger).label("quantity"),
        sa.func.max(table.c.quantity).label("maximum"),
    ).where(
        tx.log_span(table, after, None),
        table.c.kind.in_(_COUNTING),
        table.c.at >= asked.since,
        table.c.at < asked.before,
        *_where(table, asked.named),
    )
    for row in tx.run(statement.group_by(table.c.product, slot)):
        one = Sums(row.uses, row.quantity, max(row.maximum, 0))
        _add(sums.setdefault((row.product, row.slot), Sums()), one)


def _add_journal(tx: Tx, sums: _SumsOf, asked: _Asked, after: int) -> None:
    """Add the decisions that the rollups do not have yet."""
    consumer, group = asked.named["consumer"], asked.named["consumer_group"]
    buckets = None
    if group is not None:
        buckets = buckets_held_by(tx, group)
    elif consumer is not None:
        buckets = buckets_held_by(tx, consumer)
    found = usages.sums_after(
        tx,
        after,
        slot_us=SLOT_US,
        since=asked.since,
        before=asked.before,
        actor=None if group is not None else consumer,
        product=asked.named["product"],
        buckets=buckets,
    )
    owners = attributed(tx, ((one.actor, one.bucket) for one in found))
    for each in found:
        who, of_group = owners[each.actor, each.bucket]
        if consumer in {None, who} and group in {None, of_group}:
            one = Sums(each.count, each.quantity, each.maximum)
            _add(sums.setdefault((each.product, each.slot), Sums()), one)


def list_records(
    tx: Tx,
    *,
    consumer: str | None = None,
    product: str | None = None,
    source: str | None = None,
    event: str | None = None,
    after: int | None = None,
    limit: int = 100,
) -> Page[UsageRecord]:
    """Return records in the order in which they came; the cursor is the last number."""
    table = store.record
    named = {"consumer": consumer, "product": product, "source": source, "event": event}
    statement = sa.select(table).where(*_where(table, named)).order_by(table.c.seq)
    if after is not None:
        statement = statement.where(table.c.seq > after)
    rows = tx.run(statement.limit(checked_limit(limit) + 1))
    return page_of([store.record_of(row) for row in rows], limit, lambda one: str(one.seq))


def read_record(tx: Tx, number: int) -> UsageRecord:
    """Return a record; refuses an unknown one (`usage_unknown`)."""
    row = tx.one(sa.select(store.record).where(store.record.c.id == number))
    if row is None:
        raise UsageUnknown
    return store.record_of(row)
