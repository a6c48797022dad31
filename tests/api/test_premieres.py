"""The premiere store's literal paths: looked at by anybody, rented by who has paid."""

from dataclasses import replace

import pytest

from tests.api.conftest import Api
from tests.support.opening import billing_urls, database_url, opened  # noqa: F401 - fixtures
from tests.support.premieres import Shopper, furnished

pytestmark = pytest.mark.usefixtures("billing")


@pytest.fixture
def store(opening):
    return opening.made


@pytest.fixture
def anna(store, client, hear):
    return Shopper(client, store.people["Anna"], hear)


def refused(answer, status, code):
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    return answer.json()


def codes(found):
    return [each["id"] for each in found["items"]]


def test_furnishing_again_changes_nothing(client, opening, hear, clock):
    admin = Api(client, opening.headers)
    before = admin.get("/v1/items")["items"], admin.get("/v1/prices")["items"]
    clock.move(60_000_000)
    assert furnished(admin, hear) == opening.made
    assert (admin.get("/v1/items")["items"], admin.get("/v1/prices")["items"]) == before


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("path", ["/api/v1/search", "/api/v1/search/"])
def test_search_shows_cards_to_anybody(stranger, path):
    found = stranger.get(path, q="Маузер", lang="ru")
    assert codes(found) == ["P1", "P3"]
    card = found["items"][0]
    assert (card["title"], card["actors"]) == ("Маузер", ["А. Ёлкина", "П. Громов"])
    assert card["description"].startswith("Комиссар")
    assert (card["theatre_price"], card["online_from"]) == (150_000, 24_000)
    assert (card["online_list_from"], card["discount_percent"]) == (30_000, "20")
    assert card["discount_until"] == "2026-11-30T20:59:59Z"
    assert (card["period_hours"], card["currency"]) == ([12, 24, 48, 72], "RUB")
    online = card["offers"][0]
    assert [each["price"]["price"] for each in online["periods"]] == [24000, 36000, 48000, 60000]
    assert (online["places_left"], online["place_free_at"]) == (None, None)


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("headers", "params", "title"),
    [
        ({}, {}, "Маузер"),
        ({"Accept-Language": "en-GB,en;q=0.9"}, {}, "Mauser"),
        ({"Accept-Language": "de, ru;q=0.8, en;q=0.5"}, {}, "Маузер"),
        ({"Accept-Language": "ru"}, {"lang": "en"}, "Mauser"),
        ({"Accept-Language": ";;q=x,,*"}, {"lang": "<script>"}, "Маузер"),
    ],
)
def test_a_page_is_in_the_language_that_is_asked_for(stranger, headers, params, title):
    answer = stranger.call("GET", "/api/v1/premiere/P1", headers=headers, params=params)
    assert stranger.good(answer)["title"] == title


@pytest.mark.usefixtures("store")
def test_a_premiere_tells_the_rules_by_which_money_goes_back(stranger):
    card = stranger.get("/api/v1/premiere/P1/")
    online, hall = card["offers"]
    assert [rule["percent"] for rule in online["refund_rules"]] == ["100", "0", "100", "50"]
    assert hall["refund_rules"][2]["hours_before_start"] == 240
    assert hall["starts_at"] == "2026-12-20T16:00:00Z"
    refused(stranger.call("GET", "/api/v1/premiere/none"), 404, "item_unknown")


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/rent/?id=P1&period=24",
        "/api/v1/rent?id=P1&period=24",
        "/api/v1/rent/?id=P1&period=1&period_unit=day",
        "/api/v1/rent/:id=P1&period=24",
        "/api/v1/rent/id=P1&period=24",
        "/api/v1/rent/P1=&period=24",
        "/api/v1/rent/P1=&period=1&period_unit=day",
    ],
)
def test_the_cost_of_a_rental_is_told_in_each_way_of_asking(stranger, path):
    found = stranger.good(stranger.call("GET", path))
    assert (found["id"], found["offer"], found["period"]) == ("P1", "online", 24)
    assert (found["list_price"], found["discount"], found["price"]) == (45_000, 9_000, 36_000)
    assert (found["currency"], found["discount_percent"]) == ("RUB", "20")


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/api/v1/rent/?id=P1&period=13", 409, "period_refused"),
        ("/api/v1/rent/?id=none&period=24", 404, "item_unknown"),
        ("/api/v1/rent/?id=P1&period=24&currency=USD", 409, "period_refused"),
        ("/api/v1/rent/?id=P1&period=24&offer=hall", 404, "offer_unknown"),
        ("/api/v1/rent/?id=P1", 422, "fields_invalid"),
        ("/api/v1/rent/?id=P1&period=0", 422, "fields_invalid"),
        ("/api/v1/rent/?id=P1&period=24&period_unit=week", 422, "fields_invalid"),
        ("/api/v1/rent/:id=P1&period=", 422, "fields_invalid"),
        ("/api/v1/rent/:id=P1&period=-1", 422, "fields_invalid"),
        ("/api/v1/rent/nonsense", 422, "fields_invalid"),
        ("/api/v1/search/?q=" + "a" * 201, 422, "fields_invalid"),
        ("/api/v1/search/?limit=51", 422, "fields_invalid"),
    ],
)
def test_what_cannot_be_answered_is_refused_clearly(stranger, path, status, code):
    refused(stranger.call("GET", path), status, code)


@pytest.mark.usefixtures("store")
def test_pages_of_cards_go_on_where_the_last_one_ended(stranger):
    first = stranger.get("/api/v1/search/", limit=3)
    second = stranger.get("/api/v1/search/", limit=3, cursor=first["next"])
    assert codes(first) + codes(second) == ["P4", "P3", "P2", "P1"]
    assert second["next"] is None


@pytest.mark.usefixtures("store")
def test_what_has_no_price_is_shown_without_one(admin, hear, stranger):
    item = {"code": "P5", "kind": "premiere", "title": {"ru": "Новинка"}}
    offers = [{"code": "online", "kind": "online_rental", "periods": [24]}]
    admin.post("/v1/items", {**item, "offers": offers})
    admin.post("/v1/items/P5/publish")
    hear()
    card = stranger.get("/api/v1/premiere/P5", lang="en")
    assert (card["title"], card["online_from"], card["currency"]) == ("Новинка", None, None)
    assert card["offers"][0]["periods"] == [{"hours": 24, "price": None}]


@pytest.mark.usefixtures("store")
def test_a_seat_that_is_held_is_not_left_and_is_told_when_it_may_be_free(anna, stranger):
    assert stranger.get("/api/v1/premiere/P3")["offers"][0]["places_left"] == 1
    ends = anna.hold("P3")["expires_at"]
    assert ends.startswith("2026-11-20T09:30:00")
    offer = stranger.get("/api/v1/premiere/P3")["offers"][0]
    assert (offer["places_left"], offer["place_free_at"]) == (0, ends)
    [found] = stranger.get("/api/v1/search/", q="розы")["items"]
    assert found["offers"][0] == {**offer, "refund_rules": []}


def test_nobody_is_given_what_they_have_not_paid_for(store, anna, stranger, consumer):
    asked = {"id": "P1", "period": 24}
    refused(anna.api.call("POST", "/api/v1/rent/", key=None, json=asked), 402, "not_paid")
    refused(stranger.call("POST", "/api/v1/rent/", json=asked), 401, "credential_missing")
    none = {"id": "none", "period": 24}
    refused(anna.api.call("POST", "/api/v1/rent", json=none), 404, "item_unknown")
    bad = {"id": "P1", "period": "24"}
    refused(anna.api.call("POST", "/api/v1/rent", json=bad), 422, "fields_invalid")
    _, boris = consumer("Boris")
    theirs = {**asked, "consumer": anna.id}
    refused(boris.call("POST", "/api/v1/rent", json=theirs), 404, "consumer_unknown")
    assert anna.rentals == []


def test_without_billing_the_shelf_says_so(client, services, stranger):
    client.app.state.services = replace(services, billing=None)
    refused(stranger.call("GET", "/api/v1/search/"), 503, "service_absent")
