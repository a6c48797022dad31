"""The premiere store's scenarios of what comes after buying, with both services as they are."""

import csv
import io

import pypdfium2 as pdfium
import pytest

from farebox.kernel.clock import parse_time
from tests.support.opening import billing_urls, database_url, opened  # noqa: F401 - fixtures
from tests.support.premieres import Store
from tests.support.services import at_once

TONIGHT = "2026-11-20T17:00:00Z"  # 20:00 in Moscow


@pytest.fixture
def store(both, opening):
    return Store(both, opening.made)


@pytest.fixture
def bought(store):
    """Return Anna's order of scenario 3: P1 for 24 hours from 20:00."""
    return store.anna.buy("P1", 24, 36_000, starts_at=TONIGHT)


@pytest.fixture
def both_bought(store):
    """Return Anna's order of scenario 4: P1 and P2 for 24 hours, from now on."""
    store.anna.put("P1")
    store.anna.put("P2")
    return store.anna.confirm(86_000)


def line_of(order, item):
    [line] = [each for each in order["lines"] if each["code"] == item]
    return line


def code_of(answer):
    return answer.status_code, answer.json()["code"]


def sums(order):
    return order["total"], order["charged"], order["refunded"], order["net"]


# -- 22, 23, 25: cancelling ------------------------------------------------------------------------


def test_22_who_cancels_before_the_start_gets_everything_back(store, bought):
    anna = store.anna
    store.at("2026-11-20T16:59:00Z")
    assert anna.quote_return(bought["id"]) == (36_000, "100")
    anna.give_back(bought["id"])
    assert anna.balance == 100_000
    assert anna.rentals[0]["state"] == "revoked"
    order = anna.order(bought["id"])
    assert sums(order) == (36_000, 36_000, 36_000, 0)
    assert order["refund_state"] == "full"
    assert [amount for amount, _ in anna.statement()][:2] == [36_000, -36_000]


@pytest.mark.parametrize(
    ("item", "price", "back", "net"),
    [("P1", 36_000, 18_000, 18_000), ("P4", 28_333, 14_167, 14_166)],
)
def test_23_who_cancels_after_the_start_unplayed_gets_half(store, item, price, back, net):
    anna = store.anna
    order = anna.buy(item, 24, price, starts_at=TONIGHT)
    store.at("2026-11-20T17:30:00Z")
    assert anna.quote_return(order["id"]) == (back, "50")
    anna.give_back(order["id"])
    assert anna.balance == 100_000 - net
    assert sums(anna.order(order["id"])) == (price, price, back, net)


def test_23_who_has_played_gets_nothing_and_has_to_accept_that(store, bought):
    anna = store.anna
    store.at("2026-11-20T17:30:00Z")
    anna.api.post(f"/v1/rentals/{anna.rentals[0]['id']}/play")
    store.settle()
    assert anna.quote_return(bought["id"]) == (0, "0")
    refused = anna.api.call("POST", f"/v1/orders/{bought['id']}/returns", json={})
    assert (code_of(refused), anna.balance) == ((409, "nothing_to_refund"), 64_000)


def test_25_one_of_two_is_cancelled_and_the_other_stays(store, both_bought):
    anna = store.anna
    seagull = line_of(both_bought, "P2")
    future = anna.api.get(f"/v1/orders/{both_bought['id']}/return-quote", line=seagull["id"])
    assert future["amount"] == 25_000  # it runs already: half
    refund = {"lines": [seagull["id"]], "reason": "our_fault"}
    store.both.admin.post(f"/v1/orders/{both_bought['id']}/returns", refund)
    store.settle()
    assert anna.balance == 64_000
    order = anna.order(both_bought["id"])
    assert (order["refund_state"], sums(order)) == ("partial", (86_000, 86_000, 50_000, 36_000))
    states = {each["item"]: each["state"] for each in anna.rentals}
    assert states == {"P1": "available", "P2": "revoked"}
    played = anna.api.post(f"/v1/rentals/{line_of(order, 'P1')['rental']}/play")
    assert played["state"] == "playing"


def test_25_before_the_start_the_policy_itself_gives_one_of_two_back(store):
    anna = store.anna
    anna.put("P1", starts_at=TONIGHT)
    anna.put("P2", starts_at=TONIGHT)
    order = anna.confirm(86_000)
    anna.give_back(order["id"], lines=[line_of(order, "P2")["id"]])
    assert anna.balance == 64_000
    after = anna.order(order["id"])
    assert (after["refund_state"], sums(after)) == ("partial", (86_000, 86_000, 50_000, 36_000))
    assert {each["item"]: each["state"] for each in anna.rentals} == {
        "P1": "scheduled", "P2": "revoked",
    }  # fmt: skip


# -- 27, 30: another period ------------------------------------------------------------------------


def reminders(store):
    told = store.both.billing.heard("entitlement.expiring")
    return [parse_time(event.data["endsAt"]) for event in told]


def test_27_a_longer_rental_costs_the_difference_only(store, bought):
    anna = store.anna
    [rental] = anna.rentals
    quote = anna.api.get(f"/v1/rental-quotes/{rental['id']}", period_hours=48)
    assert (quote["fee_after"], quote["fee_before"], quote["amount"]) == (48_000, 36_000, 12_000)
    anna.extend(rental["id"], 48)
    assert anna.balance == 52_000
    assert anna.rentals[0]["ends_at"] == "2026-11-22T17:00:00Z"
    # The reminder of the old end is dead; that of the new one comes 3 hours before it, once.
    store.at("2026-11-21T16:59:00Z")
    assert reminders(store) == []
    store.at("2026-11-22T13:59:00Z")
    assert reminders(store) == []
    store.at("2026-11-22T14:00:00Z")
    store.at("2026-11-22T15:00:00Z")
    assert reminders(store) == [parse_time("2026-11-22T17:00:00Z")]


def test_27_the_difference_is_that_of_the_time_of_the_purchase(store, bought):
    store.reprice("P1", 48, "5000")
    [promotion] = store.both.admin.get("/v1/promotions", code="P1")["items"]
    store.both.admin.post(f"/v1/promotions/{promotion['id']}/end", {})
    [rental] = store.anna.rentals
    quote = store.anna.api.get(f"/v1/rental-quotes/{rental['id']}", period_hours=48)
    assert quote["amount"] == 12_000


def test_30_a_double_click_on_extend_is_one_charge_and_one_longer_end(store, bought):
    anna = store.anna
    [rental] = anna.rentals
    path, body = f"/v1/rentals/{rental['id']}/request-extension", {"period_hours": 48}
    at_once([lambda: anna.api.call("POST", path, json=body)] * 2)
    store.settle()
    assert (anna.balance, anna.rentals[0]["ends_at"]) == (52_000, "2026-11-22T17:00:00Z")
    assert [amount for amount, _ in anna.statement()].count(-12_000) == 1
    assert anna.order(bought["id"])["charged"] == 48_000


# -- 39, 41, 45: what is told of it ----------------------------------------------------------------


@pytest.fixture
def day(store):
    """Return Anna's order after the day of scenario 41; Boris has topped up and bought too."""
    anna, boris = store.anna, store.boris
    anna.put("P1", starts_at=TONIGHT)
    anna.put("P2", starts_at=TONIGHT)
    order = anna.confirm(86_000)
    anna.give_back(order["id"], lines=[line_of(order, "P2")["id"]])
    anna.extend(line_of(anna.order(order["id"]), "P1")["rental"], 48)
    boris.top_up(16_000)
    boris.buy("P1", 24, 36_000)
    return anna.order(order["id"])


def test_39_the_statement_tells_every_movement_and_the_table_says_the_same(store, day):
    anna = store.anna
    assert anna.statement()[::-1] == [
        (100_000, 100_000), (-86_000, 14_000), (50_000, 64_000), (-12_000, 52_000),
    ]  # fmt: skip
    path = f"/v1/customers/{anna.id}/wallets/RUB/statement.csv"
    rows = list(csv.DictReader(io.StringIO(anna.api.call("GET", path).text)))
    told = [(int(each["amount"]), int(each["balance"])) for each in rows]
    assert told == anna.statement()


def test_41_the_figures_of_the_day_come_from_the_reports(store, day):
    admin = store.both.admin
    span = {"from": "2026-11-20T00:00:00Z", "to": "2026-11-21T00:00:00Z"}
    sales = admin.get("/v1/reports/sales", **span)
    [row] = sales["rows"]
    assert row == {
        "currency": "RUB", "top_ups": 136_000, "charges": 134_000, "refunds": 50_000,
        "net": 84_000, "commission": 12_600, "average_order": 67_000, "orders": 2, "customers": 2,
        "wallets": 52_000, "bonus": 0,
    }  # fmt: skip
    balances = {
        each["account"]: each["balance"] for each in admin.get("/v1/reports/balances")["rows"]
    }
    assert balances[f"payable:{store.made.seller}"] == 71_400
    assert balances["commission"] == 12_600
    assert sum(balances.values()) == 0


def test_45_a_stranger_finds_nothing_of_anybody_else(store, day):
    boris, anna = store.boris, store.anna
    rental, line = anna.rentals[0]["id"], day["lines"][0]
    wallet = f"/v1/customers/{anna.id}/wallets/RUB"
    paths = [
        f"/v1/orders/{day['id']}",
        f"/v1/orders/{day['id']}/receipt.pdf",
        f"/v1/orders/{day['id']}/refunds",
        f"/v1/orders/{day['id']}/return-quote",
        f"/v1/carts/{day['cart']}",
        f"/v1/rentals/{rental}",
        f"/v1/rental-quotes/{rental}?period_hours=72",
        f"/v1/purchases/{line['purchase']}",
        wallet,
        f"{wallet}/statement",
        f"{wallet}/statement.csv",
        f"/v1/customers/{anna.id}",
    ]
    for path in paths:
        assert boris.api.call("GET", path).status_code == 404, path
    for path, body in (
        (f"/v1/orders/{day['id']}/returns", {}),
        (f"/v1/rentals/{rental}/play", {}),
        (f"/v1/rentals/{rental}/request-extension", {"period_hours": 72}),
        (f"{wallet}/top-ups", {"amount": 10_000}),
    ):
        assert boris.api.call("POST", path, json=body).status_code == 404, path
    assert anna.order(day["id"]) == day


def text_of(answer):
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    [page] = pdfium.PdfDocument(answer.content)
    return page.get_textpage().get_text_bounded().replace("\xa0", " ")


def test_39_the_receipt_tells_what_was_bought_paid_and_given_back(store, day):
    path = f"/v1/orders/{day['id']}/receipt.pdf"
    russian = text_of(store.anna.api.call("GET", path))
    for said in (
        "Маузер", "Чайка", "Осень · Autumn -20 %: -90,00 ₽", "20 ноября 2026, 20:00 (МСК)",
        "Итого по заказу 860,00 ₽", "Продление аренды 120,00 ₽", "Всего оплачено 980,00 ₽",
        "Возвращено -500,00 ₽", "Оплачено за вычетом возвратов 480,00 ₽",
    ):  # fmt: skip
        assert said in russian.replace("\r\n", " "), (said, russian)
    english = text_of(store.anna.api.call("GET", path, params={"language": "en"}))
    assert "The Seagull" in english


def test_39_only_what_was_paid_has_a_receipt(store):
    boris = store.boris
    boris.put("P1")
    waits = boris.api.good(boris.complete(36_000, wait_for_funds=True))
    answer = boris.api.call("GET", f"/v1/orders/{waits['id']}/receipt.pdf")
    assert code_of(answer) == (409, "order_state_refused")


# -- money that a bank takes back ------------------------------------------------------------------


@pytest.fixture
def by_card(store):
    """Return Boris's order of P1, paid by a card."""
    boris = store.boris
    boris.put("P1")
    return boris.confirm(36_000, pay_by="gateway", method=boris.card("sandbox_ok"))


def dispute(store, order, amount, state="opened"):
    said = {
        "id": f"dp_1:{state}", "payment": order["payment"], "chargeback": "dp_1",
        "chargeback_state": state, "amount": amount,
    }  # fmt: skip
    store.both.billing.till.tell(**said)
    store.settle()


def test_what_a_bank_takes_back_whole_is_taken_from_who_had_it(store, by_card):
    boris = store.boris
    assert (by_card["state"], boris.rentals[0]["state"]) == ("fulfilled", "available")
    dispute(store, by_card, 36_000)
    assert boris.rentals[0]["state"] == "revoked"
    after = boris.order(by_card["id"])
    assert (after["lines"][0]["state"], after["reason"]) == ("returned", "charged_back")
    # Nothing goes back a second time, and a won dispute gives nothing by itself.
    refused = boris.api.call("POST", f"/v1/orders/{by_card['id']}/returns", json={})
    assert code_of(refused) == (409, "order_state_refused")
    dispute(store, by_card, 36_000, "won")
    assert boris.rentals[0]["state"] == "revoked"


def test_a_part_that_a_bank_takes_back_takes_nothing_from_anybody(store, by_card):
    dispute(store, by_card, 10_000)
    assert store.boris.rentals[0]["state"] == "available"
    assert store.boris.order(by_card["id"])["lines"][0]["state"] == "granted"


# -- orders by transfer ----------------------------------------------------------------------------


def by_transfer(store):
    boris = store.boris
    boris.put("P1")
    order = boris.api.good(boris.complete(36_000, pay_by="gateway", gateway="manual"))
    boris.begin(order)
    store.settle()
    return order["id"]


def test_an_order_by_transfer_waits_for_days_and_then_ends(store):
    order = by_transfer(store)
    store.at("2026-11-20T09:31:00Z")
    waits = store.boris.order(order)
    assert (waits["state"], waits["due_at"][:16]) == ("created", "2026-11-23T09:00")
    store.both.admin.post(f"/v1/payments/{waits['payment']}/confirm", {"reference": "TRF 1"})
    store.settle()
    assert store.boris.order(order)["state"] == "fulfilled"


def test_how_long_an_order_waits_is_a_setting_of_its_gateway(store):
    admin = store.both.admin
    admin.put("/v1/order-times/manual", {"minutes": 60})
    found = admin.get("/v1/order-times")
    assert found == {"items": [{"gateway": "manual", "minutes": 60}], "standard_minutes": 30}
    order = by_transfer(store)
    store.at("2026-11-20T09:59:00Z")
    assert store.boris.order(order)["state"] == "created"
    store.at("2026-11-20T10:01:00Z")
    # Its payment is called off, and ends it.
    ended = store.boris.order(order)
    assert (ended["state"], ended["reason"], ended["due_at"]) == ("failed", "canceled", None)
    assert store.boris.cart()["total"] == 36_000
    for minutes in (0, 129_601, "60"):
        bad = admin.call("PUT", "/v1/order-times/manual", json={"minutes": minutes})
        assert code_of(bad) == (422, "fields_invalid")
