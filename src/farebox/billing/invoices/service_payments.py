"""Payments of invoices."""

import msgspec
import sqlalchemy as sa

from farebox.billing.books import service as books
from farebox.billing.invoices import store
from farebox.billing.invoices.model import Invoice, InvoiceKeyReused, InvoicePayment
from farebox.billing.invoices.rules import payment_entries
from farebox.billing.invoices.service import note_down
from farebox.billing.invoices.service_credit import give_credit
from farebox.billing.invoices.service_issue import about, change_paid, issued_of, settled
from farebox.kernel.amounts import checked_amount
from farebox.platform.model import SYSTEM, Actor
from farebox.storage import Tx


def pay(tx: Tx, invoice_id: str, amount: int, payment: str, *, actor: Actor = SYSTEM) -> Invoice:
    """Pay an invoice with money that a payment brought into suspense; each payment counts once.

    What is more than owed becomes the customer's credit, never their wallet; so does all of it
    where nothing is owed any more. What was given up is recovered. Refuses `invoice_unknown`,
    `invoice_not_issued`, `value_invalid`, and (`invoice_key_reused`) another amount of the same
    payment.
    """
    checked_amount(amount)
    found = issued_of(tx, invoice_id)
    known = _known(tx, found.id, payment)
    if known is not None:
        if known.amount != amount:
            raise InvoiceKeyReused("another amount of this payment is known")
        return found
    nothing_owed = found.state in {"paid", "void"}
    applied = 0 if nothing_owed else min(amount, found.due + found.written_off)
    recovered = min(applied, found.written_off)
    over = amount - applied
    entries = payment_entries(applied=applied, over=over, recovered=recovered)
    said = msgspec.structs.replace(about(found, "invoice_payment"), payment=payment)
    books.post(tx, found.currency, entries, said, key=f"{found.id}:paid:{payment}")
    row = {
        "invoice": found.id,
        "payment": payment,
        "amount": amount,
        "applied": applied,
        "at": tx.now_us,
    }
    tx.run(store.payment.insert(), row)
    if over:
        give_credit(tx, found, over, payment=payment)
    changed = change_paid(
        tx,
        found,
        paid=found.paid + applied,
        canceled=found.canceled,
        written_off=found.written_off - recovered,
    )
    note_down(tx, changed, "payment", actor, amount=amount, reference=payment)
    if nothing_owed or changed.due or changed.written_off:
        return changed
    return settled(tx, changed, actor)


def payments_of(tx: Tx, invoice_id: str) -> list[InvoicePayment]:
    """Return what paid an invoice, oldest first."""
    table = store.payment
    rows = tx.run(sa.select(table).where(table.c.invoice == invoice_id).order_by(table.c.at))
    return [store.payment_of(row) for row in rows]


def _known(tx: Tx, invoice_id: str, payment: str) -> InvoicePayment | None:
    table = store.payment
    row = tx.one(sa.select(table).where(table.c.invoice == invoice_id, table.c.payment == payment))
    return None if row is None else store.payment_of(row)
