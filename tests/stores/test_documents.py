"""Documents: PDF in two languages and over pages, EN 16931 by its official rules, delivery."""

import io
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree as ET

import facturx
import msgspec
import pypdf
import pypdfium2 as pdfium
import pytest

from farebox.billing.customers import store as customers
from farebox.billing.flows import deliver_invoices
from farebox.billing.flows.deliver_invoices import Deliveries, file_of
from farebox.billing.invoices import service, service_einvoice, service_pdf, store
from farebox.billing.invoices.model import (
    EinvoiceUnfit,
    InvoiceLine,
    InvoiceNotIssued,
    PdfMissing,
)
from farebox.billing.invoices.service_files import find_file, plan_delivery
from farebox.billing.invoices.service_notes import credit_note
from farebox.billing.pricing.model_money import Rate
from farebox.events import store as events
from farebox.kernel.refusals import ValueRefused
from tests.support.invoicing import DAY_US, a_draft, a_line, issued
from tests.support.official_rules import broken_rules
from tests.support.services import at_once, now, run

BUYER = {
    "country": "FR",
    "address": '{"lines": ["12 rue Ada", "2e étage"], "city": "Paris", "postal_code": "75001"}',
    "email": "ada@example.org",
}


def lived_in(billing, found_lines, **more):
    """Return an invoice of a customer with an address."""

    facts = dict(more)
    buyer = {**BUYER, **facts.pop("buyer", {})}

    def prepared(tx):
        draft = a_draft(tx, *found_lines, **facts)
        here = customers.customer.c.id == draft.customer
        tx.run(customers.customer.update().where(here).values(buyer))
        return draft.customer

    return issued(billing, *found_lines, customer=run(billing, prepared), **facts)


def pages_of(pdf):
    document = pdfium.PdfDocument(pdf)
    texts = [page.get_textpage().get_text_bounded() for page in document]
    return [text.replace("\xa0", " ") for text in texts]


def pdf_of(billing, found, note=None, language=None):
    return file_of(billing, found, note, "pdf", language).content


def test_a_pdf_says_it_in_latin_and_cyrillic(billing):
    found = lived_in(billing, [a_line(1_234_567, description="Абонемент «Премьера», 100 фильмов")])
    [english] = pages_of(pdf_of(billing, found, language="en"))
    [russian] = pages_of(pdf_of(billing, found, language="ru"))
    for word in ("Invoice", "INV-2025-000001", "€14,814.80", "20 November 2025", "Lange Straße 1"):
        assert word in english
    for word in ("Счёт", "Абонемент «Премьера», 100 фильмов", "К оплате", "20 ноября 2025 г."):
        assert word in russian


def test_a_long_invoice_has_its_head_on_every_page_and_its_sum_once(billing):
    found = lived_in(billing, [a_line(100 + each) for each in range(90)])
    pages = pages_of(pdf_of(billing, found))
    assert len(pages) >= 3
    assert all("Description" in page for page in pages[:2])
    assert [f"Page {each + 1} of {len(pages)}" in page for each, page in enumerate(pages)] == [
        True
    ] * len(pages)
    assert sum("Amount due" in page for page in pages) == 1


def test_the_same_facts_are_the_same_bytes(billing):
    found = lived_in(billing, [a_line(10_000), a_line(333)])
    once, again = (service_pdf.invoice_pdf(found, "ru") for _ in range(2))
    assert once == again
    cii = service_einvoice.cii_of(service_einvoice.terms_of(found))
    assert cii == service_einvoice.cii_of(service_einvoice.terms_of(found))
    facts: dict[str, Any] = {
        "language": "ru",
        "title": "x",
        "author": "y",
        "at": 1_763_632_800_000_000,
    }
    first = service_einvoice.with_cii(once, cii, **facts)
    later = {**facts, "at": facts["at"] + 1_000_000}
    other = service_einvoice.with_cii(once, cii, **later)
    # Only the time differs where only the time is another one.
    assert len(first) == len(other)
    assert first == service_einvoice.with_cii(once, cii, **facts)


def test_a_pdf_embeds_every_font_that_it_uses_and_none_of_the_hosts(billing):
    pdf = pdf_of(billing, lived_in(billing, [a_line(1, description="Текст и text")]))
    assert b"PTSans" in pdf
    assert b"DejaVu" not in pdf


KINDS: dict[str, tuple[list[InvoiceLine], dict[str, Any]]] = {
    "plain": ([a_line(10_000, quantity="4", unit_price="25.00"), a_line(333)], {}),
    "several rates": (
        [a_line(10_000), a_line(999, rates=(Rate("low", Decimal("5.5")),))],
        {},
    ),
    "prices with tax": ([a_line(1_199, inclusive=True), a_line(333, inclusive=True)], {}),
    "a credit line": ([a_line(10_000), a_line(-2_500, description="Not used")], {}),
    "a rate of nothing": ([a_line(10_000, rates=(Rate("zero", Decimal(0)),))], {}),
    "a period": ([a_line(10_000, period_start=DAY_US, period_end=31 * DAY_US)], {"order": "ord_1"}),
    "yen": ([a_line(10_000)], {"currency": "JPY"}),
    "fractions": ([a_line(1_000, quantity="3", unit_price="3.33333")], {}),
    "reverse charge": (
        [a_line(10_000)],
        {
            "buyer": {
                "tax_number": "FR40303265045",
                "tax_country": "FR",
                "tax_checked_at": 1,
            }
        },
    ),
    "exempt": ([a_line(10_000)], {"buyer": {"exempt_because": "Public museum, Art. 132"}}),
}


def test_every_kind_of_invoice_and_note_follows_the_official_rules(billing):
    documents, names = [], []
    for name, (lines, more) in KINDS.items():
        found = lived_in(billing, lines, **more)
        part = found.lines[0].sold.amount // 3
        note = run(billing, credit_note, found.id, amount=part, reason="late", key=found.id)
        for kind, of in (("invoice", None), ("note", note)):
            terms = service_einvoice.terms_of(found, of)
            for form, write in (("ubl", service_einvoice.ubl_of), ("cii", service_einvoice.cii_of)):
                documents.append((form, write(terms)))
                names.append((name, kind, form))
    broken = dict(zip(names, broken_rules(documents), strict=True))
    assert {name: rules for name, rules in broken.items() if rules} == {}


def test_the_official_rules_find_a_wrong_total(billing):
    terms = service_einvoice.terms_of(lived_in(billing, [a_line(10_000)]))
    [rules] = broken_rules([("ubl", service_einvoice.ubl_of({**terms, "BT-112": "1.00"}))])
    assert "BR-CO-15" in rules


def test_reverse_charge_says_why_on_paper_and_in_data(billing):
    lines, more = KINDS["reverse charge"]
    found = lived_in(billing, lines, **more)
    assert (found.tax, found.treatment.kind) == (0, "reverse_charge")
    assert "2006/112/EC" in pages_of(pdf_of(billing, found))[0]
    assert b"VATEX-EU-AE" in file_of(billing, found, None, "ubl", None).content


def test_the_pdf_carries_the_data_as_factur_x(billing):
    found = lived_in(billing, [a_line(10_000)])
    pdf = pdf_of(billing, found)
    name, xml = facturx.get_facturx_xml_from_pdf(pdf)
    assert name == "factur-x.xml"
    assert xml == file_of(billing, found, None, "cii", None).content
    assert b"urn:factur-x:pdfa:CrossIndustryDocument:invoice:1p0#" in pdf


def test_the_pdf_with_data_tells_validators_that_it_is_archival(billing):
    pdf = pdf_of(billing, lived_in(billing, [a_line(10_000)]))
    catalogue: Any = pypdf.PdfReader(io.BytesIO(pdf)).trailer["/Root"]
    packet = catalogue["/Metadata"].get_object().get_data()
    # veraPDF and Adobe's toolkit refuse RDF that does not declare itself.
    assert b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">' in packet
    assert packet.count(b"xmlns:rdf=") == 1
    root = ET.fromstring(packet)  # noqa: S314 - of our own making
    said = {each.tag.rpartition("}")[2]: each.text for each in root.iter()}
    assert (said["part"], said["conformance"]) == ("3", "B")
    assert (said["DocumentFileName"], said["ConformanceLevel"]) == ("factur-x.xml", "EN 16931")
    [file] = catalogue["/AF"]
    assert file.get_object()["/AFRelationship"] == "/Alternative"


@pytest.mark.parametrize(
    "line",
    [
        a_line(100, rates=(Rate("state", Decimal(6)), Rate("city", Decimal(2)))),
        a_line(100, rates=()),
    ],
)
def test_what_the_norm_cannot_say_is_a_pdf_only(billing, line):
    found = lived_in(billing, [line])
    with pytest.raises(EinvoiceUnfit):
        file_of(billing, found, None, "ubl", None)
    assert b"factur-x.xml" not in pdf_of(billing, found)


def test_a_buyer_without_a_country_and_a_currency_of_three_places_are_no_e_invoice(billing):
    nowhere = lived_in(billing, [a_line(100)], buyer={"country": None})
    dinars = lived_in(billing, [a_line(100)], currency="BHD")
    for found in (nowhere, dinars):
        with pytest.raises(EinvoiceUnfit):
            file_of(billing, found, None, "cii", None)


def test_a_credit_note_is_a_document_of_its_own(billing):
    found = lived_in(billing, [a_line(10_000)])
    note = run(billing, credit_note, found.id, amount=2_500, reason="Не подошёл", key="n")
    [text] = pages_of(pdf_of(billing, found, note, "ru"))
    for word in ("Кредит-нота", "CRN-2025-000001", "Не подошёл", "INV-2025-000001"):
        assert word in text
    assert b"<cbc:CreditNoteTypeCode>381" in file_of(billing, found, note, "ubl", None).content


def test_a_file_is_kept_as_it_was_made_first(billing, monkeypatch):
    found = lived_in(billing, [a_line(10_000)])
    first = file_of(billing, found, None, "pdf", None)
    monkeypatch.setattr(deliver_invoices, "_made", lambda *_: b"another template")
    assert file_of(billing, found, None, "pdf", None) == first
    with billing.read() as tx:
        assert find_file(tx, found.id, "pdf", "en") == first


def test_two_who_make_a_file_at_once_have_the_same(billing):
    found = lived_in(billing, [a_line(10_000)])
    one, other = at_once([lambda: file_of(billing, found, None, "pdf", None).digest] * 2)
    assert one == other


def test_a_draft_has_no_file_and_no_document_is_written_in_an_unknown_language(billing):
    draft = run(billing, a_draft, a_line(100))
    with pytest.raises(InvoiceNotIssued):
        file_of(billing, draft, None, "pdf", None)
    found = lived_in(billing, [a_line(100)])
    with pytest.raises(ValueRefused):
        file_of(billing, found, None, "pdf", "de")


# -- delivery --------------------------------------------------------------------------------------


def ready(billing):
    with billing.read() as tx:
        rows = tx.run(events.outbox.select().order_by(events.outbox.c.seq)).all()
    return [
        (row.type, msgspec.json.decode(row.payload)) for row in rows if row.type.endswith(".ready")
    ]


def test_what_is_issued_is_handed_over_once_with_its_files(billing):
    found = lived_in(billing, [a_line(10_000)], language="ru")
    at_once([Deliveries(billing).step, Deliveries(billing).step])
    [(type_, data)] = ready(billing)
    assert type_ == "invoice.ready"
    assert (data["email"], data["language"], data["total"]) == ("ada@example.org", "ru", 12_000)
    assert [each["form"] for each in data["files"]] == ["pdf", "ubl", "cii"]
    assert data["files"][0]["sha256"] == file_of(billing, found, None, "pdf", None).digest
    assert Deliveries(billing).step() == 0
    assert run(billing, service.history_of, found.id)[-1].what == "handed_over"


def test_a_credit_note_is_handed_over_too_and_an_invoice_again_when_asked(billing):
    found = lived_in(billing, [a_line(10_000)])
    run(billing, credit_note, found.id, amount=2_500, reason="late", key="n")
    Deliveries(billing).step()
    run(billing, plan_delivery, found.id, found)
    Deliveries(billing).step()
    assert [type_ for type_, _ in ready(billing)] == [
        "invoice.ready",
        "credit_note.ready",
        "invoice.ready",
    ]


def test_without_the_extra_it_waits_longer_each_time_and_says_why(billing, clock, monkeypatch):
    found = lived_in(billing, [a_line(10_000)])

    def missing(*_):
        raise PdfMissing

    monkeypatch.setattr(deliver_invoices, "invoice_pdf", missing)
    worker = Deliveries(billing)
    pauses = []
    for _ in range(3):
        worker.step()
        assert worker.step() == 0
        with billing.read() as tx:
            row = tx.one(store.delivery.select())
        assert row is not None
        assert row.error == "pdf_missing"
        pauses.append(row.due_at - now(billing))
        clock.move(row.due_at - now(billing))
    assert pauses == [60_000_000, 120_000_000, 240_000_000]
    monkeypatch.undo()
    worker.step()
    assert [type_ for type_, _ in ready(billing)] == ["invoice.ready"]
    assert found.number == ready(billing)[0][1]["number"]
