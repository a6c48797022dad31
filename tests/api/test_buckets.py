"""Products, buckets, service plans and usages over the API."""

import base64
import json

import pytest


@pytest.fixture
def ada(consumer):
    return consumer("Ada")


@pytest.fixture
def bucket(admin, films, ada):
    body = {"product": films, "holder": ada[0], "grant": {"amount": 20}, "label": "first"}
    return admin.post("/v1/buckets", body)


def test_a_product_is_made_changed_and_archived(admin):
    made = admin.post("/v1/products", {"code": "mobile.data", "name": "Data", "unit": "MB"})
    path = "/v1/products/mobile.data"
    assert admin.get(path) == made
    assert admin.patch(path, {"name": "Mobile data"})["name"] == "Mobile data"
    assert admin.delete(path)["state"] == "archived"
    assert [one["code"] for one in admin.get("/v1/products", state="archived")["items"]] == [
        "mobile.data"
    ]
    taken = admin.call("POST", "/v1/products", json={"code": "mobile.data", "name": "Again"})
    assert (taken.status_code, taken.json()["code"]) == (409, "product_taken")


def test_a_bucket_tells_what_is_on_it(admin, bucket):
    assert bucket["available"] == bucket["granted"] == 20
    assert (bucket["used"], bucket["held"], bucket["empty"]) == (0, 0, False)
    used = admin.post(f"/v1/buckets/{bucket['id']}/consume", {"quantity": 8})
    assert (used["allowed"], used["quantity"], used["remaining"]) == (True, 8, 12)
    now = admin.get(f"/v1/buckets/{bucket['id']}")
    assert (now["available"], now["used"]) == (12, 8)
    assert admin.get(f"/v1/buckets/{bucket['id']}/empty")["empty"] is False


def test_too_much_is_denied_with_what_is_left_and_changes_nothing(admin, bucket, tables):
    path = f"/v1/buckets/{bucket['id']}"
    denied = admin.post(f"{path}/consume", {"quantity": 21})
    assert denied == {
        "allowed": False, "code": "bucket_empty", "bucket": bucket["id"], "remaining": 20,
    }  # fmt: skip
    assert admin.get(path)["available"] == 20


def test_a_top_up_lets_on(admin, bucket, clock):
    path = f"/v1/buckets/{bucket['id']}"
    admin.post(f"{path}/consume", {"quantity": 20})
    assert admin.get(f"{path}/empty") == {"bucket": bucket["id"], "empty": True, "available": 0}
    body = {"amount": 5, "class": "included", "priority": 1, "expires_at": "2999-01-01T00:00:00Z"}
    made = admin.post(f"{path}/grants", body)
    assert (made["amount"], made["available"]) == (5, 5)
    assert admin.post(f"{path}/consume", {"quantity": 1})["remaining"] == 4


def test_a_grant_that_has_ended_already_is_refused(admin, bucket):
    body = {"amount": 5, "expires_at": "2001-01-01T00:00:00Z"}
    refused = admin.call("POST", f"/v1/buckets/{bucket['id']}/grants", json=body)
    assert (refused.status_code, refused.json()["code"]) == (409, "time_out_of_range")


def test_history_and_balances_of_then(admin, bucket, clock):
    path = f"/v1/buckets/{bucket['id']}"
    clock.move(60_000_000)
    admin.post(f"{path}/consume", {"quantity": 3, "metadata": {"film": "Metropolis"}})
    first, second = admin.get(f"{path}/history", limit=1), None
    assert [one["by"] for one in first["items"]] == [-3]
    assert first["items"][0]["metadata"] == {"film": "Metropolis"}
    second = admin.get(f"{path}/history", limit=1, cursor=first["next"])
    assert [(one["by"], one["available_after"]) for one in second["items"]] == [(20, 20)]
    before = second["items"][0]["at"]
    assert admin.get(path, at=before)["available_then"] == 20
    assert admin.get(path)["available_then"] is None


def test_history_says_why_an_operator_granted(admin, bucket):
    path = f"/v1/buckets/{bucket['id']}"
    admin.post(f"{path}/grants?reason=7", {"amount": 1})
    newest = admin.get(f"{path}/history", limit=1)["items"][0]
    assert (newest["kind"], newest["reason"], newest["metadata"]) == ("grant", "7", None)


def test_a_frozen_bucket_moves_nothing_until_it_is_free_again(admin, bucket):
    path = f"/v1/buckets/{bucket['id']}"
    assert admin.post(f"{path}/freeze?reason=dispute")["frozen"] is True
    assert admin.post(f"{path}/consume", {"quantity": 1})["code"] == "bucket_frozen"
    assert admin.post(f"{path}/unfreeze")["frozen"] is False
    assert admin.post(f"{path}/consume", {"quantity": 1})["allowed"] is True


def test_anothers_bucket_is_not_there(admin, bucket, ada, consumer):
    _, bob = consumer("Bob")
    path = f"/v1/buckets/{bucket['id']}"
    assert ada[1].get(path)["available"] == 20
    assert ada[1].get(f"{path}/history")["items"]
    for end in ("", "/empty", "/history"):
        there, nowhere = bob.call("GET", path + end), bob.call("GET", f"/v1/buckets/bkt_1{end}")
        assert there.status_code == nowhere.status_code == 404
        assert there.json() == nowhere.json()
    assert bob.call("GET", "/v1/buckets", params={"holder": ada[0]}).status_code == 404
    assert bob.get("/v1/buckets")["items"] == []
    ask = {"mode": "consume", "product": "films", "bucket": bucket["id"]}
    assert bob.post("/v1/access/decide", ask)["code"] == "no_bucket"
    assert admin.get(path)["available"] == 20


def test_members_see_their_groups_bucket_but_not_who_used_it(admin, films, ada):
    group = admin.post("/v1/groups", {"name": "Family"})["id"]
    admin.put(f"/v1/groups/{group}/members/{ada[0]}")
    made = admin.post("/v1/buckets", {"product": films, "holder": group, "grant": {"amount": 3}})
    path = f"/v1/buckets/{made['id']}"
    assert ada[1].get(path)["available"] == 3
    assert [one["id"] for one in ada[1].get("/v1/buckets", holder=group)["items"]] == [made["id"]]
    assert ada[1].call("GET", f"{path}/history").status_code == 404
    admin.delete(f"/v1/groups/{group}/members/{ada[0]}")
    assert ada[1].call("GET", path).status_code == 404


def test_a_group_of_three_shares_twenty_films(admin, films, consumer):
    group = admin.post("/v1/groups", {"name": "Cinema club"})["id"]
    members = [consumer(name) for name in ("Ada", "Bob", "Cleo")]
    for who, _ in members:
        admin.put(f"/v1/groups/{group}/members/{who}")
    plan = {"product": films, "group": group, "bucket_limit": 20}
    made = admin.post("/v1/service-plans", plan)
    assert admin.get(f"/v1/service-plans/{made['id']}") == made
    assert admin.get("/v1/service-plans", group=group)["items"] == [made]
    for turn in range(20):
        used = members[turn % 3][1].post("/v1/service-usages", {"product": films})
        assert (used["allowed"], used["remaining"]) == (True, 19 - turn)
    denied = members[0][1].post("/v1/service-usages", {"product": films})
    assert (denied["allowed"], denied["code"], denied["remaining"]) == (False, "bucket_empty", 0)
    admin.post(f"/v1/buckets/{made['bucket']}/grants", {"amount": 1})
    assert members[0][1].post("/v1/service-usages", {"product": films})["allowed"] is True


def test_an_access_key_is_redeemed_once(admin, caller, films, ada, bucket):
    used = ada[1].post("/v1/service-usages", {"product": films, "quantity": 2})
    provider = caller("provider")
    body = {"access_key": used["access_key"]}
    done = provider.post("/v1/service-usages/redeem", body, key="visit-1")
    assert (done["operation"], done["consumer"]) == (used["operation"], ada[0])
    assert (done["product"], done["quantity"]) == (films, 2)
    assert provider.post("/v1/service-usages/redeem", body, key="visit-1") == done
    again = provider.call("POST", "/v1/service-usages/redeem", json=body, key="visit-2")
    assert (again.status_code, again.json()["code"]) == (409, "already_redeemed")


def test_an_expired_access_key_is_gone(caller, ada, bucket, clock):
    used = ada[1].post("/v1/service-usages", {"product": bucket["product"], "ttl_seconds": 60})
    clock.move(120_000_000)
    body = {"access_key": used["access_key"]}
    gone = caller("provider").call("POST", "/v1/service-usages/redeem", json=body)
    assert (gone.status_code, gone.json()["code"]) == (410, "access_key_expired")


def test_introspection_says_what_is_good_and_nothing_else(caller, films, ada, bucket, client):
    used = ada[1].post("/v1/service-usages", {"product": films})
    provider = caller("provider")
    form = {"token": used["access_key"], "token_type_hint": "access_token"}
    answer = provider.good(provider.call("POST", "/oauth2/introspect", data=form))
    assert answer["active"] is True
    assert (answer["sub"], answer["jti"], answer["aud"]) == (ada[0], used["operation"], films)
    forged = provider.call("POST", "/oauth2/introspect", data={"token": "a.b.c"})
    assert forged.json() == {"active": False}
    key = provider.headers["Authorization"].removeprefix("Bearer ")
    basic = base64.b64encode(f"client:{key}".encode()).decode()
    by_basic = client.post(
        "/oauth2/introspect", data=form, headers={"Authorization": f"Basic {basic}"}
    )
    assert by_basic.json() == answer
    assert client.post("/oauth2/introspect", data=form).status_code == 401


def test_the_jwks_has_public_keys_only_and_follows_rotation(admin, client):
    first = client.get("/.well-known/jwks.json").json()["keys"]
    made = admin.post("/v1/signing-keys")
    both = client.get("/.well-known/jwks.json").json()["keys"]
    assert {one["kid"] for one in both} == {first[0]["kid"], made["kid"]}
    assert all("d" not in one and one["alg"] == "EdDSA" for one in both)


def test_a_reserved_usage_is_captured_in_parts(admin, caller, films, ada, bucket):
    ask = {"product": films, "quantity": 10, "mode": "reserve", "ttl_seconds": 600}
    used = ada[1].post("/v1/service-usages", ask)
    provider = caller("provider")
    part = provider.post("/v1/access/capture", {"hold": used["hold"], "quantity": 4, "hold_on": 6})
    assert (part["captured"], part["remaining"]) == (4, 10)
    rest = provider.post("/v1/access/release", {"hold": part["next_hold"]})
    assert (rest["released"], rest["remaining"]) == (6, 16)


def test_events_are_followed_by_their_cursor(admin, caller):
    admin.post("/v1/accounts", {"amount": 5})
    reader = caller("billing")
    feed = reader.get("/v1/events")
    opened = [one for one in feed["items"] if one["type"] == "account.opened"]
    assert len(opened) == 1
    assert opened[0]["specversion"] == "1.0"
    assert reader.get("/v1/events", cursor=feed["next"])["items"] == []
    admin.post("/v1/accounts", {"amount": 6})
    later = reader.get("/v1/events", cursor=feed["next"])
    assert [one["type"] for one in later["items"]].count("account.opened") == 1
    assert "credential" not in json.dumps(feed)
