"""Coupons over the API: what they take off never changes, how often they may be used does."""

from typing import Any

import pytest

from farebox.billing.pricing import service_coupons
from farebox.billing.pricing.model_money import Line
from tests.support.services import run


@pytest.fixture
def money(billing, admin):
    return admin


def refused(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    return answer.json()


def redeem(billing, code, customer="con_1", claim="ord_1"):
    lines = [Line(id="1", amount=1)]
    wanted = {"lines": lines, "currency": "USD", "claim": claim}
    return run(billing, service_coupons.redeem, code, customer, **wanted)


def test_a_coupon_is_made_read_limited_listed_and_archived(money, billing):
    wanted = {
        "code": "SPRING",
        "amount": 500,
        "currency": "USD",
        "periods": None,
        "plans": ["pro", "lite"],
        "valid_from": "2020-01-01T00:00:00Z",
        "valid_until": "2099-01-01T00:00:00Z",
        "most_uses": 100,
        "most_uses_each": 1,
    }
    made = money.post("/v1/coupons", wanted)
    assert made.pop("created_at").endswith("Z")
    assert made == {
        **wanted, "plans": ["lite", "pro"], "percent": None, "products": [], "items": [],
        "uses": 0, "state": "active", "version": 1,
    }  # fmt: skip
    limits = {"most_uses": 5, "expected_version": 1}
    changed = money.put("/v1/coupons/SPRING/limits", limits)
    assert (changed["most_uses"], changed["valid_until"], changed["version"]) == (5, None, 2)
    late = money.call("PUT", "/v1/coupons/SPRING/limits", json=limits)
    assert refused(late, 409, "version_passed")["version"] == 2
    assert money.get("/v1/coupons")["items"] == [money.get("/v1/coupons/SPRING")]
    assert money.delete("/v1/coupons/SPRING")["state"] == "archived"
    assert money.get("/v1/coupons", state="active")["items"] == []
    late = money.call("PUT", "/v1/coupons/SPRING/limits", json={})
    refused(late, 409, "coupon_archived")


def test_redemptions_are_listed(money, billing):
    money.post("/v1/coupons", {"code": "TENTH", "percent": "10.5"})
    mine = redeem(billing, "TENTH")
    run(billing, service_coupons.use_discounts, [mine], bill="inv_1")
    [seen] = money.get("/v1/coupons/TENTH/redemptions")["items"]
    assert seen.pop("redeemed_at").endswith("Z")
    assert seen == {
        "id": mine.id, "customer": "con_1", "subscription": None, "claim": "ord_1",
        "periods_used": 1,
    }  # fmt: skip
    found = money.get("/v1/coupons/TENTH")
    assert (found["uses"], found["percent"]) == (1, "10.5")


def test_a_repeat_under_a_key_is_one_coupon_and_another_payload_is_refused(money):
    wanted = {"code": "TENTH", "percent": "10"}
    made = money.post("/v1/coupons", wanted, key="k")
    assert money.post("/v1/coupons", wanted, key="k") == made
    other = money.call("POST", "/v1/coupons", json={**wanted, "percent": "11"}, key="k")
    refused(other, 422, "idempotency_key_reused")
    refused(money.call("POST", "/v1/coupons", json=wanted), 409, "coupon_taken")


BAD: dict[str, tuple[int, str, dict[str, Any]]] = {
    "nothing off": (409, "coupon_invalid", {"percent": None}),
    "both": (409, "coupon_invalid", {"amount": 1, "currency": "USD"}),
    "no currency": (409, "coupon_invalid", {"percent": None, "amount": 1}),
    "0 %": (409, "coupon_invalid", {"percent": "0"}),
    "never": (
        409,
        "coupon_invalid",
        {"valid_from": "2026-01-01T00:00:00Z", "valid_until": "2026-01-01T00:00:00Z"},
    ),
    "101 %": (422, "fields_invalid", {"percent": "101"}),
    "a number": (422, "fields_invalid", {"percent": 10}),
    "half a use": (422, "fields_invalid", {"most_uses": 0.5}),
    "no uses": (422, "fields_invalid", {"most_uses": 0}),
    "a time without a zone": (422, "fields_invalid", {"valid_from": "2026-01-01T00:00:00"}),
    "a code of two words": (422, "fields_invalid", {"code": "A B"}),
    "2^53": (422, "fields_invalid", {"percent": None, "amount": 2**53, "currency": "USD"}),
    "gold": (422, "currency_unknown", {"percent": None, "amount": 1, "currency": "XAU"}),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_coupon_is_refused_and_leaves_nothing(money, name):
    status, code, wrong = BAD[name]
    good = {"code": "TENTH", "percent": "10"}
    refused(money.call("POST", "/v1/coupons", json={**good, **wrong}), status, code)
    assert money.get("/v1/coupons")["items"] == []


def test_a_coupon_that_is_not_there_is_unknown(money):
    for method, path in [
        ("GET", "/v1/coupons/NOBODY"),
        ("GET", "/v1/coupons/NOBODY/redemptions"),
        ("DELETE", "/v1/coupons/NOBODY"),
    ]:
        refused(money.call(method, path), 404, "coupon_unknown")


def test_a_viewer_reads_and_changes_nothing(money, caller):
    viewer = caller("viewer")
    money.post("/v1/coupons", {"code": "TENTH", "percent": "10"})
    assert viewer.get("/v1/coupons/TENTH")
    for method, path in [
        ("POST", "/v1/coupons"),
        ("PUT", "/v1/coupons/TENTH/limits"),
        ("DELETE", "/v1/coupons/TENTH"),
    ]:
        refused(viewer.call(method, path), 403, "role_missing")
