"""Who may call what, and whose credential opens nothing."""

import re

import msgspec
import pytest

from farebox.http.roles import ROLES
from farebox.platform.model import ROLES as ALL_ROLES
from farebox.platform.rules import PERMISSIONS

LITERAL = {
    "tot": ("GET", "/tot"),
    "mod": ("PATCH", "/mod"),
    "past": ("GET", "/past"),
    "amount": ("GET", "/api/v1/billing/amount"),
    "fill": ("POST", "/api/v1/billing/fill"),
    "withdraw": ("POST", "/api/v1/billing/withdraw"),
    "rentPremiere": ("POST", "/api/v1/rent"),
}
pytestmark = pytest.mark.usefixtures("billing", "notifications")


@pytest.fixture
def routes(undriven):
    found = dict(LITERAL)
    document = msgspec.json.decode(undriven.description)
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if operation["security"]:
                found[operation["operationId"]] = (method.upper(), re.sub(r"{\w+}", "x", path))
    return found


@pytest.mark.parametrize("role", ALL_ROLES)
def test_a_role_opens_its_routes_and_no_others(caller, routes, role):
    them = caller(role)
    for operation, (method, path) in routes.items():
        answer = them.call(method, path)
        allowed = ROLES[operation].permission in PERMISSIONS[role]
        refused = answer.status_code == 403 and answer.json()["code"] == "role_missing"
        assert refused is not allowed, (operation, answer.text)


def test_a_consumer_is_let_in_only_where_the_table_says(consumer, routes):
    _, own = consumer("Ada")
    for operation, (method, path) in routes.items():
        answer = own.call(method, path)
        refused = answer.status_code == 403 and answer.json()["code"] == "role_missing"
        assert refused is not ROLES[operation].consumers, (operation, answer.text)


def test_nobody_passes_without_a_credential(stranger, routes):
    for method, path in routes.values():
        answer = stranger.call(method, path)
        assert (answer.status_code, answer.json()["code"]) == (401, "credential_missing")
        assert answer.headers["www-authenticate"] == 'Bearer realm="farebox"'


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer fb_live_nosuchkeynosuchkeynosuchkey00aaaaaa"},
        {"Authorization": "Bearer x"},
        {"Authorization": "Basic !!!"},
        {"Authorization": "Digest abc"},
        {"X-API-Key": "nobody's"},
        {"Authorization": "Bearer a.b.c"},
        {"Authorization": "Bearer " + "k" * 6000},
    ],
)
def test_a_bad_credential_opens_nothing_and_learns_nothing(stranger, headers):
    answer = stranger.call("GET", "/v1/groups", headers=headers)
    assert answer.status_code == 401
    assert answer.json()["code"] == "credential_invalid"
    assert answer.json()["detail"] == "The credential is unknown, expired or revoked."


def test_two_credentials_are_one_too_many(admin):
    answer = admin.call("GET", "/v1/groups", headers={"X-API-Key": "other"})
    assert (answer.status_code, answer.json()["code"]) == (401, "credential_ambiguous")


def test_an_empty_credential_is_none(stranger):
    answer = stranger.call("GET", "/v1/groups", headers={"Authorization": "Bearer "})
    assert (answer.status_code, answer.json()["code"]) == (401, "credential_missing")


def test_a_suspended_operator_is_out_at_once_and_back_when_activated(admin, caller):
    them = caller("vendor")
    them.get("/v1/groups")
    name = [one for one in admin.get("/v1/operators")["items"] if one["name"] == "vendor"]
    path = f"/v1/operators/{name[0]['id']}"
    admin.post(f"{path}/suspend?reason=left+the+company")
    assert them.call("GET", "/v1/groups").status_code == 401
    admin.post(f"{path}/activate")
    them.get("/v1/groups")


def test_an_expired_key_is_out(admin, client, clock):
    made = admin.post("/v1/operators", {"name": "Temp", "roles": ["viewer"]})
    key = admin.post(f"/v1/operators/{made['id']}/keys", {"expires_at": "2999-01-01T00:00:00Z"})[
        "key"
    ]
    headers = {"X-API-Key": key}
    assert client.get("/v1/groups", headers=headers).status_code == 200
    clock.set(32_503_680_000_000_000)
    assert client.get("/v1/groups", headers=headers).status_code == 401


def test_operators_are_made_changed_and_audited(admin):
    made = admin.post("/v1/operators", {"name": "Vera", "roles": ["vendor", "support"]})
    path = f"/v1/operators/{made['id']}"
    assert admin.get(path) == made
    assert admin.patch(f"{path}?reason=moved", {"roles": ["viewer"]})["roles"] == ["viewer"]
    entries = admin.get("/v1/audit", subject=made["id"])["items"]
    assert entries[0]["reason"] == "moved"
    assert entries[0]["before"]["roles"] == ["vendor", "support"]
    assert entries[0]["after"]["roles"] == ["viewer"]


def test_somebody_stays_admin(admin):
    ours = [one for one in admin.get("/v1/operators")["items"] if "admin" in one["roles"]]
    assert len(ours) == 1
    refused = admin.call("POST", f"/v1/operators/{ours[0]['id']}/suspend")
    assert (refused.status_code, refused.json()["code"]) == (409, "last_admin")
