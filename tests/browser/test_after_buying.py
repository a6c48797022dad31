"""What comes after buying, at the pages: cancelling, longer terms, the statement, strangers."""

import csv
import io
import re
import time

import httpx2
import pytest
from playwright.sync_api import expect

from tests.browser.shopper import plain

TONIGHT = "2026-11-20T20:00"


@pytest.fixture
def reserved(anna):
    """Return Anna after scenario 3: P1 for 24 hours from 20:00."""
    anna.buy("P1", start=TONIGHT)
    return anna


def cancel(shopper, title):
    shopper.rental(title)
    shopper.page.click("a[href$='/cancel']")


def see_cancelled(shopper):
    """Look until the history has it: the page shows what access knew, and looks no second time."""
    told = shopper.page.locator("section[aria-labelledby=over]", has_text="отменено")
    deadline = time.monotonic() + 20
    while told.count() == 0:
        assert time.monotonic() < deadline, "access has not heard of it"
        shopper.page.wait_for_timeout(200)
        shopper.page.reload()


def test_22_before_the_start_everything_goes_back(store, reserved):
    store.at("2026-11-20T19:59")
    cancel(reserved, "Маузер")
    reserved.see("вернётся 360,00 (100 %)")
    reserved.page.click("main form button.wide")
    reserved.see("Отменено. Деньги вернулись на баланс.")
    see_cancelled(reserved)
    assert reserved.balance() == "1 000,00 ₽"
    reserved.open("/store/orders")
    reserved.page.click("main td a")
    reserved.see("возвращён полностью", "Итого 360,00", "Возвращено 360,00", "Чистыми 0,00")
    assert store.entries("Anna")[1:] == [-36_000, 36_000]


def test_23_after_the_start_half_goes_back_if_nothing_was_watched(store, reserved):
    reserved.buy("P4", start=TONIGHT)
    store.at("2026-11-20T20:30")
    cancel(reserved, "Маузер")
    reserved.see("вернётся 180,00 (50 %)")
    reserved.page.click("main form button.wide")
    reserved.see("Отменено")
    cancel(reserved, "Ёлки. Премьера")
    reserved.see("вернётся 141,67 (50 %)")
    reserved.page.click("main form button.wide")
    reserved.see("Отменено")
    assert store.entries("Anna")[1:] == [-36_000, -28_333, 18_000, 14_167]
    assert sorted(one["net"] for one in store.orders("Anna")) == [14_166, 18_000]


def test_what_was_watched_cannot_be_cancelled_at_the_page(store, anna):
    anna.buy("P1")
    anna.open("/store/premieres/mine")
    anna.page.get_by_role("link", name=re.compile("^Смотреть")).click()
    anna.page.click("main form button")
    expect(anna.page.locator("video")).to_be_visible()
    anna.rental("Маузер")
    anna.see("просмотр начат")
    assert anna.page.locator("a[href$='/cancel']").count() == 0


def test_25_one_of_two_is_cancelled_and_the_other_can_be_watched(store, anna):
    anna.buy("P1", "P2")
    assert store.wallet("Anna") == 14_000
    anna.open("/store/premieres/mine")
    cancel(anna, "Чайка")
    # It has started already: half, unless it is cancelled by the shop.
    anna.see("вернётся 250,00 (50 %)")


def test_25_of_two_that_have_not_started_one_goes_back_in_full(store, anna):
    anna.buy("P1", "P2", start=TONIGHT)
    cancel(anna, "Чайка")
    anna.see("вернётся 500,00 (100 %)")
    anna.page.click("main form button.wide")
    anna.see("Отменено")
    assert store.wallet("Anna") == 64_000
    anna.open("/store/orders")
    anna.see("частично возвращён")
    anna.page.click("main td a")
    anna.see("Итого 860,00", "Возвращено 500,00", "Чистыми 360,00")
    store.at("2026-11-20T20:01")
    anna.open("/store/premieres/mine")
    assert anna.page.get_by_role("link", name=re.compile("^Смотреть ?: Маузер")).count() == 1


def extend(shopper, title, hours):
    shopper.rental(title)
    shopper.page.select_option("select[name=hours]", str(hours))
    shopper.page.click("#extend ~ form button")


def test_27_a_longer_term_costs_the_difference_alone(store, reserved):
    extend(reserved, "Маузер", 48)
    reserved.see("480,00 - 360,00 = 120,00", "Баланс после оплаты 520,00")
    reserved.page.click("main form button.wide")
    reserved.see("Срок продлён.", "22 ноября 2026, 20:00 (МСК)")
    assert store.entries("Anna")[1:] == [-36_000, -12_000]


def test_30_two_clicks_extend_once(store, reserved):
    extend(reserved, "Маузер", 48)
    reserved.page.locator("main form button.wide").dblclick(delay=5, no_wait_after=True)
    reserved.see("Срок продлён.", "22 ноября 2026, 20:00 (МСК)")
    assert store.entries("Anna")[1:] == [-36_000, -12_000]
    [order] = store.orders("Anna")
    assert order["lines"][0]["period_hours"] == 48


def test_a_longer_term_that_is_too_dear_offers_what_is_short(store, reserved):
    store.fill("Anna", -60_000)
    extend(reserved, "Маузер", 48)
    reserved.see("не хватает 80,00")
    reserved.page.get_by_role("link", name="Пополнить").click()
    assert reserved.page.input_value("#amount") == "100,00"
    reserved.page.click("section[aria-labelledby=topping] button.wide")
    reserved.see("24 часа → 48 часов", "Баланс после оплаты 20,00")


def test_the_start_is_moved_for_nothing(store, reserved):
    reserved.rental("Маузер")
    reserved.page.fill("#start", "2026-11-22T19:30")
    reserved.page.click("form[action$='/move'] button")
    reserved.see("Начало перенесено.", "22 ноября 2026, 19:30 (МСК)", "23 ноября 2026, 19:30 (МСК)")
    reserved.page.fill("#start", "2026-11-19T19:30")
    reserved.page.click("form[action$='/move'] button")
    reserved.see("Это время уже прошло.")
    assert store.entries("Anna")[1:] == [-36_000]


def test_39_statement_file_and_receipt_say_the_same(store, anna):
    anna.buy("P1", "P2", start=TONIGHT)
    cancel(anna, "Чайка")
    anna.page.click("main form button.wide")
    anna.see("Отменено")
    extend(anna, "Маузер", 48)
    anna.page.click("main form button.wide")
    anna.see("Срок продлён.")
    anna.open("/store/account")
    rows = [
        [plain(cell) for cell in row.locator("td").all_inner_texts()]
        for row in anna.page.locator("table.statement tbody tr").all()
    ]
    assert [row[2] for row in rows] == ["+1 000,00", "-860,00", "+500,00", "-120,00"]
    assert [row[3] for row in rows] == ["1 000,00", "140,00", "640,00", "520,00"]
    with anna.page.expect_download() as got:
        anna.page.click("a[href*='statement.csv']")
    text = got.value.path().read_text("utf-8-sig")
    table = list(csv.reader(io.StringIO(text), delimiter=";"))[1:]
    assert [[plain(row[0]), row[1], plain(row[3]), plain(row[4])] for row in table] == rows
    anna.open("/store/orders")
    anna.page.click("main td a")
    with anna.page.expect_download() as receipt:
        anna.page.click("a[href$='receipt.pdf']")
    assert receipt.value.path().read_bytes().startswith(b"%PDF-")


def test_45_a_stranger_finds_nothing(store, reserved, boris):
    [order] = store.orders("Anna")
    rental = order["lines"][0]["rental"]
    addresses = (
        f"/store/orders/{order['id']}", f"/store/orders/{order['id']}/done",
        f"/store/orders/{order['id']}/receipt.pdf", f"/store/premieres/mine/{rental}",
        f"/store/premieres/mine/{rental}/cancel", f"/store/premieres/mine/{rental}/extend?hours=48",
        f"/store/watch/{rental}", f"/store/confirm?cart={order['cart']}",
    )  # fmt: skip
    for address in addresses:
        assert boris.open(address).status == 404, address
        assert reserved.context.request.get(store.url + address).status == 200, address
    boris.open("/store/account")
    assert "-360" not in boris.read("table.statement")


def film_of(shopper):
    return shopper.page.locator("video source").get_attribute("src")


def test_the_film_comes_in_ranges_to_its_session_while_the_rental_stands(store, anna, boris):
    anna.buy("P1")
    anna.open("/store/premieres/mine")
    anna.page.get_by_role("link", name=re.compile("^Смотреть")).click()
    anna.see("Начать просмотр")
    anna.page.click("main form button")
    ready = "() => document.querySelector('video').readyState >= 1"
    anna.page.wait_for_function(ready)
    film = store.url + film_of(anna)
    asked = anna.context.request
    part = asked.get(film, headers={"Range": "bytes=0-99"})
    size = int(part.headers["content-range"].rpartition("/")[2])
    assert (part.status, part.headers["content-range"]) == (206, f"bytes 0-99/{size}")
    assert len(part.body()) == 100
    last = asked.get(film, headers={"Range": "bytes=-10"})
    assert last.headers["content-range"] == f"bytes {size - 10}-{size - 1}/{size}"
    beyond = asked.get(film, headers={"Range": f"bytes={size}-"})
    assert (beyond.status, beyond.headers["content-range"]) == (416, f"bytes */{size}")
    assert asked.get(film).status == 200
    assert boris.context.request.get(film).status == 403, "copied to another session"
    assert httpx2.get(film, trust_env=False, timeout=20).status_code == 403, "no session"
    assert asked.get(film.replace(".webm", "0.webm")).status == 403
    store.at("2026-11-20T16:30")
    assert asked.get(film).status == 403, "kept for later"
    anna.page.reload()
    fresh = store.url + film_of(anna)
    assert asked.get(fresh).status == 200
    store.at("2026-11-21T12:30")
    assert asked.get(fresh, headers={"Range": "bytes=0-99"}).status == 403, "the term is over"


def test_a_film_is_watched_on_one_device_at_a_time(store, anna, visitor):
    anna.buy("P1")
    anna.open("/store/premieres/mine")
    anna.page.get_by_role("link", name=re.compile("^Смотреть")).click()
    anna.page.click("main form button")
    film = store.url + film_of(anna)
    phone = visitor("Anna")
    phone.open(anna.page.url.removeprefix(store.url))
    phone.see("Последний раз смотрели на другом устройстве")
    assert phone.page.locator("video").count() == 0
    assert anna.context.request.get(film).status == 200, "looking takes nothing over"
    phone.page.get_by_role("button", name="Смотреть здесь").click()
    there = store.url + film_of(phone)
    assert phone.context.request.get(there).status == 200
    assert anna.context.request.get(film).status == 403, "it stops on the first"
    anna.page.reload()
    anna.see("Смотреть здесь")


def test_a_showing_is_told_in_the_time_of_its_theatre(boris):
    boris.open("/store/premieres/P1")
    assert "19:00 (MSK)" in boris.read()
    boris.add("P1")
    boris.go_on("2026-11-22T10:00")
    assert "10:00 (Asia/Vladivostok)" in boris.read()
