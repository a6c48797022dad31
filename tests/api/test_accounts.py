"""Accounts and the literal paths of the AccMan interface."""

import pytest


@pytest.fixture
def edge(caller):
    return caller("edge")


@pytest.fixture
def account(edge):
    return edge.post("/v1/accounts", {"amount": 1000})


def test_an_account_is_opened_with_a_credential_and_an_amount(edge, account):
    assert account["credential"].startswith("fb_live_")
    assert account["account"].startswith("bkt_")
    assert account["tot"] == 1000
    answer = edge.get("/tot", cred=account["credential"])
    assert answer == {"cred": account["credential"], "tot": 1000}


def test_a_credential_from_elsewhere_works_on_the_literal_paths(edge):
    made = edge.post("/v1/accounts", {"amount": 3, "credential": "карта № 7"})
    assert made["credential"] == "карта № 7"
    assert edge.get("/tot", cred="карта № 7")["tot"] == 3
    taken = edge.call("POST", "/v1/accounts", json={"amount": 3, "credential": "карта № 7"})
    assert (taken.status_code, taken.json()["code"]) == (409, "credential_taken")


def test_an_unknown_account_is_not_found(edge):
    for path in ("/tot", "/past"):
        missing = edge.call("GET", path, params={"cred": "nobody"})
        assert (missing.status_code, missing.json()["code"]) == (404, "account_unknown")


def test_mod_adds_and_deducts(edge, account):
    cred = account["credential"]
    taken = edge.patch(f"/mod?cred={cred}&by=-5")
    assert (taken["tot"], taken["by"]) == (995, -5)
    assert taken["operation"].startswith("op_")
    assert edge.patch(f"/mod?cred={cred}&by=10")["tot"] == 1005


def test_mod_creates_the_account(edge):
    made = edge.patch("/mod?cred=newcomer&by=7")
    assert (made["cred"], made["tot"]) == ("newcomer", 7)
    assert edge.get("/tot", cred="newcomer")["tot"] == 7


def test_mod_refuses_what_would_go_below_the_floor_and_changes_nothing(edge, account, tables):
    before = tables()
    path = f"/mod?cred={account['credential']}&by=-1001"
    refused = edge.call("PATCH", path, key=None)
    assert (refused.status_code, refused.json()["code"]) == (402, "insufficient_balance")
    assert refused.json()["tot"] == 1000
    assert tables() == before


def test_mod_needs_no_key_and_honours_one(edge, account):
    path = f"/mod?cred={account['credential']}&by=-5"
    first = edge.patch(path, key="visit-1")
    edge.patch(path, key=None)
    assert edge.patch(path, key="visit-1") == first
    assert edge.get("/tot", cred=account["credential"])["tot"] == 990
    other = edge.call("PATCH", f"/mod?cred={account['credential']}&by=-6", key="visit-1")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")


def test_past_is_newest_first_and_paged(edge, account):
    cred = account["credential"]
    for by in (-1, -2, -3):
        edge.patch(f"/mod?cred={cred}&by={by}")
    page = edge.get("/past", cred=cred, limit=2)
    assert [(one["by"], one["tot"]) for one in page["past"]] == [(-3, 994), (-2, 997)]
    rest = edge.get("/past", cred=cred, limit=2, cursor=page["next"])
    assert [(one["by"], one["tot"]) for one in rest["past"]] == [(-1, 999), (1000, 1000)]
    assert rest["next"] is None
    assert page["past"][0]["operation"].startswith("op_")


@pytest.mark.parametrize("path", ["/tot/", "/past/"])
def test_the_trailing_slash_makes_no_difference(edge, account, path):
    cred = account["credential"]
    with_slash = edge.get(path, cred=cred)
    assert with_slash == edge.get(path.rstrip("/"), cred=cred)
    assert edge.patch(f"/mod/?cred={cred}&by=1")["tot"] == 1001


@pytest.mark.parametrize("by", ["0", "x", "1.5", "1e3", "9007199254740992", "", "NaN"])
def test_mod_takes_whole_numbers_only(edge, account, tables, by):
    before = tables()
    refused = edge.call("PATCH", "/mod", params={"cred": account["credential"], "by": by})
    assert (refused.status_code, refused.json()["code"]) == (422, "fields_invalid")
    assert tables() == before


@pytest.mark.parametrize("query", ["", "cred=", "cred=a&cred=b", "cred=a&limt=5"])
def test_the_literal_paths_refuse_what_they_do_not_know(edge, query):
    assert edge.call("GET", f"/past?{query}").status_code == 422


@pytest.mark.parametrize("role", ["viewer", "support", "vendor"])
def test_accounts_are_for_edges_providers_and_admins(caller, role):
    for method, path in (("GET", "/tot?cred=x"), ("PATCH", "/mod?cred=x&by=1")):
        refused = caller(role).call(method, path)
        assert (refused.status_code, refused.json()["code"]) == (403, "role_missing")


def test_consumers_may_not_touch_accounts_by_their_literal_paths(consumer):
    _, own = consumer("Ada")
    assert own.call("PATCH", "/mod?cred=x&by=1000000").status_code == 403
