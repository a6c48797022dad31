"""What becomes of invoices as time passes and money comes: past due, earned, settled, refunded."""

from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from farebox.billing.books.model import REFUNDS, SUSPENSE, About, Line
from farebox.billing.books.service import post
from farebox.billing.flows.settle_payment import CHARGEBACK_SETTLERS, REFUND_SETTLERS, SETTLERS
from farebox.billing.invoices.model import (
    CreditLine,
    CreditNote,
    CreditNoteUnknown,
    InvoiceNotIssued,
    InvoicePaidAlready,
    InvoiceUnknown,
    Settling,
)
from farebox.billing.invoices.service import due_invoices, note_down, read_invoice
from farebox.billing.invoices.service_issue import fall_due, issued_of
from farebox.billing.invoices.service_notes import credit_note, read_note
from farebox.billing.invoices.service_payments import pay, payments_of
from farebox.billing.invoices.service_recognition import due_lines, recognise, recognise_due
from farebox.billing.payments.model import Chargeback, Payment, Refund
from farebox.billing.payments.service import find_payment, open_intent
from farebox.billing.payments.service_refunds import request_refund
from farebox.events.rests import Rests
from farebox.platform.model import SYSTEM, Actor
from farebox.storage import Database, Tx

AT_ONCE: Final = 100
_log: Final = structlog.get_logger("farebox.invoices")


class InvoicesDue:
    """Says which invoices are past due, and earns what was deferred, day by day."""

    name: Final = "invoices"

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rests = Rests()

    def step(self) -> int:
        """Do what is due, up to 100 of each; returns how many rows were dealt with.

        One that fails keeps none of the others waiting, and rests (`Rests.each`).
        """
        # Looked at first: a writing transaction would make every other writer wait its turn.
        with self._database.read() as tx:
            most = AT_ONCE + len(self._rests)
            late = due_invoices(tx, limit=most)
            lines = due_lines(tx, limit=most)
        works: dict[tuple[str, int], Callable[[Tx], object]] = {
            (invoice, 0): partial(fall_due, invoice_id=invoice) for invoice in late
        }
        together = bool(lines) and not self._rests and self._earned_together()
        if not together:
            works |= {
                (one, line): partial(recognise, invoice_id=one, line=line) for one, line in lines
            }
        done = self._rests.each_in(self._database, works)
        return done + len(lines) if together else done

    def _earned_together(self) -> bool:
        """Earn what is due in one transaction, which is cheaper; tells whether that went well."""
        try:
            self._database.run(lambda tx: recognise_due(tx, limit=AT_ONCE))
        except Exception as error:  # noqa: BLE001 - each is tried alone then, and raises its own
            _log.warning("not_earned_together", error=repr(error))
            return False
        return True


def pay_invoice(
    tx: Tx,
    invoice_id: str,
    *,
    key: str,
    method: str | None = None,
    gateway: str | None = None,
) -> Payment:
    """Open a payment of all that is owed of an invoice; a worker asks the gateway.

    Refuses `invoice_unknown`, `invoice_not_issued`, (`invoice_paid_already`) one of which nothing
    is owed, and what `open_intent` refuses.
    """
    found = issued_of(tx, invoice_id)
    owed = 0 if found.state == "void" else found.due + found.written_off
    if not owed:
        raise InvoicePaidAlready
    return open_intent(
        tx,
        customer=found.customer,
        amount=owed,
        currency=found.currency,
        purpose="invoice",
        reference=found.id,
        method=method,
        gateway=gateway,
        key=key,
    )


def credit_invoice(
    tx: Tx,
    invoice_id: str,
    lines: tuple[CreditLine, ...] = (),
    *,
    amount: int | None = None,
    reason: str,
    settling: Settling = "credit",
    key: str,
    actor: Actor = SYSTEM,
) -> CreditNote:
    """Write a credit note, and ask for the refunds that it says; see `credit_note`."""
    made = credit_note(
        tx, invoice_id, lines, amount=amount, reason=reason, settling=settling, key=key, actor=actor
    )
    left = made.refund
    for paid in reversed(payments_of(tx, made.invoice)):
        payment = find_payment(tx, paid.payment)
        part = 0 if payment is None else min(left, payment.refundable)
        if part:
            request_refund(tx, paid.payment, part, key=f"{made.id}:{paid.payment}")
        left -= part
    if left:
        # Money that no gateway brought goes back by hand; until then it stands in suspense.
        found = read_invoice(tx, made.invoice)
        note_down(tx, found, "refund_by_hand", actor, amount=left, reference=made.id)
    return made


def settle_invoice(tx: Tx, payment: Payment) -> None:
    """Let a payment that succeeded pay its invoice."""
    if payment.state != "succeeded":
        return
    try:
        pay(tx, payment.reference, payment.amount, payment.id)
    except (InvoiceUnknown, InvoiceNotIssued):
        return  # The money stays in suspense, where it is seen.


def settle_refund_of_invoice(tx: Tx, payment: Payment, refund: Refund) -> None:
    """Let a refund end where it was taken from: at its credit note, else it is an expense.

    A note has put what it refunds into suspense, from where the refund took it.
    """
    try:
        read_note(tx, refund.key.partition(":")[0])
    except CreditNoteUnknown:
        about = About(
            kind="refund", customer=payment.customer, invoice=payment.reference, refund=refund.id
        )
        lines = {
            "succeeded": Line(REFUNDS, SUSPENSE, refund.amount),
            "returned": Line(SUSPENSE, REFUNDS, refund.amount),
        }
        if (line := lines.get(refund.state)) is not None:
            post(tx, refund.currency, [line], about, key=f"{refund.id}:{refund.state}:expense")


def note_chargeback(tx: Tx, payment: Payment, chargeback: Chargeback) -> None:
    """Write down in an invoice's history that its payment was taken back, or given again."""
    try:
        found = read_invoice(tx, payment.reference)
    except InvoiceUnknown:
        return
    note_down(
        tx,
        found,
        f"chargeback_{chargeback.state}",
        SYSTEM,
        amount=chargeback.amount,
        reference=chargeback.id,
    )


SETTLERS["invoice"] = settle_invoice
REFUND_SETTLERS["invoice"] = settle_refund_of_invoice
CHARGEBACK_SETTLERS["invoice"] = note_chargeback
