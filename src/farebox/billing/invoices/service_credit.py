"""What a customer has of credit: from credit notes and overpayments, for later invoices."""

import sqlalchemy as sa

from farebox.billing.books import service as books
from farebox.billing.books.model import CREDIT, RECEIVABLE, About, Line
from farebox.billing.invoices import store
from farebox.billing.invoices.model import Invoice
from farebox.storage import Tx


def credit_of(tx: Tx, customer: str, currency: str) -> int:
    """Return what a customer has of credit in a currency."""
    here = _here(customer, currency)
    row = tx.one(sa.select(store.credit.c.balance).where(here))
    return 0 if row is None else int(row.balance)


def credits_of(tx: Tx, customer: str) -> dict[str, int]:
    """Return a customer's credit by currency, without those of nothing."""
    here = sa.and_(store.credit.c.customer == customer, store.credit.c.balance > 0)
    return {row.currency: int(row.balance) for row in tx.run(sa.select(store.credit).where(here))}


def take_credit(tx: Tx, found: Invoice, most: int) -> int:
    """Pay an invoice by its customer's credit, up to `most`; returns how much it was."""
    here = _here(found.customer, found.currency)
    row = tx.one(sa.select(store.credit.c.balance).where(here).with_for_update())
    used = min(0 if row is None else int(row.balance), most)
    if used > 0:
        # The row is locked, and its CHECK is the second guard.
        left = store.credit.c.balance - used
        tx.run(store.credit.update().where(here).values(balance=left))
        _note(tx, found, -used)
        _post(tx, found, Line(CREDIT, RECEIVABLE, used), "credit_used")
    return max(used, 0)


def give_credit(
    tx: Tx,
    found: Invoice,
    amount: int,
    *,
    entry: Line | None = None,
    key: str = "",
    note: str | None = None,
    payment: str | None = None,
) -> None:
    """Give the customer of an invoice credit; `entry` where the books do not have it yet."""
    empty = {"customer": found.customer, "currency": found.currency, "balance": 0}
    tx.insert_once(store.credit, empty, key=("customer", "currency"))
    raised = store.credit.c.balance + amount
    here = _here(found.customer, found.currency)
    tx.run(store.credit.update().where(here).values(balance=raised))
    _note(tx, found, amount, note=note, payment=payment)
    if entry is not None:
        _post(tx, found, entry, f"credit:{key}")


def _here(customer: str, currency: str) -> sa.ColumnElement[bool]:
    return sa.and_(store.credit.c.customer == customer, store.credit.c.currency == currency)


def _note(
    tx: Tx, found: Invoice, amount: int, *, note: str | None = None, payment: str | None = None
) -> None:
    row = {
        "customer": found.customer,
        "currency": found.currency,
        "amount": amount,
        "invoice": found.id,
        "note": note,
        "payment": payment,
        "at": tx.now_us,
    }
    tx.run(store.credit_entry.insert(), row)


def _post(tx: Tx, found: Invoice, entry: Line, what: str) -> None:
    said = About(kind="credit", customer=found.customer, invoice=found.id, order=found.order)
    books.post(tx, found.currency, [entry], said, key=f"{found.id}:{what}")
