"""Invoices over the API: who may do what, what is shown to whom, files, repeats, bad input."""

import pypdfium2 as pdfium
import pytest

from farebox.billing.invoices.service_payments import pay
from tests.support.invoicing import a_customer, money
from tests.support.services import run

pytestmark = pytest.mark.usefixtures("billing")
SELLER = {
    "name": "ООО «Фарбокс Фильмы»",
    "country": "DE",
    "lines": ["Lange Straße 1"],
    "city": "Berlin",
    "postal_code": "10115",
    "tax_number": "DE136695976",
    "bank": {"account": "DE89370400440532013000", "code": "COBADEFFXXX"},
}
VAT = [{"code": "vat", "percent": "20"}]
LINE = {"description": "Фильмы за ноябрь", "amount": 10_000, "rates": VAT}


@pytest.fixture
def bills(caller):
    """The calls of who bills, once it is said who sells."""
    them = caller("billing")
    them.put("/v1/seller", SELLER)
    return them


@pytest.fixture
def someone(consumer, hear, admin):
    """A consumer of whom billing has heard, with a country: id and calls."""
    who, own = consumer("Ada Lovelace")
    hear()
    admin.patch(f"/v1/customers/{who}", {"country": "DE", "email": "ada@example.org"})
    return who, own


def draft(bills, customer, *lines, **more):
    body = {"customer": customer, "currency": "EUR", "lines": list(lines) or [LINE], **more}
    return bills.post("/v1/invoices", body)


def issue(bills, customer, *lines, **more):
    return bills.post(f"/v1/invoices/{draft(bills, customer, *lines, **more)['id']}/issue")


def code(answer):
    return answer.status_code, answer.json()["code"]


def test_an_invoice_is_drafted_issued_paid_and_read_by_its_customer(bills, someone, billing):
    who, own = someone
    made = issue(bills, who)
    assert (made["state"], made["number"], made["total"]) == ("issued", "INV-2025-000001", 12_000)
    assert own.get(f"/v1/invoices/{made['id']}") == bills.get(f"/v1/invoices/{made['id']}")
    assert [each["id"] for each in own.get("/v1/invoices")["items"]] == [made["id"]]
    opened = own.post(f"/v1/invoices/{made['id']}/payments", {"gateway": "manual"})
    assert (opened["amount"], opened["currency"]) == (12_000, "EUR")


def test_a_draft_is_not_shown_to_its_customer(bills, someone):
    who, own = someone
    made = draft(bills, who)
    assert own.get("/v1/invoices")["items"] == []
    assert code(own.call("GET", f"/v1/invoices/{made['id']}")) == (404, "invoice_unknown")


PATHS = ["", "/pdf", "/ubl", "/cii", "/payments", "/credit-notes"]


@pytest.mark.parametrize("path", PATHS)
def test_a_strangers_invoice_is_not_there(bills, someone, consumer, path):
    made = issue(bills, someone[0])
    _, other = consumer("Eve")
    answer = other.call("GET", f"/v1/invoices/{made['id']}{path}")
    assert code(answer) == (404, "invoice_unknown")
    note = bills.post(f"/v1/invoices/{made['id']}/credit-notes", {"reason": "late"})
    for end in ("", "/pdf", "/ubl", "/cii"):
        answer = other.call("GET", f"/v1/credit-notes/{note['id']}{end}")
        assert code(answer) == (404, "credit_note_unknown")
    assert other.get("/v1/credit-notes")["items"] == []
    assert code(other.call("POST", f"/v1/invoices/{made['id']}/payments", json={}))[0] == 404


def test_a_consumer_changes_nothing_of_an_invoice(bills, someone):
    who, own = someone
    made = issue(bills, who)
    for path in ("issue", "void", "write-off", "send", "credit-notes"):
        answer = own.call("POST", f"/v1/invoices/{made['id']}/{path}", json={"reason": "x"})
        assert code(answer) == (403, "role_missing")
    assert code(own.call("PUT", "/v1/seller", json=SELLER)) == (403, "role_missing")
    assert code(own.call("GET", f"/v1/invoices/{made['id']}/history")) == (403, "role_missing")


def test_preview_says_what_the_invoice_says(bills, someone):
    lines = [LINE, {"description": "Support", "amount": 333, "rates": VAT}]
    body = {"customer": someone[0], "currency": "EUR", "lines": lines}
    seen = bills.post("/v1/invoices/preview", body)
    made = issue(bills, someone[0], *lines)
    for name in ("fees", "discount", "net", "tax", "total", "lines"):
        assert seen[name] == made[name]
    assert len(bills.get("/v1/invoices")["items"]) == 1


def test_the_same_key_drafts_and_issues_once(bills, someone):
    body = {"customer": someone[0], "currency": "EUR", "lines": [LINE]}
    first = bills.post("/v1/invoices", body, key="d")
    assert bills.post("/v1/invoices", body, key="d") == first
    other = bills.call("POST", "/v1/invoices", json={**body, "due_days": 1}, key="d")
    assert code(other) == (422, "idempotency_key_reused")
    path = f"/v1/invoices/{first['id']}/issue"
    assert bills.post(path, key="i") == bills.post(path, key="i")
    assert code(bills.call("POST", path, key=None)) == (400, "idempotency_key_missing")


BAD = [
    {"amount": 2**53},
    {"amount": 1.5},
    {"description": ""},
    {"quantity": "0"},
    {"quantity": "-1"},
    {"unit_price": "1e5"},
    {"rates": [{"code": "vat", "percent": "101"}]},
    {"quantity": "0.00"},
    {"no_such": 1},
]


@pytest.mark.parametrize("bad", BAD)
def test_a_bad_line_is_refused_and_drafts_nothing(bills, someone, bad):
    body = {"customer": someone[0], "currency": "EUR", "lines": [LINE | bad]}
    assert bills.call("POST", "/v1/invoices", json=body).status_code == 422
    assert bills.get("/v1/invoices")["items"] == []


def test_what_is_issued_is_neither_changed_nor_thrown_away(bills, someone):
    made = issue(bills, someone[0])
    path = f"/v1/invoices/{made['id']}"
    more = bills.call("POST", f"{path}/lines", json={"lines": [LINE]})
    assert code(more) == (409, "invoice_issued")
    assert code(bills.call("DELETE", path)) == (409, "invoice_issued")
    assert bills.get(path) == made


def test_a_draft_takes_lines_and_is_thrown_away(bills, someone):
    made = draft(bills, someone[0])
    more = bills.post(f"/v1/invoices/{made['id']}/lines", {"lines": [LINE]})
    assert more["total"] == 24_000
    bills.delete(f"/v1/invoices/{made['id']}")
    assert bills.call("GET", f"/v1/invoices/{made['id']}").status_code == 404


def test_an_invoice_is_voided_or_given_up_and_audited(bills, admin, someone):
    for path, state in (("void", "void"), ("write-off", "uncollectible")):
        made = issue(bills, someone[0])
        after = bills.post(f"/v1/invoices/{made['id']}/{path}?reason=asked")
        assert (after["state"], after["due"]) == (state, 0)
        answer = bills.call("POST", f"/v1/invoices/{made['id']}/{path}")
        assert code(answer) == (409, "invoice_transition_refused")
        history = bills.get(f"/v1/invoices/{made['id']}/history")["items"]
        assert history[-1]["reason"] == "asked"


def test_a_credit_note_is_written_and_read_by_its_customer(bills, someone):
    who, own = someone
    made = issue(bills, who)
    body = {"reason": "One film was missing", "lines": [{"line": 1, "amount": 2_500}]}
    note = bills.post(f"/v1/invoices/{made['id']}/credit-notes", body)
    assert (note["number"], note["total"], note["canceled"]) == ("CRN-2025-000001", 3_000, 3_000)
    assert own.get(f"/v1/credit-notes/{note['id']}") == note
    assert own.get(f"/v1/invoices/{made['id']}/credit-notes")["items"] == [note]
    assert bills.get(f"/v1/invoices/{made['id']}")["due"] == 9_000
    again = bills.call("POST", f"/v1/invoices/{made['id']}/credit-notes", json=body | {"amount": 9})
    assert code(again) == (409, "invoice_terms_refused")


def test_an_invoice_is_downloaded_as_pdf_in_both_languages(bills, someone):
    who, own = someone
    made = issue(bills, who)
    for language, word in (("en", "Invoice"), ("ru", "Счёт")):
        answer = own.call("GET", f"/v1/invoices/{made['id']}/pdf?language={language}")
        assert answer.headers["content-type"] == "application/pdf"
        assert "INV-2025-000001.pdf" in answer.headers["content-disposition"]
        text = pdfium.PdfDocument(answer.content)[0].get_textpage().get_text_bounded()
        assert word in text
        assert "ООО «Фарбокс Фильмы»" in text
        assert "Фильмы за ноябрь" in text
        again = own.call("GET", f"/v1/invoices/{made['id']}/pdf?language={language}")
        assert again.content == answer.content


def test_an_invoice_is_downloaded_as_xml_and_a_draft_is_not(bills, someone):
    who, own = someone
    made = issue(bills, who)
    ubl = own.call("GET", f"/v1/invoices/{made['id']}/ubl")
    assert ubl.headers["content-type"] == "application/xml"
    assert b"<cbc:ID>INV-2025-000001</cbc:ID>" in ubl.content
    assert b"CrossIndustryInvoice" in own.call("GET", f"/v1/invoices/{made['id']}/cii").content
    other = draft(bills, who)
    assert code(bills.call("GET", f"/v1/invoices/{other['id']}/pdf")) == (409, "invoice_not_issued")


def test_what_the_norm_cannot_say_is_refused_as_xml_and_still_a_pdf(bills, someone):
    rates = [{"code": "state", "percent": "6"}, {"code": "city", "percent": "2"}]
    made = issue(bills, someone[0], LINE | {"rates": rates})
    answer = bills.call("GET", f"/v1/invoices/{made['id']}/ubl")
    assert code(answer) == (409, "einvoice_unfit")
    assert bills.call("GET", f"/v1/invoices/{made['id']}/pdf").content.startswith(b"%PDF")


def test_who_sells_is_said_once_before_anything_is_issued(caller, someone):
    bills = caller("billing")
    assert code(bills.call("GET", "/v1/seller")) == (409, "seller_missing")
    made = draft(bills, someone[0])
    answer = bills.call("POST", f"/v1/invoices/{made['id']}/issue")
    assert code(answer) == (409, "seller_missing")
    assert bills.put("/v1/seller", SELLER)["name"] == SELLER["name"]
    assert bills.get("/v1/seller")["bank"]["code"] == "COBADEFFXXX"


def test_series_and_closed_periods_are_set(bills, someone, clock):
    bills.put("/v1/document-series/shop", {"prefix": "SHOP", "yearly": False, "digits": 4})
    assert issue(bills, someone[0], series="shop")["number"] == "SHOP-0001"
    taken = bills.call("PUT", "/v1/document-series/other", json={"prefix": "SHOP"})
    assert code(taken) == (409, "series_taken")
    assert bills.get("/v1/closed-period") == {"closed_until": None}
    made = issue(bills, someone[0])
    clock.move(1_000_000)
    until = "2025-11-20T10:00:00.500000Z"
    assert bills.post("/v1/closed-period", {"until": until})["closed_until"] == until
    answer = bills.call("POST", f"/v1/invoices/{made['id']}/void")
    assert code(answer) == (409, "period_closed")


def test_a_viewer_reads_and_changes_nothing(bills, caller, someone):
    made = issue(bills, someone[0])
    viewer = caller("viewer")
    assert viewer.get(f"/v1/invoices/{made['id']}") == made
    body = {"customer": someone[0], "currency": "EUR"}
    assert code(viewer.call("POST", "/v1/invoices", json=body)) == (403, "role_missing")


def test_credit_of_a_customer_is_read_by_them(bills, someone, billing):
    who, own = someone
    made = issue(bills, who)
    run(billing, money, 20_000)
    run(billing, pay, made["id"], 20_000, "pay_1")
    assert own.get(f"/v1/customers/{who}/credit")["credit"] == {"EUR": 8_000}
    other = run(billing, a_customer)
    assert own.call("GET", f"/v1/customers/{other}/credit").status_code == 404


def test_an_invoice_is_due_in_its_own_time_the_customers_or_everybodys(bills, admin, someone):
    who, _ = someone
    first = issue(bills, who)
    assert first["due_at"] == "2025-12-04T10:00:00Z"
    admin.patch(f"/v1/customers/{who}", {"due_days": 30})
    assert issue(bills, who)["due_at"] == "2025-12-20T10:00:00Z"
    assert issue(bills, who, due_days=0)["due_at"] == "2025-11-20T10:00:00Z"
