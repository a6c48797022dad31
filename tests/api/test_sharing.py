"""Members see who used how much of what their group shares; grants say when they end."""

import pytest


@pytest.fixture
def shared(admin, consumer):
    """Return a group of Ada and Bob that shares 100 films, with Bob capped, and its bucket."""
    admin.post("/v1/products", {"code": "films", "name": "Films", "unit": "film"})
    group = admin.post("/v1/groups", {"name": "Team"})["id"]
    ada, own_of_ada = consumer("Ada")
    bob, own_of_bob = consumer("Bob")
    bucket = admin.post("/v1/buckets", {"product": "films", "holder": group})["id"]
    grant = {"amount": 100, "expires_at": "2999-01-01T00:00:00Z"}
    admin.post(f"/v1/buckets/{bucket}/grants", grant)
    admin.put(f"/v1/groups/{group}/members/{ada}", {})
    caps = {"caps": [{"bucket": bucket, "amount": 5}]}
    admin.put(f"/v1/groups/{group}/members/{bob}", caps)
    for own, quantity in ((own_of_ada, 30), (own_of_bob, 2)):
        ask = {"mode": "consume", "product": "films", "quantity": quantity}
        assert own.post("/v1/access/decide", ask)["allowed"] is True
    return {"group": group, "bucket": bucket, "ada": (ada, own_of_ada), "bob": (bob, own_of_bob)}


def test_each_member_sees_who_used_what_and_the_caps(shared):
    _, own = shared["ada"]
    found = own.get(f"/v1/groups/{shared['group']}/shares")
    assert found["group"]["name"] == "Team"
    assert [one["available"] for one in found["buckets"]] == [68]
    assert found["used"] == [{"product": "films", "quantity": 32, "uses": 2}]
    used = {one["name"]: one["used"][0]["quantity"] for one in found["members"]}
    assert used == {"Ada": 30, "Bob": 2}
    caps = {one["name"]: [cap["available"] for cap in one["caps"]] for one in found["members"]}
    assert caps == {"Ada": [], "Bob": [3]}


def test_what_somebody_used_who_has_left_still_counts(shared, admin):
    bob, _ = shared["bob"]
    admin.delete(f"/v1/groups/{shared['group']}/members/{bob}")
    found = shared["ada"][1].get(f"/v1/groups/{shared['group']}/shares")
    assert [one["name"] for one in found["members"]] == ["Ada"]
    assert found["used"][0]["quantity"] == 32


def test_members_are_paged(shared):
    _, own = shared["ada"]
    path = f"/v1/groups/{shared['group']}/shares"
    first = own.get(path, limit=1)
    second = own.get(path, limit=1, cursor=first["next"])
    assert {one["name"] for one in first["members"] + second["members"]} == {"Ada", "Bob"}
    assert second["next"] is None


def test_a_stranger_sees_neither_the_group_nor_its_grants(shared, consumer):
    _, stranger = consumer("Eve")
    for path in (f"/v1/groups/{shared['group']}/shares", f"/v1/buckets/{shared['bucket']}/grants"):
        assert stranger.call("GET", path).status_code == 404
    nowhere = stranger.call("GET", "/v1/groups/grp_nobody/shares")
    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "group_unknown")


def test_grants_say_what_is_left_and_when_it_ends(shared):
    _, own = shared["bob"]
    (grant,) = own.get(f"/v1/buckets/{shared['bucket']}/grants")["items"]
    assert (grant["amount"], grant["available"], grant["class"]) == (100, 68, "purchased")
    assert grant["expires_at"] == "2999-01-01T00:00:00Z"


@pytest.mark.usefixtures("billing")
def test_the_gateways_that_are_set_up_are_listed(consumer):
    _, own = consumer("Ada")
    assert own.get("/v1/payment-gateways") == {"items": []}
