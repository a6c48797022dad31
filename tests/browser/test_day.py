"""A day at the store as its customers and an operator see it: choices, language, zone, figures."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.serving import Served
from tests.browser.shopper import Shopper
from tests.support.served import ADMIN

TONIGHT = "2026-11-20T20:00"


@pytest.fixture
def operator(chromium: Browser, store: Served) -> Iterator[Shopper]:
    """Return an operator at the console, who reads Russian."""
    context = chromium.new_context(locale="ru-RU", timezone_id="UTC")
    made = Shopper(context, store.url)
    made.open("/console/")
    made.page.fill("input[name=key]", ADMIN)
    made.page.click("main form button")
    expect(made.page.locator("h1")).to_have_text("Обзор")
    yield made
    context.close()


def test_21_a_forged_total_charges_nothing_and_shows_the_right_one(store, anna):
    anna.add("P1")
    anna.go_on()
    anna.page.eval_on_selector("input[name=shown_total]", "field => { field.value = '100' }")
    anna.page.click("form[action='/store/confirm'] button")
    anna.see("Ничего не списано", "360,00")
    assert store.wallet("Anna") == 100_000
    assert store.orders("Anna") == []


def test_34_a_reminder_goes_by_sms_and_letters_about_money_cannot_be_switched_off(store, anna):
    store.call("POST", "/v1/test-clock", {"to": "2026-11-21T15:00:00+03:00"})
    anna.open("/store/settings")
    letters = anna.page.locator("form[action='/store/settings/letters']")
    letters.locator("input[name=phone]").fill("+79990000001")
    letters.locator("select[name=reminder]").select_option("sms")
    assert letters.locator("select[name=purchase] option[value=off]").count() == 0
    letters.get_by_role("button", name="Сохранить").click()
    anna.see("Сохранено")
    path = f"/v1/notification-preferences/{store.id_of('Anna')}"
    assert store.call("GET", path)["letters"] == {"reminder": "sms"}


def test_35_boris_reads_english_in_his_zone_and_the_operator_russian_in_theirs(
    store, boris, operator
):
    boris.add("P1")
    boris.go_on("2026-11-21T03:00")
    boris.page.click(".topping button.wide")
    boris.see("The balance is filled.")
    boris.confirm()
    boris.see("21 November 2026, 03:00 (Asia/Vladivostok)")
    operator.open(f"/console/customers/{store.id_of('Boris')}")
    rentals: Any = operator.page.get_by_role("region", name="Прокаты")
    expect(rentals).to_contain_text(re.compile(r"20\.11\.2026\s20:00"))


def test_41_the_console_shows_what_the_day_has_brought(store, anna, boris, operator):
    anna.buy("P1", "P2", start=TONIGHT)
    anna.rental("Чайка")
    anna.page.click("a[href$='/cancel']")
    anna.page.click("main form button.wide")
    anna.see("Отменено")
    anna.rental("Маузер")
    anna.page.select_option("select[name=hours]", "48")
    anna.page.click("#extend ~ form button")
    anna.page.click("main form button.wide")
    anna.see("Срок продлён.")
    boris.add("P1")
    boris.go_on("2026-11-21T03:00")
    boris.page.click(".topping button.wide")
    boris.see("The balance is filled.")
    boris.confirm()
    store.call("POST", "/v1/test-clock", {"advance_seconds": 60})
    operator.open("/console/")
    words = operator.read()
    for line in (
        "Пополнения 1 360,00 ₽", "Списано 1 340,00 ₽", "Возвращено 500,00 ₽", "Чистыми 840,00 ₽",
        "Наша комиссия 126,00 ₽", "Средний заказ 670,00 ₽", "Заказы 2",
        "На счетах клиентов 520,00 ₽", "Должны продавцам 714,00 ₽", "Книги сходятся к 0,00 ₽",
    ):  # fmt: skip
        assert line in words
