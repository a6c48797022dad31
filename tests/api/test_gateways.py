"""Gateways ask about calls: one address and one family of headers for each kind of gateway.

The same calls are made in each gateway's way, so the answers differ in their carriage only.
"""

import re

import pytest

from farebox.http.gateways import ENVOY, FORWARD_AUTH, GATEWAY_KEY, NGINX

WAYS = ("forward-auth", "nginx", "envoy")
IDENTITY = (
    "x-consumer-id", "x-consumer-custom-id", "x-consumer-username", "x-consumer-groups",
    "x-credential-identifier", "x-anonymous-consumer", "x-decision-id",
)  # fmt: skip


class Gateway:
    """Calls that arrive at a gateway, asked about in its own way."""

    def __init__(self, client, way, key):
        self.client, self.way, self.key = client, way, key

    def ask(self, uri, method="GET", host="api.example.org", key=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        if self.key is not None:
            headers[GATEWAY_KEY] = self.key
        if self.way == "forward-auth":
            headers |= {
                "X-Forwarded-Uri": uri, "X-Forwarded-Method": method, "X-Forwarded-Host": host,
            }  # fmt: skip
            return self.client.get(FORWARD_AUTH, headers=headers)
        headers["Host"] = host
        if self.way == "nginx":
            headers |= {"X-Original-URI": uri, "X-Original-Method": method}
            return self.client.get(NGINX, headers=headers)
        return self.client.request(method, ENVOY + uri, headers=headers)

    def status(self, answer):
        """Return the status that the caller of the gateway sees."""
        if self.way != "nginx":
            return answer.status_code
        told = answer.headers.get("x-decision-status")
        assert (told is None) is (answer.status_code == 200)
        assert answer.status_code in {200, 401, 403}
        return int(told or 200)


@pytest.fixture(params=WAYS)
def gateway(request, client, caller):
    edge = caller("edge").headers["Authorization"].removeprefix("Bearer ")
    return Gateway(client, request.param, edge)


@pytest.fixture
def ada(admin, consumer, films):
    """Return a consumer with five films, and the key to them."""
    who, own = consumer("Ада Lovelace")
    admin.post("/v1/buckets", {"product": films, "holder": who, "grant": {"amount": 5}})
    return who, own.headers["Authorization"].removeprefix("Bearer ")


@pytest.fixture
def route(admin, films):
    """Return a function that makes a route."""

    def make(path="/v1/films/{film}", **more):
        return admin.post("/v1/edge/routes", {"path": path, "product": films, **more})

    return make


def left(admin, who):
    return admin.get("/v1/buckets", holder=who)["items"][0]["available"]


def test_an_allowed_call_is_an_empty_200_that_says_who_calls(gateway, admin, ada, route):
    who, key = ada
    route(quantity=3)
    answer = gateway.ask("/v1/films/metropolis?hd=1", key=key)
    assert (answer.status_code, answer.content) == (200, b"")
    assert left(admin, who) == 2
    told = answer.headers
    assert told["x-consumer-id"] == who
    assert told["x-consumer-username"] == "%D0%90%D0%B4%D0%B0%20Lovelace"
    assert told["x-anonymous-consumer"] == "false"
    assert told["x-credential-identifier"].startswith("key_")
    assert told["x-decision-id"].startswith("op_")
    assert told["ratelimit"] == '"bucket";r=2;farebox-cost=3'
    assert told["cache-control"] == "no-store"
    assert told["x-request-id"]
    assert set(IDENTITY) <= set(told)


def test_a_call_that_the_bucket_has_not_enough_for_is_402_and_takes_nothing(
    gateway, admin, ada, route
):
    who, key = ada
    route(quantity=6)
    answer = gateway.ask("/v1/films/metropolis", key=key)
    assert gateway.status(answer) == 402
    assert left(admin, who) == 5
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (402, "bucket_empty")
    assert (problem["cost"], problem["remaining"]) == (6, 5)
    assert not set(IDENTITY) & set(answer.headers)


@pytest.mark.parametrize("status", [402, 403, 429])
def test_a_route_says_how_an_empty_bucket_is_called(gateway, ada, route, status):
    route(quantity=6, empty_status=status)
    answer = gateway.ask("/v1/films/metropolis", key=ada[1])
    assert gateway.status(answer) == status
    assert answer.json()["status"] == status


def test_suspension_bites_on_the_next_call(gateway, admin, ada, route):
    who, key = ada
    route()
    assert gateway.ask("/v1/films/metropolis", key=key).status_code == 200
    admin.post(f"/v1/consumers/{who}/suspend", {})
    answer = gateway.ask("/v1/films/metropolis", key=key)
    assert (gateway.status(answer), answer.json()["code"]) == (403, "consumer_suspended")
    admin.post(f"/v1/consumers/{who}/activate", {})
    assert gateway.ask("/v1/films/metropolis", key=key).status_code == 200


def test_a_call_too_early_is_429_and_says_when_to_come_again(gateway, admin, ada, route):
    who, key = ada
    route()
    limit = {"limit": 1, "seconds": 60, "burst": 1}
    admin.put(f"/v1/consumers/{who}/rate-limits", {"rate_limits": [limit]})
    allowed = gateway.ask("/v1/films/metropolis", key=key)
    assert allowed.headers["ratelimit-policy"] == '"calls-60s";q=1;w=60'
    assert allowed.headers["ratelimit"].startswith('"calls-60s";r=0;t=')
    answer = gateway.ask("/v1/films/metropolis", key=key)
    assert gateway.status(answer) == 429
    wait = int(answer.headers["retry-after"])
    found = re.match(r'"calls-60s";r=0;t=(\d+);farebox-cost=1', answer.headers["ratelimit"])
    assert found is not None
    assert 1 <= int(found[1]) <= wait <= 60
    problem = answer.json()
    assert problem["type"].endswith("#quota-exceeded")
    assert problem["violated-policies"] == ["calls-60s"]
    assert left(admin, who) == 4


@pytest.mark.parametrize(
    ("headers", "code", "error"),
    [
        ({}, "credential_missing", None),
        ({"Authorization": "Bearer fb_live_nobody"}, "credential_invalid", "invalid_token"),
        ({"Authorization": "Basic YTpi"}, "credential_invalid", "invalid_token"),
        ({"X_API_Key": "nobody's"}, "credential_invalid", "invalid_token"),
        ({"X_API_Key": "k" * 6000}, "credential_invalid", "invalid_token"),
        ({"X_API_Key": "a", "Authorization": "Bearer b"}, "credential_ambiguous", "invalid_token"),
    ],
)
def test_a_stranger_is_401_with_a_challenge_and_learns_no_routes(
    gateway, route, headers, code, error
):
    route()
    bodies = []
    for uri in ("/v1/films/metropolis", "/nowhere"):
        answer = gateway.ask(uri, **headers)
        assert (gateway.status(answer), answer.json()["code"]) == (401, code)
        challenge = answer.headers["www-authenticate"]
        assert challenge.startswith('Bearer realm="api"')
        assert (error in challenge) if error else ("error" not in challenge)
        bodies.append(answer.json())
    assert bodies[0] == bodies[1]


def test_an_unknown_address_is_denied(gateway, ada, route):
    route(method="GET", host="api.example.org")
    for uri, method, host in (
        ("/v1/films", "GET", "api.example.org"),
        ("/v1/films/a/b", "GET", "api.example.org"),
        ("/v1/films/a", "POST", "api.example.org"),
        ("/v1/films/a", "GET", "other.example.org"),
    ):
        answer = gateway.ask(uri, method=method, host=host, key=ada[1])
        assert (gateway.status(answer), answer.json()["code"]) == (403, "route_unknown"), uri


def test_an_address_is_read_in_one_form_however_it_is_written(gateway, admin, ada, route):
    route("/v1/free/*", mode="open", product=None)
    route("/v1/films/{film}")
    for uri in (
        "/v1/free/../films/a",
        "/v1//films/./a",
        "/v1/free/%2e%2e/films/%61",
        "/v1/films/a/",
    ):
        gateway_says = gateway.ask(uri)
        assert gateway.status(gateway_says) == 401, uri
    assert gateway.ask("/v1/free/a").status_code == 200


def test_an_open_route_lets_anybody_pass_and_calls_them_anonymous(gateway, route):
    route("/health", mode="open", product=None)
    answer = gateway.ask("/health", X_Consumer_ID="con_boss")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["x-consumer-id"] == "anonymous"
    assert answer.headers["x-anonymous-consumer"] == "true"
    assert set(IDENTITY) <= set(answer.headers)


def test_a_preflight_is_free_where_there_is_a_route_and_other_options_are_not(
    gateway, admin, ada, route
):
    route(method="GET")
    asked = {"Access_Control_Request_Method": "GET", "Origin": "https://example.org"}
    answer = gateway.ask("/v1/films/a", method="OPTIONS", **asked)
    assert answer.status_code == 200
    assert gateway.status(gateway.ask("/nowhere", method="OPTIONS", **asked)) == 401
    assert gateway.status(gateway.ask("/v1/films/a", method="OPTIONS", key=ada[1])) == 403
    assert left(admin, ada[0]) == 5


def test_head_costs_what_get_costs(gateway, admin, ada, route):
    route(method="GET")
    assert gateway.ask("/v1/films/a", method="HEAD", key=ada[1]).status_code == 200
    assert left(admin, ada[0]) == 4


def test_a_gateway_shows_a_key_of_its_own(client, caller, ada, route):
    route()
    viewer = caller("viewer").headers["Authorization"].removeprefix("Bearer ")
    for way in WAYS:
        for own, status, code in (
            (None, 401, "gateway_unknown"),
            ("fb_live_nobody", 401, "gateway_unknown"),
            ("k" * 6000, 401, "gateway_unknown"),
            (ada[1], 403, "role_missing"),
            (viewer, 403, "role_missing"),
        ):
            gateway = Gateway(client, way, own)
            answer = gateway.ask("/v1/films/a", key=ada[1])
            assert (gateway.status(answer), answer.json()["code"]) == (status, code)


def test_headers_of_another_gateways_family_are_not_read(gateway, admin, ada, route):
    route("/free", mode="open", product=None)
    route()
    families = {
        "nginx": {"X_Original_URI": "/free", "X_Original_Method": "GET"},
        "forward-auth": {"X_Forwarded_Uri": "/free", "X_Forwarded_Method": "GET"},
    }
    for way, headers in families.items():
        if way != gateway.way:
            answer = gateway.ask("/v1/films/a", **headers)
            assert gateway.status(answer) == 401


def test_a_gateway_that_tells_nothing_of_the_call_gets_a_denial(client, caller, ada, route):
    route("/*", mode="open", product=None)
    edge = caller("edge").headers["Authorization"].removeprefix("Bearer ")
    headers = {GATEWAY_KEY: edge, "Authorization": f"Bearer {ada[1]}"}
    for path in (NGINX, FORWARD_AUTH):
        answer = client.get(path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "route_unknown")
    doubled = [*headers.items(), ("X-Original-URI", "/a"), ("X-Original-URI", "/b"),
               ("X-Original-Method", "GET")]  # fmt: skip
    assert client.get(NGINX, headers=doubled).json()["code"] == "route_unknown"


def test_what_nginx_cannot_carry_stands_in_headers_as_one_line_of_ascii(client, caller, ada, route):
    edge = caller("edge").headers["Authorization"].removeprefix("Bearer ")
    gateway = Gateway(client, "nginx", edge)
    route(quantity=6)
    answer = gateway.ask("/v1/films/a", key=ada[1])
    assert answer.status_code == 403
    assert answer.headers["x-decision-status"] == "402"
    problem = answer.headers["x-decision-problem"]
    assert problem.encode("ascii") == answer.content
    assert "\n" not in problem


def test_a_reservation_is_named_for_the_backend_to_capture(gateway, admin, ada, route, caller):
    route(mode="reserve", quantity=2)
    answer = gateway.ask("/v1/films/a", key=ada[1])
    hold = answer.headers["x-reservation-id"]
    done = caller("edge").post("/v1/access/capture", {"hold": hold, "quantity": 1})
    assert (done["captured"], done["released"]) == (1, 1)


def test_routes_are_made_read_replaced_and_removed(gateway, admin, ada, route, films):
    _, key = ada
    made = route(quantity=2)
    assert admin.get(f"/v1/edge/routes/{made['id']}") == made
    assert admin.get("/v1/edge/routes")["items"] == [made]
    changed = admin.put(
        f"/v1/edge/routes/{made['id']}?reason=cheaper", {"path": "/v2/*", "product": films}
    )
    assert (changed["id"], changed["quantity"]) == (made["id"], 1)
    assert gateway.ask("/v2/films/a", key=key).status_code == 200
    assert gateway.status(gateway.ask("/v1/films/a", key=key)) == 403
    assert admin.delete(f"/v1/edge/routes/{made['id']}") == changed
    assert gateway.status(gateway.ask("/v2/films/a", key=key)) == 403
    assert admin.call("GET", f"/v1/edge/routes/{made['id']}").status_code == 404
    actions = [one["action"] for one in admin.get("/v1/audit", subject=made["id"])["items"]]
    assert sorted(actions) == ["edge_route.created", "edge_route.removed", "edge_route.replaced"]


def test_an_address_has_one_route(admin, route, films, tables):
    first = route()
    other = route("/v2/*")
    body = {"path": "/v1/films/{film}", "product": films}
    before = tables()
    for method, path in (("POST", "/v1/edge/routes"), ("PUT", f"/v1/edge/routes/{other['id']}")):
        refused = admin.call(method, path, json=body)
        assert (refused.status_code, refused.json()["code"]) == (409, "edge_route_taken")
    assert tables() == before
    assert admin.put(f"/v1/edge/routes/{first['id']}", body) == first


@pytest.mark.parametrize(
    "body",
    [
        {"path": "films"}, {"path": "/films/"}, {"path": "/a//b"}, {"path": "/a/../b"},
        {"path": "/a/*/b"}, {"path": "/a%20b"}, {"path": "/a?b"}, {"path": "/{9}"},
        {"path": "/a/b*"}, {"path": "/a", "host": "Example.org"}, {"path": "/a", "host": "a:80"},
        {"path": "/a", "method": "get"}, {"path": "/a", "quantity": 0},
        {"path": "/a", "mode": "open"}, {"path": "/a", "mode": "consume", "product": None},
        {"path": "/a", "product": "nothing"}, {"path": "/a", "feature": "nothing"},
        {"path": "/a", "empty_status": 500}, {"path": "/a", "surprise": 1}, {},
    ],
)  # fmt: skip
def test_an_impossible_route_is_refused_and_changes_nothing(admin, films, tables, body):
    before = tables()
    refused = admin.call("POST", "/v1/edge/routes", json={"product": films, **body})
    assert refused.status_code in {404, 409, 422}, refused.text
    assert tables() == before
