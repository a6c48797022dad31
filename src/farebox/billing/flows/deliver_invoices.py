"""Making the files of documents, and handing them over to notifications.

A file is made once, with no transaction open, and kept: what was sent is what is downloaded ever
after. Delivery ends with an event for the queue `SendNotify`: `invoice.ready` or
`credit_note.ready` says what is to be sent to whom; the notification service chooses the channel.
"""

from functools import partial
from typing import Any, Final

import structlog

from farebox.billing.invoices.model import (
    LANGUAGES,
    CreditNote,
    DocumentFile,
    Due,
    EinvoiceMissing,
    EinvoiceUnfit,
    Form,
    Invoice,
    InvoiceNotIssued,
)
from farebox.billing.invoices.service import note_down, read_invoice
from farebox.billing.invoices.service_einvoice import cii_of, terms_of, ubl_of, with_cii
from farebox.billing.invoices.service_files import (
    claim_delivery,
    due_deliveries,
    find_file,
    keep_file,
    put_off,
)
from farebox.billing.invoices.service_issue import facts_of
from farebox.billing.invoices.service_notes import read_note
from farebox.billing.invoices.service_pdf import invoice_pdf, note_pdf
from farebox.events.service import publish
from farebox.kernel.refusals import Refusal, ValueRefused
from farebox.platform.model import SYSTEM
from farebox.storage import Database, Tx

AT_ONCE: Final = 20
_MEDIA: Final[dict[Form, str]] = {
    "pdf": "application/pdf",
    "ubl": "application/xml",
    "cii": "application/xml",
}
_XML: Final[tuple[Form, ...]] = ("ubl", "cii")
_NO_LANGUAGE: Final = "-"
_log: Final = structlog.get_logger("farebox.invoices")


def file_of(
    database: Database, found: Invoice, note: CreditNote | None, form: Form, language: str | None
) -> DocumentFile:
    """Return a document's file, made at first need; `language` None is the document's own.

    Refuses `invoice_not_issued`, `pdf_missing`, `pdf_unfit`, `einvoice_missing`, `einvoice_unfit`,
    and (`value_invalid`) a language that documents are not written in.
    """
    if found.issued_at is None:
        raise InvoiceNotIssued
    said = _language(found, language) if form == "pdf" else _NO_LANGUAGE
    document = found.id if note is None else note.id
    with database.read() as tx:
        kept = find_file(tx, document, form, said)
    if kept is not None:
        return kept
    content = _made(found, note, form, said)
    media = _MEDIA[form]
    return database.run(
        lambda tx: keep_file(tx, document, form, said, media=media, content=content)
    )


class Deliveries:
    """Hands documents over, each once, however many work on one database."""

    name: Final = "deliveries"

    def __init__(self, database: Database) -> None:
        self._database = database

    def step(self) -> int:
        """Hand over what is due, up to 20 documents; returns how many were dealt with.

        One that fails, for whatever reason, is tried again later and keeps no other waiting.
        """
        with self._database.read() as tx:
            due = due_deliveries(tx, limit=AT_ONCE)
        for one in due:
            try:
                self._hand_over(one)
            except Exception as error:  # noqa: BLE001 - written down, where it is seen
                reason = error.code if isinstance(error, Refusal) else type(error).__name__
                _log.warning(
                    "document not delivered",
                    document=one.document,
                    reason=reason,
                    exc_info=not isinstance(error, Refusal),
                )
                self._database.run(partial(put_off, due=one, error=reason))
        return len(due)

    def _hand_over(self, due: Due) -> None:
        with self._database.read() as tx:
            found = read_invoice(tx, due.invoice)
            note = None if due.document == found.id else read_note(tx, due.document)
        files = [file_of(self._database, found, note, "pdf", None)]
        for form in _XML:
            try:
                files.append(file_of(self._database, found, note, form, None))
            except (EinvoiceMissing, EinvoiceUnfit):
                continue  # The PDF is the invoice then.
        self._database.run(lambda tx: _told(tx, due, found, note, files))


def _made(found: Invoice, note: CreditNote | None, form: Form, language: str) -> bytes:
    if form == "ubl":
        return ubl_of(terms_of(found, note))
    if form == "cii":
        return cii_of(terms_of(found, note))
    pdf = invoice_pdf(found, language) if note is None else note_pdf(note, found, language)
    try:
        cii = cii_of(terms_of(found, note))
    except (EinvoiceMissing, EinvoiceUnfit):
        return pdf
    seller = found.seller if note is None else note.seller
    number = found.number if note is None else note.number
    at = found.issued_at if note is None else note.issued_at
    assert seller is not None
    assert at is not None
    return with_cii(pdf, cii, language=language, title=str(number), author=seller.name, at=at)


def _language(found: Invoice, language: str | None) -> str:
    chosen = language or found.language or LANGUAGES[0]
    if chosen not in LANGUAGES:
        raise ValueRefused(f"documents are written in {', '.join(LANGUAGES)}")
    return chosen


def _told(
    tx: Tx, due: Due, found: Invoice, note: CreditNote | None, files: list[DocumentFile]
) -> None:
    if not claim_delivery(tx, due):
        return
    assert found.buyer is not None
    document = found.id if note is None else note.id
    kind = "invoice" if note is None else "credit_note"
    data: dict[str, Any] = {
        **facts_of(found),
        "documentId": document,
        "documentNumber": found.number if note is None else note.number,
        "documentTotal": found.total if note is None else note.total,
        "language": found.language,
        "email": found.buyer.email,
        "files": [
            {"form": each.form, "media": each.media, "sha256": each.digest} for each in files
        ],
    }
    publish(tx, type=f"{kind}.ready", subject=document, data=data)
    note_down(tx, found, "handed_over", SYSTEM, reference=document)
