"""Documents as PDF, laid out by Typst (the extra `pdf`); the same facts give the same bytes."""

import datetime as dt
from functools import lru_cache
from importlib import import_module, resources
from typing import Any, Final

import msgspec

from farebox.billing.invoices.model import CreditNote, Invoice, PdfMissing
from farebox.billing.invoices.rules_documents import shown_invoice, shown_note
from farebox.billing.invoices.rules_receipts import Receipt, shown_receipt
from farebox.billing.pricing.service_currency import scale_of

_TEMPLATES: Final = resources.files("farebox.billing.invoices") / "templates"
STANDARD: Final = "a-3b"


def invoice_pdf(found: Invoice, language: str) -> bytes:
    """Return the PDF of an issued invoice; refuses (`pdf_missing`) without the extra."""
    return _rendered(shown_invoice(found, language, places=scale_of(found.currency)))


def note_pdf(note: CreditNote, found: Invoice, language: str) -> bytes:
    """Return the PDF of a credit note; refuses (`pdf_missing`) without the extra."""
    return _rendered(shown_note(note, found, language, places=scale_of(note.currency)))


def receipt_pdf(found: Receipt, language: str) -> bytes:
    """Return the PDF of an order's receipt; refuses (`pdf_missing`) without the extra."""
    return _rendered(shown_receipt(found, language))


def _rendered(shown: dict[str, Any]) -> bytes:
    typst, fonts = _typst()
    year, month, day = shown["date"]
    pdf: bytes = typst.compile(
        (_TEMPLATES / "document.typ").read_bytes(),
        font_paths=fonts,
        sys_inputs={"data": msgspec.json.encode(shown).decode()},
        pdf_standards=[STANDARD],
        timestamp=int(dt.datetime(year, month, day, tzinfo=dt.UTC).timestamp()),
    )
    return pdf


@lru_cache(maxsize=1)
def _typst() -> tuple[Any, Any]:
    """Return Typst with the fonts that ship: what a host has installed changes no document."""
    try:
        typst = import_module("typst")
    except ImportError as error:
        raise PdfMissing from error
    # Read once: that costs more than a page does.
    return typst, typst.Fonts(include_system_fonts=False, font_paths=[str(_TEMPLATES / "fonts")])
