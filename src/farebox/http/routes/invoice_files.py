"""The files of invoices and credit notes: PDF, UBL, CII. Consumers see their own."""

from typing import Annotated, Any, Final

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from farebox.billing.flows.deliver_invoices import file_of
from farebox.billing.invoices.model import CreditNote, CreditNoteUnknown, Form, Invoice
from farebox.billing.invoices.service import read_invoice
from farebox.billing.invoices.service_notes import read_note
from farebox.http.deps import BILLING, Desk
from farebox.http.routes.credit_notes import PATH as NOTE
from farebox.http.routes.credit_notes import TAGS as NOTE_TAGS
from farebox.http.routes.invoice_forms import Language
from farebox.http.routes.invoices import PATH, TAGS, invoice_for

PDF: Final[dict[str, Any]] = {**BILLING, "answers": "application/pdf", "problems": (409,)}
XML: Final[dict[str, Any]] = {**BILLING, "answers": "application/xml", "problems": (409,)}
InLanguage = Annotated[
    Language | None, QueryParameter(name="language", description="The document's own without it")
]


def file_answer(
    desk: Desk, found: Invoice, note: CreditNote | None, form: Form, language: Language | None
) -> Response[bytes]:
    """Return a document's file to be saved under its number."""
    kept = file_of(desk.database, found, note, form, language)
    number = record_name(found.number if note is None else note.number)
    end = "pdf" if form == "pdf" else f"{form}.xml"
    return Response(
        kept.content,
        media_type=kept.media,
        headers={
            "Content-Disposition": f'attachment; filename="{number}.{end}"',
            "ETag": f'"{kept.digest}"',
            "X-Content-Type-Options": "nosniff",
        },
    )


def record_name(number: str | None) -> str:
    """Return a number as the name of a file: ASCII, whatever the prefix of its series is."""
    return "".join(letter if letter.isascii() else "_" for letter in number or "document")


def _file(
    desk: Desk, invoice: str, form: Form, language: Language | None = None
) -> Response[bytes]:
    found = desk.read(lambda tx: invoice_for(tx, desk, invoice))
    return file_answer(desk, found, None, form, language)


@get(
    PATH + "/pdf", operation_id="readInvoiceAsPdf", opt=PDF, tags=TAGS,
    media_type="application/pdf", sync_to_thread=True,
)  # fmt: skip
def read_pdf(
    invoice: FromPath[str], desk: NamedDependency[Desk], language: InLanguage = None
) -> Response[bytes]:
    """Read an issued invoice as PDF, with the electronic invoice inside (Factur-X) if it fits."""
    return _file(desk, invoice, "pdf", language)


@get(
    PATH + "/ubl", operation_id="readInvoiceAsUbl", opt=XML, tags=TAGS,
    media_type="application/xml", sync_to_thread=True,
)  # fmt: skip
def read_ubl(invoice: FromPath[str], desk: NamedDependency[Desk]) -> Response[bytes]:
    """Read an issued invoice by EN 16931 as UBL 2.1."""
    return _file(desk, invoice, "ubl")


@get(
    PATH + "/cii", operation_id="readInvoiceAsCii", opt=XML, tags=TAGS,
    media_type="application/xml", sync_to_thread=True,
)  # fmt: skip
def read_cii(invoice: FromPath[str], desk: NamedDependency[Desk]) -> Response[bytes]:
    """Read an issued invoice by EN 16931 as UN/CEFACT CII."""
    return _file(desk, invoice, "cii")


def _note_file(
    desk: Desk, note: str, form: Form, language: Language | None = None
) -> Response[bytes]:
    with desk.database.read() as tx:
        found = read_note(tx, note)
        desk.must_own(found.customer, CreditNoteUnknown)
        invoice = read_invoice(tx, found.invoice)
    return file_answer(desk, invoice, found, form, language)


@get(
    NOTE + "/pdf", operation_id="readCreditNoteAsPdf", opt=PDF, tags=NOTE_TAGS,
    media_type="application/pdf", sync_to_thread=True,
)  # fmt: skip
def read_note_pdf(
    note: FromPath[str], desk: NamedDependency[Desk], language: InLanguage = None
) -> Response[bytes]:
    """Read a credit note as PDF, with the electronic one inside (Factur-X) if it fits."""
    return _note_file(desk, note, "pdf", language)


@get(
    NOTE + "/ubl", operation_id="readCreditNoteAsUbl", opt=XML, tags=NOTE_TAGS,
    media_type="application/xml", sync_to_thread=True,
)  # fmt: skip
def read_note_ubl(note: FromPath[str], desk: NamedDependency[Desk]) -> Response[bytes]:
    """Read a credit note by EN 16931 as UBL 2.1."""
    return _note_file(desk, note, "ubl")


@get(
    NOTE + "/cii", operation_id="readCreditNoteAsCii", opt=XML, tags=NOTE_TAGS,
    media_type="application/xml", sync_to_thread=True,
)  # fmt: skip
def read_note_cii(note: FromPath[str], desk: NamedDependency[Desk]) -> Response[bytes]:
    """Read a credit note by EN 16931 as UN/CEFACT CII."""
    return _note_file(desk, note, "cii")


HANDLERS = (read_pdf, read_ubl, read_cii, read_note_pdf, read_note_ubl, read_note_cii)
