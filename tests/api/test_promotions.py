"""Promotions over the API: made by those who price, seen in quotes and carts, ended, refused."""

from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("billing")
FILMS = {"name": "Autumn", "of": "product", "code": "films", "percent": "20"}


@pytest.fixture
def money(caller, admin, films, hear):
    admin.post("/v1/products", {"code": "books", "name": "Books"})
    hear()
    return caller("billing")


@pytest.fixture
def price(money):
    body = {"of": "product", "code": "films", "currency": "RUB"}
    terms = {"charge": {"model": "per_unit", "unit": "4.50"}}
    return money.post("/v1/prices", {**body, "terms": terms})["id"]


def refused(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    return answer.json()


def test_a_promotion_is_made_read_listed_and_ended(money, clock):
    wanted = {**FILMS, "valid_until": "2099-01-01T00:00:00Z"}
    made = money.post("/v1/promotions", wanted, key="k")
    assert {**wanted, "amount": None, "currency": None, "offer": None}.items() <= made.items()
    assert money.post("/v1/promotions", wanted, key="k") == made
    other = money.call("POST", "/v1/promotions", json={**wanted, "percent": "21"}, key="k")
    refused(other, 422, "idempotency_key_reused")
    path = f"/v1/promotions/{made['id']}"
    assert money.get("/v1/promotions", of="product", code="films")["items"] == [money.get(path)]
    assert money.get("/v1/promotions", code="books")["items"] == []
    clock.move(1_000_000)
    ended = money.post(f"{path}/end", {})
    assert ended["valid_until"] > made["valid_from"]
    clock.move(1_000_000)
    assert money.post(f"{path}/end", {}) == ended
    assert money.get("/v1/promotions", at="2098-01-01T00:00:00Z")["items"] == []


def test_a_quote_shows_the_list_price_and_the_promotion(money, price):
    made = money.post("/v1/promotions", FILMS)
    found = money.post("/v1/quotes", {"lines": [{"price": price, "quantity": "100"}]})
    [line] = found["lines"]
    assert (line["list_amount"], line["amount"], found["gross"]) == (45_000, 36_000, 36_000)
    assert (line["promotion"]["id"], line["promotion"]["off"]) == (made["id"], 9_000)


def test_a_cart_shows_the_list_price_the_promotion_and_what_is_to_be_paid(
    money, price, consumer, hear
):
    _, api = consumer("Anna")
    hear()
    money.post("/v1/promotions", FILMS)
    cart = api.post("/v1/carts", {"currency": "RUB"})["id"]
    wish = {"kind": "credits", "code": "films", "quantity": 100, "bucket": "bkt_1"}
    [line] = api.post(f"/v1/carts/{cart}/lines", wish)["lines"]
    shown = (line["list_fee"], line["promotion"]["off"], line["fee"], line["gross"])
    assert shown == (45_000, 9_000, 36_000, 36_000)


BAD: dict[str, tuple[int, str, dict[str, Any]]] = {
    "nothing off": (409, "promotion_invalid", {"percent": None}),
    "both": (409, "promotion_invalid", {"amount": 5, "currency": "RUB"}),
    "no currency": (409, "promotion_invalid", {"percent": None, "amount": 5}),
    "a currency alone": (409, "promotion_invalid", {"currency": "RUB"}),
    "over": (409, "promotion_invalid", {"valid_until": "2001-01-01T00:00:00Z"}),
    "an offer of a product": (409, "price_refused", {"offer": "online"}),
    "a period of nothing": (409, "price_refused", {"of": "item", "period_hours": 24}),
    "too much": (422, "fields_invalid", {"percent": "101"}),
    "a number": (422, "fields_invalid", {"percent": 20}),
    "no name": (422, "fields_invalid", {"name": ""}),
    "another field": (422, "fields_invalid", {"codes": []}),
}


@pytest.mark.parametrize("case", BAD, ids=list(BAD))
def test_what_is_no_promotion_is_refused(money, case):
    status, code, change = BAD[case]
    refused(money.call("POST", "/v1/promotions", json={**FILMS, **change}), status, code)
    assert money.get("/v1/promotions")["items"] == []


def test_what_nobody_sells_is_not_promoted_and_what_is_not_there_not_ended(money):
    unknown = money.call("POST", "/v1/promotions", json={**FILMS, "code": "nothing"})
    refused(unknown, 409, "priced_unknown")
    refused(money.call("POST", "/v1/promotions/prm_x/end", json={}), 404, "promotion_unknown")
    refused(money.call("GET", "/v1/promotions/prm_x"), 404, "promotion_unknown")
