"""Bad input gets one clear problem and changes nothing."""

import msgspec
import pytest
import sqlalchemy as sa

from farebox.access.consumers import service_groups
from farebox.contracts.problems import PROBLEM_MEDIA_TYPE, Problem

TEN_MB = 10 * 1024 * 1024
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def scene(admin, films, consumer):
    who, _ = consumer("Ada")
    bucket = admin.post("/v1/buckets", {"product": films, "holder": who, "grant": {"amount": 10}})[
        "id"
    ]
    group = admin.post("/v1/groups", {"name": "Family"})["id"]
    return {"consumer": who, "bucket": bucket, "group": group}


def refused(answer, status, code):
    assert answer.headers["content-type"] == PROBLEM_MEDIA_TYPE
    problem = msgspec.json.decode(answer.content, type=Problem)
    assert (answer.status_code, problem.status, problem.code) == (status, status, code)
    assert problem.detail
    return problem.detail


AMOUNTS = {
    "zero": b"0",
    "negative": b"-1",
    "2^53": b"9007199254740992",
    "2^63": b"9223372036854775808",
    "2^64": b"18446744073709551616",
    "1e400": b"1e400",
    "a float": b"1.5",
    "a whole float": b"1.0",
    "NaN in quotes": b'"NaN"',
    "a number in quotes": b'"5"',
    "a word": b'"five"',
    "true": b"true",
    "null": b"null",
    "a list": b"[1]",
    "an object": b"{}",
    "5000 digits": b"9" * 5000,
}
MOVERS = {
    "grant": ("/v1/buckets/{bucket}/grants", b'{"amount": %s}'),
    "consume": ("/v1/buckets/{bucket}/consume", b'{"quantity": %s}'),
    "plan": (
        "/v1/service-plans",
        b'{"product": "films", "group": "{group}", "bucket_limit": %s}',
    ),
    "usage": (
        "/v1/service-usages",
        b'{"product": "films", "consumer": "{consumer}", "quantity": %s}',
    ),
    "account": ("/v1/accounts", b'{"amount": %s}'),
    "reserve": (
        "/v1/access/decide",
        b'{"mode": "consume", "product": "films", "consumer": "{consumer}", "quantity": %s}',
    ),
}


@pytest.mark.parametrize("mover", MOVERS)
def test_impossible_amounts_move_nothing(admin, scene, tables, mover):
    path, body = MOVERS[mover]
    for name, part in scene.items():
        path = path.replace(f"{{{name}}}", part)
        body = body.replace(f"{{{name}}}".encode(), part.encode())
    before = tables()
    for name, amount in AMOUNTS.items():
        if (mover, name) == ("reserve", "null"):
            continue  # "all there is", which is for reserving
        answer = admin.call("POST", path, content=body % amount, headers=JSON)
        refused(answer, 422, "fields_invalid")
    not_json = admin.call("POST", path, content=body % b"NaN", headers=JSON)
    refused(not_json, 400, "body_malformed")
    assert tables() == before


BROKEN = {
    "nothing": b"",
    "half": b'{"name": "x"',
    "more": b'{"name": "x"} {}',
    "no text": b"\xff\xfe",
    "a bad string": b'{"name": "\xff"}',
    "half a letter": b'{"name": "\\ud800"}',
    "single quotes": b"{'name': 'x'}",
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_json_is_told_from_wrong_fields(admin, tables, name):
    before = tables()
    answer = admin.call("POST", "/v1/groups", content=BROKEN[name], headers=JSON)
    refused(answer, 400, "body_malformed")
    assert tables() == before


def test_a_deep_nest_does_not_end_the_process(admin):
    body = b'{"name": "x", "metadata": ' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    answer = admin.call("POST", "/v1/consumers", content=body, headers=JSON)
    assert answer.status_code in {400, 422}
    assert admin.get("/v1/consumers")["items"] == []


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"name": "x", "colour": "red"}, "colour"),
        ({}, "name"),
        ({"name": 5}, "name: expected `str`, got `int`"),
        ({"name": ""}, "name"),
        ({"name": "x" * 257}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"name": "nul\0"}, "name"),
        ({"name": "x", "priority": "5"}, "priority: expected `int`, got `str`"),
        ([], "expected `object`"),
        ("x", "expected `object`"),
    ],
)
def test_wrong_fields_are_named(admin, tables, body, detail):
    before = tables()
    answer = admin.call("POST", "/v1/groups", json=body)
    assert detail in refused(answer, 422, "fields_invalid")
    assert tables() == before


@pytest.mark.parametrize(
    "kind", [None, "text/plain", "application/xml", "application/x-www-form-urlencoded", "json",
             "application/json; charset=utf-16"]
)  # fmt: skip
def test_another_content_type_is_refused(admin, tables, kind):
    before = tables()
    headers = {} if kind is None else {"Content-Type": kind}
    answer = admin.call("POST", "/v1/groups", content=b'{"name": "x"}', headers=headers)
    refused(answer, 415, "content_type_refused")
    assert tables() == before


def test_a_charset_of_utf_8_is_fine(admin):
    headers = {"Content-Type": "Application/JSON; charset=UTF-8"}
    answer = admin.call("POST", "/v1/groups", content='{"name": "Семья"}'.encode(), headers=headers)
    assert admin.good(answer)["name"] == "Семья"


def test_introspection_reads_forms_only(caller):
    answer = caller("provider").call("POST", "/oauth2/introspect", json={"token": "x"})
    refused(answer, 415, "content_type_refused")


@pytest.mark.parametrize("path", ["/v1/groups", "/v1/access/decide", "/v1/accounts"])
def test_ten_megabytes_are_refused(admin, tables, path):
    before = tables()
    body = b'{"name": "' + b"x" * TEN_MB + b'"}'
    refused(admin.call("POST", path, content=body, headers=JSON), 413, "body_too_large")
    assert tables() == before


def test_ten_megabytes_without_a_length_are_not_read_to_their_end(admin):
    read = 0

    def chunks():
        nonlocal read
        for _ in range(160):
            read += 1
            yield b"x" * 65_536

    refused(admin.call("POST", "/v1/groups", content=chunks(), headers=JSON), 413, "body_too_large")


@pytest.mark.parametrize("limit", ["0", "-1", "1001", "x", "1.5", "1e2", "", "null"])
def test_pages_have_one_to_a_thousand_items(admin, limit):
    answer = admin.call("GET", "/v1/groups", params={"limit": limit})
    assert "limit" in refused(answer, 422, "fields_invalid")


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/v1/groups", {"limt": 5}),
        ("/v1/consumers", {"state": "sleeping"}),
        ("/v1/buckets", {"cursor": "grp_1"}),
        ("/v1/events", {"cursor": "7"}),
        ("/v1/audit", {"cursor": "-1"}),
        ("/v1/buckets", {"cursor": "9" * 19}),
        ("/v1/groups", [("limit", 1), ("limit", 2)]),
    ],
)
def test_parameters_that_a_route_does_not_know_are_refused(admin, path, params):
    refused(admin.call("GET", path, params=params), 422, "fields_invalid")


@pytest.mark.parametrize(
    ("path", "params", "name"),
    [
        ("/v1/reports/export", {"format": "pdf"}, "format"),
        ("/v1/consumers", {"state": "asleep"}, "state"),
        ("/api/v1/rent/", {"id": "", "period": 24}, "id"),
    ],
)
@pytest.mark.usefixtures("billing")
def test_a_wrong_parameter_is_named_as_the_caller_wrote_it(admin, path, params, name):
    detail = refused(admin.call("GET", path, params=params), 422, "fields_invalid")
    assert detail.startswith(f"{name}: "), detail


@pytest.mark.parametrize("at", ["yesterday", "2026-11-20", "2026-11-20T09:00:00", ""])
def test_times_say_their_zone(admin, scene, at):
    answer = admin.call("GET", f"/v1/buckets/{scene['bucket']}", params={"at": at})
    refused(answer, 422, "value_invalid")


def test_the_calendars_edges_are_times_too(admin, scene):
    for at in ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"):
        assert admin.call("GET", f"/v1/buckets/{scene['bucket']}", params={"at": at}).is_success
        body = {"amount": 1, "starts_at": at}
        made = admin.call("POST", f"/v1/buckets/{scene['bucket']}/grants", json=body)
        assert made.status_code in {201, 409}, made.text


UNKNOWN = [
    ("GET", "/v1/consumers/con_no", "consumer_unknown"),
    ("PATCH", "/v1/consumers/con_no", "consumer_unknown"),
    ("POST", "/v1/consumers/con_no/suspend", "consumer_unknown"),
    ("GET", "/v1/consumers/con_no/groups", "consumer_unknown"),
    ("POST", "/v1/consumers/con_no/keys", "consumer_unknown"),
    ("GET", "/v1/groups/grp_no", "group_unknown"),
    ("GET", "/v1/groups/grp_no/members", "group_unknown"),
    ("DELETE", "/v1/groups/grp_no", "group_unknown"),
    ("PUT", "/v1/groups/grp_no/members/con_no", "group_unknown"),
    ("GET", "/v1/products/no", "product_unknown"),
    ("DELETE", "/v1/products/no", "product_unknown"),
    ("GET", "/v1/buckets/bkt_0000000000000001", "bucket_unknown"),
    ("GET", "/v1/buckets/grp_no", "bucket_unknown"),
    ("GET", "/v1/buckets/bkt_0000000000000001/history", "bucket_unknown"),
    ("GET", "/v1/buckets/bkt_0000000000000001/caps", "bucket_unknown"),
    ("POST", "/v1/buckets/bkt_0000000000000001/freeze", "bucket_unknown"),
    ("GET", "/v1/service-plans/spl_no", "service_plan_unknown"),
    ("GET", "/v1/operators/opr_no", "operator_unknown"),
    ("POST", "/v1/operators/opr_no/keys", "operator_unknown"),
    ("GET", "/v1/keys/key_no", "credential_unknown"),
    ("DELETE", "/v1/keys/key_no", "credential_unknown"),
    ("GET", "/v1/nothing", "route_unknown"),
    ("GET", "/v1/groups/%00", "route_unknown"),
    ("GET", "/v1/groups/%D0%B6", "route_unknown"),
    ("GET", "/v1/groups/" + "x" * 129, "route_unknown"),
]


def test_what_is_not_there_is_not_found(admin, tables):
    before = tables()
    for method, path, code in UNKNOWN:
        answer = admin.call(method, path) if method == "GET" else admin.call(method, path, json={})
        refused(answer, 404, code)
    assert tables() == before


def test_a_fault_of_ours_tells_strangers_nothing(admin, monkeypatch):
    def broken(*_args, **_more):
        raise RuntimeError("the password is swordfish")

    monkeypatch.setattr(service_groups, "list_groups", broken)
    answer = admin.call("GET", "/v1/groups")
    refused(answer, 500, "internal_fault")
    assert "swordfish" not in answer.text


def test_a_value_that_the_engine_cannot_hold_is_the_callers(admin, monkeypatch):
    def broken(*_args, **_more):
        raise sa.exc.DataError("INSERT", None, OverflowError("too large"))

    monkeypatch.setattr(service_groups, "list_groups", broken)
    refused(admin.call("GET", "/v1/groups"), 422, "value_invalid")
