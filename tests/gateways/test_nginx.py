"""What clients see behind a real nginx before a real Farebox, as docs/gateways.md configures it."""

import uuid
from contextlib import ExitStack

import httpx2
import pytest

from tests.edge.real import ADMIN_KEY, real_farebox
from tests.gateways.nginx import backend, nginx_before

FILM = "/v1/films/metropolis"
DEAR = "/v1/dear"


class Stage:
    """Farebox, nginx and a backend; a consumer with films, and an administrator."""

    def __init__(self, nursery, folder, stack):
        self.real = stack.enter_context(real_farebox(nursery, folder))
        headers = {"authorization": f"Bearer {ADMIN_KEY}"}
        self.admin = stack.enter_context(
            httpx2.Client(base_url=self.real.url, headers=headers, timeout=30)
        )
        self.port = stack.enter_context(backend())
        url = stack.enter_context(nginx_before(self.real.url, self.port, self.real.key, folder))
        self.client = stack.enter_context(httpx2.Client(base_url=url, timeout=30))
        self.post("/v1/products", {"code": "films", "name": "Films"})
        self.post("/v1/edge/routes", {"path": "/v1/films/{film}", "product": "films"})
        self.post("/v1/edge/routes", {"path": DEAR, "product": "films", "quantity": 1_000})
        self.post("/v1/edge/routes", {"path": "/open/*", "mode": "open"})

    def post(self, path, body, method="POST"):
        headers = {"idempotency-key": uuid.uuid4().hex}
        said = self.admin.request(method, path, json=body, headers=headers)
        assert said.is_success, said.text
        return said.json()

    def consumer(self):
        who = self.post("/v1/consumers", {"name": "Ада"})["id"]
        key = self.post(f"/v1/consumers/{who}/keys", {})["key"]
        self.post("/v1/buckets", {"product": "films", "holder": who, "grant": {"amount": 50}})
        return who, {"authorization": f"Bearer {key}"}


@pytest.fixture(scope="module")
def stage(command_nursery, tmp_path_factory):
    with ExitStack() as stack:
        yield Stage(command_nursery, tmp_path_factory.mktemp("nginx"), stack)


@pytest.fixture
def ada(stage):
    return stage.consumer()


def test_an_allowed_call_reaches_the_backend_with_who_calls_and_comes_back_with_what_is_left(
    stage, ada
):
    who, key = ada
    made_up = {"X-Consumer-ID": "con_boss", "X-Consumer-Groups": "grp_boss", "X-Decision-ID": "x"}
    answer = stage.client.get(f"{FILM}?hd=1", headers={**key, **made_up})
    assert answer.status_code == 200
    assert answer.headers["ratelimit"] == '"bucket";r=49;farebox-cost=1'
    got = answer.json()
    assert got["x-consumer-id"] == who
    assert got["x-consumer-username"] == "%D0%90%D0%B4%D0%B0"
    assert got["x-consumer-groups"] == "anonymous"
    assert got["x-decision-id"].startswith("op_")
    assert "x-gateway-key" not in got
    assert "x-reservation-id" not in got


def test_a_post_passes_with_its_body_unread(stage, ada):
    answer = stage.client.post(FILM, headers=ada[1], content=b"x" * 1000)
    assert (answer.status_code, answer.json()["content-length"]) == (200, "1000")


@pytest.mark.parametrize(
    ("headers", "challenge"),
    [
        ({}, 'Bearer realm="api"'),
        ({"x-api-key": "nobody's"}, 'Bearer realm="api", error="invalid_token"'),
    ],
)
def test_401_reaches_the_client_with_its_challenge_and_problem(stage, headers, challenge):
    answer = stage.client.get(FILM, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == challenge
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.json()["status"] == 401


def test_402_reaches_the_client_with_what_is_left(stage, ada):
    answer = stage.client.get(DEAR, headers=ada[1])
    assert answer.status_code == 402
    assert answer.headers["ratelimit"] == '"bucket";r=50;farebox-cost=1000'
    problem = answer.json()
    assert (problem["code"], problem["cost"], problem["remaining"]) == ("bucket_empty", 1000, 50)


def test_suspension_bites_on_the_next_request_and_ends_on_the_next(stage, ada):
    who, key = ada
    for verb, status in (("suspend", 403), ("activate", 200), ("suspend", 403), ("activate", 200)):
        assert stage.client.get(FILM, headers=key).status_code == (200 if status == 403 else 403)
        stage.post(f"/v1/consumers/{who}/{verb}", {})
        answer = stage.client.get(FILM, headers=key)
        assert answer.status_code == status
        if status == 403:
            assert answer.json()["code"] == "consumer_suspended"


def test_429_reaches_the_client_with_when_to_come_again(stage, ada):
    who, key = ada
    limits = {"rate_limits": [{"limit": 1, "seconds": 60, "burst": 1}]}
    stage.post(f"/v1/consumers/{who}/rate-limits", limits, method="PUT")
    assert stage.client.get(FILM, headers=key).status_code == 200
    answer = stage.client.get(FILM, headers=key)
    assert answer.status_code == 429
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert answer.headers["ratelimit-policy"] == '"calls-60s";q=1;w=60'
    assert answer.headers["ratelimit"].startswith('"calls-60s";r=0;t=')
    assert answer.json()["violated-policies"] == ["calls-60s"]


def test_an_unknown_address_is_denied_and_an_open_one_is_not(stage, ada):
    answer = stage.client.get("/nowhere", headers=ada[1])
    assert (answer.status_code, answer.json()["code"]) == (403, "route_unknown")
    assert stage.client.get("/open/a").json()["x-consumer-id"] == "anonymous"


def test_a_client_cannot_ask_about_another_address(stage):
    made_up = {
        "X-Original-URI": "/open/a", "X-Original-Method": "GET", "X-Forwarded-Uri": "/open/a",
    }  # fmt: skip
    assert stage.client.get(FILM, headers=made_up).status_code == 401
    assert stage.client.get("/open/..%2fv1/films/a").status_code == 401


def test_a_farebox_that_hangs_is_503_and_asks_to_come_again(stage, ada, tmp_path):
    real = stage.real
    # It waits as long as the page says.
    with nginx_before(real.url, stage.port, real.key, tmp_path, patience_s=1) as url, real.halted():
        answer = httpx2.get(f"{url}{FILM}", headers=ada[1], timeout=30)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["code"] == "decision_unavailable"
