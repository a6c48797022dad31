"""The portal's money in a real browser: invoices, payment methods, balance, top-ups."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.portal_stage import NARROW, Newcomer, Stage, Visit, visiting

CARDS = "/portal/payments"


@pytest.fixture
def somebody(stage: Stage) -> Newcomer:
    return stage.newcomer()


@pytest.fixture
def ada(stage: Stage, chromium: Browser, somebody: Newcomer) -> Iterator[Visit]:
    """Return the visit of somebody new who has a card."""
    with visiting(stage, chromium, somebody.email) as visit:
        yield visit


def billed(stage: Stage, customer: str, amount: int = 3_500_00) -> str:
    """Send somebody an invoice; return its id."""
    lines = [{"description": "Address book import", "amount": amount}]
    draft = {"customer": customer, "currency": "RUB", "lines": lines}
    made: str = stage.post("/v1/invoices", draft)["id"]
    stage.post(f"/v1/invoices/{made}/issue", {})
    return made


def wallet_of(stage: Stage, customer: str):
    return stage.ask(f"/v1/customers/{customer}/wallets/RUB")


# -- invoices --------------------------------------------------------------------------------------


def test_an_open_invoice_is_paid_by_card(ada, stage, somebody):
    invoice = billed(stage, somebody.id)
    ada.open("/portal/invoices")
    ada.sees("Open.*3,500.00")
    ada.press("Pay INV")
    ada.sees("What was billed")
    assert ada.violations() == []
    ada.press("Pay RUB")
    ada.sees("Thank you: it is paid")
    ada.sees("Paid")
    assert stage.ask(f"/v1/invoices/{invoice}")["due"] == 0


def test_an_invoice_is_paid_once_however_often_the_form_is_sent(ada, stage, somebody):
    invoice = billed(stage, somebody.id)
    page = ada.open(f"/portal/invoices/{invoice}")
    card = page.locator("[name=method]").first.get_attribute("value")
    said = ada.send(f"/portal/invoices/{invoice}/pay", times=3, method=card or "")
    assert said == [303, 303, 303]
    ada.open(f"/portal/invoices/{invoice}")
    paid = stage.ask("/v1/payments", customer=somebody.id)["items"]
    assert [one["amount"] for one in paid] == [3_500_00]


def test_a_declined_card_says_so_and_the_invoice_stays_open(stage, chromium):
    unlucky = stage.newcomer(card="sandbox_decline", balance=4_000_00)
    invoice = billed(stage, unlucky.id)
    with visiting(stage, chromium, unlucky.email) as visit:
        visit.open(f"/portal/invoices/{invoice}")
        visit.press("Pay RUB")
        visit.sees("The payment was declined. Nothing was charged")
        visit.page.get_by_label("From the balance").check()
        visit.press("Pay RUB")
        visit.sees("Thank you: it is paid")
    assert wallet_of(stage, unlucky.id)["available"] == 500_00


def test_an_invoice_is_a_pdf(ada, stage, somebody):
    invoice = billed(stage, somebody.id)
    said = ada.context.request.get(f"{stage.url}/portal/invoices/{invoice}/pdf")
    assert said.body().startswith(b"%PDF")
    assert said.headers["content-type"] == "application/pdf"


def test_a_strangers_invoice_is_not_there(ada, stage):
    kira = stage.furnished.people["Kira"].id
    for one in stage.ask("/v1/invoices", customer=kira)["items"]:
        for address in (f"/portal/invoices/{one['id']}", f"/portal/invoices/{one['id']}/pdf"):
            assert ada.status(address) == 404
        ada.open("/portal/payments")
        token = ada.page.locator("[name=_csrf_token]").first.get_attribute("value")
        url = f"{stage.url}/portal/invoices/{one['id']}/pay"
        form = {"_csrf_token": token or "", "method": "wallet"}
        assert ada.context.request.post(url, form=form, max_redirects=0).status == 404
    assert ada.status("/portal/credit-notes/crn_nobody/pdf") == 404


# -- methods ---------------------------------------------------------------------------------------


def test_a_card_is_added_made_standard_and_removed(ada, stage, somebody):
    page = ada.open(CARDS)
    page.get_by_text("Add a test card").click()
    page.get_by_label("Name of the card").fill("Second card")
    ada.press("Add the card")
    ada.sees("The payment method is kept")
    ada.press("Make standard Second card")
    ada.sees("Second card.*Standard")
    first = page.locator("li", has_text="My card")
    first.get_by_text("Remove").first.click()
    first.get_by_role("button", name="Remove it").click()
    ada.sees("The payment method is removed")
    path = f"/v1/customers/{somebody.id}/payment-methods"
    left = [one for one in stage.ask(path)["items"] if one["state"] == "active"]
    assert [(one["label"], one["standard"]) for one in left] == [("Second card", True)]


def test_the_number_of_a_card_is_refused_beside_the_field_and_not_repeated(ada):
    page = ada.open(CARDS)
    page.get_by_text("Add a test card").click()
    page.get_by_label("Name of the card").fill("4242 4242 4242 4242")
    ada.press("Add the card")
    expect(page.locator("#why-label")).to_contain_text("looks like the number of a card")
    page.wait_for_load_state()
    assert "4242 4242" not in page.content()
    assert ada.violations() == []


def test_a_strangers_card_is_not_there(ada, stage):
    kira = stage.furnished.people["Kira"].id
    card = stage.ask(f"/v1/customers/{kira}/payment-methods")["items"][0]["id"]
    ada.open(CARDS)
    token = ada.page.locator("[name=_csrf_token]").first.get_attribute("value") or ""
    for what in ("standard", "remove"):
        url = f"{stage.url}/portal/payments/methods/{card}/{what}"
        said = ada.context.request.post(url, form={"_csrf_token": token}, max_redirects=0)
        assert said.status == 404
    assert stage.ask(f"/v1/payment-methods/{card}")["state"] == "active"


# -- the balance -----------------------------------------------------------------------------------


def test_a_top_up_comes_onto_the_balance(ada, stage, somebody):
    page = ada.open(CARDS)
    page.get_by_label("Top up by, RUB").fill("1 159,50")
    ada.press("^Top up$")
    ada.sees("RUB.1,159.50 are on your balance")
    assert wallet_of(stage, somebody.id)["available"] == 1_159_50
    ada.sees("What happened to the balance.*Top-up.*1,159.50")


def test_a_top_up_is_asked_for_once_however_often_the_form_is_sent(ada, stage, somebody):
    page = ada.open(CARDS)
    card = page.locator("[name=top_up_method]").input_value()
    said = ada.send("/portal/payments/top-up", times=3, sum="200", top_up_method=card)
    assert said == [303, 303, 303]
    made = stage.ask(f"/v1/customers/{somebody.id}/wallets/RUB/top-ups")["items"]
    assert [one["amount"] for one in made] == [200_00]


@pytest.mark.parametrize("typed", ["", "much", "-5", "0,001", "1e3", "9" * 19])
def test_what_is_no_amount_is_said_beside_the_field(ada, typed):
    page = ada.open(CARDS)
    page.get_by_label("Top up by, RUB").fill(typed)
    ada.press("^Top up$")
    expect(page.locator("#summary")).to_be_focused()
    expect(page.locator("#why-sum")).to_contain_text("Write an amount")
    assert page.get_by_label("Top up by, RUB").input_value() == typed
    assert page.get_by_label("Top up by, RUB").get_attribute("aria-invalid") == "true"
    assert ada.violations() == []


def test_an_amount_outside_the_limits_is_told_them(ada):
    page = ada.open(CARDS)
    page.get_by_label("Top up by, RUB").fill("0")
    ada.press("^Top up$")
    expect(page.locator("#why-sum")).to_contain_text("The amount is from")


def test_a_declined_top_up_says_so(stage, chromium):
    unlucky = stage.newcomer(card="sandbox_decline")
    with visiting(stage, chromium, unlucky.email) as visit:
        visit.open(CARDS)
        visit.page.get_by_label("Top up by, RUB").fill("500")
        visit.press("^Top up$")
        visit.sees("was declined. Nothing was charged")
    assert wallet_of(stage, unlucky.id)["available"] == 0


def test_the_balance_is_filled_by_itself_until_that_is_turned_off(ada, stage, somebody):
    page = ada.open(CARDS)
    for label, text in (("When the balance falls to", "100"), ("top it up by", "500"),
                        ("but at most by", "1500")):  # fmt: skip
        page.get_by_label(label, exact=True).fill(text)
    page.locator("form[action$=automatic]").get_by_role("button", name="Save").click()
    ada.sees("Automatic top-up is on")
    path = f"/v1/customers/{somebody.id}/wallets/RUB/automatic-top-up"
    found = stage.ask(path)
    assert (found["level"], found["amount"], found["most"]) == (100_00, 500_00, 1_500_00)
    ada.press("Turn off")
    ada.sees("Automatic top-up is off")
    assert stage.status(path, somebody.key) == 404


def test_a_limit_below_one_top_up_is_said_beside_its_field(ada):
    page = ada.open(CARDS)
    for label, text in (("When the balance falls to", "100"), ("top it up by", "500"),
                        ("but at most by", "400")):  # fmt: skip
        page.get_by_label(label, exact=True).fill(text)
    page.locator("form[action$=automatic]").get_by_role("button", name="Save").click()
    expect(page.locator("#why-automatic_most")).to_contain_text("at least the amount")


def test_a_low_balance_notice_is_set_and_taken_back(ada, stage, somebody):
    page = ada.open(CARDS)
    level = page.get_by_label("Tell me when the balance falls to")
    level.fill("250")
    page.locator("form[action$=low-level]").get_by_role("button", name="Save").click()
    ada.sees("You will be told when the balance is low")
    assert wallet_of(stage, somebody.id)["low_level"] == 250_00
    level.fill("")
    page.locator("form[action$=low-level]").get_by_role("button", name="Save").click()
    ada.sees("Nobody will tell you")
    assert wallet_of(stage, somebody.id)["low_level"] is None


def test_an_invoices_page_fits_a_telephone(ada, stage, somebody):
    invoice = billed(stage, somebody.id)
    ada.page.set_viewport_size({"width": NARROW, "height": 800})
    ada.open(f"/portal/invoices/{invoice}")
    assert ada.too_wide() == 0
