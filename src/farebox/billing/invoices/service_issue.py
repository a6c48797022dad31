"""Issuing an invoice, and what else may become of it but being paid."""

from collections.abc import Sequence

import msgspec
import sqlalchemy as sa

from farebox.billing.books import service as books
from farebox.billing.books.model import BAD_DEBT, CREDIT, RECEIVABLE, About, Line
from farebox.billing.customers.model import Customer
from farebox.billing.customers.service import read_customer
from farebox.billing.invoices import store
from farebox.billing.invoices.model import (
    LANGUAGES,
    Buyer,
    Invoice,
    InvoiceLine,
    InvoiceNotIssued,
    IssuedLine,
    Place,
    TransitionRefused,
)
from farebox.billing.invoices.rules import (
    DAY_US,
    after,
    issue_entries,
    void_entries,
    with_deferred,
)
from farebox.billing.invoices.service import (
    begun,
    check_issuable,
    lock_invoice,
    note_down,
    price_draft,
    quote_of,
)
from farebox.billing.invoices.service_credit import give_credit, take_credit
from farebox.billing.invoices.service_files import plan_delivery
from farebox.billing.invoices.service_recognition import begin_recognition, earned_so_far
from farebox.billing.invoices.service_settings import (
    check_open,
    issuing,
    next_number,
)
from farebox.billing.pricing.model_coupons import Redeemed
from farebox.billing.pricing.service_coupons import use_discounts
from farebox.billing.pricing.service_credit import Quote
from farebox.events.service import publish
from farebox.kernel.clock import show_time
from farebox.platform.model import SYSTEM, Actor
from farebox.platform.service_audit import record
from farebox.storage import Tx


def issue(tx: Tx, invoice_id: str, *, actor: Actor = SYSTEM) -> Invoice:
    """Issue a draft: give it its number, freeze all of it, and write what is owed into the books.

    The customer's credit pays as far as it goes, unless the invoice is of an order, which has its
    own payment. An invoice that comes to nothing is paid at once. Issuing again changes nothing.
    Refuses `invoice_unknown`, `invoice_empty`, `invoice_below_zero`, `seller_missing`,
    `period_closed`, and what `total_of` refuses.
    """
    found = lock_invoice(tx, invoice_id)
    if found.state != "draft":
        return found
    if not found.priced and found.lines:
        sold = [each.sold for each in found.lines]
        quote = quote_of(tx, found, sold)
        found = price_draft(tx, found, sold, quote)
        _use_coupons(tx, quote, found)
    return _issued(tx, found, read_customer(tx, found.customer), actor)


def issue_new(
    tx: Tx,
    *,
    customer: str,
    currency: str,
    lines: Sequence[InvoiceLine],
    due_days: int,
    key: str,
    period: tuple[int, int],
    subscription: str,
    actor: Actor = SYSTEM,
) -> Invoice:
    """Draft an invoice and issue it at once: what it comes to is counted and written once.

    Under a `key` it is made once. Refuses what `draft` and `issue` refuse.
    """
    new = begun(
        tx, customer=customer, currency=currency, lines=lines, due_days=due_days, key=key,
        period=period, subscription=subscription,
    )  # fmt: skip
    if not new.is_first:
        return issue(tx, new.invoice.id, actor=actor)
    note_down(tx, new.invoice, "drafted", actor)
    if new.quote is not None:
        _use_coupons(tx, new.quote, new.invoice)
    return _issued(tx, new.invoice, new.customer, actor)


def _use_coupons(tx: Tx, quote: Quote, found: Invoice) -> None:
    used = [each for each in quote.redemptions if isinstance(each, Redeemed)]
    use_discounts(tx, used, bill=found.id)


def _issued(tx: Tx, found: Invoice, customer: Customer, actor: Actor) -> Invoice:
    """Issue a draft whose totals are those of now."""
    check_issuable(found)
    issued = _numbered(tx, _frozen_lines(tx, found), customer)
    entries = [(issue_entries(line), about(issued, "invoice", line)) for line in issued.lines]
    books.post_linked(tx, issued.currency, entries, key=f"{issued.id}:issued")
    begin_recognition(tx, issued)
    plan_delivery(tx, issued.id, issued)
    _told(tx, issued, "issued", actor)
    if issued.order is None and issued.total:
        issued = _pay_by_credit(tx, issued)
    return issued if issued.due else settled(tx, issued, actor)


def void(tx: Tx, invoice_id: str, *, actor: Actor = SYSTEM) -> Invoice:
    """Take an invoice back as if it had never been owed; its number stays taken.

    Refuses `invoice_unknown`, `invoice_not_issued`, (`invoice_transition_refused`) one that is
    paid, in part too, or credited, and (`period_closed`) one of a closed period: write a credit
    note. Credit that it used is the customer's again.
    """
    found = issued_of(tx, invoice_id)
    state = after(found.state, "void")
    check_open(tx, found.issued_at or 0)
    by_credit = credit_used(tx, found.id)
    if found.paid != by_credit or found.canceled:
        raise TransitionRefused("an invoice of which something was paid or credited is not voided")
    for line in found.lines:
        entries = void_entries(line, earned_so_far(tx, found.id, line.line))
        _post(tx, found, entries, "invoice_void", key=f"void:{line.line}", line=line)
    if by_credit:
        give_credit(tx, found, by_credit, entry=Line(RECEIVABLE, CREDIT, by_credit), key="void")
    tx.run(store.recognition.delete().where(store.recognition.c.invoice == found.id))
    return _closed(tx, found, state, "voided", actor, paid=0)


def fall_due(tx: Tx, invoice_id: str, *, actor: Actor = SYSTEM) -> Invoice:
    """Say that an invoice is past due: one that is issued, and not before its day.

    One that was said to be, or that has ended meanwhile, stays as it is. Refuses
    `invoice_unknown`, `invoice_not_issued`.
    """
    found = issued_of(tx, invoice_id)
    if found.state != "issued" or (found.due_at or 0) > tx.now_us:
        return found
    late = _changed(tx, found, state=after(found.state, "fall_due"))
    _told(tx, late, "past_due", actor)
    return late


def write_off(tx: Tx, invoice_id: str, *, actor: Actor = SYSTEM) -> Invoice:
    """Give up what is still owed: it becomes bad debt. A late payment is still taken.

    Refuses `invoice_unknown`, `invoice_not_issued`, `invoice_transition_refused`.
    """
    found = issued_of(tx, invoice_id)
    state = after(found.state, "write_off")
    entry = Line(BAD_DEBT, RECEIVABLE, found.due)
    _post(tx, found, [entry], "write_off", key="written_off")
    return _closed(tx, found, state, "uncollectible", actor, written_off=found.due)


def settled(tx: Tx, found: Invoice, actor: Actor = SYSTEM) -> Invoice:
    """Say that nothing is owed any more."""
    return _closed(tx, found, after(found.state, "settle"), "paid", actor)


def issued_of(tx: Tx, invoice_id: str) -> Invoice:
    """Return an issued invoice, locked; refuses `invoice_unknown` and `invoice_not_issued`."""
    found = lock_invoice(tx, invoice_id)
    if found.state == "draft":
        raise InvoiceNotIssued
    return found


def credit_used(tx: Tx, invoice_id: str) -> int:
    """Return how much of an invoice was paid by the customer's credit when it was issued."""
    table = store.credit_entry
    used = sa.select(sa.func.coalesce(sa.func.sum(-table.c.amount), 0).label("used"))
    here = sa.and_(table.c.invoice == invoice_id, table.c.note.is_(None), table.c.payment.is_(None))
    return int(tx.run(used.where(here)).scalar_one())


def buyer_of(customer: Customer) -> Buyer:
    """Return a customer as a document says them."""
    address = customer.address
    return Buyer(
        id=customer.id,
        name=customer.name,
        place=Place(
            lines=() if address is None else address.lines,
            city=None if address is None else address.city,
            postal_code=None if address is None else address.postal_code,
            region=customer.region,
            country=customer.country,
        ),
        email=customer.invoice_email or customer.email,
        tax_number=customer.tax_number,
    )


def _frozen_lines(tx: Tx, found: Invoice) -> Invoice:
    """Say of each line how much is earned later; from here on no line changes."""
    lines = with_deferred(found.lines, tx.now_us)
    rows = [
        (found.id, now.line, now.deferred)
        for was, now in zip(found.lines, lines, strict=True)
        if now.deferred != was.deferred
    ]
    tx.update_many(store.line, ("deferred",), rows, key=("invoice", "line"))
    return msgspec.structs.replace(found, lines=lines)


def _numbered(tx: Tx, found: Invoice, customer: Customer) -> Invoice:
    now = tx.now_us
    series, seller = issuing(tx, found.series)
    language = customer.locale.partition("-")[0].partition("_")[0]
    year, sequence, number = next_number(tx, series, now)
    return _changed(
        tx,
        found,
        state=after(found.state, "issue"),
        language=found.language or (language if language in LANGUAGES else seller.language),
        year=year,
        sequence=sequence,
        number=number,
        issued_at=now,
        due_at=now + found.due_days * DAY_US,
        seller=seller,
        buyer=buyer_of(customer),
    )


def _pay_by_credit(tx: Tx, found: Invoice) -> Invoice:
    used = take_credit(tx, found, found.due)
    if not used:
        return found
    changed = _changed(tx, found, paid=found.paid + used)
    note_down(tx, changed, "paid_by_credit", SYSTEM, amount=used)
    return changed


def _changed(tx: Tx, found: Invoice, **values: object) -> Invoice:
    changed: Invoice = msgspec.structs.replace(found, **values)
    row = store.invoice_row(changed, "")
    tx.update_many(store.invoice, list(values), [(found.id, *(row[name] for name in values))])
    return changed


def change_paid(tx: Tx, found: Invoice, *, paid: int, canceled: int, written_off: int) -> Invoice:
    """Write what was paid, canceled and given up of an issued invoice."""
    return _changed(tx, found, paid=paid, canceled=canceled, written_off=written_off)


def _closed(
    tx: Tx, found: Invoice, state: str, what: str, actor: Actor, **values: object
) -> Invoice:
    closed = _changed(tx, found, state=state, closed_at=tx.now_us, **values)
    _told(tx, closed, what, actor)
    return closed


def _told(tx: Tx, found: Invoice, what: str, actor: Actor) -> None:
    """Write down what happened, in the history, the audit log and for whoever listens."""
    note_down(tx, found, what, actor)
    if actor.kind != "system":
        record(tx, actor, f"invoice.{what}", f"invoice:{found.id}", after=facts_of(found))
    publish(tx, type=f"invoice.{what}", subject=found.id, data=facts_of(found))


def facts_of(found: Invoice) -> dict[str, object]:
    """Return an invoice as events tell it: ids, codes and amounts, nobody's name."""
    return {
        "invoiceId": found.id,
        "number": found.number,
        "customerId": found.customer,
        "subscriptionId": found.subscription,
        "orderId": found.order,
        "state": found.state,
        "currency": found.currency,
        "total": found.total,
        "due": found.due,
        "issuedAt": None if found.issued_at is None else show_time(found.issued_at),
        "dueAt": None if found.due_at is None else show_time(found.due_at),
    }


def about(found: Invoice, kind: str, line: IssuedLine | None = None) -> About:
    """Return what an entry of an invoice is about."""
    sold = None if line is None else line.sold
    return About(
        kind=kind,
        customer=found.customer,
        order=found.order,
        invoice=found.id,
        subscription=found.subscription,
        product=None if sold is None else sold.product,
        plan=None if sold is None else sold.plan,
        item=None if sold is None else sold.item,
    )


def _post(
    tx: Tx,
    found: Invoice,
    entries: list[Line],
    kind: str,
    *,
    key: str,
    line: IssuedLine | None = None,
) -> None:
    books.post(tx, found.currency, entries, about(found, kind, line), key=f"{found.id}:{key}")
