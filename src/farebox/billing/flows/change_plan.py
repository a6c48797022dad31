"""Another plan in the middle of a period: what is not used is given back, what is new is charged.

Both are shares of the same period. What is not used becomes a credit note on the invoice that paid
for it, and its worth the customer's credit; the rest of the period has an invoice of its own, which
that credit pays first. So a cheaper plan leaves credit, and of a dearer one the difference is due.
The change holds once its invoice is paid. If it is not, it is taken back, and the old plan billed
for the rest again: by the credit that comes back, to the last unit.

Worked example: 10.00 to 20.00 a month with 17/31 left: a note of 5.48, an invoice of 10.97, of
which 5.49 are to be paid.
"""

import msgspec

from farebox.billing.flows.bill_arrears import bill_used
from farebox.billing.flows.bill_subscription import (
    bill_stretch,
    collect,
    decline,
    open_payment,
    settle_charges,
    stop_payments,
    take_back,
    tell,
    with_price,
)
from farebox.billing.flows.issue_invoices import credit_invoice
from farebox.billing.invoices.model import CreditLine, CreditNote, Invoice
from farebox.billing.invoices.service import read_invoice
from farebox.billing.invoices.service_notes import creditable, find_note
from farebox.billing.pricing.model_prices import Price
from farebox.billing.pricing.rules_proration import capped_credit, prorate, share
from farebox.billing.schedules.model import Charge, Proration, Schedule
from farebox.billing.schedules.rules import period_of, without_change
from farebox.billing.schedules.service import (
    charges_of,
    charges_of_invoice,
    running_charge,
    terms_for,
    write_charge,
)
from farebox.kernel.periods import Period
from farebox.storage import Tx


class Changed(msgspec.Struct, frozen=True, kw_only=True):
    """What a change leads to: the schedule, and the documents that were written."""

    schedule: Schedule
    invoice: Invoice | None = None
    note: CreditNote | None = None


# -- what was not used -----------------------------------------------------------------------------


def unused_of(charge: Charge, at: int, *, zone: str, mode: Proration, ends: bool = False) -> int:
    """Return what of a charge's fee lies after an instant, never more than is left of it.

    `ends` says that the use is over for good: by inclusive days that day is used then.
    """
    stretch = Period(0, charge.starts_at, charge.ends_at)
    upto = max(at, charge.starts_at)
    used = share(stretch, charge.starts_at, upto, mode=mode, zone=zone, ends=ends)
    unused = charge.amount - prorate(charge.amount, used)
    return capped_credit(unused, paid=charge.amount, credited=charge.credited)


def give_back(
    tx: Tx, one: Schedule, *, reason: str, ends: bool = False, refund: bool = False
) -> CreditNote | None:
    """End what is billed of a subscription now, and credit what of it is not used.

    The credit note cancels first what is not paid yet; so nobody gets back more than they paid.
    """
    charge = running_charge(tx, one.subscription, tx.now_us)
    if charge is None:
        return None
    mode = terms_for(tx, charge.plan).proration
    unused = unused_of(charge, tx.now_us, zone=one.zone, mode=mode, ends=ends)
    # Somebody may have credited a part of the invoice by hand: only the rest is there to give.
    fee = min(unused, creditable(tx, charge.invoice, int(charge.line)))
    cut_at = max(tx.now_us, charge.starts_at)
    write_charge(tx, msgspec.structs.replace(charge, cut_at=cut_at, credited=charge.credited + fee))
    if fee < 1:
        return None
    return credit_invoice(
        tx,
        charge.invoice,
        (CreditLine(line=int(charge.line), amount=fee),),
        reason=reason,
        settling="refund" if refund else "credit",
        key=f"{charge.id}:given_back",
    )


# -- another plan now ------------------------------------------------------------------------------


def change_now(tx: Tx, one: Schedule, price: Price, *, plan: str, version: int) -> Changed:
    """Change the plan of a subscription that is in its trial, or paid and waits for nothing."""
    changed = with_price(tx, one, price, plan=plan, version=version)
    if one.state == "trialing" or one.anchor_at is None:
        return Changed(schedule=confirmed(tx, changed))
    if not one.advance:
        return _change_in_arrears(tx, one, changed)
    period = period_of(one, one.next_index - 1)
    note = give_back(tx, one, reason="another plan")
    begins = max(tx.now_us, period.start_us)
    invoice = bill_stretch(tx, changed, period, begins, period.end_us)
    if invoice is None or invoice.state == "paid":
        if invoice is not None:
            settle_charges(tx, invoice)
        return Changed(schedule=confirmed(tx, changed), invoice=invoice, note=note)
    open_payment(tx, one, invoice, key=f"{invoice.id}:0")
    waiting = msgspec.structs.replace(
        one, pending_plan=plan, pending_version=version, change_invoice=invoice.id
    )
    return Changed(schedule=waiting, invoice=invoice, note=note)


def _change_in_arrears(tx: Tx, one: Schedule, changed: Schedule) -> Changed:
    """Bill what was used of the old plan; the rest of the period is billed at its end."""
    billed, invoice = bill_used(tx, one, tx.now_us)
    moved = msgspec.structs.replace(changed, next_index=billed.next_index, changed_at=tx.now_us)
    after = confirmed(tx, moved)
    return Changed(schedule=collect(tx, after, invoice), invoice=invoice)


# -- what becomes of it ----------------------------------------------------------------------------


def change_paid(tx: Tx, one: Schedule, invoice: Invoice) -> Schedule:
    """Return a schedule with the plan whose invoice is paid."""
    [charge] = settle_charges(tx, invoice)
    changed = msgspec.structs.replace(
        one,
        price=charge.price,
        price_version=charge.price_version,
        plan=charge.plan,
        plan_version=charge.plan_version,
        pending_price=None,
        pending_price_version=None,
        last_paid_at=tx.now_us,
    )
    return confirmed(tx, changed)


def change_failed(tx: Tx, one: Schedule, reason: str) -> Schedule:
    """Take a change back whose invoice was not paid, and bill the old plan for the rest again."""
    assert one.change_invoice is not None, "a change that fails has an invoice"
    invoice = read_invoice(tx, one.change_invoice)
    [charge] = charges_of_invoice(tx, invoice.id)
    stop_payments(tx, invoice)
    take_back(tx, invoice)
    back = without_change(one)
    decline(tx, back, "plan", reason)
    period = Period(0, charge.period_starts_at, charge.period_ends_at)
    # What was given back for the change is billed again, and no more: who was forgiven stays so.
    given = _given_back(tx, one.subscription, charge.starts_at)
    again = bill_stretch(tx, back, period, charge.starts_at, charge.ends_at, most=given)
    return collect(tx, back, again)


def _given_back(tx: Tx, subscription: str, at: int) -> int:
    """Return what was given back of the charges that ended at an instant."""
    keys = [f"{each.id}:given_back" for each in charges_of(tx, subscription) if each.cut_at == at]
    notes = [note for key in keys if (note := find_note(tx, key)) is not None]
    return sum(line.amount for note in notes for line in note.lines)


def confirmed(tx: Tx, one: Schedule) -> Schedule:
    """Return a schedule that has its plan, and tell access that it has."""
    after = without_change(one)
    tell(
        tx,
        after,
        "subscription.changed",
        change="plan",
        plan=after.plan,
        planVersion=after.plan_version,
    )
    return after
