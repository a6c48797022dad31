"""Events of other billing systems over HTTP."""

import pytest


def event(user: str, **meta) -> dict[str, object]:
    said = {"eventId": "evt_1", "occurredAt": "2025-11-20T09:00:00Z", "source": "stripe", **meta}
    payload = {"userId": user, "productId": "films", "subscriptionId": "sub_1", "priceId": "p_1"}
    return {"type": "subscription.created", "payload": payload, "meta": said, "version": 1}


@pytest.fixture
def billing(caller, films):
    return caller("billing")


def test_an_event_brings_rights_once(billing, consumer, films):
    ada, own = consumer("Ada")
    first = billing.post("/v1/billing-events", event(ada))
    assert (first["outcome"], first["repeated"], len(first["entitlements"])) == (
        "applied", False, 1,
    )  # fmt: skip
    assert billing.post("/v1/billing-events", event(ada))["repeated"]
    [right] = own.get("/access/entitlements")["items"]
    assert (right["key"], right["source_kind"], right["source"]) == (
        films, "subscription", "stripe:sub_1",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"type": "subscription.melted"}, (422, "fields_invalid")),
        ({"payload": {"userId": "nobody", "productId": "films"}}, (404, "consumer_unknown")),
        ({"payload": {}}, (409, "event_refused")),
        ({"meta": {}}, (422, "fields_invalid")),
        ({"payload": 7}, (422, "fields_invalid")),
    ],
)
def test_what_cannot_be_dealt_with_changes_nothing(billing, consumer, tables, change, expected):
    ada, _ = consumer("Ada")
    before = tables()
    answer = billing.call("POST", "/v1/billing-events", json={**event(ada), **change})
    assert (answer.status_code, answer.json()["code"]) == expected
    assert tables() == before


def test_late_and_changed_events_are_told_apart(billing, consumer, films):
    ada, _ = consumer("Ada")
    billing.post("/v1/billing-events", event(ada))
    late = event(ada, eventId="evt_0", occurredAt="2025-11-20T08:00:00Z")
    answer = billing.call("POST", "/v1/billing-events", json=late)
    assert (answer.status_code, answer.json()["code"]) == (409, "event_stale")
    answer = billing.call("POST", "/v1/billing-events", json={**late, **event("other")})
    assert (answer.status_code, answer.json()["code"]) == (409, "event_id_reused")


def test_only_billing_and_admins_speak_for_billing(caller, consumer, films):
    ada, own = consumer("Ada")
    for other in (own, caller("vendor"), caller("viewer")):
        answer = other.call("POST", "/v1/billing-events", json=event(ada))
        assert (answer.status_code, answer.json()["code"]) == (403, "role_missing")
