"""Buying a premiere at the pages: the store's acceptance scenarios by their numbers."""

import re

from playwright.sync_api import expect

from tests.browser.shopper import plain

TONIGHT = "2026-11-20T20:00"
CONFIRM = "form[action='/store/confirm'] button"


def titles(shopper):
    return shopper.page.locator("li.premiere h3").all_inner_texts()


def test_01_a_search_shows_cards_with_everything_that_one_chooses_by(anna):
    anna.open("/store/")
    anna.page.fill("input[name=q]", "Маузер")
    anna.page.keyboard.press("Enter")
    anna.see("Найдено: «Маузер»")
    assert titles(anna) == ["Маузер", "Маузеры и розы"]
    card = anna.card("Маузер")
    text = plain(card.inner_text())
    for wanted in (
        "А. Ёлкина, П. Громов", "Комиссар получает приказ", "В театре 1 500,00 ₽",
        "Онлайн от 240,00 ₽", "-20 %", "часы: 12 24 48 72",
    ):  # fmt: skip
        assert wanted in text
    assert plain(card.locator("del").inner_text()).endswith("300,00 ₽")
    assert card.locator(".chip").all_inner_texts() == ["12", "24", "48", "72"]
    card.get_by_role("link").click()
    expect(anna.page).to_have_url(re.compile("/store/premieres/P1$"))


def look(shopper, query):
    shopper.open("/store/")
    shopper.page.fill("input[name=q]", query)
    shopper.page.click("form.find button")
    # Some of what it says stands on the page before it as well.
    shopper.page.wait_for_url(re.compile(r"/store/\?q="))


def test_02_a_search_bears_case_spaces_yo_and_mistyped_words(anna):
    both = ["Маузер", "Маузеры и розы"]
    wanted = {
        "маузер": both, "МАУЗЕР": both, " маузер ": both,
        "елки": ["Ёлки. Премьера", "Маузер"], "ёлки": ["Ёлки. Премьера", "Маузер"],
        "ёлкина": ["Маузер"], "елкина": ["Маузер"],
    }  # fmt: skip
    for query, found in wanted.items():
        look(anna, query)
        anna.see(f"«{query.strip()}»")
        assert titles(anna) == found, query
    look(anna, "муазер")
    anna.see("Возможно, вы искали: Маузер")
    anna.page.get_by_role("link", name="Маузер", exact=True).click()
    anna.see("Найдено: «Маузер»")
    assert titles(anna) == both
    look(anna, "")
    anna.see("Название или актёра ищите в строке выше")
    assert len(titles(anna)) == 4
    said = []
    anna.page.on("dialog", lambda dialog: said.append(dialog.dismiss()))
    look(anna, "<script>alert(1)</script>")
    anna.see("«<script>alert(1)</script>»")
    assert said == []


def test_03_a_premiere_is_bought_for_tonight(store, anna):
    anna.add("P1")
    anna.go_on(TONIGHT)
    anna.see(
        "450,00 - 90,00 = 360,00", "Баланс 1 000,00", "Баланс после оплаты 640,00",
        "20 ноября 2026, 20:00 (МСК)", "21 ноября 2026, 20:00 (МСК)",
    )  # fmt: skip
    anna.confirm()
    assert anna.balance() == "640,00 ₽"
    anna.open("/store/premieres/mine")
    anna.see("20.11.2026 20:00 - 21.11.2026 20:00 МСК", "забронировано")
    assert store.entries("Anna")[1:] == [-36_000]


def test_04_two_premieres_are_one_order(store, anna):
    anna.add("P1")
    anna.add("P2")
    anna.go_on()
    anna.see("360,00 + 500,00 = 860,00")
    anna.confirm()
    assert anna.balance() == "140,00 ₽"
    anna.open("/store/premieres/mine")
    assert anna.page.locator("section[aria-labelledby=now] li").count() == 2
    assert [len(one["lines"]) for one in store.orders("Anna")] == [2]


def test_06_what_is_short_is_topped_up_and_the_same_page_comes_back(store, boris):
    boris.add("P1")
    boris.go_on("2026-11-21T03:00")  # 20:00 in Moscow
    here = boris.page.url
    boris.see("160.00 short", "21 November 2026, 03:00 (Asia/Vladivostok)")
    assert boris.page.input_value("#amount") == "160,00"
    boris.page.click(".topping button.wide")
    boris.see("The balance is filled.", "21 November 2026, 03:00 (Asia/Vladivostok)", "24 hours")
    assert boris.page.url.partition("&said")[0] == here
    boris.see("Balance RUB 360.00", "Balance after RUB 0.00")
    boris.confirm()
    assert boris.balance() == "RUB 0.00"
    assert store.entries("Boris")[1:] == [16_000, -36_000]


def test_08_less_than_the_least_is_refused_beside_the_field(store, anna):
    store.fill("Anna", -70_000)
    anna.add("P1")
    anna.go_on()
    anna.see("не хватает 60,00", "минимум 100,00 ₽")
    assert anna.page.input_value("#amount") == "100,00"
    anna.page.fill("#amount", "59,99")
    anna.page.click(".topping button.wide")
    expect(anna.page.locator("#why")).to_have_text(re.compile("минимум\\s100,00\\s₽"))
    expect(anna.page.locator("#amount")).to_be_focused()
    assert store.wallet("Anna") == 30_000
    anna.page.fill("#amount", "100,00")
    anna.page.click(".topping button.wide")
    anna.see("Баланс 400,00", "Баланс после оплаты 40,00")
    anna.confirm()
    assert store.wallet("Anna") == 4_000


def card_of(store, name, script):
    path = f"/v1/customers/{store.id_of(name)}/payment-methods"
    body = {"gateway": "sandbox", "token": f"{script}:{name}", "label": f"Card {script}"}
    store.call("POST", path, body)


def test_09_a_declined_card_leaves_the_cart_and_another_try_succeeds_once(store, boris):
    card_of(store, "Boris", "sandbox_decline")
    boris.add("P1")
    boris.go_on()
    boris.page.click(".topping button.wide")
    boris.see("The balance was not filled.", "The bank declined the card.", "the cart is as it was")
    assert store.wallet("Boris") == 20_000
    assert store.orders("Boris") == []
    boris.page.select_option("select[name=method]", "gateway:sandbox")
    boris.page.click(".topping button.wide")
    boris.see("The balance is filled.")
    boris.confirm()
    assert store.entries("Boris")[1:] == [16_000, -36_000]


def test_a_tick_buys_at_once_after_the_top_up(store, boris):
    boris.add("P1")
    boris.go_on()
    boris.page.check("input[name=at_once]")
    boris.page.click(".topping button.wide")
    boris.bought()
    assert store.entries("Boris")[1:] == [16_000, -36_000]


def test_a_tick_with_a_declined_card_leaves_no_order_that_waits(store, boris):
    card_of(store, "Boris", "sandbox_decline")
    boris.add("P1")
    boris.go_on()
    boris.page.check("input[name=at_once]")
    boris.page.click(".topping button.wide")
    boris.see("The bank declined the card.")
    assert [one["state"] for one in store.orders("Boris")] == ["canceled"]
    boris.open("/store/cart")
    boris.see("Mauser")


def test_12_two_clicks_back_and_a_second_tab_end_at_one_order(store, anna):
    anna.add("P1")
    anna.go_on(TONIGHT)
    other = anna.tab()
    other.open(anna.page.url.removeprefix(anna.url))
    held = anna.page.input_value("form[action='/store/confirm'] input[name=key]")
    form = "form[action='/store/confirm']"
    # The second tab shows the very same form: the same key, as after "duplicate tab".
    other.page.eval_on_selector(f"{form} input[name=key]", "(one, key) => one.value = key", held)
    confirm = anna.page.locator(CONFIRM)
    confirm.dblclick(delay=5, no_wait_after=True)
    code = anna.bought()
    anna.page.go_back()
    expect(anna.page.locator("main")).to_contain_text(re.compile("заказ|Заказ"))
    expect(anna.page.locator("main")).to_contain_text(code)
    other.page.click(CONFIRM)
    assert other.bought() == code
    third = anna.tab()
    third.open(f"/store/confirm?cart={store.orders('Anna')[0]['cart']}")
    assert third.bought() == code
    assert len(store.orders("Anna")) == 1
    assert store.entries("Anna")[1:] == [-36_000]


def test_12_two_clicks_without_the_script_are_one_charge_too(store, visitor):
    anna = visitor("Anna", java_script_enabled=False)
    anna.add("P1")
    anna.go_on(TONIGHT)
    anna.page.locator(CONFIRM).dblclick(delay=5, no_wait_after=True)
    # The second click breaks the first one's navigation off, so only what is shown is waited for.
    anna.bought()
    assert len(store.orders("Anna")) == 1
    assert store.entries("Anna")[1:] == [-36_000]


def test_14_of_two_spends_at_once_one_succeeds_and_the_other_offers_the_rest(store, anna):
    store.fill("Anna", -30_000)
    other = anna.tab()
    # The first tab's order is open, and not paid, when the second tab's is confirmed.
    cart = store.call("POST", "/v1/carts", {"currency": "RUB"}, of="Anna")["id"]
    wish = {"kind": "item", "code": "P2", "offer": "online", "period_hours": 24}
    store.call("POST", f"/v1/carts/{cart}/lines", wish, of="Anna")
    first = store.call("POST", f"/v1/carts/{cart}/complete", {"shown_total": 50_000}, of="Anna")
    anna.add("P1")
    anna.go_on()
    anna.confirm()
    other.open(f"/store/orders/{first['id']}/done")
    other.page.goto(f"{store.url}/store/orders/{first['id']}/done")
    expect(other.page.locator("main")).to_contain_text(re.compile("не хватает\\s160,00"))
    assert store.wallet("Anna") == 34_000
    assert other.page.input_value("#amount") == "160,00"
    other.page.click(".topping button.wide")
    other.see("Теперь на балансе достаточно")
    other.page.click("form[action$='/confirm'] button")
    other.bought()
    assert store.wallet("Anna") == 0


def test_15_the_last_place_is_kept_for_one_and_told_to_the_other(store, anna, visitor):
    store.fill("Boris", 30_000)
    boris = visitor("Boris", locale="ru-RU")
    boris.speak("ru")
    # From a full minute on, however long it took to come here.
    store.at("2026-11-20T12:10")
    anna.add("P3")
    anna.see("место за вами до 12:40")
    store.at("2026-11-20T12:15")
    path = f"/v1/customers/{store.id_of('Boris')}"
    store.call("PATCH", path, {"zone": "Europe/Moscow"})
    boris.open("/store/?q=розы")
    boris.see("Зарезервировано, освободится не позже 12:40")
    boris.open("/store/premieres/P3")
    boris.see("Зарезервировано, освободится не позже 12:40")
    assert boris.page.locator("input[value='online:24']").is_disabled()
    store.at("2026-11-20T12:41")
    anna.open("/store/cart")
    anna.see("бронь истекла")
    boris.buy("P3")
    assert store.wallet("Boris") == 10_000
    anna.open("/store/cart")
    anna.see("мест нет")
    assert anna.page.locator("a[href='/store/checkout']").count() == 0
    anna.page.get_by_role("button", name=re.compile("^(Убрать|Удалить)")).click()
    anna.see("В корзине пусто.")
    assert store.wallet("Anna") == 100_000


def raise_price(store):
    """Let P1 for 24 hours cost 500.00 before its discount from now on."""
    found = store.premieres.prices["P1", "online", 24]
    body = {"terms": {"charge": {"model": "flat", "amount": "500"}}}
    store.call("PUT", f"/v1/prices/{found}", body)


def test_17_a_price_that_rises_while_it_is_guaranteed_does_not_count(store, anna):
    anna.add("P1")
    store.at("2026-11-20T12:10")
    raise_price(store)
    store.at("2026-11-20T12:20")
    anna.go_on()
    anna.see("450,00 - 90,00 = 360,00")
    anna.confirm()
    assert store.wallet("Anna") == 64_000


def test_18_a_price_that_rose_after_the_guarantee_is_shown_before_it_is_charged(store, anna):
    anna.add("P1")
    anna.go_on()
    store.at("2026-11-20T12:10")
    raise_price(store)
    store.at("2026-11-20T12:35")
    anna.page.click(CONFIRM)
    anna.see("Цена изменилась: 360,00 -> 400,00")
    assert store.wallet("Anna") == 100_000
    anna.confirm()
    assert store.wallet("Anna") == 60_000
