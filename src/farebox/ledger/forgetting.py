"""Forgetting denials: what a key remembers of a "no" is kept for a time, the rest for ever."""

from typing import Final

import sqlalchemy as sa

from farebox.ledger import store
from farebox.storage import Tx

AT_ONCE: Final = 1_000


def forget_denials(tx: Tx, before_us: int) -> int:
    """Forget up to a thousand of the oldest denials from before an instant; returns how many.

    The same key asks anew after that. What was applied is never forgotten: it happens once.
    """
    table = store.operation
    # Both as conditions of the index, or SQLite would not see that it is the one to walk.
    old = sa.select(table.c.digest).where(table.c.denied == sa.literal_column("1"))
    oldest = old.where(table.c.at < before_us).order_by(table.c.at).limit(AT_ONCE)
    gone = table.delete().where(table.c.digest.in_(oldest.scalar_subquery()))
    return len(tx.run(gone.returning(table.c.digest)).all())
