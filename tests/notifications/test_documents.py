"""An invoice as billing made it is what its letter carries, whichever way it was fetched."""

import httpx2
import pytest

from farebox.billing.customers.service import update_customer
from farebox.billing.flows.deliver_invoices import Deliveries, file_of
from farebox.billing.invoices.service_notes import credit_note
from farebox.events.reader import Reader
from farebox.events.transports.in_process import DatabaseLog
from farebox.notifications.channels.model import DocumentAway
from farebox.wiring.letters import DocumentsBehindUrl, DocumentsHere
from tests.support.invoicing import a_customer, a_line, issued
from tests.support.letters import plain, text_of
from tests.support.services import ADA, run


def hears(office, billing):
    """Let notifications hear and send what billing has told so far."""
    reader = Reader(DatabaseLog(billing, name="billing", reader="notifications"), office.inbox)
    while reader.step() + office.inbox.step():
        pass
    office.work()


@pytest.fixture
def office(opened, mail, billing):
    return opened({"mail": mail.gateway}, documents=DocumentsHere(billing))


def test_an_invoice_and_its_credit_note_come_with_the_files_that_billing_keeps(
    office, mail, billing
):
    ada = run(billing, a_customer)
    run(billing, update_customer, ADA, ada, email="ada@example.org")
    found = issued(billing, a_line(10_000), customer=ada, language="ru")
    note = run(billing, credit_note, found.id, amount=2_500, reason="late", key="n")
    while Deliveries(billing).step():
        pass
    hears(office, billing)
    letters = {plain(one["Subject"]): one for one in mail.taken}
    assert set(letters) == {
        f"Счёт {found.number} на 120,00 €",
        f"Кредит-нота {note.number} на 30,00 €",
    }
    for subject, (document, of) in {
        f"Счёт {found.number} на 120,00 €": (found, None),
        f"Кредит-нота {note.number} на 30,00 €": (found, note),
    }.items():
        [file] = letters[subject].iter_attachments()
        assert file.get_content() == file_of(billing, document, of, "pdf", None).content
        assert "приложен" in text_of(letters[subject])


@pytest.mark.parametrize(
    ("answer", "why"), [(httpx2.Response(503), "status 503"), (None, "ConnectError")]
)
def test_billing_that_is_away_is_tried_again(answer, why):
    asked = []

    def handle(request):
        asked.append(request.url.path)
        if answer is None:
            raise httpx2.ConnectError("refused")
        return answer

    client = httpx2.Client(transport=httpx2.MockTransport(handle), base_url="http://billing")
    with pytest.raises(DocumentAway, match=why):
        DocumentsBehindUrl(client).fetch("credit_note", "crn_1")
    assert asked == ["/v1/credit-notes/crn_1/pdf"]


def test_behind_its_url_an_invoice_is_what_billing_answers():
    def handle(request):
        assert request.url.path == "/v1/invoices/inv_1/pdf"
        return httpx2.Response(200, content=b"%PDF")

    client = httpx2.Client(transport=httpx2.MockTransport(handle), base_url="http://billing")
    assert DocumentsBehindUrl(client).fetch("invoice", "inv_1") == b"%PDF"


def test_a_document_that_billing_does_not_have_is_away(billing):
    with pytest.raises(DocumentAway, match="invoice_unknown"):
        DocumentsHere(billing).fetch("invoice", "inv_none")
