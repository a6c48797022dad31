"""Carts, orders and refunds over the API: who may, what is refused, what is answered twice."""

import pytest

from farebox.billing.books import service as books
from farebox.billing.pricing.model_prices import Priced, PriceTerms
from farebox.billing.pricing.service_prices import create_price
from tests.api.conftest import rows_of
from tests.support.sales import flat
from tests.support.services import ADA, at_once, run

pytestmark = pytest.mark.usefixtures("billing")


@pytest.fixture
def anna(consumer, hear):
    found = consumer("Anna")
    hear()
    return found


@pytest.fixture
def till(caller):
    return caller("billing")


@pytest.fixture
def shop(admin, till, anna, hear, billing):
    """Return Anna with 1,000.00 RUB, a bucket of films, and films at 2.50 each."""
    admin.post("/v1/products", {"code": "films", "name": "Films"})
    bucket = admin.post("/v1/buckets", {"product": "films", "holder": anna[0]})["id"]
    hear()
    run(
        billing, create_price, ADA, priced=Priced(of="product", code="films"), currency="RUB",
        terms=PriceTerms(terms=flat("2.50", each=True)),
    )  # fmt: skip
    path = f"/v1/customers/{anna[0]}/wallets/RUB/fills"
    till.post(path, {"amount": 100_000, "reason": "paid at the desk"})
    return bucket


@pytest.fixture
def billing_tables(billing):
    """Return a function that reads every row of billing's tables."""
    return lambda: rows_of(billing)


@pytest.fixture(autouse=True)
def books_are_straight(billing):
    yield
    found = run(billing, books.balances, "RUB")
    assert sum(found.values()) == 0
    assert found.get("suspense", 0) == 0


def refusal(answer):
    return answer.status_code, answer.json()["code"]


def cart_with(api, bucket, quantity=100):
    cart = api.post("/v1/carts", {"currency": "RUB"})["id"]
    wish = {"kind": "credits", "code": "films", "quantity": quantity, "bucket": bucket}
    return api.post(f"/v1/carts/{cart}/lines", wish)


def complete(api, cart, total, key="new", **more):
    path = f"/v1/carts/{cart['id']}/complete"
    return api.call("POST", path, key=key, json={"shown_total": total, **more})


def balance(api, who):
    return api.get(f"/v1/customers/{who}/wallets/RUB")["available"]


def test_a_consumer_buys_credits_from_their_cart(anna, shop):
    who, api = anna
    cart = cart_with(api, shop)
    assert (cart["total"], cart["lines"][0]["renewals_left"]) == (25_000, 10)
    order = api.good(complete(api, cart, 25_000))
    assert (order["state"], order["charged"], order["net"]) == ("paid", 25_000, 25_000)
    assert balance(api, who) == 75_000
    assert api.get(f"/v1/orders/{order['id']}") == order
    assert [one["id"] for one in api.get("/v1/orders")["items"]] == [order["id"]]


def test_a_click_that_comes_twice_gets_the_first_answer(anna, shop):
    who, api = anna
    cart = cart_with(api, shop)
    made = at_once([lambda: api.good(complete(api, cart, 25_000, key="click"))["id"]] * 3)
    assert len(set(made)) == 1
    assert refusal(complete(api, cart, 24_999, key="click")) == (422, "idempotency_key_reused")
    assert refusal(complete(api, cart, 25_000)) == (409, "cart_converted")
    assert balance(api, who) == 75_000


def test_value_moves_under_a_key_only(anna, shop):
    cart = cart_with(anna[1], shop)
    assert refusal(complete(anna[1], cart, 25_000, key=None)) == (400, "idempotency_key_missing")


@pytest.mark.parametrize(
    ("total", "quantity", "code"),
    [(24_999, 100, "price_changed"), (250_000, 1_000, "wallet_short")],
)
@pytest.mark.usefixtures("shop")
def test_what_is_refused_changes_nothing(anna, billing_tables, total, quantity, code):
    _, api = anna
    cart = cart_with(api, "bkt_0000000000000001", quantity)
    before = billing_tables()
    assert refusal(complete(api, cart, total))[1] == code
    assert billing_tables() == before


@pytest.mark.parametrize(
    "wish",
    [
        {"kind": "credits", "code": "films", "quantity": 0, "bucket": "bkt_1"},
        {"kind": "credits", "code": "films", "quantity": -5, "bucket": "bkt_1"},
        {"kind": "credits", "code": "films", "quantity": 2**60, "bucket": "bkt_1"},
        {"kind": "credits", "code": "films", "quantity": 1.5, "bucket": "bkt_1"},
        {"kind": "credits", "code": "films", "quantity": 1},
        {"kind": "product", "code": "films", "price": 1},
        {"kind": "item", "code": "films"},
        {"kind": "gift", "code": "films"},
    ],
)
def test_a_wish_that_is_none_is_refused(anna, shop, billing_tables, wish):
    _, api = anna
    cart = api.post("/v1/carts", {"currency": "RUB"})["id"]
    before = billing_tables()
    assert api.call("POST", f"/v1/carts/{cart}/lines", json=wish).status_code == 422
    assert billing_tables() == before


@pytest.mark.parametrize("total", [0, 1, -25_000, 24_999, 2**53, 2**63, 25_000.5, "25000"])
def test_a_total_that_was_forged_charges_nothing(anna, shop, billing_tables, total):
    who, api = anna
    cart = cart_with(api, shop)
    before = billing_tables()
    assert complete(api, cart, total).status_code in {409, 422}
    assert billing_tables() == before
    assert balance(api, who) == 100_000


def test_a_stranger_finds_neither_cart_nor_order_nor_refund(anna, shop, consumer, hear):
    _, api = anna
    order = api.good(complete(api, cart_with(api, shop), 25_000))
    cart = cart_with(api, shop)
    _, boris = consumer("Boris")
    hear()
    for path, code in (
        (f"/v1/carts/{cart['id']}", "cart_unknown"),
        (f"/v1/orders/{order['id']}", "order_unknown"),
        (f"/v1/orders/{order['id']}/refunds", "order_unknown"),
        (f"/v1/orders/{order['id']}/return-quote", "order_unknown"),
    ):
        assert refusal(boris.call("GET", path)) == (404, code)
    for path, body in (
        (f"/v1/carts/{cart['id']}/complete", {"shown_total": 25_000}),
        (f"/v1/orders/{order['id']}/returns", {}),
        (f"/v1/orders/{order['id']}/cancel", None),
        (f"/v1/orders/{order['id']}/confirm", {"shown_total": 25_000}),
    ):
        assert boris.call("POST", path, json=body).status_code == 404
    assert boris.get("/v1/orders")["items"] == []
    assert boris.get("/v1/carts")["items"] == []


def test_only_an_operator_says_that_it_was_our_fault(anna, shop, caller):
    who, api = anna
    order = api.good(complete(api, cart_with(api, shop), 25_000))
    path = f"/v1/orders/{order['id']}/returns"
    answer = api.call("POST", path, json={"reason": "our_fault"})
    assert refusal(answer) == (409, "nothing_to_refund")
    refund = caller("support").post(path, {"reason": "our_fault", "note": "it was broken"})
    assert (refund["kind"], refund["amount"]) == ("return", 25_000)
    assert balance(api, who) == 100_000
    seen = api.get(f"/v1/orders/{order['id']}")
    assert (seen["total"], seen["net"], seen["refund_state"]) == (25_000, 0, "full")
    assert api.get(f"/v1/orders/{order['id']}/refunds")["items"] == [refund]


def test_what_goes_back_beyond_a_policy_needs_its_own_right(anna, shop, caller, till):
    who, api = anna
    order = api.good(complete(api, cart_with(api, shop), 25_000))
    path = f"/v1/orders/{order['id']}/allowances"
    for other in (api, caller("support"), caller("viewer")):
        assert other.call("POST", path, json={"amount": 1}).status_code == 403
    assert till.post(path, {"amount": 10_000})["amount"] == 10_000
    assert refusal(till.call("POST", path, json={"amount": 15_001})) == (
        409, "refund_exceeds_charge",
    )  # fmt: skip
    assert balance(api, who) == 85_000


def test_an_order_waits_and_is_confirmed_or_called_off(anna, shop, till):
    who, api = anna
    order = api.good(complete(api, cart_with(api, shop, 1_000), 250_000, wait_for_funds=True))
    assert order["state"] == "awaiting_funds"
    path = f"/v1/orders/{order['id']}"
    confirm = {"shown_total": 250_000}
    assert refusal(api.call("POST", f"{path}/confirm", json=confirm)) == (402, "wallet_short")
    till.post(
        f"/v1/customers/{who}/wallets/RUB/fills", {"amount": 150_000, "reason": "paid at the desk"}
    )
    assert api.post(f"{path}/confirm", confirm)["state"] == "paid"
    assert refusal(api.call("POST", f"{path}/cancel")) == (409, "order_state_refused")
    other = api.good(complete(api, cart_with(api, shop), 25_000, wait_for_funds=True))
    assert api.post(f"/v1/orders/{other['id']}/cancel")["state"] == "canceled"


def test_refund_policies_are_data_in_versions(till, anna, shop, viewer_of_money):
    policy = till.get("/v1/refund-policies/online_rental")
    assert (policy["version"], policy["rules"][1]["played"]) == (0, True)
    rules = [{"percent": "80", "hours_before_start": 24}, {"percent": "12.5"}]
    written = till.call("PUT", "/v1/refund-policies/online_rental", json={"rules": rules}).json()
    assert written["version"] == 1
    assert till.get("/v1/refund-policies/online_rental")["rules"][0]["percent"] == "80"
    none_at_all: tuple[list[dict[str, object]], ...] = (
        [], [{"percent": "101"}], [{"percent": 50}], [{"percent": "-1"}], [{}],
    )  # fmt: skip
    for bad in none_at_all:
        answer = till.call("PUT", "/v1/refund-policies/online_rental", json={"rules": bad})
        assert answer.status_code == 422
    answer = viewer_of_money.call("PUT", "/v1/refund-policies/x", json={"rules": rules})
    assert answer.status_code == 403
    assert refusal(till.call("GET", "/v1/refund-policies/none")) == (404, "refund_policy_unknown")


@pytest.fixture
def viewer_of_money(caller):
    return caller("viewer")


def test_commission_is_set_for_one_and_for_all(till, anna, shop):
    assert till.get("/v1/commissions/opr_1")["percent"] == "0"
    till.put("/v1/commissions/*", {"percent": "15"})
    assert till.get("/v1/commissions/opr_1")["percent"] == "15"
    till.put("/v1/commissions/opr_1", {"percent": "0"})
    assert till.get("/v1/commissions/opr_1")["percent"] == "0"
    assert till.call("PUT", "/v1/commissions/x", json={"percent": "100.5"}).status_code == 422


def test_credits_are_bought_by_themselves_for_whoever_sets_it(anna, shop, consumer, hear):
    who, api = anna
    path = f"/v1/automatic-purchases/{shop}"
    terms = {
        "product": "films", "quantity": 10, "currency": "RUB", "most": 5_000, "unit": "day",
    }  # fmt: skip
    _, boris = consumer("Boris")
    hear()
    boris.put(path, terms)
    assert api.put(path, terms)["customer"] == who
    assert api.get(path)["spent"] == 0
    api.delete(path)
    assert refusal(api.call("GET", path)) == (404, "automatic_purchase_unknown")
    answer = boris.call("GET", path, params={"consumer": who})
    assert refusal(answer) == (404, "automatic_purchase_unknown")
    assert boris.get(path)["customer"] != who
