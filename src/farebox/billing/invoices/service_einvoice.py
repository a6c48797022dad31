"""Electronic invoices by EN 16931 (the extra `einvoice`): UBL, CII, and a PDF with CII inside.

factur-x writes the XML and holds it against the official schemas. The official rules (Schematron)
are run by the tests: what is written here follows them for every kind of document that we issue.
"""

import copy
import re
from collections.abc import Callable
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, Final

from farebox.billing.invoices.model import CreditNote, EinvoiceMissing, EinvoiceUnfit, Invoice
from farebox.billing.invoices.rules_einvoice import invoice_terms, note_terms
from farebox.billing.pricing.service_currency import scale_of
from farebox.kernel.clock import SECOND_US

_LEVEL: Final = "en16931"
# The colon is written as it is, or as an octal escape.
_PDF_TIME: Final = re.compile(rb"(\(D(?::|\\072))\d{14}")
_RDF: Final = b' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
_XMP_TIME: Final = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?=\+00:00)")


def terms_of(found: Invoice, note: CreditNote | None = None) -> dict[str, Any]:
    """Return a document in the norm's terms; refuses `einvoice_unfit`."""
    places = scale_of(found.currency)
    if note is not None:
        return note_terms(note, found, places=places)
    return invoice_terms(found, places=places)


def ubl_of(terms: dict[str, Any]) -> bytes:
    """Return UBL 2.1; refuses `einvoice_missing` and `einvoice_unfit`."""
    return _written(_facturx().generate_ubl_xml, terms)


def cii_of(terms: dict[str, Any]) -> bytes:
    """Return UN/CEFACT CII; refuses `einvoice_missing` and `einvoice_unfit`."""
    return _written(_facturx().generate_cii_xml, terms)


def with_cii(pdf: bytes, cii: bytes, *, language: str, title: str, author: str, at: int) -> bytes:
    """Return a PDF with CII inside, Factur-X: for the same facts the same bytes."""
    made: bytes = _facturx().generate_from_binary(
        pdf,
        cii,
        flavor="factur-x",
        level=_LEVEL,
        check_xsd=True,
        check_schematron=False,
        pdf_metadata={"author": author, "keywords": "Factur-X", "title": title, "subject": title},
        lang=language,
        afrelationship="alternative",
        xmp_compression=False,
    )
    # factur-x stamps the time of its run; ours is the document's. Equal lengths move no offset.
    moment = datetime.fromtimestamp(at // SECOND_US, UTC)
    made = _PDF_TIME.sub(rb"\g<1>" + moment.strftime("%Y%m%d%H%M%S").encode(), made)
    made = _XMP_TIME.sub(moment.strftime("%Y-%m-%dT%H:%M:%S").encode(), made)
    # XMP is read by Adobe's toolkit and by veraPDF only where its RDF declares itself; factur-x
    # declares it one element above. Without this the file is no PDF/A to any of them.
    before, _, after = made.partition(_RDF)
    return before + after.replace(b"<rdf:RDF>", b"<rdf:RDF" + _RDF + b">", 1)


def _written(write: Callable[..., bytes], terms: dict[str, Any]) -> bytes:
    try:
        # It changes what it is given, and checks against the schema.
        return write(copy.deepcopy(terms), level=_LEVEL, check_schematron=False)
    except ValueError as error:
        raise EinvoiceUnfit(str(error)) from error


def _facturx() -> Any:  # noqa: ANN401 - the module ships no types
    try:
        return import_module("facturx")
    except ImportError as error:
        raise EinvoiceMissing from error
