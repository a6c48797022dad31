"""Finding the consumer that another system means, and whose rights a consumer has."""

import sqlalchemy as sa

from farebox.access.consumers import store
from farebox.access.consumers.model import Consumer, ConsumerUnknown
from farebox.access.consumers.service import find_consumer, read_consumer
from farebox.access.consumers.service_groups import groups_of
from farebox.storage import Tx


def consumer_of_user(tx: Tx, user: str) -> Consumer:
    """Return the consumer whose id this is, or whose identity provider calls them so.

    Refuses (`consumer_unknown`) nobody, and a name that several providers use: to guess would
    give one person's purchase to another.
    """
    found = find_consumer(tx, user)
    if found is not None:
        return found
    here = store.consumer.c.subject == user
    rows = tx.run(sa.select(store.consumer).where(here).limit(2)).all()
    if len(rows) > 1:
        raise ConsumerUnknown("several issuers know a user of this name; send the consumer's id")
    if not rows:
        raise ConsumerUnknown
    return store.consumer_of(rows[0])


def holders_of(tx: Tx, consumer: str) -> tuple[str, ...]:
    """Return whose buckets and rights a consumer has: their own, then their groups'.

    A device has its owner's. Refuses an unknown consumer (`consumer_unknown`).
    """
    found = read_consumer(tx, consumer)
    drawer = found.owner or found.id
    return (drawer, *(group.id for group in groups_of(tx, drawer)))


def known_holders(tx: Tx, consumer: str) -> tuple[str, ...]:
    """Return what `holders_of` returns, and nobody for an unknown consumer."""
    return () if find_consumer(tx, consumer) is None else holders_of(tx, consumer)
