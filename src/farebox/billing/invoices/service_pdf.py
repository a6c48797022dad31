"""Documents as PDF, laid out by Typst (the extra `pdf`); the same facts give the same bytes."""

import datetime as dt
from functools import lru_cache
from importlib import import_module, resources
from typing import Any, Final

import msgspec

from farebox.billing.invoices.model import CreditNote, Invoice, PdfMissing, PdfUnfit
from farebox.billing.invoices.rules_documents import shown_invoice, shown_note
from farebox.billing.invoices.rules_receipts import Receipt, shown_receipt
from farebox.billing.pricing.service_currency import scale_of

_TEMPLATES: Final = resources.files("farebox.billing.invoices") / "templates"
STANDARD: Final = "a-3b"
_LONGEST_REASON: Final = 500


def invoice_pdf(found: Invoice, language: str) -> bytes:
    """Return the PDF of an issued invoice; refuses `pdf_missing` and `pdf_unfit`."""
    return _rendered(shown_invoice(found, language, places=scale_of(found.currency)))


def note_pdf(note: CreditNote, found: Invoice, language: str) -> bytes:
    """Return the PDF of a credit note; refuses `pdf_missing` and `pdf_unfit`."""
    return _rendered(shown_note(note, found, language, places=scale_of(note.currency)))


def receipt_pdf(found: Receipt, language: str) -> bytes:
    """Return the PDF of an order's receipt; refuses `pdf_missing` and `pdf_unfit`."""
    return _rendered(shown_receipt(found, language))


def _rendered(shown: dict[str, Any]) -> bytes:
    typst = _typst()
    try:
        return _compiled(typst, shown, of_host=False)
    except typst.TypstError:
        # Letters that our fonts do not have; what a host has installed changes no other document.
        try:
            return _compiled(typst, shown, of_host=True)
        except typst.TypstError as error:
            raise PdfUnfit(str(error)[:_LONGEST_REASON]) from error


def _compiled(typst: Any, shown: dict[str, Any], *, of_host: bool) -> bytes:  # noqa: ANN401 - a module
    year, month, day = shown["date"]
    pdf: bytes = typst.compile(
        (_TEMPLATES / "document.typ").read_bytes(),
        font_paths=_fonts(of_host=of_host),
        sys_inputs={"data": msgspec.json.encode(shown).decode()},
        pdf_standards=[STANDARD],
        timestamp=int(dt.datetime(year, month, day, tzinfo=dt.UTC).timestamp()),
    )
    return pdf


def _typst() -> Any:  # noqa: ANN401 - a module
    try:
        return import_module("typst")
    except ImportError as error:
        raise PdfMissing from error


@lru_cache(maxsize=2)
def _fonts(*, of_host: bool) -> Any:  # noqa: ANN401 - Typst's own
    """Return the fonts that ship, and the host's as well where it is asked for them.

    Read once: that costs more than a page does.
    """
    paths = [str(_TEMPLATES / "fonts")]
    return _typst().Fonts(include_system_fonts=of_host, font_paths=paths)
