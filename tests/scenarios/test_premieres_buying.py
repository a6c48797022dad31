"""The premiere store's scenarios of looking and buying, with both services as they are."""

import threading
from contextlib import contextmanager
from functools import partial

import pytest

from tests.support.opening import billing_urls, database_url, opened  # noqa: F401 - fixtures
from tests.support.premieres import Store
from tests.support.services import at_once

TONIGHT = "2026-11-20T17:00:00Z"  # 20:00 in Moscow


@pytest.fixture
def store(both, opening):
    return Store(both, opening.made)


@pytest.fixture
def shortly():
    """Return a block in which both services work beside, as they do where they are served."""

    @contextmanager
    def working(settle):
        over = threading.Event()

        def work():
            while not over.wait(0.01):
                settle()

        beside = threading.Thread(target=work)
        beside.start()
        yield
        over.set()
        beside.join()

    return working


def code_of(answer):
    return answer.status_code, answer.json()["code"]


def ids(found):
    return [each["id"] for each in found["items"]]


# -- 1, 2: search ----------------------------------------------------------------------------------


def test_1_search_shows_two_cards_the_title_before_its_longer_namesake(store):
    found = store.look("/api/v1/search/", q="Маузер").json()
    assert ids(found) == ["P1", "P3"]
    card = found["items"][0]
    assert (card["title"], card["actors"]) == ("Маузер", ["А. Ёлкина", "П. Громов"])
    assert card["description"]
    assert (card["theatre_price"], card["online_from"]) == (150_000, 24_000)
    assert (card["online_list_from"], card["discount_percent"]) == (30_000, "20")
    assert card["period_hours"] == [12, 24, 48, 72]


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("маузер", ["P1", "P3"]),
        ("МАУЗЕР", ["P1", "P3"]),
        (" маузер ", ["P1", "P3"]),
        ("елки", ["P4", "P1"]),
        ("ёлки", ["P4", "P1"]),
        ("ёлкина", ["P1"]),
        ("елкина", ["P1"]),
        ("<script>", []),
    ],
)
def test_2_search_forgives_case_and_yo(store, query, wanted):
    found = store.look("/api/v1/search/", q=query).json()
    assert (ids(found), found["suggestion"]) == (wanted, None)


def test_2_search_suggests_what_was_meant_and_takes_nothing_for_an_answer(store):
    found = store.look("/api/v1/search/", q="муазер").json()
    assert (ids(found), found["suggestion"]) == ([], "маузер")
    assert ids(store.look("/api/v1/search/", q="").json()) == ["P4", "P3", "P2", "P1"]


# -- 3, 4: buying ----------------------------------------------------------------------------------


def test_3_the_happy_path(store):
    anna = store.anna
    [line] = anna.put("P1", 24, starts_at=TONIGHT)["lines"]
    assert (line["list_fee"], line["promotion"]["off"], line["gross"]) == (45_000, 9_000, 36_000)
    assert anna.balance == 100_000
    order = anna.confirm(36_000)
    assert (order["state"], order["total"], order["net"]) == ("fulfilled", 36_000, 36_000)
    assert anna.balance == 64_000
    [rental] = anna.rentals
    assert (rental["state"], rental["order"]) == ("scheduled", order["id"])
    assert rental["starts_at"] == TONIGHT
    assert rental["ends_at"] == "2026-11-21T17:00:00Z"
    assert anna.statement()[0] == (-36_000, 64_000)


def test_4_two_lines_are_one_order_and_two_rentals(store):
    anna = store.anna
    anna.put("P1")
    assert anna.put("P2")["total"] == 86_000
    order = anna.confirm(86_000)
    assert [each["gross"] for each in order["lines"]] == [36_000, 50_000]
    assert (anna.balance, len(anna.orders), len(anna.rentals)) == (14_000, 1, 2)


# -- 6, 8, 9: topping up ---------------------------------------------------------------------------


def test_6_who_has_too_little_tops_up_and_comes_back_to_the_same_page(store):
    boris = store.boris
    before = boris.put("P1", 24, starts_at=TONIGHT)
    short = boris.complete(before["total"], key="page-1")
    assert code_of(short) == (402, "wallet_short")
    assert (short.json()["missing"], short.json()["available"]) == (16_000, 20_000)
    boris.api.good(boris.top_up(short.json()["missing"]))
    assert boris.balance == 36_000
    after = boris.cart()
    assert after == before
    order = boris.confirm(36_000, key="page-1")
    assert (order["state"], boris.balance) == ("fulfilled", 0)
    assert [each for each, _ in boris.statement()][:2] == [-36_000, 16_000]
    assert boris.rentals[0]["starts_at"] == TONIGHT


def test_6_an_order_may_wait_for_its_funds_and_be_confirmed_when_they_are_there(store):
    boris = store.boris
    boris.put("P1")
    waits = boris.api.good(boris.complete(36_000, wait_for_funds=True))
    boris.begin(waits)
    store.settle()
    assert boris.order(waits["id"])["state"] == "awaiting_funds"
    boris.top_up(16_000)
    # The money is there, and the order still waits for its customer.
    assert (boris.order(waits["id"])["state"], boris.balance) == ("awaiting_funds", 36_000)
    boris.api.post(f"/v1/orders/{waits['id']}/confirm", {"shown_total": 36_000})
    store.settle()
    assert (boris.order(waits["id"])["state"], boris.balance) == ("fulfilled", 0)


def test_6_who_ticked_it_has_bought_as_soon_as_the_money_is_there(store):
    boris = store.boris
    boris.put("P1")
    waits = boris.api.good(boris.complete(36_000, buy_at_once=True))
    boris.begin(waits)
    store.settle()
    boris.top_up(16_000)
    assert (boris.order(waits["id"])["state"], boris.balance) == ("fulfilled", 0)


def test_8_below_the_least_that_may_be_asked_for(store):
    anna = store.anna
    store.fill(anna, -70_000)
    anna.put("P1")
    short = anna.complete(36_000).json()
    assert short["missing"] == 6_000
    prefilled = max(short["missing"], anna.wallet["least_top_up"])
    assert prefilled == 10_000
    refused = anna.top_up(5_999)
    assert code_of(refused) == (409, "top_up_amount_refused")
    anna.top_up(prefilled, script="sandbox_ok_again")
    assert anna.balance == 40_000
    anna.confirm(36_000)
    assert anna.balance == 4_000


def test_9_a_declined_card_changes_nothing_and_another_try_succeeds_once(store):
    boris = store.boris
    cart = boris.put("P1")
    asked = boris.api.good(boris.top_up(16_000, script="sandbox_decline"))
    failed = boris.api.get(f"/v1/top-ups/{asked['id']}")
    assert (failed["state"], failed["failure"]) == ("failed", "card_declined")
    assert (boris.balance, boris.cart(), boris.orders) == (20_000, cart, [])
    boris.top_up(16_000)
    assert boris.balance == 36_000
    boris.confirm(36_000)
    assert (boris.balance, len(boris.orders)) == (0, 1)


# -- 12, 14, 15: at once ---------------------------------------------------------------------------


def test_12_a_double_click_is_one_order_and_one_debit_and_so_is_going_back(store, shortly):
    anna = store.anna
    cart = anna.put("P1")
    path = f"/v1/carts/{cart['id']}/complete"
    body = {"shown_total": 36_000}
    click = [lambda: anna.api.call("POST", path, key="page-1", json=body)] * 2
    made = [anna.api.good(answer) for answer in at_once(click)]
    for order in made:
        anna.begin(order)
    with shortly(store.settle):
        paid = anna.api.get(f"/v1/orders/{made[0]['id']}", wait="true")
    assert paid["state"] == "fulfilled"
    back = anna.api.call("POST", path, key="page-2", json=body)
    assert code_of(back) == (409, "cart_converted")
    tab = anna.api.good(anna.api.call("POST", path, key="page-1", json=body))
    assert {each["id"] for each in (*made, tab)} == {back.json()["order"]}
    assert (anna.balance, len(anna.orders), len(anna.rentals)) == (64_000, 1, 1)


def test_14_of_two_spends_at_once_exactly_one_succeeds(store):
    anna = store.anna
    store.fill(anna, -30_000)
    anna.put("P1")
    anna.put("P2")

    def tab(item, summ):
        body = {"id": item, "summ": summ}
        made = anna.api.good(
            anna.api.call("POST", "/api/v1/billing/withdraw/", key=None, json=body)
        )
        anna.begin(anna.order(made["order"]))

    at_once([lambda: tab("P1", 36_000), lambda: tab("P2", 50_000)])
    store.settle()
    states = sorted(order["state"] for order in anna.orders)
    assert states == ["awaiting_funds", "fulfilled"]
    [waits] = [order for order in anna.orders if order["state"] == "awaiting_funds"]
    assert anna.balance in {34_000, 20_000}
    assert waits["total"] - anna.balance == 16_000


def test_15_the_last_seat(store):
    anna, boris = store.anna, store.boris
    store.fill(boris, 30_000)
    place = anna.hold("P3")
    anna.put("P3")
    store.at("2026-11-20T09:05:00Z")
    late = boris.api.call("POST", "/v1/places", json={"item": "P3", "offer": "online"})
    assert code_of(late) == (409, "sold_out")
    assert late.json()["free_at"] == place["expires_at"]
    store.at("2026-11-20T09:31:00Z")
    assert anna.api.get(f"/v1/places/{place['id']}")["state"] == "expired"
    assert anna.cart()["lines"][0]["problems"] == ["guarantee_over"]
    boris.buy("P3", 24, 40_000)
    assert boris.balance == 10_000
    gone = anna.api.call("POST", f"/v1/places/{place['id']}/renew", json={})
    assert code_of(gone) == (409, "sold_out")
    # Who confirms nevertheless is not charged: the place cannot be pinned.
    order = anna.api.good(anna.complete(40_000))
    [pinned] = anna.begin(order)
    assert code_of(pinned) == (409, "sold_out")
    anna.api.post(f"/v1/orders/{order['id']}/cancel")
    store.settle()
    cart = anna.cart()
    [line] = cart["lines"]
    anna.api.delete(f"/v1/carts/{cart['id']}/lines/{line['id']}")
    assert (anna.cart()["lines"], anna.balance) == ([], 100_000)


def test_15_twenty_buyers_of_five_places_make_five_orders(store):
    admin = store.both.admin
    offers = [{"code": "online", "kind": "online_rental", "periods": [24], "capacity": 5}]
    admin.patch("/v1/items/P3", {"offers": offers})
    buyers = [store.visitor(f"Guest {number}", 40_000) for number in range(20)]

    def buy(buyer):
        place = buyer.api.call("POST", "/v1/places", json={"item": "P3", "offer": "online"})
        if place.status_code != 201:
            assert code_of(place) == (409, "sold_out")
            return None
        buyer.put("P3")
        order = buyer.api.good(buyer.complete(40_000))
        [begun] = buyer.begin(order, place.json()["id"])
        assert begun.status_code == 201, begun.text
        return order["id"]

    made = at_once([partial(buy, buyer) for buyer in buyers])
    store.settle()
    assert [each for each in made if isinstance(each, Exception)] == []
    orders = [order for buyer in buyers for order in buyer.orders]
    assert [order["state"] for order in orders] == ["fulfilled"] * 5
    assert sorted(buyer.balance for buyer in buyers) == [0] * 5 + [40_000] * 15
    assert sum(len(buyer.rentals) for buyer in buyers) == 5


# -- 17, 18, 21: prices that change ----------------------------------------------------------------


def test_17_a_price_that_rises_inside_the_hold_is_not_charged(store):
    anna = store.anna
    anna.put("P1")
    store.at("2026-11-20T09:10:00Z")
    store.reprice("P1", 24, "500")
    store.at("2026-11-20T09:20:00Z")
    assert anna.cart()["total"] == 36_000
    anna.confirm(36_000)
    assert anna.balance == 64_000


def test_18_a_price_that_rose_is_shown_before_it_is_charged(store):
    anna = store.anna
    anna.put("P1")
    store.at("2026-11-20T09:10:00Z")
    store.reprice("P1", 24, "500")
    store.at("2026-11-20T09:31:00Z")
    refused = anna.complete(36_000)
    assert code_of(refused) == (409, "price_changed")
    assert (refused.json()["shown_total"], refused.json()["total"]) == (36_000, 40_000)
    assert anna.balance == 100_000
    anna.confirm(40_000)
    assert anna.balance == 60_000


def test_21_a_forged_amount_charges_nothing(store):
    anna = store.anna
    anna.put("P1")
    body = {"id": "P1", "summ": 100}
    refused = anna.api.call("POST", "/api/v1/billing/withdraw/", key=None, json=body)
    assert code_of(refused) == (409, "price_changed")
    assert (refused.json()["total"], anna.balance) == (36_000, 100_000)


# -- the literal journey ---------------------------------------------------------------------------


def test_the_literal_paths_alone_make_a_purchase(store, shortly):
    anna = store.anna
    cost = store.look("/api/v1/rent/:id=P1&period=24").json()["price"]
    anna.put("P1")
    asked = {"id": "P1", "period": 24}
    early = anna.api.call("POST", "/api/v1/rent/", key=None, json=asked)
    assert code_of(early) == (402, "not_paid")
    body = {"id": "P1", "summ": cost}
    anna.api.good(anna.api.call("POST", "/api/v1/billing/withdraw/", key=None, json=body))
    with shortly(store.settle):
        given = anna.api.good(anna.api.call("POST", "/api/v1/rent/", key=None, json=asked))
    assert (given["paid"], given["state"]) == (True, "fulfilled")
    assert given["rental"]["id"] == anna.rentals[0]["id"]
    again = anna.api.good(anna.api.call("POST", "/api/v1/rent/", key=None, json=asked))
    assert (again, anna.balance) == (given, 64_000)
    other = anna.api.call("POST", "/api/v1/rent/", key=None, json={"id": "P1", "period": 48})
    assert code_of(other) == (402, "not_paid")
