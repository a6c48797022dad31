"""What follows from a payment of a subscription's invoice: it goes on, or is tried again, or ends.

A failed payment is told to access each time; while a grace runs that billing gave, access knows it
by `subscription.past_due` alone, because `payment.failed` would cut it short.
"""

import msgspec

from farebox.billing.flows import issue_invoices
from farebox.billing.flows.bill_arrears import bill_used, shut_since, with_planned
from farebox.billing.flows.bill_subscription import (
    collect,
    open_payment,
    settle_charges,
    shown,
    stop_payments,
    take_back,
    tell,
    tell_paid,
    tell_planned,
    void_charges,
)
from farebox.billing.flows.change_plan import change_failed, change_paid
from farebox.billing.flows.settle_payment import SETTLERS
from farebox.billing.invoices.model import Invoice
from farebox.billing.invoices.rules import OVER
from farebox.billing.invoices.service import read_invoice
from farebox.billing.invoices.service_issue import fall_due, write_off
from farebox.billing.payments.model import UNDER_WAY, Payment
from farebox.billing.payments.service import payments_of
from farebox.billing.schedules.model import Schedule
from farebox.billing.schedules.rules import (
    LOOK_AGAIN_US,
    after_failure,
    after_payment,
    ended,
    period_of,
    skipped_to,
)
from farebox.billing.schedules.service import (
    lock_schedule,
    schedule_of_invoice,
    terms_for,
    write_schedule,
)
from farebox.storage import Tx

_UNDECIDED = frozenset({"processing", "unknown"})


def follow_payment(tx: Tx, payment: Payment) -> None:
    """Let a subscription know the end of a payment of its invoice; others change nothing."""
    if payment.state not in {"succeeded", "failed"}:
        return
    # What was called off has not failed: the invoice still waits, and has its own time.
    called_off = payment.state == "failed" and payment.reason == "canceled"
    subscription = schedule_of_invoice(tx, payment.reference)
    if subscription is None:
        return
    before = lock_schedule(tx, subscription)
    invoice = read_invoice(tx, payment.reference)
    paid = invoice.state == "paid"
    after = before
    if invoice.id == before.change_invoice:
        after = change_paid(tx, before, invoice) if paid else change_failed(tx, before, "payment")
    elif invoice.id == before.invoice and paid:
        after = paid_up(tx, before, invoice, payment=payment.id)
    elif invoice.id == before.invoice and payment.state == "failed" and not called_off:
        after = fall_late(
            tx, before, invoice, reason=payment.reason or "declined", final=payment.final
        )
    write_schedule(tx, before, after)


def settle_invoice(tx: Tx, payment: Payment) -> None:
    """Pay an invoice with what a payment brought, then let its subscription know the end."""
    issue_invoices.settle_invoice(tx, payment)
    follow_payment(tx, payment)


def paid_up(
    tx: Tx, one: Schedule, invoice: Invoice | None, *, payment: str | None = None
) -> Schedule:
    """Return a schedule whose invoice is paid, or that owed nothing, and tell access."""
    # An invoice of usage renews nothing.
    renewed = invoice is None or bool(settle_charges(tx, invoice))
    return _gone_on(tx, one, invoice, renewed=renewed, payment=payment)


def _gone_on(
    tx: Tx, one: Schedule, paid: Invoice | None, *, renewed: bool, payment: str | None = None
) -> Schedule:
    after = after_payment(one, tx.now_us)
    if one.state == "canceled":
        return after
    shut_at, used = shut_since(tx, one), None
    if shut_at is not None:
        after, used = _come_back(tx, after, shut_at)
    renewed = renewed and one.state != "pending_payment"
    tell_paid(tx, after, paid, renewed=renewed, payment=payment)
    if shut_at is not None and after.pending_plan is not None and not after.advance:
        # The period that it is planned for ends at another instant now.
        tell_planned(tx, after)
    return collect(tx, after, used)


def _come_back(tx: Tx, one: Schedule, shut_at: int) -> tuple[Schedule, Invoice | None]:
    """Bill in arrears what was used until access shut, and let periods count anew from now."""
    used = None
    if not one.advance and one.anchor_at is not None:
        one, used = bill_used(tx, one, shut_at)
        if period_of(one, one.next_index).end_us <= tx.now_us:
            # Access has changed the plan at that instant, shut as it was.
            one = with_planned(tx, one)
    return skipped_to(one, tx.now_us), used


def fall_late(
    tx: Tx, one: Schedule, invoice: Invoice, *, reason: str, final: bool = False
) -> Schedule:
    """Return a schedule after a payment that did not come, and tell access."""
    if one.state == "canceled":
        return one
    after = after_failure(one, terms_for(tx, one.plan), tx.now_us, final=final)
    if one.state != "pending_payment":
        fall_due(tx, invoice.id)
    if after.grace_ends_at is not None and after.state == "past_due":
        if one.state != "past_due":
            tell(tx, after, "subscription.past_due", graceEndsAt=shown(after.grace_ends_at))
        return after
    tell(
        tx,
        after,
        "payment.failed",
        reason=reason,
        orderId=invoice.id,
        invoiceId=invoice.id,
        amount=invoice.due,
        currency=invoice.currency,
        attempt=after.failures,
        nextAttemptAt=shown(after.retry_at),
    )
    return after


def try_again(tx: Tx, one: Schedule) -> Schedule:
    """Open another payment of a late invoice, once the one before has failed for good.

    One whose outcome is not known is waited for. One that waits for the customer counts as failed.
    """
    invoice = _owed(tx, one)
    if invoice.state in OVER:
        return after_end(tx, one, invoice)
    states = {each.state for each in payments_of(tx, "invoice", invoice.id)}
    if states & _UNDECIDED:
        return msgspec.structs.replace(one, retry_at=tx.now_us + LOOK_AGAIN_US)
    if states & UNDER_WAY:
        return fall_late(tx, one, invoice, reason="overdue")
    open_payment(tx, one, invoice, key=f"{invoice.id}:{one.failures}")
    return msgspec.structs.replace(one, retry_at=None, late_at=tx.now_us + LOOK_AGAIN_US)


def call_late(tx: Tx, one: Schedule) -> Schedule:
    """Let an invoice count as not paid that nobody has paid in its time."""
    invoice = _owed(tx, one)
    if invoice.state in OVER:
        return after_end(tx, one, invoice)
    if _undecided(tx, invoice):
        return msgspec.structs.replace(one, late_at=tx.now_us + LOOK_AGAIN_US)
    return fall_late(tx, one, invoice, reason="overdue")


def give_up(tx: Tx, one: Schedule) -> Schedule:
    """End what nobody has paid for, as the terms of payment say.

    A first invoice is taken back. Of a later one what is owed becomes bad debt if the subscription
    is canceled; where it stays suspended, paying the invoice brings it back.
    """
    invoice = _owed(tx, one)
    if invoice.state in OVER:
        return after_end(tx, one, invoice)
    if _undecided(tx, invoice):
        return msgspec.structs.replace(one, give_up_at=tx.now_us + LOOK_AGAIN_US)
    return _given_up(tx, one, invoice)


def after_end(tx: Tx, one: Schedule, invoice: Invoice) -> Schedule:
    """Return a schedule after the end of the invoice that it waits for, whoever ended it.

    Paid, or credited in whole: it goes on. Void is as if it had never been owed, so it goes on as
    well; only who never paid anything has not subscribed. Given up: it ends by its terms, unless
    it has ended already.
    """
    if invoice.state == "paid":
        return paid_up(tx, one, invoice)
    if invoice.state == "void" and one.state != "pending_payment":
        return _gone_on(tx, one, None, renewed=bool(void_charges(tx, invoice)))
    return one if one.state in {"suspended", "canceled"} else _given_up(tx, one, invoice)


def _given_up(tx: Tx, one: Schedule, invoice: Invoice) -> Schedule:
    stop_payments(tx, invoice)
    first = one.state == "pending_payment"
    if not first and terms_for(tx, one.plan).at_end == "suspend":
        tell(
            tx, one, "payment.failed", reason="given_up", orderId=invoice.id, invoiceId=invoice.id,
            amount=invoice.due + invoice.written_off, currency=invoice.currency,
        )  # fmt: skip
        return msgspec.structs.replace(
            one, state="suspended", give_up_at=None, retry_at=None, late_at=None
        )
    if one.change_invoice is not None:
        one = change_failed(tx, one, "not_paid")
    if first:
        take_back(tx, invoice)
    elif invoice.state not in OVER:
        write_off(tx, invoice.id)
    tell(
        tx, one, "subscription.canceled",
        effectiveAt=shown(tx.now_us), reason="not_paid", invoiceId=invoice.id,
    )  # fmt: skip
    return ended(one, tx.now_us)


def _owed(tx: Tx, one: Schedule) -> Invoice:
    assert one.invoice is not None, "whoever is late has an invoice to pay"
    return read_invoice(tx, one.invoice)


def _undecided(tx: Tx, invoice: Invoice) -> bool:
    return any(each.state in _UNDECIDED for each in payments_of(tx, "invoice", invoice.id))


# An invoice of a subscription is paid like any other; what follows for the subscription is here.
SETTLERS["invoice"] = settle_invoice
