"""Closing periods: what a consumer used in one is told once, when nothing more can count in it."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from farebox.access.consumers.service_many import drawers_of
from farebox.access.usage import store
from farebox.access.usage.model import (
    MOST_PARTS,
    Aggregation,
    PeriodRow,
    Sums,
    UsagePeriod,
    Used,
)
from farebox.access.usage.rules import RollupKey, ValueKey, added_up, label_of, values_of
from farebox.access.usage.service_facts import calendars_for
from farebox.access.usage.service_rollups import (
    attributed,
    counted,
    lock_position,
    read_position,
    reported_between,
)
from farebox.events.model import Event
from farebox.events.service import publish
from farebox.kernel.clock import show_time
from farebox.ledger import usages
from farebox.platform.model import Page
from farebox.platform.rules import checked_limit, page_of
from farebox.storage import Tx

EVENT = "usage.aggregated"
PeriodKey = tuple[str, int]


def is_something_due(tx: Tx) -> bool:
    """Tell whether the end and the grace of an open period have passed by the clock."""
    return tx.one(_due(tx.now_us).limit(1)) is not None


def due_periods(tx: Tx, limit: int = 50) -> list[PeriodKey]:
    """Return periods that may be closed, longest due first."""
    rows = tx.run(_due(read_position(tx).settled_until).limit(limit))
    return [(row.consumer, row.starts_at) for row in rows]


def _due(until: int) -> sa.Select[Any]:
    table = store.period
    here = (table.c.closed_at.is_(None), table.c.due_at <= until)
    return sa.select(table).where(*here).order_by(table.c.due_at, table.c.consumer)


def close_period(tx: Tx, consumer: str, starts_at: int, *, grace_us: int) -> bool:
    """Close a period and tell of it (`usage.aggregated`); False if another did or it goes on.

    Its end is looked up again: a subscription that began or ended meanwhile may have moved it.
    """
    # No rollup is stored until the commit, so that none can come too late for the sums.
    settled = lock_position(tx).settled_until
    table = store.period
    here = (table.c.consumer == consumer, table.c.starts_at == starts_at)
    row = tx.one(sa.select(table).where(*here, table.c.closed_at.is_(None)).with_for_update())
    if row is None:
        return False
    period = UsagePeriod(
        starts_at, calendars_for(tx, [consumer]).of(consumer).period(starts_at).end
    )
    times = {"due_at": period.end + grace_us, "ends_at": period.end}
    if period.end + grace_us > settled:
        tx.run(table.update().where(*here).values(**times))
        return False
    event = _tell(tx, consumer, period, _totals(tx, consumer, starts_at, ()), interim=False)
    tx.run(table.update().where(*here).values(**times, closed_at=tx.now_us, event=event.id))
    return True


def tell_interim(tx: Tx, consumer: str, *, grace_us: int) -> Event:
    """Tell what a consumer has used in the period that runs now, marked as interim."""
    position = lock_position(tx)
    span = usages.span(tx, position.journal, None)
    owners = attributed(tx, ((one.actor, one.bucket) for one in span.uses))
    calendars = calendars_for(tx, {consumer, *(used_by for used_by, _ in owners.values())})
    period = calendars.of(consumer).period(tx.now_us)
    decided = counted(
        span.uses, owners, calendars, settled_until=position.settled_until, grace_us=grace_us,
        declared={one.product for one in span.uses},
    )  # fmt: skip
    tail = [
        *decided,
        *reported_between(tx, position.records, None, store.record.c.consumer == consumer),
    ]
    mine = [one for one in tail if (one.consumer, one.period) == (consumer, period.start)]
    return _tell(tx, consumer, period, _totals(tx, consumer, period.start, mine), interim=True)


def list_periods(
    tx: Tx, consumer: str, *, before: int | None = None, limit: int = 100
) -> Page[PeriodRow]:
    """Return the periods in which a consumer used something, newest first."""
    table = store.period
    statement = sa.select(table).where(table.c.consumer == consumer)
    if before is not None:
        statement = statement.where(table.c.starts_at < before)
    rows = tx.run(statement.order_by(table.c.starts_at.desc()).limit(checked_limit(limit) + 1))
    found = [store.period_of(row) for row in rows]
    return page_of(found, limit, lambda one: str(one.starts_at))


def _tell(
    tx: Tx, consumer: str, period: UsagePeriod, totals: list[dict[str, Any]], *, interim: bool
) -> Event:
    label = label_of(period)
    drawer = drawers_of(tx, [consumer]).get(consumer)
    owner = drawer.drawer if drawer is not None and drawer.drawer != consumer else None
    data = {
        "consumerId": consumer,
        "ownerId": owner,
        "period": label,
        "from": show_time(period.start),
        "to": show_time(period.end),
        "interim": interim,
        "totals": totals,
    }
    return publish(tx, type=EVENT, subject=f"{consumer}:{label}", data=data)


def _totals(tx: Tx, consumer: str, period: int, tail: Sequence[Used]) -> list[dict[str, Any]]:
    """Return what counts in a period, by product; `tail` is what the rollups do not have yet."""
    sums: dict[str, list[Sums]] = {}
    table = store.rollup
    here = (table.c.consumer == consumer, table.c.period == period)
    statement = sa.select(
        table.c.product,
        table.c.late,
        sa.cast(sa.func.sum(table.c.uses), sa.BigInteger).label("uses"),
        sa.cast(sa.func.sum(table.c.quantity), sa.BigInteger).label("quantity"),
        sa.func.max(table.c.maximum).label("maximum"),
    ).where(*here)
    for row in tx.run(statement.group_by(table.c.product, table.c.late)):
        one = Sums(row.uses, row.quantity, row.maximum)
        _count(sums.setdefault(row.product, [Sums(), Sums()]), row.late, one)
    for key, one in added_up(tail).items():
        _count(sums.setdefault(_product(key), [Sums(), Sums()]), key[-1], one)
    declared = _declared(tx, sums)
    parts = _parts(tx, consumer, period, values_of(tail, declared))
    return [
        {
            "productCode": product,
            "count": all_of.uses,
            "total": all_of.quantity,
            "sum": all_of.quantity,
            "maximum": all_of.maximum,
            "late": {"count": late.uses, "sum": late.quantity},
            "aggregations": [
                _aggregated(one, parts.get((product, one.name), {}))
                for one in declared.get(product, ())
            ],
        }
        for product, (all_of, late) in sorted(sums.items())
    ]


def _product(key: RollupKey) -> str:
    return key[1]


def _count(both: list[Sums], late: int, one: Sums) -> None:
    for each in both if late else both[:1]:
        each.uses += one.uses
        each.quantity += one.quantity
        each.maximum = max(each.maximum, one.maximum)


def _declared(tx: Tx, products: Iterable[str]) -> dict[str, list[Aggregation]]:
    table = store.aggregation
    found: dict[str, list[Aggregation]] = {}
    statement = sa.select(table).where(table.c.product.in_(sorted(products)))
    for row in tx.run(statement.order_by(table.c.product, table.c.name)):
        found.setdefault(row.product, []).append(store.aggregation_of(row))
    return found


Part = dict[str, int]


def _parts(
    tx: Tx, consumer: str, period: int, tail: dict[ValueKey, tuple[int, int, int]]
) -> dict[tuple[str, str], dict[str, Part]]:
    """Return what declared aggregations counted, by (product, name) and part."""
    table = store.value
    here = (table.c.consumer == consumer, table.c.period == period)
    values = {
        (row.product, row.name, row.part, row.value): (row.amount, row.uses, row.quantity)
        for row in tx.run(sa.select(table).where(*here))
    }
    for (_, _, *rest), (amount, uses, quantity) in tail.items():
        product, name, part, value = rest
        _, had, sums = values.get((product, name, part, value), (0, 0, 0))
        values[product, name, part, value] = (amount, had + uses, sums + quantity)
    found: dict[tuple[str, str], dict[str, Part]] = {}
    for (product, name, part, _), (amount, uses, quantity) in values.items():
        empty = {"count": 0, "sum": 0, "maximum": 0, "unique": 0}
        one = found.setdefault((product, name), {}).setdefault(part, empty)
        one["count"] += uses
        one["sum"] += quantity
        if uses > 0:
            one["maximum"] = max(one["maximum"], amount)
            one["unique"] += 1
    return found


def _aggregated(one: Aggregation, parts: dict[str, Part]) -> dict[str, Any]:
    shown = sorted(parts.items())[:MOST_PARTS]
    return {
        "name": one.name,
        "kind": one.kind,
        "dimension": one.dimension,
        "splitBy": one.split_by,
        "parts": [
            {"part": part if one.split_by else None, "value": found[one.kind]}
            for part, found in shown
        ],
        "partsLeftOut": len(parts) - len(shown),
    }
