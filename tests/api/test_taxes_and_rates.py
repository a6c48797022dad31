"""Tax rates, where the seller is, VAT numbers and exchange rates over the API."""

from typing import Any

import pytest

CSV = {"Content-Type": "text/csv"}
FILE = b"Date,USD,JPY,\n2026-11-20,1.10,160,\n2026-11-19,1.09,159.5,\n"
VAT = {"code": "vat", "percent": "19.5", "country": "DE"}
LATER = "2099-01-01T00:00:00Z"


@pytest.fixture
def money(billing, admin):
    return admin


def refused(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    return answer.json()


# -- taxes ---------------------------------------------------------------------------------------


def test_a_tax_rate_is_made_read_listed_and_ended(money):
    made = money.post("/v1/tax-rates", {**VAT, "region": "BE", "category": "books"})
    path = f"/v1/tax-rates/{made['id']}"
    assert money.get(path) == made
    assert (made["percent"], made["region"], made["valid_until"]) == ("19.5", "BE", None)
    assert money.get("/v1/tax-rates", country="DE", code="vat")["items"] == [made]
    assert money.get("/v1/tax-rates", country="FR")["items"] == []
    ended = money.post(f"{path}/end", {"at": LATER})
    assert ended["valid_until"] == LATER
    money.post(f"{path}/end", {})
    assert money.get("/v1/tax-rates", at=LATER)["items"] == []
    next_one = money.post("/v1/tax-rates", {**VAT, "percent": "21", "region": "BE"})
    assert money.get("/v1/tax-rates", at=LATER)["items"] == [next_one]


BAD: dict[str, tuple[int, str, dict[str, Any]]] = {
    "a number": (422, "fields_invalid", {"percent": 19}),
    "101 %": (422, "fields_invalid", {"percent": "101"}),
    "below 0": (422, "fields_invalid", {"percent": "-1"}),
    "an exponent": (422, "fields_invalid", {"percent": "1E1"}),
    "a country in small letters": (422, "fields_invalid", {"country": "de"}),
    "a colon in its code": (422, "fields_invalid", {"code": "a:b"}),
    "an end before its beginning": (
        409,
        "time_out_of_range",
        {"valid_from": LATER, "valid_until": LATER},
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_tax_rate_is_refused_and_leaves_nothing(money, name):
    status, code, wrong = BAD[name]
    refused(money.call("POST", "/v1/tax-rates", json={**VAT, **wrong}), status, code)
    assert money.get("/v1/tax-rates")["items"] == []


def test_a_tax_is_there_once_at_a_time_and_ends_in_the_future(money):
    made = money.post("/v1/tax-rates", VAT, key="k")
    assert money.post("/v1/tax-rates", VAT, key="k") == made
    other = money.call("POST", "/v1/tax-rates", json={**VAT, "percent": "7"}, key="k")
    refused(other, 422, "idempotency_key_reused")
    refused(money.call("POST", "/v1/tax-rates", json=VAT), 409, "tax_rate_overlaps")
    path = f"/v1/tax-rates/{made['id']}/end"
    past = money.call("POST", path, json={"at": "2000-01-01T00:00:00Z"})
    refused(past, 409, "time_out_of_range")
    refused(money.call("GET", "/v1/tax-rates/txr_nobody"), 404, "tax_rate_unknown")


def test_where_the_seller_is_is_said_and_read(money, caller):
    nothing = {"country": None, "level": "line", "version": 0}
    assert money.get("/v1/tax-settings") == nothing
    wanted = {"country": "DE", "level": "total", "expected_version": 0}
    made = money.put("/v1/tax-settings", wanted)
    assert made == {"country": "DE", "level": "total", "version": 1}
    refused(money.call("PUT", "/v1/tax-settings", json=wanted), 409, "version_passed")
    wrong = money.call("PUT", "/v1/tax-settings", json={"level": "never"})
    refused(wrong, 422, "fields_invalid")
    refused(caller("viewer").call("PUT", "/v1/tax-settings", json=wanted), 403, "role_missing")
    assert money.get("/v1/tax-settings") == made


def test_a_vat_number_is_looked_at(money):
    good = money.get("/v1/vat-numbers/DE136695976")
    assert (good["valid"], good["country"], good["number"]) == (True, "DE", "DE136695976")
    bad = money.get("/v1/vat-numbers/DE136695970")
    assert (bad["valid"], bad["country"]) == (False, None)


def test_reverse_charge_carries_its_note_and_no_tax(money, consumer, hear):
    money.post("/v1/tax-rates", {"code": "tva", "percent": "20", "country": "FR"})
    money.put("/v1/tax-settings", {"country": "DE"})
    money.post("/v1/products", {"code": "calls", "name": "Calls"})
    who, _ = consumer("SARL")
    hear()
    charge = {"charge": {"model": "flat", "amount": "10"}}
    price = money.post(
        "/v1/prices", {"of": "product", "code": "calls", "currency": "EUR", "terms": charge}
    )
    money.patch(f"/v1/customers/{who}", {"country": "FR"})
    wanted = {"lines": [{"price": price["id"]}], "customer": who}
    taxed = money.post("/v1/quotes", wanted)
    assert (taxed["treatment"], taxed["gross"]) == ("taxed", 1200)
    money.put(f"/v1/customers/{who}/tax-number", {"number": "FR40303265045"})
    free = money.post("/v1/quotes", wanted)
    assert (free["treatment"], free["tax"], free["gross"]) == ("reverse_charge", 0, 1000)
    assert "2006/112/EC" in free["note"]


# -- exchange rates ------------------------------------------------------------------------------


def take_in(money, content=FILE, headers=CSV, **more):
    path = "/v1/exchange-rates/ecb"
    return money.call("POST", path, content=content, headers=headers, **more)


def test_the_banks_file_is_taken_in_once(money):
    done = money.good(take_in(money, key="k"))
    assert done == {"days": 2, "added": 4, "changed": 0, "same": 0}
    assert money.good(take_in(money, key="k")) == done
    refused(take_in(money, FILE + b"\n", key="k"), 422, "idempotency_key_reused")
    assert money.good(take_in(money))["same"] == 4
    page = money.get("/v1/exchange-rates", limit=3)
    rest = money.get("/v1/exchange-rates", limit=3, cursor=page["next"])
    assert [(one["day"], one["quote"]) for one in page["items"] + rest["items"]] == [
        ("2026-11-20", "USD"), ("2026-11-20", "JPY"), ("2026-11-19", "USD"), ("2026-11-19", "JPY"),
    ]  # fmt: skip
    assert len(money.get("/v1/exchange-rates", day="2026-11-19", quote="JPY")["items"]) == 1


def test_a_rate_is_found_by_day_and_an_own_one_goes_first(money):
    money.good(take_in(money))
    path = "/v1/exchange-rates/USD/JPY"
    found = money.get(path, day="2026-11-22")
    assert found["rate"] == "145.454545454545"
    assert [one["source"] for one in found["used"]] == ["ECB", "ECB"]
    own = money.put(f"{path}/2026-11-20", {"rate": "150.5"})
    assert own == {
        "base": "USD", "quote": "JPY", "day": "2026-11-20", "rate": "150.5", "source": "own",
    }  # fmt: skip
    assert money.get(path, day="2026-11-22")["used"] == [own]
    money.delete(f"{path}/2026-11-20")
    assert money.get(path, day="2026-11-22") == found
    refused(money.call("DELETE", f"{path}/2026-11-20"), 409, "rate_unknown")


def test_what_is_no_rate_or_no_file_is_refused_and_leaves_nothing(money):
    refused(take_in(money, b"currency;rate\n"), 409, "rate_unknown")
    refused(take_in(money, FILE + b"2026-11-18,-1,1,\n"), 409, "rate_unknown")
    refused(take_in(money, b"\xff\xfe"), 400, "body_malformed")
    json = {"Content-Type": "application/json"}
    refused(take_in(money, b"{}", json), 415, "content_type_refused")
    day = "/v1/exchange-rates/USD/JPY/2026-11-20"
    for rate in ("0", "-1", "1E2", "NaN", 1, ""):
        refused(money.call("PUT", day, json={"rate": rate}), 422, "fields_invalid")
    for path in (
        "/v1/exchange-rates/USD/USD/2026-11-20",
        "/v1/exchange-rates/USD/XAU/2026-11-20",
        "/v1/exchange-rates/USD/JPY/yesterday",
    ):
        refused(money.call("PUT", path, json={"rate": "1"}), 409, "rate_unknown")
    refused(money.call("GET", "/v1/exchange-rates/USD/JPY"), 409, "rate_unknown")
    refused(money.call("GET", "/v1/exchange-rates/USD/dollars"), 409, "rate_unknown")
    assert money.get("/v1/exchange-rates")["items"] == []


def test_a_viewer_reads_rates_and_changes_none(money, caller):
    viewer = caller("viewer")
    assert viewer.get("/v1/exchange-rates")["items"] == []
    refused(take_in(viewer), 403, "role_missing")
    for method in ("PUT", "DELETE"):
        answer = viewer.call(method, "/v1/exchange-rates/USD/JPY/2026-11-20")
        refused(answer, 403, "role_missing")
