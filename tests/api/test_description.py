"""The description of the API is whole, exact and shown without the outside world."""

import hashlib
import re
import tomllib
from importlib import resources

import msgspec
import pytest
from litestar.testing import TestClient

from farebox.http import app
from farebox.http.openapi import handlers_of
from farebox.http.roles import ROLES
from farebox.platform.model import Permission
from farebox.platform.rules import PERMISSIONS

STATIC = resources.files("farebox.http") / "static"
LITERAL = {"tot", "mod", "past", "amount", "fill", "withdraw", "rentPremiere", "searchPremieres"}


@pytest.fixture
def client(undriven):
    with TestClient(undriven) as made:
        yield made


@pytest.fixture(scope="module")
def description(undriven):
    return msgspec.json.decode(undriven.description)


@pytest.fixture(scope="module")
def operations(description):
    return {
        operation["operationId"]: (method, path, operation)
        for path, item in description["paths"].items()
        for method, operation in item.items()
    }


def test_every_route_says_who_may_call_it(undriven):
    guarded = {
        str(handler.operation_id)
        for _, handler in handlers_of(undriven)
        if not handler.opt.get("public")
    }
    assert guarded == set(ROLES)


def test_a_route_without_a_line_in_the_table_does_not_start(undriven, monkeypatch):
    monkeypatch.setattr(app, "ROLES", {k: v for k, v in ROLES.items() if k != "createGroup"})
    with pytest.raises(AssertionError, match="createGroup has no line in ROLES"):
        app.create_app(undriven.state.services)


def test_every_permission_opens_a_route_and_some_role_has_it():
    assert {entry.permission for entry in ROLES.values()} == set(Permission)
    assert set(Permission) == {each for one in PERMISSIONS.values() for each in one}


def test_only_health_keys_and_description_are_public(undriven):
    public = {path for path, handler in handlers_of(undriven) if handler.opt.get("public")}
    assert public == {
        "/healthz", "/readyz", "/metrics", "/.well-known/jwks.json", "/docs", "/openapi.json",
        "/.well-known/authzen-configuration", "/docs/files/{name}", "/openapi",
        "/openapi/openapi.json", "/openapi/{path}",
        # Gateways of payments prove by their own signatures who they are.
        "/v1/gateways/{gateway}/webhook",
        # The shelf of the premiere store.
        "/api/v1/search", "/api/v1/premiere/{code}", "/api/v1/rent", "/api/v1/rent/{asked}",
    }  # fmt: skip


def test_a_least_value_of_zero_is_said_too(description):
    read = description["paths"]["/v1/refund-policies/{code}"]["get"]
    [version] = [one for one in read["parameters"] if one["name"] == "version"]
    assert version["schema"]["minimum"] == 0


def test_the_literal_paths_are_left_out_of_the_description(operations):
    assert not LITERAL & set(operations)
    assert not {"/tot", "/mod", "/past"} & {path for _, path, _ in operations.values()}


def test_the_description_is_served_as_it_is(client, description):
    assert client.get("/openapi.json").json() == description
    assert client.get("/openapi/openapi.json").json() == description


def test_the_description_is_openapi_3_1_with_security_schemes(description):
    assert description["openapi"].startswith("3.1.")
    assert set(description["components"]["securitySchemes"]) == {"bearer", "apiKey"}


def test_every_operation_says_what_it_does_and_what_can_go_wrong(operations):
    for name, (method, _, operation) in operations.items():
        assert operation["summary"], name
        assert operation["description"], name
        answers = operation["responses"]
        if not operation["security"]:
            continue
        assert {"401", "403", "503"} <= set(answers), name
        if "requestBody" in operation:
            assert {"400", "413", "415", "422"} <= set(answers), name
        for status, answer in answers.items():
            if int(status) >= 400:
                assert set(answer["content"]) == {"application/problem+json"}, (name, method)


def test_bodies_are_closed_to_unknown_fields(description, operations):
    schemas = description["components"]["schemas"]
    for name, (_, _, operation) in operations.items():
        for media_type, content in operation.get("requestBody", {}).get("content", {}).items():
            if content["schema"].get("type") in {"array", "string"}:
                continue  # a batch, of which each part is judged by itself
            schema = schemas[content["schema"]["$ref"].rpartition("/")[2]]
            if media_type == "application/json":
                assert schema["additionalProperties"] is False, name


def test_bounds_of_amounts_are_whole_numbers_that_json_readers_hold(description):
    amount = description["components"]["schemas"]["Consume"]["properties"]["quantity"]
    assert (amount["minimum"], amount["maximum"]) == (1, 9007199254740991)


@pytest.mark.parametrize(
    "operation", ["createBucket", "grantToBucket", "consumeFromBucket", "createServicePlan",
                  "authoriseUsage", "openAccount"]
)  # fmt: skip
def test_whatever_moves_value_needs_a_key(operations, operation):
    _, _, described = operations[operation]
    required = {one["name"]: one["required"] for one in described["parameters"]}
    assert required["Idempotency-Key"]


def test_the_viewers_files_are_the_packages_own():
    manifest = tomllib.loads((STATIC / "manifest.toml").read_text())
    for package in manifest["package"]:
        folder = STATIC / package["folder"]
        found = {
            file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()
        }
        assert found == package["sha256"]


def test_the_viewer_loads_nothing_from_outside(client):
    page = client.get("/docs")
    assert page.status_code == 200
    links = re.findall(r"(?:src|href)=\"([^\"]+)\"", page.text)
    assert links
    for link in links:
        assert link.startswith("/")
        assert client.get(link).status_code == 200
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    assert "validatorUrl: null" in client.get("/docs/files/start.js").text


def test_the_viewer_serves_its_own_files_only(client):
    assert client.get("/docs/files/manifest.toml").status_code == 404
    assert client.get("/docs/files/..%2f..%2fapp.py").status_code == 404
