"""Rate limits and scopes over the API: set by operators, felt by the very next decision."""

import pytest

TIGHT = {"limit": 1, "seconds": 60, "burst": 1}


@pytest.fixture
def ada(admin, consumer, films):
    """Return a consumer with plenty of films."""
    who, own = consumer("Ada")
    admin.post("/v1/buckets", {"product": films, "holder": who, "grant": {"amount": 50}})
    return who, own


def decide(api, product, **named):
    return api.post("/v1/access/decide", {"mode": "consume", "product": product, **named})


def test_a_consumers_rate_limit_is_set_read_felt_and_taken_away(admin, ada, films):
    who, own = ada
    path = f"/v1/consumers/{who}/rate-limits"
    assert admin.get(path) == {"rate_limits": []}
    limits = {"rate_limits": [{**TIGHT, "product": films}]}
    assert admin.put(f"{path}?reason=abuse", limits) == limits
    assert admin.get(path) == limits
    assert decide(own, films)["allowed"] is True
    denied = decide(own, films)
    assert (denied["code"], denied["remaining"]) == ("rate_limited", 0)
    assert 1 <= denied["retry_after"] <= 60
    entry = admin.get("/v1/audit", subject=who, limit=1)["items"][0]
    assert (entry["action"], entry["reason"]) == ("rate_limits.set", "abuse")
    admin.put(path, {"rate_limits": []})
    assert decide(own, films)["allowed"] is True


def test_a_keys_rate_limit_is_its_own_and_survives_rotation(admin, ada, films, caller):
    who, own = ada
    key = admin.get(f"/v1/consumers/{who}/keys")["items"][0]["id"]
    path = f"/v1/keys/{key}/rate-limits"
    limits = admin.put(path, {"rate_limits": [TIGHT]})
    assert limits == {"rate_limits": [{**TIGHT, "product": None}]}
    assert decide(own, films)["allowed"] is True
    assert decide(own, films)["code"] == "rate_limited"
    assert decide(caller("edge"), films, consumer=who)["allowed"] is True
    made = admin.post(f"/v1/keys/{key}/rotate", {})
    assert admin.get(f"/v1/keys/{made['id']}/rate-limits") == limits


def test_scopes_are_shown_kept_by_rotation_and_end_where_they_end(admin, ada, films, client):
    who, own = ada
    made = admin.post(f"/v1/consumers/{who}/keys", {"scopes": ["books", "books", "hd"]})
    assert made["scopes"] == ["books", "hd"]
    assert admin.get(f"/v1/keys/{made['id']}")["scopes"] == ["books", "hd"]
    again = admin.post(f"/v1/keys/{made['id']}/rotate", {})
    assert again["scopes"] == ["books", "hd"]
    headers = {"Authorization": f"Bearer {again['key']}"}
    ask = {"mode": "check", "product": films}
    denied = client.post("/v1/access/decide", json=ask, headers=headers).json()
    assert denied["code"] == "scope_missing"
    assert own.post("/v1/access/decide", ask)["allowed"] is True


@pytest.mark.parametrize(
    "limits",
    [
        [{**TIGHT, "limit": 0}],
        [{**TIGHT, "burst": 0}],
        [{**TIGHT, "seconds": 86_401}],
        [{**TIGHT, "product": "nothing"}],
        [{**TIGHT, "limit": 2**63}],
        [{**TIGHT, "per": "minute"}],
        [TIGHT] * 17,
        None,
    ],
)
def test_an_impossible_rate_limit_is_refused_and_changes_nothing(admin, ada, limits, tables):
    path = f"/v1/consumers/{ada[0]}/rate-limits"
    admin.put(path, {"rate_limits": [TIGHT]})
    before = tables()
    refused = admin.call("PUT", path, json={"rate_limits": limits})
    assert refused.status_code in {404, 422}, refused.text
    assert tables() == before


def test_rate_limits_of_strangers_keys_and_operators_are_none(admin, caller, ada):
    assert admin.call("GET", "/v1/consumers/con_nobody/rate-limits").status_code == 404
    assert admin.call("GET", "/v1/keys/key_nobody/rate-limits").status_code == 404
    operator = admin.get("/v1/operators")["items"][0]["id"]
    key = admin.get(f"/v1/operators/{operator}/keys")["items"][0]["id"]
    put = admin.call("PUT", f"/v1/keys/{key}/rate-limits", json={"rate_limits": [TIGHT]})
    assert put.status_code == 404
    who, own = ada
    assert own.call("GET", f"/v1/consumers/{who}/rate-limits").status_code == 403
    scoped = admin.call("POST", f"/v1/operators/{operator}/keys", json={"scopes": ["films"]})
    assert (scoped.status_code, scoped.json()["code"]) == (422, "fields_invalid")


def test_a_feature_is_asked_for_alone_or_with_a_product(admin, ada, films):
    own = ada[1]
    asked = own.post("/v1/access/decide", {"mode": "check", "feature": "hd"})
    assert (asked["allowed"], asked["code"]) == (False, "feature_not_in_plan")
    nothing = own.call("POST", "/v1/access/decide", json={"mode": "check"})
    assert (nothing.status_code, nothing.json()["code"]) == (409, "ask_refused")
    drawn = own.call("POST", "/v1/access/decide", json={"mode": "consume", "feature": "hd"})
    assert (drawn.status_code, drawn.json()["code"]) == (409, "ask_refused")
