"""Invoices that a person ends: voided, given up, or credited in whole. Subscriptions follow."""

from collections.abc import Callable
from typing import TypeVar

from farebox.billing.flows.bill_subscription import stop_payments
from farebox.billing.flows.change_plan import change_failed, change_paid
from farebox.billing.flows.dunning import after_end
from farebox.billing.invoices.model import Invoice
from farebox.billing.invoices.rules import OVER
from farebox.billing.invoices.service import read_invoice
from farebox.billing.schedules.model import Schedule
from farebox.billing.schedules.service import lock_schedule, schedule_of_invoice, write_schedule
from farebox.storage import Tx

T = TypeVar("T")


def end_invoice(tx: Tx, invoice_id: str, act: Callable[[], T]) -> T:
    """Do what may end an invoice, and let the subscription that waits for it follow at once.

    A payment that waits for the customer is called off where nothing is owed any more; what was
    given up may still be paid. See `after_end` for what becomes of the subscription. A change of
    plan that waits for the invoice is taken back with one that is void, and holds otherwise:
    nothing is owed of it any more. Refuses what `act` refuses.
    """
    # The lock of a subscription comes before that of its invoice, as where its steps fall due.
    subscription = schedule_of_invoice(tx, invoice_id)
    before = None if subscription is None else lock_schedule(tx, subscription)
    done = act()
    invoice = read_invoice(tx, invoice_id)
    if invoice.state in {"paid", "void"}:
        stop_payments(tx, invoice)
    if before is not None:
        write_schedule(tx, before, _followed(tx, before, invoice))
    return done


def _followed(tx: Tx, one: Schedule, invoice: Invoice) -> Schedule:
    if invoice.state not in OVER:
        return one
    if invoice.id == one.change_invoice:
        void = invoice.state == "void"
        return change_failed(tx, one, "not_paid") if void else change_paid(tx, one, invoice)
    return after_end(tx, one, invoice) if invoice.id == one.invoice else one
