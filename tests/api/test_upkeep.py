"""Health, readiness, counters, and what surrounds every answer."""

import os
import re
import subprocess
import sys
from dataclasses import replace

import pytest
import sqlalchemy as sa
from litestar.testing import TestClient

from farebox.http.app import create_app
from farebox.kernel.clock import ManualClock
from farebox.kernel.refusals import ClockJumped
from tests.api.conftest import services_over


def test_a_running_process_is_alive(client):
    assert client.get("/healthz").json() == {"alive": True}


def test_ready_when_database_schema_and_clock_are(client):
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json() == {"ready": True, "checks": {"database access": "ok", "clock": "ok"}}


class GoneDatabase:
    name = "access"

    def read(self):
        raise sa.exc.OperationalError("SELECT", None, ConnectionError("no route to host"))


def test_not_ready_while_the_database_is_away(services):
    with TestClient(create_app(replace(services, database=GoneDatabase()))) as client:
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["database access"] == "unreachable"


def test_not_ready_before_the_migrations(services, empty_url, open_database_at):
    bare = replace(services, database=open_database_at(empty_url))
    with TestClient(create_app(bare)) as client:
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert re.fullmatch(r"\d+ migrations to do", answer.json()["checks"]["database access"])


class JumpedClock(ManualClock):
    jumped = False

    def now_us(self):
        if self.jumped:
            raise ClockJumped(drift_us=9_000_000)
        return super().now_us()


def test_not_ready_after_the_clock_jumped(database):
    clock = JumpedClock()
    with services_over(database, clock) as services, TestClient(create_app(services)) as client:
        assert client.get("/readyz").status_code == 200
        clock.jumped = True
        answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["clock"] == "jumped"


def test_counters_name_routes_and_no_customers(client, consumer):
    who, own = consumer("Ada")
    own.get(f"/v1/consumers/{who}")
    client.get("/nowhere")
    text = client.get("/metrics").text
    line = 'farebox_http_requests_total{method="GET",route="/v1/consumers/{consumer}",status="200"}'
    assert f"{line} 1.0" in text
    assert 'route="unknown",status="404"' in text
    assert who not in text
    assert "Ada" not in text


def test_decisions_are_counted_by_their_codes(client, consumer, films):
    who, own = consumer("Ada")
    own.post("/v1/access/decide", {"mode": "check", "product": films})
    own.post("/v1/access/decide/batch", {"decisions": [{"mode": "check", "product": films}] * 2})
    text = client.get("/metrics").text
    assert 'farebox_decisions_total{code="no_bucket",mode="check"} 3.0' in text
    assert who not in text


COUNT = """
from farebox.http.metrics import Metrics
metrics = Metrics()
metrics.decided(mode="consume", code="allowed")
print(metrics.render().decode())
"""


def test_workers_count_together(tmp_path):
    env = os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    texts = [
        subprocess.run(
            [sys.executable, "-c", COUNT], env=env, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    ]
    assert 'farebox_decisions_total{code="allowed",mode="consume"} 1.0' in texts[0]
    assert 'farebox_decisions_total{code="allowed",mode="consume"} 2.0' in texts[1]


@pytest.mark.parametrize("path", ["/healthz", "/v1/consumers", "/nowhere", "/docs"])
def test_every_answer_carries_safe_headers(client, path):
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["cache-control"]
    assert headers["x-request-id"]


def test_a_callers_request_id_is_kept_if_it_is_decent(client):
    kept = client.get("/healthz", headers={"X-Request-ID": "trace-7.a_b"})
    assert kept.headers["x-request-id"] == "trace-7.a_b"
    replaced = client.get("/healthz", headers={"X-Request-ID": "x" * 65})
    assert re.fullmatch(r"[0-9a-f]{16}", replaced.headers["x-request-id"])


def test_answers_are_not_stored_by_caches_unless_they_say_so(client, admin):
    assert admin.call("GET", "/v1/consumers").headers["cache-control"] == "no-store"
    assert "max-age" in client.get("/.well-known/jwks.json").headers["cache-control"]


def test_options_tells_the_methods_of_a_path(client):
    answer = client.options("/v1/groups/grp_1")
    assert answer.status_code == 204
    assert answer.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH"
    told = client.options("/v1/groups?allow=TRACE&limit=5").headers["allow"]
    assert told == "GET, HEAD, OPTIONS, POST"
    assert client.options("/nowhere").status_code == 404


def test_head_is_get_without_the_body(client):
    answer = client.head("/healthz")
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(client.get("/healthz").content))
    assert client.head("/v1/groups").status_code == 401


def test_the_allowed_methods_are_told(client):
    answer = client.delete("/v1/consumers")
    assert answer.status_code == 405
    assert {"GET", "POST"} <= set(answer.headers["allow"].split(", "))
    assert answer.json()["code"] == "method_not_allowed"
