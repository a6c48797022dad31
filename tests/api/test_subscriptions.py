"""Subscriptions and entitlements over the API: whose they are, and who may wish for what."""

import pytest

from farebox.access.flows.handlers import BILLING, HANDLERS
from farebox.events.model import Event
from farebox.kernel.clock import show_time

PLAN = {
    "code": "pro",
    "name": "Pro",
    "quotas": [{"product": "films", "limit": 10, "unit": "month", "anchor": "calendar"}],
    "features": [{"feature": "hd", "value": True}],
}


@pytest.fixture
def plan(admin, films):
    admin.post("/v1/features", {"code": "hd", "name": "HD", "kind": "switch"})
    return str(admin.post("/v1/plans", PLAN)["code"])


@pytest.fixture
def billing(database, clock):
    """Return a function that lets billing say something of a subscription."""

    def say(type_: str, subscription: str, **data) -> None:
        event = Event(
            specversion="1.0",
            id=f"evt_{clock.now_us()}_{type_}",
            source=BILLING,
            type=type_,
            subject=subscription,
            time=show_time(clock.now_us()),
            datacontenttype="application/json",
            subjectversion=1,
            data={"subscriptionId": subscription, **data},
        )
        database.run(lambda tx: HANDLERS[BILLING, type_](tx, event))

    return say


def test_a_customer_subscribes_pays_uses_cancels_and_sees_it_all(plan, consumer, billing, clock):
    ada, own = consumer("Ada")
    made = own.post("/v1/subscriptions", {"plan": plan})
    assert (made["consumer"], made["state"], made["opens_access"]) == (
        ada, "pending_payment", False,
    )  # fmt: skip
    path = f"/v1/subscriptions/{made['id']}"
    assert own.get(f"{path}/quotas")["items"] == []
    billing("payment.succeeded", made["id"])
    assert own.get(path)["state"] == "active"
    [quota] = own.get(f"{path}/quotas")["items"]
    assert (quota["product"], quota["limit"], quota["used"]) == ("films", 10, 0)
    assert quota["resets_at"] == "2025-12-01T00:00:00Z"
    rights = own.get("/v1/entitlements")["items"]
    assert {each["key"]: each["source"] for each in rights} == dict.fromkeys(
        ("films", "hd"), made["id"]
    )
    asked = own.post(f"{path}/cancel", {"at": "period_end"})
    assert (asked["requested"], asked["state"]) == ("cancel:period_end", "active")
    end = clock.now_us() + 86_400_000_000
    billing("subscription.canceled", made["id"], effectiveAt=show_time(end))
    assert own.get(path)["cancel_at"] is not None
    clock.set(end)
    assert own.get(path)["state"] == "canceled"
    assert own.get("/v1/entitlements")["items"] == []
    assert len(own.get("/v1/entitlements", state="any")["items"]) == 2


def test_a_stranger_sees_and_changes_nothing(plan, consumer, admin):
    _, own = consumer("Ada")
    _, stranger = consumer("Eve")
    made = own.post("/v1/subscriptions", {"plan": plan})
    path = f"/v1/subscriptions/{made['id']}"
    for method, where, body in (
        ("GET", path, None),
        ("GET", f"{path}/quotas", None),
        ("POST", f"{path}/cancel", {}),
        ("POST", f"{path}/pause", None),
        ("POST", f"{path}/resume", None),
        ("POST", f"{path}/change-plan", {"plan": plan}),
    ):
        answer = stranger.call(method, where, json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "subscription_unknown"), where
    assert stranger.get("/v1/subscriptions")["items"] == []
    assert stranger.get("/v1/subscriptions", consumer=made["consumer"])["items"] == []
    answer = stranger.call(
        "POST", "/v1/subscriptions", json={"plan": plan, "consumer": made["consumer"]}
    )
    assert answer.status_code == 404
    granted = admin.post(
        "/v1/entitlements", {"consumer": made["consumer"], "key": "films", "limit": 3}
    )
    answer = stranger.call("GET", f"/v1/entitlements/{granted['id']}")
    assert (answer.status_code, answer.json()["code"]) == (404, "entitlement_unknown")
    assert stranger.get("/access/entitlements", consumer=made["consumer"])["items"] == []


def test_members_see_their_groups_subscription_and_only_operators_change_it(
    plan, consumer, admin, billing
):
    ada, own = consumer("Ada")
    group = admin.post("/v1/groups", {"name": "Family"})["id"]
    admin.put(f"/v1/groups/{group}/members/{ada}")
    answer = own.call("POST", "/v1/subscriptions", json={"plan": plan, "group": group})
    assert (answer.status_code, answer.json()["code"]) == (404, "group_unknown")
    made = admin.post("/v1/subscriptions", {"plan": plan, "group": group})
    billing("payment.succeeded", made["id"])
    path = f"/v1/subscriptions/{made['id']}"
    assert own.get(path)["group"] == group
    assert [each["id"] for each in own.get("/v1/subscriptions")["items"]] == [made["id"]]
    assert len(own.get("/v1/entitlements")["items"]) == 2
    assert own.call("POST", f"{path}/cancel", json={}).status_code == 404
    assert admin.post(f"{path}/pause")["requested"] == "pause:now"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"plan": "nothing", "consumer": "con_nobody"}, 404),
        ({"plan": "pro", "group": "grp_x", "consumer": "con_x"}, 409),
        ({"plan": "pro"}, 409),
        ({"plan": "pro", "consumer": "con_nobody"}, 404),
        ({"plan": "pro", "consumer": "con_nobody", "color": "red"}, 422),
        ({"plan": "pro", "consumer": "con_nobody", "period": "minute"}, 422),
    ],
)
def test_a_subscription_that_cannot_be_is_refused_and_changes_nothing(
    admin, plan, tables, body, status
):
    before = tables()
    answer = admin.call("POST", "/v1/subscriptions", json=body)
    assert answer.status_code == status, answer.text
    assert tables() == before


def test_the_same_wish_under_the_same_key_is_answered_alike_and_sent_once(plan, consumer, admin):
    _, own = consumer("Ada")
    first = own.post("/v1/subscriptions", {"plan": plan}, key="one")
    assert own.post("/v1/subscriptions", {"plan": plan}, key="one") == first
    other = own.call("POST", "/v1/subscriptions", json={"plan": "other"}, key="one")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    again = own.call("POST", "/v1/subscriptions", json={"plan": plan})
    assert (again.status_code, again.json()["code"]) == (409, "already_subscribed")
    told = [each["type"] for each in admin.get("/v1/events", limit=1000)["items"]]
    assert told.count("subscription.created") == 1


def test_an_operator_grants_changes_and_revokes_a_right(admin, consumer, films):
    ada, own = consumer("Ada")
    body = {"consumer": ada, "key": films, "roles": ["teacher"], "limit": 5, "period": "month"}
    made = admin.post("/v1/entitlements", body)
    assert made["usage"] == {
        "limit": 5, "used": 0, "remaining": 5, "resets_at": "2025-12-20T10:00:00Z",
    }  # fmt: skip
    path = f"/v1/entitlements/{made['id']}"
    changed = admin.patch(path, {"limit": 8, "expires_at": "2025-12-01T00:00:00Z"})
    assert (changed["usage"]["limit"], changed["version"]) == (8, 2)
    assert own.get("/access/entitlements", role="pupil")["items"] == []
    for where in ("/access/entitlements", "/access/entitlements/", "/v1/entitlements"):
        assert own.get(where, role="teacher")["items"] == [changed]
        assert admin.get(where, consumer=ada)["items"] == [changed]
    gone = admin.delete(f"{path}?reason=by+mistake")
    assert (gone["state"], gone["usage"]["remaining"]) == ("revoked", 0)
    assert admin.delete(path) == gone
    assert own.get("/access/entitlements")["items"] == []
    assert admin.call("PATCH", path, json={"limit": 1}).json()["code"] == "entitlement_over"


def test_a_right_of_a_plan_is_changed_with_the_subscription_only(plan, consumer, admin, billing):
    _, own = consumer("Ada")
    billing("payment.succeeded", own.post("/v1/subscriptions", {"plan": plan})["id"])
    for each in own.get("/v1/entitlements")["items"]:
        for method in ("PATCH", "DELETE"):
            body = {"expires_at": "2030-01-01T00:00:00Z"}
            answer = admin.call(method, f"/v1/entitlements/{each['id']}", json=body)
            assert (answer.status_code, answer.json()["code"]) == (409, "entitlement_of_plan")


@pytest.mark.parametrize(
    "wrong",
    [
        {"key": "nothing"},
        {"kind": "feature"},
        {"limit": -1},
        {"limit": 2**53},
        {"period": "month"},
        {"consumer": "con_nobody"},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"starts_at": "2031-01-01T00:00:00Z", "expires_at": "2030-01-01T00:00:00Z"},
        {"roles": [""]},
        {"roles": ["x"] * 33},
    ],
)
def test_a_right_that_cannot_be_is_refused_and_changes_nothing(
    admin, consumer, films, tables, wrong
):
    ada, _ = consumer("Ada")
    before = tables()
    answer = admin.call("POST", "/v1/entitlements", json={"consumer": ada, "key": films, **wrong})
    assert 400 <= answer.status_code < 500, answer.text
    assert tables() == before


def test_lists_of_everybodys_rights_have_pages(admin, consumer, films):
    ada, _ = consumer("Ada")
    bob, _ = consumer("Bob")
    ids = [
        admin.post("/v1/entitlements", {"consumer": who, "key": films})["id"]
        for who in (ada, bob, ada)
    ]
    first = admin.get("/v1/entitlements", limit=2)
    rest = admin.get("/v1/entitlements", limit=2, cursor=first["next"])
    assert [each["id"] for each in first["items"] + rest["items"]] == ids
    mine = admin.get("/v1/entitlements", consumer=ada, limit=1)
    rest = admin.get("/v1/entitlements", consumer=ada, limit=1, cursor=mine["next"])
    assert [each["id"] for each in mine["items"] + rest["items"]] == [ids[0], ids[2]]
