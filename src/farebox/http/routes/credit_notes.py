"""Credit notes. Consumers see their own."""

from functools import partial
from typing import Annotated

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta, field

from farebox.billing.flows.end_invoice import end_invoice
from farebox.billing.flows.issue_invoices import credit_invoice
from farebox.billing.invoices.model import MOST_LINES, CreditLine, CreditNoteUnknown, Settling
from farebox.billing.invoices.service_notes import list_notes, notes_of, read_note
from farebox.http.deps import BILLING, Command, Desk
from farebox.http.routes.invoice_forms import CreditNoteView, Said, show_note
from farebox.http.routes.invoices import VALUE, invoice_for
from farebox.http.routes.purchases import own_of
from farebox.http.wire import Amount, Body, IdFilter, Limit, Page, TextCursor
from farebox.kernel.ids import record_id
from farebox.storage import Tx

TAGS = ["Credit notes"]
PATH = "/v1/credit-notes/{note:str}"


class CreditedLine(Body, frozen=True):
    """How much of a line, before its discount and tax, is credited."""

    line: Annotated[int, Meta(ge=1, le=MOST_LINES)]
    amount: Amount


class NewCreditNote(Body, frozen=True):
    """What is credited: lines, an amount shared over them, or (neither) all that is left.

    What is not paid yet is owed no more. Of the rest, `refund` sends money back by the way it
    came, `credit` keeps it for later invoices.
    """

    reason: Said
    lines: Annotated[list[CreditedLine], Meta(max_length=MOST_LINES)] = field(default_factory=list)
    amount: Amount | None = None
    settling: Settling = "credit"


@post(
    "/v1/invoices/{invoice:str}/credit-notes", operation_id="creditInvoice", opt=VALUE, tags=TAGS,
    sync_to_thread=True,
)  # fmt: skip
def credit(
    invoice: FromPath[str], data: JSONBody[NewCreditNote], command: NamedDependency[Command]
) -> CreditNoteView:
    """Write a credit note, and ask for the refunds that it says.

    A subscription that waits for the invoice goes on where nothing of it is owed any more.
    """

    def work(tx: Tx) -> CreditNoteView:
        act = partial(
            credit_invoice,
            tx,
            invoice,
            tuple(CreditLine(each.line, each.amount) for each in data.lines),
            amount=data.amount,
            reason=data.reason,
            settling=data.settling,
            key=record_id("key"),
            actor=command.actor,
        )
        return show_note(end_invoice(tx, invoice, act))

    return command.answer(CreditNoteView, work)


@get(
    "/v1/invoices/{invoice:str}/credit-notes", operation_id="listCreditNotesOfInvoice",
    opt=BILLING, tags=TAGS, sync_to_thread=True,
)  # fmt: skip
def list_of_invoice(invoice: FromPath[str], desk: NamedDependency[Desk]) -> Page[CreditNoteView]:
    """List the credit notes of an invoice, oldest first."""

    def work(tx: Tx) -> list[CreditNoteView]:
        return [show_note(each) for each in notes_of(tx, invoice_for(tx, desk, invoice).id)]

    return Page(items=desk.read(work), next=None)


@get(
    "/v1/credit-notes", operation_id="listCreditNotes", opt=BILLING, tags=TAGS, sync_to_thread=True
)
def list_all(
    desk: NamedDependency[Desk],
    customer: IdFilter = None,
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[CreditNoteView]:
    """List credit notes newest first, without their lines; consumers see their own."""
    whose = own_of(desk) or customer
    found = desk.read(lambda tx: list_notes(tx, customer=whose, after=cursor, limit=limit))
    return Page(items=[show_note(each) for each in found.items], next=found.next)


@get(PATH, operation_id="readCreditNote", opt=BILLING, tags=TAGS, sync_to_thread=True)
def read(note: FromPath[str], desk: NamedDependency[Desk]) -> CreditNoteView:
    """Read a credit note with its lines."""

    def work(tx: Tx) -> CreditNoteView:
        found = read_note(tx, note)
        desk.must_own(found.customer, CreditNoteUnknown)
        return show_note(found)

    return desk.read(work)


HANDLERS = (credit, list_of_invoice, list_all, read)
