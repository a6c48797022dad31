"""How many places an item and its offers have: buckets of the ledger, filled to the capacity."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import sqlalchemy as sa

from farebox.access.buckets.model import LedgerRefused
from farebox.access.buckets.service_commands import command_once
from farebox.access.marketplace import store
from farebox.access.marketplace.model import Availability, CapacityInUse, Item, Offer
from farebox.kernel.refusals import TryAgain
from farebox.ledger import reading
from farebox.ledger.model import Applied, Command, Denied, Grant, Source, Void
from farebox.ledger.service import Ledger
from farebox.platform.model import Actor
from farebox.storage import Problem, Tx, problem_of

# No product can be called so: a product has an asset of its own code.
PLACES: Final = "~place"
SOLD: Final = "sold"
_WHOLE: Final = ""
_ledger = Ledger()


def fit_capacity(tx: Tx, actor: Actor, item: Item) -> None:
    """Give the buckets of an item as many places as it says; its row must be locked.

    Refuses (`capacity_in_use`) to take places that are sold or held. A capacity that is taken
    away stops counting; set again, it goes on from what was sold under it.
    """
    wanted = {_WHOLE: item.capacity} | {offer.code: offer.capacity for offer in item.offers}
    for offer, capacity in wanted.items():
        if capacity is not None:
            _fit(tx, actor, item, offer, capacity)


def source_of(tx: Tx, item: Item, offer: Offer) -> Source | None:
    """Return where a place of an offer is drawn from; None where places do not run out."""
    buckets = _buckets(tx, item)
    whole = buckets.get(_WHOLE) if item.capacity is not None else None
    own = buckets.get(offer.code) if offer.capacity is not None else None
    if whole is None:
        return None if own is None else Source(own)
    return Source(whole, own)


def sold_sink(tx: Tx) -> int:
    """Return the ledger account of places that were sold."""
    return _ledger.open_sink(tx, _ledger.open_asset(tx, PLACES), SOLD)


def availability_of(tx: Tx, item: Item) -> tuple[Availability, ...]:
    """Return how many places each offer has left."""
    return availability_of_each(tx, [item])[item.code]


def availability_of_each(tx: Tx, items: Sequence[Item]) -> dict[str, tuple[Availability, ...]]:
    """Return how many places the offers of items have left, and when one may be free again.

    A few statements for all of them, and none of the ledger where nothing can run out.
    """
    capped = [item for item in items if _is_capped(item)]
    table = store.capacity
    here = table.c.item.in_([item.number for item in capped])
    rows = tx.run(sa.select(table).where(here)).all() if capped else []
    free = reading.available_in(_ledger, tx, [row.bucket for row in rows]) if rows else {}
    left = {(row.item, row.offer): free[row.bucket] for row in rows}
    made = {item.code: [_available(item, each, left) for each in item.offers] for item in items}
    out = [code for code, offers in made.items() if any(each.left == 0 for each in offers)]
    ends = _next_ends(tx, out) if out else {}
    return {
        item.code: tuple(_with_end(item, each, left, ends) for each in made[item.code])
        for item in items
    }


def _is_capped(item: Item) -> bool:
    return item.capacity is not None or any(each.capacity is not None for each in item.offers)


def _available(item: Item, offer: Offer, left: Mapping[tuple[int, str], int]) -> Availability:
    counts = [
        left[item.number, code]
        for code, capacity in ((_WHOLE, item.capacity), (offer.code, offer.capacity))
        if capacity is not None
    ]
    return Availability(offer=offer.code, left=min(counts, default=None))


def _next_ends(tx: Tx, codes: Sequence[str]) -> dict[tuple[str, str], int]:
    """Return when the first place in somebody's cart ends, by item and offer."""
    table = store.place
    first = sa.func.min(table.c.expires_at).label("first")
    here = (table.c.item.in_(codes), table.c.ended_at.is_(None), table.c.expires_at > tx.now_us)
    columns = (table.c.item, table.c.offer)
    rows = tx.run(sa.select(*columns, first).where(*here).group_by(*columns))
    return {(row.item, row.offer): int(row.first) for row in rows}


def _with_end(
    item: Item,
    one: Availability,
    left: Mapping[tuple[int, str], int],
    ends: Mapping[tuple[str, str], int],
) -> Availability:
    """Return with an offer that has no place left when one may be free: its own, or any of all."""
    if one.left != 0:
        return one
    own = left.get((item.number, one.offer)) == 0
    meant = [
        end
        for (code, offer), end in ends.items()
        if code == item.code and (offer == one.offer or not own)
    ]
    return msgspec.structs.replace(one, free_at=min(meant, default=None))


def done(tx: Tx, command: Command, *, operation: int | None = None) -> Applied | Denied:
    """Run one command; raises what the ledger refuses, under the ledger's own code."""
    outcome = command_once(tx, command, operation=operation)
    if isinstance(outcome, Applied | Denied):
        return outcome
    raise LedgerRefused(outcome.code, outcome.detail)


def _open_bucket(tx: Tx) -> int:
    """Return a new bucket of places; the first one brings their asset and what they are sold to."""
    try:
        sold_sink(tx)
        return _ledger.open_bucket(tx, _ledger.asset(tx, PLACES))
    except sa.exc.IntegrityError as error:
        if problem_of(error) is not Problem.UNIQUE:
            raise
        # Somebody else made them at the same time: the next run finds them.
        raise TryAgain from error


def _buckets(tx: Tx, item: Item) -> dict[str, int]:
    table = store.capacity
    rows = tx.run(sa.select(table.c.offer, table.c.bucket).where(table.c.item == item.number))
    return {row.offer: row.bucket for row in rows}


def _fit(tx: Tx, actor: Actor, item: Item, offer: str, capacity: int) -> None:
    table = store.capacity
    here = sa.and_(table.c.item == item.number, table.c.offer == offer)
    row = tx.one(sa.select(table).where(here))
    if row is None:
        bucket = _open_bucket(tx)
        values = {"item": item.number, "offer": offer, "bucket": bucket, "capacity": capacity}
        tx.run(table.insert(), values)
        before = 0
    else:
        bucket, before = row.bucket, row.capacity
        tx.run(table.update().where(here).values(capacity=capacity))
    if capacity > before:
        done(tx, Grant(bucket=bucket, amount=capacity - before, reason=actor.reason))
    elif capacity < before:
        _take(tx, actor, bucket, before - capacity)


def _take(tx: Tx, actor: Actor, bucket: int, amount: int) -> None:
    """Take so many free places away; refuses where fewer are free."""
    left = amount
    for grant in reading.bucket_view(_ledger, tx, bucket).grants:
        if left and grant.available:
            part = min(left, grant.available)
            outcome = done(tx, Void(grant=grant.id, amount=part, reason=actor.reason))
            left -= outcome.amount if isinstance(outcome, Applied) else 0
    if left:
        raise CapacityInUse(free=amount - left)
