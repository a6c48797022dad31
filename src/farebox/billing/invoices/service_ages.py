"""What is owed on invoices that are issued and not settled."""

import sqlalchemy as sa

from farebox.billing.invoices import store
from farebox.storage import Tx

_OWED = ("issued", "past_due")


def open_receivables(tx: Tx) -> list[tuple[str, str, int, int]]:
    """Return (customer, currency, due instant, amount) of each invoice on which something is owed.

    The amounts of a currency come to what its account of receivables holds.
    """
    table = store.invoice
    due = table.c.total - table.c.paid - table.c.canceled - table.c.written_off
    rows = tx.run(
        sa.select(table.c.customer, table.c.currency, table.c.due_at, due.label("due"))
        .where(table.c.state.in_(_OWED), due > 0)
        .order_by(table.c.due_at, table.c.id)
    )
    return [(row.customer, row.currency, row.due_at, row.due) for row in rows]
