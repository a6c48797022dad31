"""Drawing what was reported from what is left, and giving back what corrections take back."""

from collections.abc import Mapping, Sequence
from typing import Final

import sqlalchemy as sa

from farebox.access.buckets.service_many import records_of
from farebox.access.usage import store
from farebox.access.usage.service_judging import Key, PlannedRecord
from farebox.kernel.amounts import MAX_AMOUNT
from farebox.kernel.refusals import TryAgain
from farebox.ledger.model import Applied, Outcome, Request, Reverse, Sink, Source, Use, sink_id
from farebox.ledger.service import Ledger
from farebox.storage import Tx

_ledger = Ledger()
_AT_ONCE: Final = 1_000


def overage_buckets(tx: Tx, plans: Sequence[PlannedRecord]) -> dict[Key, int]:
    """Return where each consumer's overage is posted, opening what is missing.

    A plan with overage brings a bucket of its own for it, which is among the sources.
    """
    wanted = sorted(
        {
            (plan.consumer, plan.product)
            for plan in plans
            if plan.decided is None
            and plan.target is None
            and not any(source.overage for source in plan.sources)
        }
    )
    table = store.overage
    found: dict[Key, int] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        here = table.c.consumer.in_({one for one, _ in wanted[start : start + _AT_ONCE]})
        for row in tx.run(sa.select(table).where(here)):
            found[row.consumer, row.product] = row.bucket
    rows = []
    assets = {product: _ledger.asset(tx, product) for product in sorted({p for _, p in wanted})}
    for key in wanted:
        if key not in found:
            bucket = _ledger.open_bucket(tx, assets[key[1]], credit_limit=MAX_AMOUNT)
            found[key] = bucket
            rows.append((*key, bucket))
    columns = ("consumer", "product", "bucket")
    if tx.insert_missing(table, "consumer, product", columns, rows) != len(rows):
        raise TryAgain
    return found


def draw(tx: Tx, plans: Sequence[PlannedRecord], spills: Mapping[Key, int]) -> list[Outcome | None]:
    """Draw what is left for each report, and give back what corrections take back."""
    sinks: dict[str, int] = {}
    requests = []
    for plan in plans:
        if plan.decided is not None:
            continue
        command: Use | Reverse
        if plan.target is not None:
            command = Reverse(operation=plan.target.operation, amount=plan.quantity)
        else:
            if plan.product not in sinks:
                asset = _ledger.asset(tx, plan.product)
                sinks[plan.product] = sink_id(asset.number, Sink.REPORTED)
            drawn = [Source(each.bucket, each.cap, each.overage) for each in plan.sources]
            if (spill := spills.get((plan.consumer, plan.product))) is not None:
                drawn.append(Source(spill, spare=True))
            command = Use(
                sources=tuple(drawn), amount=plan.quantity, at_most=True,
                sink=sinks[plan.product], actor=plan.consumer, product=plan.product,
            )  # fmt: skip
        requests.append(Request(commands=(command,), operations=(plan.number,)))
    outcomes = iter(_ledger.apply(tx, requests) if requests else ())
    return [None if plan.decided is not None else next(outcomes)[0] for plan in plans]


def given_back(tx: Tx, outcomes: Sequence[Applied]) -> dict[int, int]:
    """Return how much of what reversals gave back, by operation, had come from buckets.

    The rest had been overage: it went to a bucket that counts that, with a record or without.
    """
    named = {bucket for one in outcomes for bucket, _, _ in one.drawn}
    records = records_of(tx, named)
    real = {number for number, one in records.items() if not one.overage}
    return {
        one.operation: sum(part for bucket, _, part in one.drawn if bucket in real)
        for one in outcomes
    }
