"""The operators' console: the figures of a day, one customer, one order, and who may see them."""

import re

import pytest

from farebox.access.decisions.service_subjects import load_subject
from tests.support.browser import browsing, site_over
from tests.support.opening import billing_urls, database_url, opened  # noqa: F401 - fixtures
from tests.support.premieres import Store

TONIGHT = "2026-11-20T17:00:00Z"


@pytest.fixture
def store(both, opening):
    return Store(both, opening.made)


@pytest.fixture
def day(store):
    """Return Anna's order after the day of scenario 41; Boris has topped up and bought too."""
    anna, boris = store.anna, store.boris
    anna.put("P1", starts_at=TONIGHT)
    anna.put("P2", starts_at=TONIGHT)
    order = anna.confirm(86_000)
    [second] = [line for line in order["lines"] if line["code"] == "P2"]
    anna.give_back(order["id"], lines=[second["id"]])
    [first] = [line for line in anna.order(order["id"])["lines"] if line["code"] == "P1"]
    anna.extend(first["rental"], 48)
    boris.top_up(16_000)
    boris.buy("P1", 24, 36_000)
    return anna.order(order["id"])


@pytest.fixture
def browser(both):
    app = both.client.app
    with browsing(app, site_over(app, both.access)) as made:
        yield made


def key_of(api):
    return api.headers["Authorization"].removeprefix("Bearer ")


def shown(answer):
    """Return a page's words, tags and odd spaces left out."""
    text = re.sub(r"<[^>]+>", " ", answer.text).replace("\N{NO-BREAK SPACE}", " ")
    return " ".join(text.split())


def work_as(browser, api):
    return browser.send("/console/sign-in", key=key_of(api), next="/console/")


def test_the_figures_of_the_day_stand_on_the_first_page(store, day, browser):
    store.both.clock.move(60_000_000)
    work_as(browser, store.both.admin)
    words = shown(browser.open("/console/", **{"accept-language": "ru"}))
    for line in (
        "Пополнения 1 360,00 ₽", "Списано 1 340,00 ₽", "Возвращено 500,00 ₽", "Чистыми 840,00 ₽",
        "Наша комиссия 126,00 ₽", "Средний заказ 670,00 ₽", "Заказы 2",
        "На счетах клиентов 520,00 ₽",
        "Должны продавцам 714,00 ₽", "Книги сходятся к 0,00 ₽",
    ):  # fmt: skip
        assert line in words
    assert "Ничто не ждёт человека." in words


def test_a_consumers_key_opens_nothing(store, browser):
    answer = browser.send("/console/sign-in", key=store.made.people["Anna"].key, next="/console/")
    assert answer.status_code == 403
    assert browser.open("/console/").headers["location"].startswith("/console/sign-in")


def test_a_revoked_key_ends_the_session_at_once(store, browser):
    support = store.both.operator("support")
    work_as(browser, support)
    assert browser.open("/console/").status_code == 200
    [operator] = [
        each for each in store.both.admin.get("/v1/operators")["items"] if each["name"] == "support"
    ]
    keys = store.both.admin.get(f"/v1/operators/{operator['id']}/keys")["items"]
    store.both.admin.delete(f"/v1/keys/{keys[0]['id']}")
    assert browser.open("/console/").status_code == 303


def test_who_may_not_see_money_sees_none(store, day, browser):
    work_as(browser, store.both.operator("viewer"))
    words = shown(browser.open("/console/", **{"accept-language": "en"}))
    assert "1,340.00" not in words


@pytest.mark.parametrize("text", ["anna@example.org", "customer id"])
def test_the_only_hit_opens(store, browser, text):
    work_as(browser, store.both.admin)
    asked = store.anna.id if text == "customer id" else text
    answer = browser.open(f"/console/find?q={asked.replace('@', '%40')}")
    assert answer.headers["location"] == f"/console/customers/{store.anna.id}"


def test_a_payment_opens_what_it_was_for(store, browser):
    store.anna.top_up(16_000)
    work_as(browser, store.both.admin)
    [made, *_] = store.both.admin.get("/v1/payments", customer=store.anna.id)["items"]
    answer = browser.open(f"/console/find?q={made['id']}")
    assert answer.headers["location"] == f"/console/customers/{store.anna.id}"
    assert browser.open(answer.headers["location"]).status_code == 200


def test_a_customers_page_shows_what_they_have(store, day, browser):
    work_as(browser, store.both.admin)
    words = shown(browser.open(f"/console/customers/{store.anna.id}", **{"accept-language": "ru"}))
    assert "Доступно 520,00 ₽" in words
    assert "860,00 ₽" in words
    assert "480,00" not in words.split("Прокаты")[0].split("Заказы")[0]


def test_support_suspends_with_a_reason_and_lets_in_again(store, browser):
    work_as(browser, store.both.admin)
    home = f"/console/customers/{store.anna.id}"
    without = browser.send(f"{home}/suspend", form_of=home, reason=" ", key="k0")
    assert without.headers["location"] == f"{home}?said=reason_missing"
    browser.send(f"{home}/suspend", form_of=home, reason="asked for it", key="k1")
    with store.both.access.read() as tx:
        found = load_subject(tx, store.anna.id)
    assert found is not None
    assert found.state == "suspended"
    browser.send(f"{home}/activate", form_of=home, reason="asked for it", key="k2")
    entries = store.both.admin.get("/v1/audit", subject=store.anna.id)["items"]
    assert [each["reason"] for each in entries[:2]] == ["asked for it"] * 2


def test_a_wallet_is_filled_by_hand_once_however_often_it_is_clicked(store, browser):
    work_as(browser, store.both.admin)
    home = f"/console/customers/{store.anna.id}"
    fields = {"amount": "159,50", "currency": "RUB", "part": "paid", "reason": "desk", "key": "f1"}
    for _ in range(2):
        browser.send(f"{home}/fill", form_of=home, **fields)
    assert store.anna.balance == 115_950


@pytest.mark.parametrize("amount", ["0", "-5", "1e3", "12,345", "abc", "", "9" * 13])
def test_what_is_no_amount_fills_nothing(store, browser, amount):
    work_as(browser, store.both.admin)
    home = f"/console/customers/{store.anna.id}"
    fields = {"amount": amount, "currency": "RUB", "part": "paid", "reason": "desk", "key": "f2"}
    answer = browser.send(f"{home}/fill", form_of=home, **fields)
    assert answer.headers["location"] == f"{home}?said=amount_wrong"
    assert store.anna.balance == 100_000


@pytest.mark.parametrize(
    ("typed", "currency", "filled"),
    [("100", "JPY", 100), ("1,5", "KWD", 1_500), ("1 000,25", "RUB", 100_025)],
)
def test_an_amount_is_of_its_currencys_smallest_unit(store, browser, typed, currency, filled):
    work_as(browser, store.both.admin)
    home = f"/console/customers/{store.anna.id}"
    before = wallet_in(store, currency)
    fields = {"amount": typed, "currency": currency, "part": "paid", "reason": "desk", "key": "f3"}
    answer = browser.send(f"{home}/fill", form_of=home, **fields)
    assert answer.headers["location"] == f"{home}?said=saved"
    assert wallet_in(store, currency) - before == filled


@pytest.mark.parametrize(("typed", "currency"), [("1,5", "JPY"), ("1,2345", "KWD")])
def test_what_is_finer_than_a_currency_fills_nothing(store, browser, typed, currency):
    work_as(browser, store.both.admin)
    home = f"/console/customers/{store.anna.id}"
    fields = {"amount": typed, "currency": currency, "part": "paid", "reason": "desk", "key": "f4"}
    answer = browser.send(f"{home}/fill", form_of=home, **fields)
    assert answer.headers["location"] == f"{home}?said=amount_wrong"


def wallet_in(store, currency):
    """Return what a customer has in a currency."""
    path = f"/v1/customers/{store.anna.id}/wallets/{currency}"
    return store.both.admin.get(path)["available"]


def test_an_order_goes_back_in_full_when_the_fault_was_ours(store, browser):
    order = store.anna.buy("P1", 24, 36_000, starts_at=TONIGHT)
    work_as(browser, store.both.admin)
    page = f"/console/orders/{order['id']}"
    words = shown(browser.open(page, **{"accept-language": "ru"}))
    assert "Вернуть 360,00 ₽: вина наша" in words
    for _ in range(2):
        browser.send(f"{page}/return", form_of=page, reason="the film was broken", key="r1")
    store.settle()
    assert store.anna.balance == 100_000
    assert store.anna.order(order["id"])["net"] == 0
