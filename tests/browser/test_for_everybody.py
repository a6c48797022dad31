"""The pages for everybody: by keyboard alone, without scripts, on a telephone, read aloud."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import AXE

TONIGHT = "2026-11-20T20:00"
NARROW = {"width": 360, "height": 740}
PUBLIC = ("/store/", "/store/?q=муазер", "/store/?q=розы", "/store/premieres/P1", "/store/sign-in")


def faults_of(page) -> list[str]:
    """Return what axe-core finds, in words."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run({resultTypes: ['violations']})")
    return [
        f"{one['id']}: {one['help']}: {each['html']}"
        for one in found["violations"]
        for each in one["nodes"]
    ]


def overflow_of(page) -> int:
    return int(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


def every_page(store, shopper):
    """Yield the address of every page of the store that somebody with a life in it can see."""
    yield from PUBLIC[:-1]
    yield "/store/cart"
    shopper.buy("P1", start=TONIGHT)
    yield shopper.page.url.removeprefix(store.url)
    [order] = store.orders("Anna")
    rental = order["lines"][0]["rental"]
    mine = f"/store/premieres/mine/{rental}"
    yield from (f"/store/orders/{order['id']}", "/store/orders", "/store/premieres/mine", mine)
    yield from (f"{mine}/extend?hours=48", f"{mine}/cancel", f"/store/watch/{rental}")
    yield from ("/store/account", "/store/settings", "/store/no-such-page")
    shopper.add("P2", 48)
    shopper.add("P3")
    yield from ("/store/cart", "/store/checkout")
    shopper.go_on()
    yield shopper.page.url.removeprefix(store.url)
    store.at("2026-11-20T20:01")
    yield from ("/store/premieres/mine", f"/store/watch/{rental}")
    shopper.open(f"/store/watch/{rental}")
    shopper.page.click("main form button")
    expect(shopper.page.locator("video")).to_be_visible()
    yield f"/store/watch/{rental}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_keeps_anybody_out_or_is_wider_than_a_telephone(store, visitor, scheme):
    shopper = visitor("Anna", color_scheme=scheme)
    faults: list[str] = []
    for address in every_page(store, shopper):
        shopper.open(address)
        # A page is judged when it stands still: a button that just lights up has half a colour.
        shopper.page.wait_for_load_state("load")
        faults += [f"{address}: {one}" for one in faults_of(shopper.page)]
        shopper.page.set_viewport_size(NARROW)
        if overflow_of(shopper.page) > 0:
            faults.append(f"{address}: wider than 360 pixels by {overflow_of(shopper.page)}")
        shopper.page.set_viewport_size({"width": 1280, "height": 900})
    assert faults == []


def test_no_public_page_keeps_anybody_out(visitor):
    nobody = visitor()
    faults: list[str] = []
    for address in PUBLIC:
        nobody.open(address)
        faults += [f"{address}: {one}" for one in faults_of(nobody.page)]
    assert faults == []


def press_until(page, wanted: str, key: str = "Tab", most: int = 60) -> None:
    """Press a key until the element that has the focus is the wanted one."""
    for _ in range(most):
        if page.evaluate("(wanted) => document.activeElement?.matches(wanted)", wanted):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{wanted} never gets the focus")


def test_a_premiere_is_bought_with_the_keyboard_alone(store, anna):
    page = anna.page
    anna.open("/store/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    press_until(page, "input[name=q]")
    page.keyboard.type("Маузер")
    page.keyboard.press("Enter")
    anna.see("Найдено")
    press_until(page, "a[href$='/premieres/P1']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/premieres/P1")
    press_until(page, "input[name=terms]")
    page.keyboard.press("ArrowDown")
    expect(page.locator("input[name=terms]:checked")).to_have_value("online:48")
    press_until(page, ".buy form button")
    page.keyboard.press("Enter")
    page.wait_for_url("**/store/cart**")
    press_until(page, "a[href='/store/checkout']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/store/checkout")
    press_until(page, "main form .button")
    page.keyboard.press("Enter")
    page.wait_for_url("**/store/confirm**")
    press_until(page, "form[action='/store/confirm'] button")
    page.keyboard.press("Enter")
    anna.bought()
    assert store.wallet("Anna") == 52_000


def test_a_premiere_is_bought_without_scripts(store, visitor):
    boris = visitor("Boris", java_script_enabled=False)
    boris.add("P1")
    boris.go_on()
    boris.page.click(".topping button.wide")
    boris.page.wait_for_url("**said=topped_up**")
    boris.page.click("form[action='/store/confirm'] button")
    boris.page.wait_for_url("**/done")
    boris.bought()
    assert store.entries("Boris")[1:] == [16_000, -36_000]
    boris.rental("Mauser")
    boris.page.click("#extend ~ form button")
    expect(boris.page.locator("main")).to_contain_text("short")


def test_pages_are_in_the_visitors_language_and_zone(store, boris):
    boris.open("/store/premieres/P1")
    assert boris.page.get_attribute("html", "lang") == "en"
    boris.see("Mauser", "until 1 December 2026, 06:59 (Asia/Vladivostok)")
    boris.speak("ru")
    boris.see("Добавить в корзину")
    customer = store.call("GET", f"/v1/customers/{store.id_of('Boris')}")
    assert customer["locale"] == "ru", "letters follow"
    boris.open("/store/settings")
    boris.page.select_option("select[name=language]", "en")
    boris.page.select_option("select[name=zone]", "Europe/Moscow")
    boris.page.click("form[action='/store/settings'] button")
    boris.see("Saved.", "Europe/Moscow")
    boris.open("/store/premieres/P1")
    boris.see("until 30 November 2026, 23:59 (MSK)")


def test_another_device_is_signed_out_from_this_one(visitor):
    telephone, desk = visitor("Anna"), visitor("Anna")
    desk.open("/store/settings")
    devices = desk.page.locator(".devices li")
    expect(devices).to_have_count(2)
    expect(devices.first).to_contain_text("это устройство")
    desk.page.get_by_role("button", name=re.compile("^Выйти ?: ")).click()
    desk.see("На том устройстве выполнен выход.")
    telephone.open("/store/cart")
    expect(telephone.page).to_have_url(re.compile("/store/sign-in"))


def test_the_cart_counts_down_and_is_renewed(store, anna):
    # From a full minute on, however long it took to come here.
    store.at("2026-11-20T12:10")
    anna.add("P3")
    timer = anna.page.locator(".timer")
    expect(timer).to_have_text(re.compile("^(29|30):"))
    store.at("2026-11-20T12:35")
    anna.open("/store/cart")
    expect(timer).to_have_text(re.compile("^(4|5):"))
    store.at("2026-11-20T12:36")
    anna.page.get_by_role("button", name=re.compile("^Продлить")).click()
    anna.see("Время начато заново.", "место за вами до 13:06", "ещё 9 раз")
    expect(timer).to_have_text(re.compile("^(29|30):"))
