"""Standards that are asked over the API: AuthZEN, introspection, repeated requests, CloudEvents."""

import contextlib
import functools
import uuid
from collections.abc import Iterator
from typing import Any, Final

import msgspec
from litestar.testing import TestClient

from farebox.http.app import App
from tests.api.conftest import Api, app_over_nothing, bearer, operator_key, services_over
from tests.golden.cases import Strange
from tests.golden.families.standards import PURE
from tests.golden.standards import Player, Standard

_JSON: Final = {"Content-Type": "application/json"}
# What the certification's policy says of people and records, as rights of ours.
_RIGHTS: Final = {"alice": ("read", "write"), "bob": ("read",)}
_SEARCH: Final = "/access/v1/search/"


@functools.cache
def _app() -> App:
    return app_over_nothing()


@contextlib.contextmanager
def asking(case: Standard, role: str = "admin") -> Iterator[Api]:
    """Serve the API over the case's database; yields the calls of an operator."""
    with services_over(case.stage.database, case.stage.clock) as services:
        _app().state.services = services
        with TestClient(_app(), raise_server_exceptions=False) as client:
            yield Api(client, bearer(operator_key(case.stage.database, role)))  # type: ignore[arg-type] # one of the roles


# -- AuthZEN -------------------------------------------------------------------------------------


def _policy(api: Api) -> None:
    """Give alice and bob what the certification's policy gives them, as far as rights can say."""
    for action in ("read", "write", "delete"):
        code = f"record:record-1:{action}"
        api.post("/v1/features", {"code": code, "name": code})
    for name, actions in _RIGHTS.items():
        identity = {"issuer": "https://id.example.org", "subject": name}
        who = api.post("/v1/consumers", {"name": name, "identity": identity})["id"]
        for action in actions:
            key = f"record:record-1:{action}"
            api.post("/v1/entitlements", {"consumer": who, "kind": "feature", "key": key})


def _claims(value: Any) -> bool:
    """Tell whether a question says something of somebody in properties."""
    if isinstance(value, dict):
        return "properties" in value or any(_claims(each) for each in value.values())
    return isinstance(value, list) and any(_claims(each) for each in value)


def _decisions(body: Any) -> list[bool]:
    if "evaluations" in body:
        return [each["decision"] for each in body["evaluations"]]
    return [body["decision"]]


def authzen(case: Standard) -> None:
    given = case.only(case.input, "title", "method", "path", "body", "headers", "raw_body")
    wanted = case.only(case.wanted, "status", "body", "match", "evaluations_len", "note", "headers")
    content = given.get("raw_body")
    if content is None:
        content = msgspec.json.encode(given["body"])
    with asking(case) as api:
        _policy(api)
        headers = {**_JSON, **given.get("headers", {})}
        answer = api.call(given["method"], given["path"], content=content, headers=headers)
    if given["path"].startswith(_SEARCH):
        case.same(answer.status_code, 404, "search")
        case.ours("no_search")
        return
    case.same(answer.status_code, wanted["status"], "status")
    for name in wanted.get("headers", {}):
        case.same(answer.headers.get(name), wanted["headers"][name], name)
    if wanted.get("match") == "structure_only":
        case.same(len(answer.json()["evaluations"]), wanted["evaluations_len"], "evaluations")
    elif "body" in wanted:
        _compare(case, given["body"], _decisions(answer.json()), _decisions(wanted["body"]))


def _compare(case: Standard, asked: Any, ours: list[bool], wanted: list[bool]) -> None:
    if ours != wanted and _claims(asked):
        # What a caller claims gives nothing; it takes nothing away either.
        case.same(len(ours), len(wanted), "decisions")
        case.ours("properties_decide_nothing")
        return
    case.same(ours, wanted, "decisions")


def authzen_policy(case: Standard) -> None:
    """Ask each line of the policy that speaks of a record alone."""
    case.only(case.input, "note")
    with asking(case) as api:
        _policy(api)
        for who, action, resource, decision in case.only(case.wanted, "rules")["rules"]:
            if "=" in f"{who}{action}{resource}":
                case.ours("properties_decide_nothing")
                continue
            asked = {
                "subject": {"type": "user", "id": who},
                "action": {"name": action},
                "resource": {"type": "record", "id": resource},
            }
            made = api.post("/access/v1/evaluation", asked)
            case.same(made["decision"], decision, f"{who} {action} {resource}")


def authzen_gateway(case: Standard) -> None:
    """Ask what a gateway of the interoperability event makes of a call: we answer by the route."""
    method, path = case.only(case.input, "http", "jwt.sub")["http"].split()
    body = case.only(case.wanted, "body")["body"]
    case.same(body["action"]["name"], method, "action")
    case.same(body["resource"], {"type": "route", "id": path}, "resource")
    with asking(case) as api:
        identity = {"issuer": "https://id.example.org", "subject": case.input["jwt.sub"]}
        who = api.post("/v1/consumers", {"name": "P", "identity": identity})["id"]
        api.post("/v1/features", {"code": "users", "name": "Users"})
        route = {"path": path, "method": method, "mode": "check", "feature": "users"}
        api.post("/v1/edge/routes", route)
        case.same(api.post("/access/v1/evaluation", body)["decision"], False, "without the right")
        api.post("/v1/entitlements", {"consumer": who, "kind": "feature", "key": "users"})
        case.same(api.post("/access/v1/evaluation", body)["decision"], True, "with the right")


# -- introspection, repeats, events, verification ------------------------------------------------


def introspection(case: Standard) -> None:
    given = case.only(case.input, "token", "client_auth")
    wanted = case.only(case.wanted, "status", "body", "headers")
    with asking(case, "provider") as api:
        if "client_auth" in given:
            headers = bearer("fb_live_nobody")
            answer = api.call("POST", "/oauth2/introspect", data={"token": "x"}, headers=headers)
            case.same(answer.status_code, wanted["status"], "status")
            case.same("www-authenticate" in answer.headers, True, "challenge")
            case.ours("errors_are_problems")
            return
        if wanted["body"] != {"active": False}:
            raise Strange(f"a token {given['token']!r}")
        for token in ("fb_live_nobody", "a.b.c", "garbage"):
            answer = api.call("POST", "/oauth2/introspect", data={"token": token})
            case.same(answer.status_code, wanted["status"], "status")
            case.same(answer.json(), wanted["body"], "body")
            case.same(answer.headers["cache-control"], "no-store", "cache-control")


def repeated(case: Standard) -> None:
    with asking(case) as api:
        api.post("/v1/products", {"code": "films", "name": "Films"})
        who = api.post("/v1/consumers", {"name": "Ada"})["id"]
        body = {"product": "films", "holder": who, "grant": {"amount": 5}}
        key = uuid.uuid4().hex
        if "missing" in case.input:
            answer = api.call("POST", "/v1/buckets", key=None, json=body)
            case.same(answer.status_code, case.wanted, "status")
            return
        first = api.call("POST", "/v1/buckets", key=key, json=body)
        if "payload" in case.input:
            other = {**body, "grant": {"amount": 6}}
            answer = api.call("POST", "/v1/buckets", key=key, json=other)
            case.same(answer.status_code, case.wanted, "status")
            return
        answer = api.call("POST", "/v1/buckets", key=key, json=body)
        case.same(answer.status_code, first.status_code, "status of a repeat")
        case.same(answer.json(), first.json(), "answer of a repeat")
        if "running" in case.input:
            case.ours("a_repeat_waits")
        elif isinstance(case.wanted, int):
            case.same(answer.status_code // 100, case.wanted // 100, "status")


def event_batch(case: Standard) -> None:
    given = case.only(case.input, "content-type", "body")
    wanted = case.only(case.wanted, "valid", "events")
    with asking(case) as api:
        answer = api.call(
            "POST",
            "/v1/usage/cloudevents",
            content=msgspec.json.encode(given["body"]),
            headers={"Content-Type": given["content-type"]},
        )
    case.same(answer.is_success, wanted["valid"], "valid")
    if answer.is_success:
        case.same(len(answer.json()["results"]), wanted["events"], "events")


_VERIFIED: Final = {"VALID": "allowed", "NOT_FOUND": "account_unknown"}


def verification(case: Standard) -> None:
    """Ask for the same with our own words: 200 and a code, whatever the answer is."""
    wanted = case.only(case.wanted, "http", "data", "note")
    code = wanted["data"]["code"]
    if code not in _VERIFIED or "permission" in case.input:
        case.ours("other_products_codes")
        return
    with asking(case) as api:
        api.post("/v1/products", {"code": "calls", "name": "Calls"})
        who = api.post("/v1/consumers", {"name": "Ada"})["id"]
        grant = {"amount": 1_000}
        api.post("/v1/buckets", {"product": "calls", "holder": who, "grant": grant})
        key = api.post(f"/v1/consumers/{who}/keys", {})["key"]
        shown = key if wanted["data"]["valid"] else "fb_live_nobody"
        ask = {"mode": "consume", "product": "calls", "credential": shown}
        answer = api.call("POST", "/v1/access/decide", json=ask)
    case.same(answer.status_code, wanted["http"], "status")
    case.same(answer.json()["allowed"], wanted["data"]["valid"], "valid")
    case.same(answer.json()["code"], _VERIFIED[code], "code")
    if "credits" in wanted["data"]:
        case.same(answer.json()["remaining"], wanted["data"]["credits"], "credits")


ASKED: Final[dict[str, Player]] = {
    "authzen": authzen,
    "authzen_fixture": authzen_policy,
    "authzen_gateway_mapping": authzen_gateway,
    "introspection": introspection,
    "idempotency_status": repeated,
    "ce_batch": event_batch,
    "product_semantics": verification,
}
STANDARDS: Final[dict[str, Player]] = {**PURE, **ASKED}
