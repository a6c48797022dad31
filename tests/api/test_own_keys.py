"""Consumers handle their own keys, nobody else's, and no key makes a better one of itself."""

import pytest

from tests.api.conftest import Api, bearer


@pytest.fixture
def ada(consumer):
    return consumer("Ada")


def code_of(answer):
    return answer.status_code, answer.json()["code"]


def test_a_consumer_makes_rotates_and_revokes_keys_of_their_own(ada, client):
    who, own = ada
    wanted = {"label": "Phone", "scopes": ["films"], "expires_at": "2999-01-01T00:00:00Z"}
    made = own.post(f"/v1/consumers/{who}/keys", wanted)
    assert (made["label"], made["scopes"], made["subject"]) == ("Phone", ["films"], who)
    phone = Api(client, bearer(made["key"]))
    assert phone.get(f"/v1/consumers/{who}")["id"] == who

    fresh = own.post(f"/v1/keys/{made['id']}/rotate", {"overlap_seconds": 3600})
    assert fresh["scopes"] == ["films"]
    assert phone.get(f"/v1/consumers/{who}")["id"] == who

    assert own.delete(f"/v1/keys/{made['id']}")["revoked_at"]
    assert phone.call("GET", f"/v1/consumers/{who}").status_code == 401
    assert len(own.get(f"/v1/consumers/{who}/keys")["items"]) == 3


def test_a_strangers_keys_are_not_there(ada, consumer, admin):
    who, own = ada
    bob, _ = consumer("Bob")
    of_bob = admin.get(f"/v1/consumers/{bob}/keys")["items"][0]["id"]
    assert code_of(own.call("POST", f"/v1/consumers/{bob}/keys", json={})) == (
        404,
        "consumer_unknown",
    )
    for method, path in (("GET", ""), ("POST", "/rotate"), ("DELETE", "")):
        there = own.call(method, f"/v1/keys/{of_bob}{path}", json={})
        nowhere = own.call(method, f"/v1/keys/key_nobody{path}", json={})
        assert code_of(there) == code_of(nowhere) == (404, "credential_unknown")
        assert there.json() == nowhere.json()
    assert admin.get(f"/v1/keys/{of_bob}")["revoked_at"] is None
    assert len(admin.get(f"/v1/consumers/{who}/keys")["items"]) == 1


def test_an_operators_key_is_not_there_for_a_consumer(ada, admin):
    _, own = ada
    made = admin.post("/v1/operators", {"name": "Edge", "roles": ["edge"]})
    key = admin.post(f"/v1/operators/{made['id']}/keys", {})["id"]
    assert code_of(own.call("DELETE", f"/v1/keys/{key}")) == (404, "credential_unknown")
    assert admin.get(f"/v1/keys/{key}")["revoked_at"] is None


def test_a_key_with_scopes_makes_and_stops_no_keys(ada, client, admin):
    who, own = ada
    made = own.post(f"/v1/consumers/{who}/keys", {"scopes": ["films"]})
    small = Api(client, bearer(made["key"]))
    for method, path in (
        ("POST", f"/v1/consumers/{who}/keys"),
        ("POST", f"/v1/keys/{made['id']}/rotate"),
        ("DELETE", f"/v1/keys/{made['id']}"),
    ):
        assert code_of(small.call(method, path, json={})) == (403, "role_missing")
    assert len(admin.get(f"/v1/consumers/{who}/keys")["items"]) == 2


def test_a_consumer_brings_no_key_along(ada, admin):
    who, own = ada
    brought = own.call("POST", f"/v1/consumers/{who}/keys", json={"key": "easy to guess"})
    assert code_of(brought) == (403, "role_missing")
    assert len(admin.get(f"/v1/consumers/{who}/keys")["items"]) == 1


def test_a_key_is_made_once_for_each_idempotency_key(ada):
    who, own = ada
    first = own.post(f"/v1/consumers/{who}/keys", {"label": "Phone"}, key="once")
    assert own.post(f"/v1/consumers/{who}/keys", {"label": "Phone"}, key="once") == first
    assert len(own.get(f"/v1/consumers/{who}/keys")["items"]) == 2
