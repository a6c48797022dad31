"""Credit notes: what of an issued invoice is taken back, and where its worth goes."""

from collections.abc import Sequence
from fractions import Fraction
from hashlib import sha256

import msgspec
import sqlalchemy as sa

from farebox.billing.books import service as books
from farebox.billing.invoices import store
from farebox.billing.invoices.model import (
    CREDIT_NOTES,
    CreditedLine,
    CreditLine,
    CreditNote,
    CreditNoteUnknown,
    Invoice,
    InvoiceKeyReused,
    Settling,
    TransitionRefused,
)
from farebox.billing.invoices.rules_notes import (
    billed_of,
    checked_reason,
    credited_lines,
    items_of,
    money_paid,
    note_entries,
    refundable,
    rules_note,
)
from farebox.billing.invoices.service import note_down
from farebox.billing.invoices.service_credit import give_credit
from farebox.billing.invoices.service_files import plan_delivery
from farebox.billing.invoices.service_issue import about, change_paid, issued_of, settled
from farebox.billing.invoices.service_payments import payments_of
from farebox.billing.invoices.service_recognition import take_back, undeferrable
from farebox.billing.invoices.service_settings import (
    check_open,
    find_series,
    next_number,
    read_seller,
)
from farebox.billing.pricing.model_money import Note, NoteItem
from farebox.billing.pricing.service_credit import note_of
from farebox.events.service import publish
from farebox.kernel.clock import show_time
from farebox.kernel.ids import record_id
from farebox.platform.model import SYSTEM, Actor, Page
from farebox.platform.rules import checked_limit, page_of
from farebox.platform.service_audit import record
from farebox.storage import Tx

_CREDITABLE = frozenset({"issued", "past_due", "paid"})


def credit_note(
    tx: Tx,
    invoice_id: str,
    lines: Sequence[CreditLine] = (),
    *,
    amount: int | None = None,
    reason: str,
    settling: Settling = "credit",
    key: str,
    series: str = CREDIT_NOTES,
    actor: Actor = SYSTEM,
) -> CreditNote:
    """Take back lines of an invoice, an amount over all of them, or (neither) all that is left.

    Amounts are before discounts and tax. What is not paid yet is canceled first; of the rest
    `settling` "refund" sends back what was paid in money; what is left is the customer's credit.
    The note that exhausts the invoice absorbs earlier rounding. Under a `key` it is written once.
    Refuses `invoice_unknown`, `invoice_not_issued`, `invoice_transition_refused`,
    `credit_exceeds_invoice`, `period_closed`, `value_invalid`, `invoice_key_reused`.
    """
    asked = _digest([invoice_id, list(lines), amount, reason, settling])
    # Whoever writes the same note at once waits here, and finds it then.
    found = issued_of(tx, invoice_id)
    known = tx.one(sa.select(store.note).where(store.note.c.key == key))
    if known is not None:
        if known.asked != asked:
            raise InvoiceKeyReused
        return read_note(tx, known.id)
    checked_reason(reason)
    if found.state not in _CREDITABLE:
        raise TransitionRefused(f"nothing of an invoice that is {found.state} is credited")
    check_open(tx, tx.now_us)
    before = notes_of(tx, found.id)
    earlier = [rules_note(each) for each in before]
    items = items_of(found, earlier, lines, amount)
    decided = _decided(tx, found, items, earlier, settling)
    made = _numbered(tx, found, decided, key=key, reason=reason, series=series)
    tx.run(store.note.insert(), store.note_row(made, asked))
    tx.run(store.note_line.insert(), [store.note_line_row(made.id, each) for each in made.lines])
    _booked(tx, found, made)
    plan_delivery(tx, made.id, found)
    _told(tx, found, made, actor)
    return made


def read_note(tx: Tx, note_id: str) -> CreditNote:
    """Return a credit note; refuses an unknown one (`credit_note_unknown`)."""
    row = tx.one(sa.select(store.note).where(store.note.c.id == note_id))
    if row is None:
        raise CreditNoteUnknown
    return store.note_of(row, _lines(tx, note_id))


def find_note(tx: Tx, key: str) -> CreditNote | None:
    """Return the credit note that was written under a key, or None."""
    row = tx.one(sa.select(store.note).where(store.note.c.key == key))
    return None if row is None else store.note_of(row, _lines(tx, row.id))


def notes_of(tx: Tx, invoice_id: str) -> list[CreditNote]:
    """Return the credit notes of an invoice, oldest first."""
    table = store.note
    here = sa.select(table).where(table.c.invoice == invoice_id)
    rows = tx.run(here.order_by(table.c.issued_at, table.c.id)).all()
    return [store.note_of(row, _lines(tx, row.id)) for row in rows]


def creditable(tx: Tx, invoice_id: str, line: int) -> int:
    """Return how much of a line no note has credited yet, before discount and tax.

    0 where nothing of the invoice is credited any more. Refuses `invoice_unknown`.
    """
    found = issued_of(tx, invoice_id)
    if found.state not in _CREDITABLE:
        return 0
    credited = sum(
        each.amount for note in notes_of(tx, found.id) for each in note.lines if each.line == line
    )
    return found.lines[line - 1].sold.amount - credited


def list_notes(
    tx: Tx, *, customer: str | None = None, after: str | None = None, limit: int = 100
) -> Page[CreditNote]:
    """Return credit notes without their lines, newest first; `after` is the page's cursor."""
    table = store.note
    statement = sa.select(table).order_by(table.c.id.desc()).limit(checked_limit(limit) + 1)
    if customer is not None:
        statement = statement.where(table.c.customer == customer)
    if after is not None:
        statement = statement.where(table.c.id < after)
    found = [store.note_of(row, ()) for row in tx.run(statement)]
    return page_of(found, limit, lambda each: each.id)


def _lines(tx: Tx, note_id: str) -> tuple[CreditedLine, ...]:
    table = store.note_line
    rows = tx.run(sa.select(table).where(table.c.note == note_id).order_by(table.c.line))
    return tuple(store.note_line_of(row) for row in rows)


def _decided(
    tx: Tx, found: Invoice, items: list[NoteItem], earlier: list[Note], settling: Settling
) -> Note:
    """Ask the rules once for what the note is worth, and again with what is sent back of it."""
    billed = billed_of(found)
    decided = note_of(billed, items, earlier, 0)
    if settling == "credit":
        return decided
    money = money_paid(payments_of(tx, found.id), earlier)
    return note_of(billed, items, earlier, refundable(billed, decided, earlier, money))


def _numbered(
    tx: Tx, found: Invoice, decided: Note, *, key: str, reason: str, series: str
) -> CreditNote:
    assert found.buyer is not None
    lines = credited_lines(found, decided, undeferrable(tx, found))
    seller = read_seller(tx)
    year, sequence, number = next_number(tx, find_series(tx, series), tx.now_us)
    return CreditNote(
        id=record_id("crn"),
        key=key,
        invoice=found.id,
        customer=found.customer,
        currency=found.currency,
        series=series,
        year=year,
        sequence=sequence,
        number=number,
        issued_at=tx.now_us,
        reason=reason,
        seller=seller,
        buyer=found.buyer,
        adjustment=decided.adjustment,
        subtotal=decided.subtotal,
        tax=decided.tax,
        tax_exactly=str(Fraction(decided.tax_exactly)),
        total=decided.total,
        canceled=decided.canceled,
        refund=decided.refund,
        credit=decided.credit,
        lines=lines,
    )


def _booked(tx: Tx, found: Invoice, made: CreditNote) -> None:
    """Write a note into the books, and what it changes of the invoice."""
    entries = note_entries(
        made.lines, canceled=made.canceled, refund=made.refund, credit=made.credit
    )
    books.post(tx, found.currency, entries, about(found, "credit_note"), key=f"{made.id}:issued")
    for each in made.lines:
        if each.undeferred:
            take_back(tx, found, each.line, each.undeferred)
    if made.credit:
        give_credit(tx, found, made.credit, note=made.id)
    if made.canceled:
        canceled = found.canceled + made.canceled
        changed = change_paid(
            tx, found, paid=found.paid, canceled=canceled, written_off=found.written_off
        )
        if not changed.due and changed.state != "paid":
            settled(tx, changed)


def _told(tx: Tx, found: Invoice, made: CreditNote, actor: Actor) -> None:
    note_down(tx, found, "credited", actor, amount=made.total, reference=made.id)
    data = {
        "creditNoteId": made.id,
        "number": made.number,
        "invoiceId": found.id,
        "customerId": found.customer,
        "subscriptionId": found.subscription,
        "orderId": found.order,
        "currency": made.currency,
        "total": made.total,
        "canceled": made.canceled,
        "refund": made.refund,
        "credit": made.credit,
        "issuedAt": show_time(made.issued_at),
    }
    if actor.kind != "system":
        record(tx, actor, "credit_note.issued", f"credit_note:{made.id}", after=data)
    publish(tx, type="credit_note.issued", subject=made.id, data=data)


def _digest(asked: list[object]) -> str:
    return sha256(msgspec.json.encode(asked)).hexdigest()
