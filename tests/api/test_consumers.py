"""Consumers, groups and members over the API."""

from tests.api.conftest import Api


def test_a_consumer_is_created_read_changed_and_listed(admin):
    made = admin.post("/v1/consumers", {"name": "Ada", "metadata": {"tier": "gold", "seats": 3}})
    assert made["state"] == "active"
    assert made["created_at"].endswith("Z")
    path = f"/v1/consumers/{made['id']}"
    assert admin.get(path) == made
    changed = admin.patch(path, {"metadata": {"tier": "silver"}})
    assert changed == {**made, "metadata": {"tier": "silver"}}
    assert admin.get("/v1/consumers") == {"items": [changed], "next": None}


def test_lists_go_on_at_their_cursor(admin):
    made = [admin.post("/v1/consumers", {"name": f"c{n}"})["id"] for n in range(5)]
    seen, cursor = [], None
    while True:
        page = admin.get("/v1/consumers", limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [one["id"] for one in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break
        assert len(page["items"]) == 2
    assert seen == sorted(made)


def test_suspension_denies_the_next_decision_and_is_audited(admin, consumer, films):
    who, own = consumer("Ada")
    bucket = {"product": films, "holder": who, "grant": {"amount": 5}}
    admin.post("/v1/buckets", bucket)
    ask = {"mode": "consume", "product": films}
    assert own.post("/v1/access/decide", ask)["allowed"] is True
    suspended = admin.post(f"/v1/consumers/{who}/suspend?reason=chargeback+12")
    assert suspended["state"] == "suspended"
    denied = own.post("/v1/access/decide", ask)
    assert (denied["allowed"], denied["code"]) == (False, "consumer_suspended")
    assert [one["id"] for one in admin.get("/v1/consumers", state="suspended")["items"]] == [who]
    entry = admin.get("/v1/audit", subject=who, limit=1)["items"][0]
    assert entry["reason"] == "chargeback 12"
    assert entry["after"]["state"] == "suspended"
    assert admin.post(f"/v1/consumers/{who}/activate")["state"] == "active"
    assert own.post("/v1/access/decide", ask)["allowed"] is True


def test_a_group_is_made_changed_filled_and_emptied(admin, consumer):
    ada, _ = consumer("Ada")
    group = admin.post("/v1/groups", {"name": "Family", "priority": 5})
    path = f"/v1/groups/{group['id']}"
    assert admin.patch(path, {"name": "Lovelace"})["name"] == "Lovelace"
    assert admin.get("/v1/groups")["items"] == [admin.get(path)]
    member = admin.put(f"{path}/members/{ada}")
    assert (member["group"], member["consumer"]) == (group["id"], ada)
    assert admin.put(f"{path}/members/{ada}") == member
    assert admin.get(f"{path}/members")["items"] == [member]
    found = admin.get(f"/v1/consumers/{ada}/groups")["items"]
    assert [one["id"] for one in found] == [group["id"]]
    admin.delete(f"{path}/members/{ada}")
    assert admin.get(f"/v1/consumers/{ada}/groups") == {"items": []}
    admin.delete(path)
    assert admin.call("GET", path).status_code == 404


def test_a_group_with_something_on_its_bucket_stays(admin, films):
    group = admin.post("/v1/groups", {"name": "Family"})["id"]
    admin.post("/v1/buckets", {"product": films, "holder": group, "grant": {"amount": 1}})
    refused = admin.call("DELETE", f"/v1/groups/{group}")
    assert (refused.status_code, refused.json()["code"]) == (409, "group_has_buckets")


def test_a_member_gets_caps_in_the_same_step_or_is_not_added(admin, consumer, films):
    ada, own = consumer("Ada")
    group = admin.post("/v1/groups", {"name": "Family"})["id"]
    made = admin.post("/v1/buckets", {"product": films, "holder": group, "grant": {"amount": 9}})
    bucket = made["id"]
    path = f"/v1/groups/{group}/members/{ada}"
    wrong = {"caps": [{"bucket": bucket, "amount": 2}, {"bucket": "bkt_0000", "amount": 2}]}
    assert admin.call("PUT", path, json=wrong).json()["code"] == "bucket_unknown"
    assert admin.get(f"/v1/groups/{group}/members")["items"] == []
    admin.put(path, {"caps": [{"bucket": bucket, "amount": 2}]})
    caps = admin.get(f"/v1/buckets/{bucket}/caps")["items"]
    assert caps == [{"bucket": bucket, "consumer": ada, "amount": 2, "available": 2}]
    ask = {"mode": "consume", "product": films, "quantity": 3}
    assert own.post("/v1/access/decide", ask)["code"] == "member_cap_reached"
    cap = f"/v1/buckets/{bucket}/caps/{ada}"
    assert admin.put(cap, {"amount": 4})["available"] == 4
    assert own.post("/v1/access/decide", ask)["allowed"] is True
    admin.delete(cap)
    assert admin.get(f"/v1/buckets/{bucket}/caps") == {"items": []}


def test_consumers_see_themselves_and_nobody_else(admin, consumer):
    ada, own = consumer("Ada")
    bob, _ = consumer("Bob")
    assert own.get(f"/v1/consumers/{ada}")["name"] == "Ada"
    assert own.get(f"/v1/consumers/{ada}/groups") == {"items": []}
    assert len(own.get(f"/v1/consumers/{ada}/keys")["items"]) == 1
    for path in ("", "/groups", "/keys"):
        there = own.call("GET", f"/v1/consumers/{bob}{path}")
        nowhere = own.call("GET", f"/v1/consumers/con_nobody{path}")
        assert there.status_code == nowhere.status_code == 404
        assert there.json() == nowhere.json()
    refused = own.call("GET", "/v1/consumers")
    assert (refused.status_code, refused.json()["code"]) == (403, "role_missing")


def test_a_key_is_shown_once_rotated_and_revoked(admin, consumer, client):
    ada, _ = consumer("Ada")
    made = admin.post(f"/v1/consumers/{ada}/keys", {"label": "phone"})
    assert made["key"].startswith("fb_live_")
    path = f"/v1/keys/{made['id']}"
    read = admin.get(path)
    assert "key" not in read
    assert read["hint"] == made["key"][-4:]
    phone = Api(client, {"X-API-Key": made["key"]})
    assert phone.get(f"/v1/consumers/{ada}")["id"] == ada
    fresh = admin.post(f"{path}/rotate", {"overlap_seconds": 0})
    assert fresh["subject"] == ada
    assert phone.call("GET", f"/v1/consumers/{ada}").status_code == 401
    renewed = Api(client, {"X-API-Key": fresh["key"]})
    assert renewed.get(f"/v1/consumers/{ada}")["id"] == ada
    assert admin.delete(f"/v1/keys/{fresh['id']}")["revoked_at"]
    assert renewed.call("GET", f"/v1/consumers/{ada}").status_code == 401


def test_a_key_from_elsewhere_works_and_is_not_echoed(admin, consumer, client):
    ada, _ = consumer("Ada")
    brought = admin.post(f"/v1/consumers/{ada}/keys", {"key": "старый ключ 7"})
    assert brought["key"] is None
    tot = admin.call("GET", "/tot", params={"cred": "старый ключ 7"})
    assert tot.status_code in {200, 404}
    again = admin.call("POST", f"/v1/consumers/{ada}/keys", json={"key": "старый ключ 7"})
    assert (again.status_code, again.json()["code"]) == (409, "credential_taken")


def test_whoever_makes_consumers_keys_handles_no_operators_keys(admin, caller):
    made = admin.post("/v1/operators", {"name": "Edge", "roles": ["edge"]})
    key = admin.post(f"/v1/operators/{made['id']}/keys", {})["id"]
    vendor = caller("vendor")
    for method, path in (("GET", ""), ("POST", "/rotate"), ("DELETE", "")):
        refused = vendor.call(method, f"/v1/keys/{key}{path}", json={})
        assert refused.status_code == 404
    assert admin.get(f"/v1/keys/{key}")["revoked_at"] is None
