"""Prices and quotes over the API, and the literal paths of the pricing service."""

from functools import partial
from typing import Any

import pytest

from farebox.billing.pricing import service_prices
from farebox.http.openapi import handlers_of
from farebox.platform.service_audit import list_audit
from tests.support.services import at_once, run
from tests.support.threads import Worker

PER_CALL = {"charge": {"model": "per_unit", "unit": "0.001"}}
TWICE = {"charge": {"model": "per_unit", "unit": "0.002"}}
STRIPE = {"provider": "stripe", "reference": "price_1"}
PAYPAL = {"provider": "paypal", "reference": "P-1"}
ROOTS = ["/v1/prices", "/prices"]


@pytest.fixture
def money(billing, admin, films, hear):
    """Return an operator's calls with films in the catalogue that billing knows of."""
    admin.post("/v1/plans", {"code": "pro", "name": "Pro"})
    hear()
    return admin


def body(**more):
    return {"of": "product", "code": "films", "currency": "USD", "terms": PER_CALL, **more}


def refused(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    return answer.json()


def ids(page):
    return [one["id"] for one in page["items"]]


@pytest.mark.parametrize("root", ROOTS)
def test_a_price_is_made_read_changed_listed_and_archived(money, billing, root):
    made = money.post(
        root,
        body(
            recurring={"unit": "month", "count": 3},
            timing="arrears",
            tax_behaviour="inclusive",
            tax_category="calls",
            providers=[STRIPE, PAYPAL],
            metadata={"season": 1, "sale": True, "note": None},
        ),
    )
    path = f"{root}/{made['id']}"
    for name in ("created_at", "changed_at"):
        assert made[name].endswith("Z")
    assert {name: made[name] for name in made if not name.endswith("_at")} == {
        "id": made["id"],
        "of": "product",
        "code": "films",
        "offer": None,
        "period_hours": None,
        "currency": "USD",
        "terms": {**PER_CALL, "conversion": None, "free_units": "0", "minimum": None,
                  "maximum": None},
        "recurring": {"unit": "month", "count": 3},
        "timing": "arrears",
        "tax_behaviour": "inclusive",
        "tax_category": "calls",
        "providers": [STRIPE, PAYPAL],
        "metadata": {"season": 1, "sale": True, "note": None},
        "version": 1,
        "state": "active",
        "in_use": False,
    }  # fmt: skip
    assert money.get(path) == made
    run(billing, service_prices.use_price, made["id"], 1)
    changed = money.put(path, {"terms": TWICE, "expected_version": 1})
    assert (changed["id"], changed["version"], changed["in_use"]) == (made["id"], 2, False)
    assert changed["recurring"] is None
    assert money.get(path, version=1)["terms"] == made["terms"]
    assert [one["version"] for one in money.get(f"{path}/versions")["items"]] == [2, 1]
    assert ids(money.get(f"{root}/product/films")) == [made["id"]]
    assert money.delete(f"{path}?reason=dear")["state"] == "archived"
    assert money.get(f"{root}/product/films")["items"] == []
    assert ids(money.get(f"{root}/product/films", state="any")) == [made["id"]]
    refused(money.call("PUT", path, json={"terms": PER_CALL}), 409, "price_archived")
    assert money.get(path)["version"] == 2


def test_the_literal_paths_answer_with_and_without_the_slash_and_are_not_described(money, undriven):
    made = money.post("/prices/", body())
    assert money.get(f"/prices/{made['id']}/") == made
    assert ids(money.get("/prices/product/films/")) == [made["id"]]
    described = {
        path: handler.resolve_include_in_schema() for path, handler in handlers_of(undriven)
    }
    assert described["/v1/prices"]
    assert not [path for path, shown in described.items() if path.startswith("/prices") and shown]


def test_prices_are_listed_in_pages_and_by_what_they_are_of(money):
    made = [money.post("/v1/prices", body())["id"] for _ in range(3)]
    plan = money.post("/v1/prices", body(of="plan", code="pro", currency="EUR"))["id"]
    first = money.get("/v1/prices", limit=3)
    rest = money.get("/v1/prices", limit=3, cursor=first["next"])
    assert ids(first) + ids(rest) == sorted([*made, plan])
    assert rest["next"] is None
    assert ids(money.get("/v1/prices", of="plan")) == [plan]
    assert ids(money.get("/v1/prices", currency="EUR", code="pro")) == [plan]
    assert money.get("/v1/prices", state="archived")["items"] == []


# -- repeats, and two at once --------------------------------------------------------------------


def test_a_repeat_under_a_key_is_the_first_price_and_another_payload_is_refused(money, billing):
    made = money.post("/v1/prices", body(), key="first")
    assert money.post("/v1/prices", body(), key="first") == made
    other = money.call("POST", "/v1/prices", json=body(currency="EUR"), key="first")
    refused(other, 422, "idempotency_key_reused")
    assert ids(money.get("/v1/prices")) == [made["id"]]


def test_one_price_made_twice_at_once_under_a_key_is_one(money):
    make = partial(money.call, "POST", "/v1/prices", json=body(), key="once")
    answers: list[Any] = at_once([make, make])
    assert {answer.status_code for answer in answers} == {201}, answers
    assert len(money.get("/v1/prices")["items"]) == 1


def test_of_two_changes_at_once_from_one_version_one_is_told_of_the_other(money):
    made = money.post("/v1/prices", body())
    path = f"/v1/prices/{made['id']}"
    answers: list[Any] = at_once(
        partial(
            money.call,
            "PUT",
            path,
            json={
                "terms": {"charge": {"model": "flat", "amount": amount}},
                "expected_version": 1,
            },
        )
        for amount in ("1", "2")
    )
    good, bad = sorted(answers, key=lambda answer: answer.status_code)
    assert good.json()["version"] == 2
    assert refused(bad, 409, "version_passed")["version"] == 2
    assert money.get(path)["terms"] == good.json()["terms"]


# -- bad input -----------------------------------------------------------------------------------

FIELDS: dict[str, dict[str, Any]] = {
    "no terms": {"terms": None},
    "an unknown field": {"colour": "red"},
    "a currency in small letters": {"currency": "usd"},
    "a code of two words": {"code": "a b"},
    "another kind": {"of": "seat"},
    "every fortnight": {"recurring": {"unit": "fortnight"}},
    "every no month": {"recurring": {"unit": "month", "count": 0}},
    "every half month": {"recurring": {"unit": "month", "count": 0.5}},
    "a float in metadata": {"metadata": {"a": 0.5}},
    "a provider with a space": {"providers": [{"provider": "a b", "reference": "c"}]},
}
TOGETHER: dict[str, dict[str, Any]] = {
    "a number for a price": {"terms": {"charge": {"model": "per_unit", "unit": 0.1}}},
    "a whole number for a price": {"terms": {"charge": {"model": "per_unit", "unit": 1}}},
    "a price below 0": {"terms": {"charge": {"model": "per_unit", "unit": "-1"}}},
    "no number": {"terms": {"charge": {"model": "per_unit", "unit": "NaN"}}},
    "an unknown model": {"terms": {"charge": {"model": "free"}}},
    "no charge": {"terms": {}},
    "tiers that do not ascend": {
        "terms": {
            "charge": {
                "model": "graduated",
                "tiers": [{"up_to": "2"}, {"up_to": "1"}, {"unit": "1"}],
            }
        }
    },
    "once in arrears": {"timing": "arrears"},
    "an offer of a product": {"offer": "online"},
    "a reference twice": {"providers": [STRIPE, STRIPE]},
}


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_that_cannot_be_is_refused_and_leaves_nothing(money, name):
    answer = money.call("POST", "/v1/prices", json=body(**FIELDS[name]))
    refused(answer, 422, "fields_invalid")
    assert money.get("/v1/prices")["items"] == []


@pytest.mark.parametrize("name", TOGETHER)
def test_what_does_not_go_together_is_refused_and_leaves_nothing(money, name):
    answer = money.call("POST", "/v1/prices", json=body(**TOGETHER[name]))
    refused(answer, 409, "price_refused")
    assert money.get("/v1/prices")["items"] == []


def test_what_is_not_in_the_catalogue_has_no_price(money):
    refused(money.call("POST", "/v1/prices", json=body(code="filmz")), 409, "priced_unknown")
    refused(money.call("POST", "/v1/prices", json=body(currency="ZZZ")), 422, "currency_unknown")
    money.post("/v1/prices", body(providers=[STRIPE]))
    taken = money.call("POST", "/v1/prices", json=body(providers=[STRIPE]))
    refused(taken, 409, "price_reference_taken")


def test_a_price_waits_for_billing_to_hear_of_what_was_made_a_moment_ago(money, hear):
    money.post("/v1/products", {"code": "calls", "name": "Calls"})
    early = Worker(partial(money.post, "/v1/prices", body(code="calls")))
    early.start()
    hear()
    assert early.result()["code"] == "calls"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/prices/prc_nobody"),
        ("GET", "/v1/prices/prc_nobody/versions"),
        ("DELETE", "/v1/prices/prc_nobody"),
        ("GET", "/prices/prc_nobody"),
    ],
)
def test_a_price_that_is_not_there_is_unknown(money, method, path):
    refused(money.call(method, path), 404, "price_unknown")


# -- who may -------------------------------------------------------------------------------------


def test_a_consumer_sees_what_is_sold_and_nothing_of_how(money, consumer):
    _, ada = consumer("Ada")
    made = money.post("/v1/prices", body(providers=[STRIPE], metadata={"margin": "50"}))
    gone = money.post("/v1/prices", body())
    money.delete(f"/v1/prices/{gone['id']}")
    [seen] = ada.get("/v1/prices", state="any")["items"]
    assert seen == {**made, "providers": [], "metadata": {}}
    assert ada.get(f"/prices/{made['id']}") == seen
    refused(ada.call("GET", f"/v1/prices/{gone['id']}"), 404, "price_unknown")
    for method, path in [
        ("POST", "/prices"),
        ("PUT", f"/prices/{made['id']}"),
        ("DELETE", f"/prices/{made['id']}"),
        ("GET", f"/v1/prices/{made['id']}/versions"),
        ("POST", "/v1/quotes"),
        ("GET", "/v1/coupons"),
        ("GET", "/v1/tax-rates"),
        ("GET", "/v1/exchange-rates"),
    ]:
        refused(ada.call(method, path), 403, "role_missing")


@pytest.mark.parametrize(("role", "writes"), [("billing", True), ("viewer", False)])
def test_prices_are_read_by_many_and_made_by_few(money, caller, role, writes):
    them = caller(role)
    made = money.post("/v1/prices", body())
    assert ids(them.get("/prices")) == [made["id"]]
    for method, path, sent in [
        ("POST", "/prices", body()),
        ("PUT", f"/prices/{made['id']}", {"terms": TWICE}),
        ("DELETE", f"/prices/{made['id']}", None),
    ]:
        answer = them.call(method, path, json=sent)
        if writes:
            them.good(answer)
        else:
            refused(answer, 403, "role_missing")


def test_a_stranger_sees_nothing(money, stranger):
    for root in ROOTS:
        refused(stranger.call("GET", root), 401, "credential_missing")


def test_changes_are_in_billings_audit_log(money, billing):
    made = money.post("/v1/prices?reason=spring", body())
    with billing.read() as tx:
        [entry] = list_audit(tx, subject=f"price:{made['id']}").items
    assert (entry.action, entry.reason) == ("price.created", "spring")


# -- quotes --------------------------------------------------------------------------------------


@pytest.fixture
def taxed(money):
    """Let there be 20 % of tax in France, and a coupon of a tenth."""
    money.post("/v1/tax-rates", {"code": "tva", "percent": "20", "country": "FR"})
    money.post("/v1/coupons", {"code": "TENTH", "percent": "10"})
    return money


def test_a_quote_says_what_it_comes_to_step_by_step(taxed):
    calls = taxed.post("/v1/prices", body())
    pro = {"of": "plan", "code": "pro", "terms": {"charge": {"model": "flat", "amount": "9.99"}}}
    pro = taxed.post("/v1/prices", body(**pro))
    lines = [{"price": calls["id"], "quantity": "12345.5"}, {"price": pro["id"], "version": 1}]
    wanted = {"lines": lines, "country": "FR", "coupons": ["TENTH"]}
    assert taxed.post("/v1/quotes", wanted, key=None) == {
        "currency": "USD",
        "inclusive": False,
        "lines": [
            {
                "price": calls["id"], "version": 1, "list_amount": 1235, "promotion": None,
                "amount": 1235, "discount": 124,
                "net": 1111, "tax": 222, "gross": 1333,
            },
            {
                "price": pro["id"], "version": 1, "list_amount": 999, "promotion": None,
                "amount": 999, "discount": 100,
                "net": 899, "tax": 180, "gross": 1079,
            },
        ],
        "coupons": {"TENTH": 224},
        "taxes": [{"code": "tva", "percent": "20", "tax": 402}],
        "treatment": "taxed",
        "note": None,
        "amount": 2234,
        "discount": 224,
        "net": 2010,
        "tax": 402,
        "gross": 2412,
    }  # fmt: skip
    assert taxed.get("/v1/coupons/TENTH")["uses"] == 0


def test_a_quote_of_what_cannot_be_billed_together_is_refused(taxed):
    dollars = taxed.post("/v1/prices", body())["id"]
    euros = taxed.post("/v1/prices", body(currency="EUR"))["id"]
    inside = taxed.post("/v1/prices", body(tax_behaviour="inclusive"))["id"]
    dear = taxed.post(
        "/v1/prices", body(terms={"charge": {"model": "per_unit", "unit": "999999999999999"}})
    )["id"]
    parts = {"model": "by_dimension", "dimensions": ["zone"], "charges": []}
    zoned = taxed.post("/v1/prices", body(terms={"charge": parts}))["id"]

    def ask(*prices, **more):
        lines = [{"price": price, "quantity": "1000"} for price in prices]
        return taxed.call("POST", "/v1/quotes", json={"lines": lines, **more})

    refused(ask(dollars, euros), 409, "currencies_mixed")
    refused(ask(dollars, inside), 409, "taxes_mixed")
    refused(ask(dear), 409, "amount_too_large")
    refused(ask(zoned), 409, "usage_not_priced")
    refused(ask("prc_nobody"), 404, "price_unknown")
    refused(ask(dollars, coupons=["NOBODY"]), 404, "coupon_unknown")
    refused(ask(dollars, customer="con_nobody"), 404, "customer_unknown")
    refused(ask(), 422, "fields_invalid")
    for quantity in (1, "-1", "1e3", "0.0000000000001", "NaN"):
        lines = [{"price": dollars, "quantity": quantity}]
        wrong = taxed.call("POST", "/v1/quotes", json={"lines": lines})
        refused(wrong, 422, "fields_invalid")
