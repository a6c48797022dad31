"""Rate limits of consumers and of keys, and the processes that share every limit.

A rate is counted in memory: a decision cannot wait for a shared counter. Each live process admits
its part of a limit, so together they never admit more, whichever of them is asked; one that gets
more than its part of the calls denies some that the whole would have admitted.
"""

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from farebox.access.catalog.service import read_product
from farebox.access.consumers.service import lock_consumer
from farebox.access.decisions import store
from farebox.access.decisions.model import LONGEST_RATE_SECONDS, MOST_RATES, Rate
from farebox.kernel.amounts import MAX_AMOUNT
from farebox.kernel.clock import SECOND_US
from farebox.kernel.refusals import ValueRefused
from farebox.ledger.service import Ledger
from farebox.platform.model import Actor
from farebox.platform.service_audit import record
from farebox.storage import Tx

ALIVE_US: Final = 6 * SECOND_US
_ledger = Ledger()


def set_rates(
    tx: Tx, actor: Actor, subject: str, rates: Sequence[Rate], *, guarded_by: str
) -> tuple[Rate, ...]:
    """Replace the rate limits of a consumer or of a key, and return them.

    `guarded_by` is the consumer whose decisions they limit: its remembered state grows old.
    Refuses unknown consumers (`consumer_unknown`) and products (`product_unknown`), and impossible
    numbers (`value_invalid`).
    """
    for rate in rates:
        _check(tx, rate)
    if len(rates) > MOST_RATES:
        raise ValueRefused(f"there are at most {MOST_RATES} rate limits")
    # Whoever else sets limits that this consumer feels waits here.
    lock_consumer(tx, guarded_by)
    before = rates_of(tx, (subject,))
    table = store.own_rate_limit
    tx.run(table.delete().where(table.c.subject == subject))
    rows = [
        {
            "subject": subject,
            "place": place,
            "product": rate.product,
            "most": rate.most,
            "seconds": rate.seconds,
            "burst": rate.burst,
        }
        for place, rate in enumerate(rates)
    ]
    if rows:
        tx.run(table.insert(), rows)
    after = rates_of(tx, (subject,))
    if after != before:
        _ledger.advance_revision(tx, guarded_by)
        record(tx, actor, "rate_limits.set", subject, before=before, after=after)
    return after


def keep_rates(tx: Tx, actor: Actor, old: str, new: str, *, guarded_by: str) -> None:
    """Give a key that replaces another one the same limits."""
    if rates := rates_of(tx, (old,)):
        set_rates(tx, actor, new, rates, guarded_by=guarded_by)


def rates_of(tx: Tx, subjects: Sequence[str]) -> tuple[Rate, ...]:
    """Return the rate limits of consumers and keys, in their order."""
    table = store.own_rate_limit
    here = table.c.subject.in_(subjects)
    rows = tx.run(sa.select(table).where(here).order_by(table.c.subject, table.c.place))
    return tuple(
        Rate(
            key=f"{row.subject}/{row.place}",
            most=row.most,
            seconds=row.seconds,
            burst=row.burst,
            product=row.product,
        )
        for row in rows
    )


def beat(tx: Tx, process: str) -> int:
    """Say that a process is alive; returns how many are, this one among them."""
    table = store.live_process
    statement = tx.insert_of(table).values(id=process, seen_at=tx.now_us)
    seen = statement.on_conflict_do_update(index_elements=["id"], set_={"seen_at": tx.now_us})
    tx.run(seen)
    tx.run(table.delete().where(table.c.seen_at <= tx.now_us - ALIVE_US))
    return int(tx.run(sa.select(sa.func.count()).select_from(table)).scalar_one())


def leave(tx: Tx, process: str) -> None:
    """Say that a process ends."""
    tx.run(store.live_process.delete().where(store.live_process.c.id == process))


def _check(tx: Tx, rate: Rate) -> None:
    if rate.product is not None:
        read_product(tx, rate.product)
    if not 1 <= rate.most <= MAX_AMOUNT or not 1 <= rate.burst <= MAX_AMOUNT:
        raise ValueRefused("a rate limit admits at least 1")
    if not 1 <= rate.seconds <= LONGEST_RATE_SECONDS:
        raise ValueRefused(f"a rate is counted in 1 to {LONGEST_RATE_SECONDS} seconds")
