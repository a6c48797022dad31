"""Many consumers at once: whose buckets they draw on, in a fixed number of statements."""

from collections.abc import Iterable
from typing import Any

import msgspec
import sqlalchemy as sa

from farebox.access.consumers import store
from farebox.storage import Tx

_AT_ONCE = 1_000
_IN_GROUPS = (
    "SELECT m.consumer, g.id AS drawn FROM group_member m JOIN consumer_group g"
    " ON g.id = m.consumer_group WHERE m.consumer IN :keys ORDER BY g.priority, g.id"
)


class Drawer(msgspec.Struct, frozen=True, kw_only=True):
    """Who draws when a consumer uses: itself, or a device's owner, and the groups it is in."""

    consumer: str
    drawer: str
    groups: tuple[str, ...]

    @property
    def holders(self) -> tuple[str, ...]:
        """Return whose buckets are drawn, in order."""
        return (self.drawer, *self.groups)


def owners_of(tx: Tx, consumers: Iterable[str]) -> dict[str, str]:
    """Return who draws for each of these consumers, without groups; unknown ones are left out."""
    drawing = "SELECT id, coalesce(owner, id) AS drawer FROM consumer WHERE id IN :keys"
    rows: list[Any] = tx.select_in(drawing, ("id", "drawer"), sorted(set(consumers)))
    return dict(rows)


def drawers_of(tx: Tx, consumers: Iterable[str]) -> dict[str, Drawer]:
    """Return who draws for each of these consumers; unknown ones are left out."""
    drawing = owners_of(tx, consumers)
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
    found: dict[str, tuple[str, ...]] = {}
    for consumer, group in tx.select_in(_IN_GROUPS, ("consumer", "drawn"), consumers):
        found[consumer] = (*found.get(consumer, ()), group)
    return found
