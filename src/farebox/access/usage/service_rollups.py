"""Rollups: uses of both logs, the journal's and the records', added up as far as they have come.

A stretch of both logs is read in reading transactions, at once or part by part, and its sums are
stored in a short writing one, together with the new position, so that it counts once whoever else
steps. Readers add what lies behind the position, so that they are exact at once.

`settled_until` is an instant before which all is added up: no transaction that began before it is
still at work. A period may be closed when it lies behind its end and its grace.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from farebox.access.buckets.service_many import records_of
from farebox.access.consumers.service_many import owners_of
from farebox.access.usage import store
from farebox.access.usage.model import SLOT_US, Aggregation, Position, Sums, UsagePeriod, Used
from farebox.access.usage.rules import RollupKey, ValueKey, added_up, slot_of, values_of
from farebox.access.usage.service_facts import Calendars, calendars_for
from farebox.ledger import usages
from farebox.ledger.usages import JournalUse
from farebox.storage import Tx

ROWS_A_STEP: Final = 20_000
_COUNTING: Final = ("report", "correction")
_NOBODY: Final = ""
PeriodKey = tuple[str, int]


class StretchPassed(Exception):
    """What was read is no longer what comes next."""


class Gathered(msgspec.Struct, frozen=True, kw_only=True):
    """What has been read of both logs behind the rollups' position, as far as `journal`, `records`.

    `latest` of its `rows` were read last. Uses of the products that are `declared` stay apart,
    others of one slot are added up.
    """

    position: Position
    declared: frozenset[str]
    journal: int
    records: int
    rows: int = 0
    latest: int = 0
    span: usages.Span = usages.NOTHING
    reported: tuple[Used, ...] = ()

    @property
    def sums(self) -> int:
        """Return to about how many sums this comes."""
        return len(self.span.uses) + len(self.reported)


class Stretch(msgspec.Struct, kw_only=True):
    """What a stretch of both logs comes to."""

    position: Position
    journal: int
    records: int
    rows: int
    sums: dict[RollupKey, Sums]
    values: dict[ValueKey, tuple[int, int, int]]
    periods: dict[PeriodKey, UsagePeriod]
    left: dict[int, int]


def read_position(tx: Tx) -> Position:
    """Return how far the rollups have come."""
    return store.position_of(tx.run(sa.select(store.position)).one())


def lock_position(tx: Tx) -> Position:
    """Return how far the rollups have come; they go no further until the commit."""
    return store.position_of(tx.run(sa.select(store.position).with_for_update()).one())


def gather(tx: Tx, rows: int = ROWS_A_STEP, before: Gathered | None = None) -> Gathered:
    """Return what was gathered `before`, and up to so many rows more of each log.

    It begins anew where somebody else has moved the position meanwhile, or has declared an
    aggregation. Nothing is written.
    """
    position = read_position(tx)
    products = sa.select(store.aggregation.c.product)
    declared = frozenset(tx.run(products).scalars())
    if before is None or not _goes_on(before, position, declared):
        before = Gathered(
            position=position,
            declared=declared,
            journal=position.journal,
            records=position.records,
        )
    journal = usages.reach(tx, before.journal, rows)
    records = tx.log_reach(store.record, before.records, rows)
    apart = products if declared else None
    span = usages.span(tx, before.journal, journal, slot_us=SLOT_US, apart=apart)
    latest = span.rows + _rows(tx, before.records, records)
    return Gathered(
        position=position,
        declared=declared,
        journal=journal,
        records=records,
        rows=before.rows + latest,
        latest=latest,
        span=usages.joined(before.span, span, slot_us=SLOT_US, apart=declared),
        reported=(*before.reported, *reported_between(tx, before.records, records)),
    )


def _goes_on(before: Gathered, position: Position, declared: frozenset[str]) -> bool:
    was = before.position
    return (was.journal, was.records, before.declared) == (
        position.journal,
        position.records,
        declared,
    )


def read_stretch(tx: Tx, gathered: Gathered, *, grace_us: int) -> Stretch:
    """Add up what was gathered in this transaction; nothing is written."""
    position, span = gathered.position, gathered.span
    owners = attributed(tx, ((one.actor, one.bucket) for one in span.uses))
    consumers = {consumer for consumer, _ in owners.values()}
    calendars = calendars_for(tx, consumers.union(one.consumer for one in gathered.reported))
    if _straddles(span, owners, calendars):
        span = usages.span(tx, position.journal, gathered.journal)
    products = {one.product for one in span.uses}
    products.update(one.product for one in gathered.reported)
    aggregations = _aggregations(tx, products)
    decided = counted(
        span.uses, owners, calendars, settled_until=position.settled_until, grace_us=grace_us,
        declared=aggregations,
    )  # fmt: skip
    uses, periods = _placed(tx, [*decided, *gathered.reported], calendars, position, grace_us)
    return Stretch(
        position=position,
        journal=gathered.journal,
        records=gathered.records,
        rows=gathered.rows,
        sums=added_up(uses),
        values=values_of(uses, aggregations),
        periods=periods,
        left=span.left,
    )


def store_stretch(tx: Tx, stretch: Stretch, *, grace_us: int) -> None:
    """Store what a stretch comes to.

    Raises `StretchPassed`, so that nothing is stored, when somebody else has done so or has closed
    one of its periods meanwhile: read again.
    """
    table, was = store.position, stretch.position
    here = (table.c.journal == was.journal, table.c.records == was.records)
    moved = table.update().where(*here).values(journal=stretch.journal, records=stretch.records)
    if tx.run(moved).rowcount != 1 or _closed(tx, stretch.periods):
        raise StretchPassed
    _add_sums(tx, stretch.sums)
    _add_values(tx, stretch.values)
    rows = [
        (consumer, start, period.end + grace_us, period.end)
        for (consumer, start), period in sorted(stretch.periods.items())
    ]
    columns = ("consumer", "starts_at", "due_at", "ends_at")
    tx.insert_missing(store.period, "consumer, starts_at", columns, rows)


def advance_marks(tx: Tx) -> int:
    """Move `settled_until` on as far as the rollups have come, and return it.

    A mark is set at the end of both logs. Once the rollups have passed it, all that was done
    before it was set is in them; until then it stays where it is.
    """
    now = tx.now_us
    was = lock_position(tx)
    if was.journal < was.marked_journal or was.records < was.marked_records:
        return was.settled_until
    settled = max(was.settled_until, was.marked_at)
    journal, records = usages.end(tx), tx.log_end(store.record)
    if was.journal >= journal and was.records >= records:
        settled = max(settled, now)
    marks = {"marked_journal": journal, "marked_records": records, "marked_at": now}
    tx.run(store.position.update().values(settled_until=settled, **marks))
    return settled


# -- reading -------------------------------------------------------------------------------------


def attributed(tx: Tx, found: Iterable[tuple[str, int]]) -> dict[tuple[str, int], tuple[str, str]]:
    """Return the consumer and the group of uses by (actor, bucket).

    What an operator took from a bucket was used by its holder; what nobody in particular used
    counts for the product and the group alone.
    """
    pairs = set(found)
    known = owners_of(tx, (actor for actor, _ in pairs))
    records = records_of(tx, (bucket for _, bucket in pairs))
    made = {}
    for actor, bucket in pairs:
        record = records.get(bucket)
        group = record.holder if record is not None and record.holder_kind == "group" else ""
        consumer = actor
        if actor not in known:
            consumer = record.holder if record is not None and not group else _NOBODY
        made[actor, bucket] = (consumer, group)
    return made


def _straddles(
    span: usages.Span, owners: Mapping[tuple[str, int], tuple[str, str]], calendars: Calendars
) -> bool:
    """Tell whether uses were added up that lie in two periods: where one ended in their slot."""
    for one in span.uses:
        calendar = calendars.of(owners[one.actor, one.bucket][0])
        for first, last, *_ in one.draws:
            if first != last and calendar.period(first) != calendar.period(last):
                return True
    return False


def counted(
    found: Sequence[JournalUse],
    owners: Mapping[tuple[str, int], tuple[str, str]],
    calendars: Calendars,
    *,
    settled_until: int,
    grace_us: int,
    declared: Container[str],
) -> list[Used]:
    """Return uses of the journal with the consumer, group and period that they count for.

    Those of a product that aggregations are declared for stay apart, with their metadata; others
    of one slot and period are added up.
    """
    made: list[Used] = []
    for one in found:
        consumer, group = owners[one.actor, one.bucket]
        calendar = calendars.of(consumer)
        added: dict[tuple[int, int, bool], Sums] = {}
        for at, _, count, amount, largest, meta in one.draws:
            place = calendar.place(at, settled_until, grace_us)
            start, late = place.period.start, place.late
            if one.product in declared:
                made.append(
                    Used(
                        consumer, one.product, group, at, start, late, count, amount, largest, None,
                        meta,
                    )
                )  # fmt: skip
                continue
            sums = added.setdefault((slot_of(at), start, late), Sums())
            sums.uses += count
            sums.quantity += amount
            sums.maximum = max(sums.maximum, largest)
        made += [
            Used(
                consumer, one.product, group, slot, start, late, sums.uses, sums.quantity,
                sums.maximum, None, None,
            )
            for (slot, start, late), sums in added.items()
        ]  # fmt: skip
    return made


def reported_between(
    tx: Tx, after: int, until: int | None, *more: sa.ColumnElement[bool]
) -> list[Used]:
    """Return the records between two positions that count."""
    record = store.record
    columns = (
        record.c.consumer, record.c.product, record.c.consumer_group, record.c.at,
        record.c.period, record.c.late, record.c.counted, record.c.quantity, record.c.remains,
        record.c.metadata,
    )  # fmt: skip
    here = (tx.log_span(record, after, until), record.c.kind.in_(_COUNTING), *more)
    return [
        Used(
            row.consumer, row.product, row.consumer_group, row.at, row.period, bool(row.late),
            row.counted, row.quantity, max(row.quantity, 0), row.remains, row.metadata,
        )
        for row in tx.run(sa.select(*columns).where(*here))
    ]  # fmt: skip


def _placed(
    tx: Tx, uses: Sequence[Used], calendars: Calendars, position: Position, grace_us: int
) -> tuple[list[Used], dict[PeriodKey, UsagePeriod]]:
    """Return the uses and their periods; one whose period is closed counts in the next open one.

    That is rare: a hold whose capture was written long after its end, or terms of a plan that
    changed while a report was on its way.
    """
    periods: dict[PeriodKey, UsagePeriod] = {}
    for one in uses:
        key = (one.consumer, one.period)
        if one.consumer and key not in periods:
            periods[key] = calendars.of(one.consumer).period(one.period)
    if not (closed := _closed(tx, periods)):
        return list(uses), periods
    moved = {}
    for consumer, start in closed:
        calendar = calendars.of(consumer)
        following = calendar.period(periods.pop((consumer, start)).end)
        following = max(
            following, calendar.period(max(position.settled_until - grace_us, 0)), key=_start
        )
        while _closed(tx, {(consumer, following.start): following}):
            following = calendar.period(following.end)
        moved[consumer, start] = following
        periods[consumer, following.start] = following
    return [
        msgspec.structs.replace(one, period=target.start, late=True)
        if (target := moved.get((one.consumer, one.period))) is not None
        else one
        for one in uses
    ], periods


def _rows(tx: Tx, after: int, until: int) -> int:
    """Return how many records lie between two positions, those that count nothing included."""
    here = tx.log_span(store.record, after, until)
    count = sa.select(sa.func.count()).select_from(store.record).where(here)
    return int(tx.run(count).scalar_one())


def _start(period: UsagePeriod) -> int:
    return period.start


def _closed(tx: Tx, periods: Mapping[PeriodKey, UsagePeriod]) -> list[PeriodKey]:
    """Return those of these periods that were told to others."""
    statement = (
        "SELECT consumer, starts_at FROM usage_period"
        " WHERE closed_at IS NOT NULL AND consumer IN :keys"
    )
    consumers = sorted({consumer for consumer, _ in periods})
    closed: list[Any] = tx.select_in(statement, ("consumer", "starts_at"), consumers)
    return [key for consumer, start in closed if (key := (consumer, start)) in periods]


def _aggregations(tx: Tx, products: Iterable[str]) -> dict[str, list[Aggregation]]:
    """Return what is declared for these products."""
    found: dict[str, list[Aggregation]] = {}
    here = store.aggregation.c.product.in_(sorted(set(products)))
    for row in tx.run(sa.select(store.aggregation).where(here)):
        found.setdefault(row.product, []).append(store.aggregation_of(row))
    return found


# -- writing -------------------------------------------------------------------------------------


def _add_sums(tx: Tx, sums: Mapping[RollupKey, Sums]) -> None:
    key = ("consumer", "product", "consumer_group", "slot", "period", "late")
    rows = [
        (*place, one.uses, one.quantity, one.maximum)
        for place, one in sorted(sums.items(), key=_first)
    ]
    tx.add_many(store.rollup, key, rows, sums=("uses", "quantity"), maxima=("maximum",))


def _add_values(tx: Tx, values: Mapping[ValueKey, tuple[int, int, int]]) -> None:
    key = ("consumer", "period", "product", "name", "part", "value")
    rows = [(*place, *value) for place, value in sorted(values.items(), key=_first)]
    tx.add_many(store.value, key, rows, kept=("amount",), sums=("uses", "quantity"))


def _first(pair: tuple[Any, Any]) -> Any:  # noqa: ANN401 - keys of either kind
    return pair[0]
