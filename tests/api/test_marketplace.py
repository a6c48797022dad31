"""The marketplace over the API: sellers, buyers, strangers, bad input."""

import pytest

from farebox.access.flows.handlers import BILLING
from tests.api.conftest import Api, bearer
from tests.support.order_desk import OrderDesk

ONLINE = {"code": "online", "kind": "online_rental", "periods": [24, 48]}
HALL = {"code": "hall", "kind": "theatre_ticket", "capacity": 2}
PREMIERE = {
    "code": "mauser",
    "kind": "premiere",
    "title": {"ru": "Маузер", "en": "Mauser"},
    "description": {"ru": "Драма.\nВ двух действиях."},
    "attributes": {"actors": ["Пётр Иванов"], "year": 2026, "live": True},
    "offers": [ONLINE, HALL],
}


@pytest.fixture
def seller(caller):
    return caller("owner")


@pytest.fixture
def premiere(seller):
    seller.post("/v1/items", PREMIERE)
    return seller.post("/v1/items/mauser/publish")


@pytest.fixture
def ada(consumer):
    return consumer("Ada")


@pytest.fixture
def billing(database):
    return OrderDesk(database)


def code_of(answer):
    return answer.status_code, answer.json()["code"]


def buy(own, billing, order="ord_1", **terms):
    body = {"item": "mauser", "offer": "online", "period_hours": 48, **terms}
    made = own.post("/v1/purchases", body)
    billing.tell("order.completed", order, purchaseId=made["id"])
    return own.get(f"/v1/purchases/{made['id']}")


def test_an_owner_makes_publishes_changes_and_archives_an_item(seller, premiere):
    assert (premiere["state"], premiere["version"]) == ("published", 2)
    assert premiere["attributes"] == PREMIERE["attributes"]
    path = "/v1/items/mauser"
    read = seller.get(path)
    assert {offer["code"]: offer["left"] for offer in read["offers"]} == {
        "online": None, "hall": 2,
    }  # fmt: skip
    changed = seller.patch(path, {"title": {"ru": "Револьвер"}, "version": 2})
    assert (changed["title"], changed["kind"]) == ({"ru": "Револьвер"}, "premiere")
    assert code_of(seller.call("PATCH", path, json={"kind": "x", "version": 2})) == (
        409, "item_changed",
    )  # fmt: skip
    showing = {**HALL, "starts_at": "2030-01-01T16:00:00Z", "zone": "Europe/Moscow"}
    [shown] = seller.patch(path, {"offers": [showing]})["offers"]
    assert (shown["starts_at"], shown["zone"]) == ("2030-01-01T16:00:00Z", "Europe/Moscow")
    assert seller.post(f"{path}/withdraw")["state"] == "draft"
    assert seller.delete(path)["state"] == "archived"
    assert code_of(seller.call("POST", f"{path}/publish")) == (409, "item_archived")


def test_another_owner_finds_nothing_and_changes_nothing(caller, premiere, tables):
    other = caller("owner")
    before = tables()
    assert other.get("/v1/items")["items"] == []
    assert other.get("/v1/items/search", q="маузер")["items"] == []
    for method, path, body in (
        ("GET", "", None),
        ("PATCH", "", {"kind": "x"}),
        ("DELETE", "", None),
        ("POST", "/publish", None),
        ("POST", "/withdraw", None),
    ):
        answer = other.call(method, f"/v1/items/mauser{path}", json=body)
        assert code_of(answer) == (404, "item_unknown"), (method, path)
    assert tables() == before


def test_only_an_admin_hands_an_item_to_another_owner(admin, seller, premiere, caller):
    other = admin.post("/v1/operators", {"name": "Other", "roles": ["owner"]})["id"]
    answer = seller.call("PUT", "/v1/items/mauser/owner", json={"owner": other})
    assert code_of(answer) == (403, "role_missing")
    assert admin.put("/v1/items/mauser/owner", {"owner": other})["owner"] == other
    assert code_of(seller.call("GET", "/v1/items/mauser")) == (404, "item_unknown")
    viewer = admin.post("/v1/operators", {"name": "V", "roles": ["viewer"]})["id"]
    answer = admin.call("PUT", "/v1/items/mauser/owner", json={"owner": viewer})
    assert code_of(answer) == (409, "item_owner_refused")
    # An owner cannot name somebody else as the owner of what they make.
    body = {**PREMIERE, "code": "gift", "owner": other}
    assert code_of(seller.call("POST", "/v1/items", json=body)) == (409, "item_owner_refused")
    assert admin.post("/v1/items", body)["owner"] == other


def test_consumers_see_what_is_on_sale(seller, premiere, ada):
    _, own = ada
    seller.post("/v1/items", {**PREMIERE, "code": "draft"})
    assert [item["code"] for item in own.get("/v1/items")["items"]] == ["mauser"]
    assert code_of(own.call("GET", "/v1/items/draft")) == (404, "item_unknown")
    found = own.get("/v1/items/search", q="МАУЗЕРА")
    assert [item["code"] for item in found["items"]] == ["mauser"]
    assert own.get("/v1/items/search", q="муазер")["suggestion"] == "маузер"
    assert own.get("/v1/items", attribute=["year:2026", "live:true"])["items"] != []
    assert own.get("/v1/items", attribute=["year:2025"])["items"] == []
    assert code_of(own.call("POST", "/v1/items", json=PREMIERE)) == (403, "role_missing")


def test_search_is_paged_by_its_cursor(seller, ada):
    for number in range(5):
        seller.post("/v1/items", {**PREMIERE, "code": f"m{number}"})
        seller.post(f"/v1/items/m{number}/publish")
    _, own = ada
    for path, params in (("/v1/items", {}), ("/v1/items/search", {"q": "маузер"})):
        page = own.get(path, limit=2, **params)
        found = [item["code"] for item in page["items"]]
        while page["next"] is not None:
            page = own.get(path, limit=2, cursor=page["next"], **params)
            found += [item["code"] for item in page["items"]]
        assert sorted(found) == [f"m{number}" for number in range(5)]
    answer = own.call("GET", "/v1/items/search", params={"q": "маузер", "cursor": "5"})
    assert code_of(answer) == (404, "cursor_unknown")


def test_an_item_is_bought_watched_moved_and_given_back(premiere, ada, billing, clock):
    who, own = ada
    held = own.post("/v1/places", {"item": "mauser", "offer": "online"})
    assert (held["state"], held["renewals_left"]) == ("held", 10)
    assert own.post(f"/v1/places/{held['id']}/renew")["renewals_left"] == 9
    assert [one["id"] for one in own.get("/v1/places")["items"]] == [held["id"]]
    made = buy(own, billing, place=held["id"], starts_at="2026-01-01T00:00:00Z")
    assert (made["state"], made["consumer"], made["place"]) == ("fulfilled", who, held["id"])
    assert own.get(f"/v1/places/{held['id']}")["state"] == "sold"
    path = f"/v1/rentals/{made['rental']}"
    assert own.get(path)["state"] == "scheduled"
    moved = own.post(f"{path}/move", {"starts_at": "2026-01-02T00:00:00Z"})
    assert (moved["ends_at"], moved["moved"]) == ("2026-01-04T00:00:00Z", 1)
    assert code_of(own.call("POST", f"{path}/play")) == (409, "rental_not_started")
    clock.set(1_767_312_000_000_000)  # 2026-01-02
    assert own.post(f"{path}/play")["state"] == "playing"
    answer = own.call("POST", f"{path}/move", json={"starts_at": "2026-01-03T00:00:00Z"})
    assert code_of(answer) == (409, "rental_started")
    assert [one["id"] for one in own.get("/v1/rentals")["items"]] == [made["rental"]]
    answer = own.call("POST", "/v1/purchases", json={
        "item": "mauser", "offer": "online", "period_hours": 24,
    })  # fmt: skip
    assert code_of(answer) == (409, "already_entitled")


def test_a_second_device_of_a_consumer_has_to_take_over(premiere, admin, ada, client, billing):
    who, tv = ada
    key = admin.post(f"/v1/consumers/{who}/keys", {})
    phone = Api(client, bearer(key["key"]))
    path = f"/v1/rentals/{buy(tv, billing)['rental']}"
    assert tv.post(f"{path}/play")["device"] != key["id"]
    before = tv.get(path)
    assert code_of(phone.call("POST", f"{path}/play")) == (409, "playing_elsewhere")
    assert tv.get(path) == before
    taken = phone.post(f"{path}/play", {"take_over": True})
    assert taken == {**before, "device": key["id"]}
    assert phone.post(f"{path}/play") == taken
    assert code_of(tv.call("POST", f"{path}/play")) == (409, "playing_elsewhere")
    assert admin.post(f"{path}/play") == taken, "an operator is no device"


def test_a_rental_whose_entitlement_was_revoked_is_played_on_no_device(
    premiere, admin, ada, client, billing
):
    who, tv = ada
    phone = Api(client, bearer(admin.post(f"/v1/consumers/{who}/keys", {})["key"]))
    path = f"/v1/rentals/{buy(tv, billing)['rental']}"
    entitlement = tv.post(f"{path}/play")["entitlement"]
    admin.delete(f"/v1/entitlements/{entitlement}")
    before = tv.get(path)
    for device, body in ((tv, {}), (phone, {"take_over": True})):
        answer = device.call("POST", f"{path}/play", json=body)
        assert code_of(answer) == (409, "rental_over")
    assert tv.get(path) == before


def test_a_purchase_is_begun_once_under_its_key_and_its_id(premiere, ada, billing):
    _, own = ada
    body = {"item": "mauser", "offer": "hall", "id": "pur_" + "0" * 16, "order": "ord_1"}
    first = own.post("/v1/purchases", body, key="k1")
    assert own.post("/v1/purchases", body, key="k1") == first
    assert own.post("/v1/purchases", body, key="k2") == first
    answer = own.call("POST", "/v1/purchases", json={**body, "order": "ord_2"}, key="k1")
    assert code_of(answer) == (422, "idempotency_key_reused")
    answer = own.call("POST", "/v1/purchases", json={**body, "order": "ord_2"}, key="k3")
    assert code_of(answer) == (409, "purchase_taken")
    asked = billing.told("marketplace.purchase.initiated")
    assert [event.id for event in asked] == [first["event"]]
    assert code_of(own.call("POST", "/v1/purchases", json=body, key=None)) == (
        400, "idempotency_key_missing",
    )  # fmt: skip


def test_what_is_a_strangers_is_not_there(premiere, ada, consumer, billing):
    who, own = ada
    made = buy(own, billing)
    place = own.post("/v1/places", {"item": "mauser", "offer": "hall"})["id"]
    _, eve = consumer("Eve")
    for method, path, code in (
        ("GET", f"/v1/purchases/{made['id']}", "purchase_unknown"),
        ("GET", f"/v1/places/{place}", "place_unknown"),
        ("POST", f"/v1/places/{place}/renew", "place_unknown"),
        ("DELETE", f"/v1/places/{place}", "place_unknown"),
        ("GET", f"/v1/rentals/{made['rental']}", "rental_unknown"),
        ("POST", f"/v1/rentals/{made['rental']}/play", "rental_unknown"),
    ):
        assert code_of(eve.call(method, path)) == (404, code), path
    path = f"/v1/rentals/{made['rental']}"
    answer = eve.call("POST", f"{path}/move", json={"starts_at": "2030-01-01T00:00:00Z"})
    assert code_of(answer) == (404, "rental_unknown")
    answer = eve.call("POST", f"{path}/request-extension", json={"period_hours": 24})
    assert code_of(answer) == (404, "rental_unknown")
    for asked in ("/v1/places", "/v1/purchases", "/v1/rentals"):
        answer = eve.call("GET", asked, params={"consumer": who})
        assert answer.status_code == 404 or answer.json()["items"] == []
    answer = eve.call("POST", "/v1/purchases", json={
        "item": "mauser", "offer": "hall", "consumer": who,
    })  # fmt: skip
    assert code_of(answer) == (404, "consumer_unknown")


def test_support_extends_and_revokes_with_a_reason(caller, premiere, ada, billing):
    who, own = ada
    support = caller("support")
    made = buy(own, billing)
    path = f"/v1/rentals/{made['rental']}"
    longer = support.post(f"{path}/extend?reason=the+stream+failed", {"period_hours": 72})
    assert (longer["period_hours"], longer["extended"]) == (72, 1)
    assert code_of(own.call("POST", f"{path}/extend", json={"period_hours": 99})) == (
        403, "role_missing",
    )  # fmt: skip
    gone = support.post(f"{path}/revoke?reason=chargeback")
    assert gone["state"] == "revoked"
    (told,) = billing.told("rental.revoked")
    assert (told.data["consumerId"], told.data["reason"]) == (who, "chargeback")
    log = support.get("/v1/audit", subject=made["rental"])["items"]
    assert [(one["action"], one["reason"]) for one in log][:2] == [
        ("rental.revoked", "chargeback"), ("rental.extended", "the stream failed"),
    ]  # fmt: skip
    assert code_of(own.call("POST", f"{path}/play")) == (409, "rental_over")


def test_an_extension_is_asked_of_billing(premiere, ada, billing):
    _, own = ada
    made = buy(own, billing, period_hours=24)
    path = f"/v1/rentals/{made['rental']}"
    asked = own.post(f"{path}/request-extension", {"period_hours": 48}, key="k1")
    assert own.post(f"{path}/request-extension", {"period_hours": 48}, key="k1") == asked
    (event,) = billing.told("rental.change_requested")
    assert (event.id, event.source != BILLING) == (asked["event"], True)
    assert own.get(path)["period_hours"] == 24
    answer = own.call("POST", f"{path}/request-extension", json={"period_hours": 36})
    assert code_of(answer) == (409, "period_refused")


def test_a_sold_out_offer_says_so(premiere, consumer):
    for name in ("Ada", "Bob"):
        consumer(name)[1].post("/v1/places", {"item": "mauser", "offer": "hall"})
    _, late = consumer("Late")
    answer = late.call("POST", "/v1/places", json={"item": "mauser", "offer": "hall"})
    assert code_of(answer) == (409, "sold_out")


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"title": {}}, 422),
        ({"title": {"Russian": "x"}}, 422),
        ({"title": {"ru": "x\ny"}}, 422),
        ({"description": {"ru": "x\0"}}, 422),
        ({"attributes": {"a b": 1}}, 422),
        ({"attributes": {"a": {"b": 1}}}, 422),
        ({"attributes": {"a": 1.5}}, 422),
        ({"attributes": {"a": None}}, 422),
        ({"attributes": {"a": 2**53}}, 422),
        ({"capacity": -1}, 422),
        ({"capacity": "5"}, 422),
        ({"price": 100}, 422),
        ({"available_from": "2026-01-01"}, 422),
        ({"offers": [{**HALL, "price": 5}]}, 422),
        ({"offers": [{**ONLINE, "periods": [0]}]}, 422),
        ({"offers": [{**ONLINE, "clocks": 3}]}, 422),
        ({"offers": [{**ONLINE, "clocks": 2}]}, 409),
        ({"offers": [{**ONLINE, "periods": []}]}, 409),
        ({"offers": [HALL, HALL]}, 409),
        (
            {
                "available_from": "2026-01-02T00:00:00Z",
                "available_until": "2026-01-01T00:00:00Z",
            },
            409,
        ),
    ],
)
def test_an_impossible_item_is_refused_and_changes_nothing(
    seller, premiere, tables, changes, status
):
    before = tables()
    answer = seller.call("PATCH", "/v1/items/mauser", json=changes)
    assert answer.status_code == status, answer.text
    answer = seller.call("POST", "/v1/items", json={**PREMIERE, "code": "new", **changes})
    assert answer.status_code == status, answer.text
    assert tables() == before
