"""Many consumers at once: whose buckets they draw on, in a fixed number of statements."""

from collections.abc import Iterable

import msgspec
import sqlalchemy as sa

from farebox.access.consumers import store
from farebox.storage import Tx

_AT_ONCE = 1_000


class Drawer(msgspec.Struct, frozen=True, kw_only=True):
    """Who draws when a consumer uses: itself, or a device's owner, and the groups it is in."""

    consumer: str
    drawer: str
    groups: tuple[str, ...]

    @property
    def holders(self) -> tuple[str, ...]:
        """Return whose buckets are drawn, in order."""
        return (self.drawer, *self.groups)


def drawers_of(tx: Tx, consumers: Iterable[str]) -> dict[str, Drawer]:
    """Return who draws for each of these consumers; unknown ones are left out."""
    consumer = store.consumer
    wanted = sorted(set(consumers))
    drawing: dict[str, str] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        here = consumer.c.id.in_(wanted[start : start + _AT_ONCE])
        for row in tx.run(sa.select(consumer.c.id, consumer.c.owner).where(here)):
            drawing[row.id] = row.owner or row.id
    groups = _groups_of(tx, sorted(set(drawing.values())))
    return {
        one: Drawer(consumer=one, drawer=drawer, groups=groups.get(drawer, ()))
        for one, drawer in drawing.items()
    }


def lock_consumers(tx: Tx, consumers: Iterable[str]) -> None:
    """Let others who lock these consumers wait until the commit; reading them needs no lock."""
    consumer = store.consumer
    wanted = sorted(set(consumers))
    for start in range(0, len(wanted), _AT_ONCE):
        here = consumer.c.id.in_(wanted[start : start + _AT_ONCE])
        statement = sa.select(consumer.c.id).where(here).order_by(consumer.c.id)
        # Without the key: what refers to a consumer may be written meanwhile.
        tx.run(statement.with_for_update(key_share=True)).all()


def _groups_of(tx: Tx, consumers: list[str]) -> dict[str, tuple[str, ...]]:
    """Return the groups of each consumer in the order in which they are drawn."""
    member, group = store.member, store.group
    found: dict[str, tuple[str, ...]] = {}
    for start in range(0, len(consumers), _AT_ONCE):
        statement = (
            sa.select(member.c.consumer, group.c.id)
            .join(group, group.c.id == member.c.consumer_group)
            .where(member.c.consumer.in_(consumers[start : start + _AT_ONCE]))
            .order_by(group.c.priority, group.c.id)
        )
        for row in tx.run(statement):
            found[row.consumer] = (*found.get(row.consumer, ()), row.id)
    return found
