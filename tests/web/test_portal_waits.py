"""A page that waits loads itself anew until there is nothing more to wait for."""

import pytest

from farebox.web.api import Problem
from farebox.web.pages import Page
from tests.api.conftest import admin, caller, client, films  # noqa: F401 - fixtures used by name
from tests.web.conftest import PASSWORD

INVOICE: dict[str, object] = {
    **dict.fromkeys(("due_at", "seller", "tax", "paid", "canceled")),
    "id": "inv_1",
    "number": "INV-1",
    "state": "issued",
    "currency": "RUB",
    "lines": [],
    "items": [],
    "total": 149_000,
    "due": 149_000,
    "issued_at": "2026-01-01T00:00:00Z",
}
PAYING: dict[str, object] = {
    **dict.fromkeys(("price", "next_payment_at", "billed_until", "payment_method")),
    "open_invoice": INVOICE["id"],
    "currency": "RUB",
    "invoice_history": [],
}


@pytest.fixture
def waiting(browser, ada, admin, films):  # noqa: F811 - as above
    """Return the page's address of a subscription of which access has heard no payment yet."""
    terms = {"product": films, "limit": 10, "unit": "month", "anchor": "calendar"}
    admin.post("/v1/plans", {"code": "pro", "name": "Pro", "quotas": [terms]})
    made = admin.post("/v1/subscriptions", {"plan": "pro", "consumer": ada})
    assert made["state"] == "pending_payment"
    browser.sign_in("ada@example.org", PASSWORD)
    return f"/portal/subscriptions/{made['id']}"


@pytest.fixture
def told(monkeypatch):
    """Return what billing says, by what is asked for; a function is asked each time."""
    answers: dict[str, object] = {}
    get = Page.get

    async def answered(page, path, **query):
        kind = path.split("/")[2]
        if kind not in answers:
            return await get(page, path, **query)
        said = answers[kind]
        said = said() if callable(said) else said
        if said is None:
            raise Problem(404, {"code": "unknown"})
        return said

    monkeypatch.setattr(Page, "get", answered)
    return answers


@pytest.mark.parametrize(
    ("paying", "invoice"),
    [
        (None, None),
        ({**PAYING, "open_invoice": None}, None),
        (PAYING, INVOICE),
        # It was paid after billing had been asked for the subscription.
        (PAYING, {**INVOICE, "due": 0}),
        (PAYING, None),
    ],
)
def test_a_plan_that_is_not_set_up_yet_is_looked_at_again_whatever_billing_says(
    browser, waiting, told, paying, invoice
):
    told["subscription-payments"], told["invoices"] = paying, invoice
    page = browser.open(waiting).text
    assert "data-reload" in page
    assert ("/portal/invoices/inv_1" in page) == (invoice == INVOICE)


@pytest.mark.parametrize("reads_before", range(3))
def test_an_invoice_that_is_paid_while_its_page_is_made_is_looked_at_again_or_thanked_for(
    browser, ada, told, reads_before
):
    browser.sign_in("ada@example.org", PASSWORD)
    reads = []

    def read(open_one, paid_one):
        def answer():
            reads.append(open_one)
            return open_one if len(reads) <= reads_before else paid_one

        return answer

    told["invoices"] = read(INVOICE, {**INVOICE, "state": "paid", "due": 0})
    told["payments"] = read({"id": "pay_1", "state": "processing"}, {"state": "succeeded"})
    page = browser.open("/portal/invoices/inv_1?payment=pay_1").text
    assert ("data-reload" in page) != ('class="notice good"' in page)
    assert ("data-reload" in page) == (reads_before == 2)
