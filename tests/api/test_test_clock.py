"""The test clock's routes: an admin's, forward only, and nowhere but on data begun with one."""

import pytest
from litestar.testing import TestClient

from farebox.http.app import create_app
from farebox.kernel.clock import show_time
from farebox.platform.service_test_clock import follow_test_clock, settle_test_clock
from tests.api.conftest import Api
from tests.support.services import run

PATH = "/v1/test-clock"
HOUR = 3600
HOUR_US = HOUR * 1_000_000


@pytest.fixture
def begun(database):
    """Let the database be one that was begun with a test clock."""
    run(database, settle_test_clock, wanted=True)
    follow_test_clock(database)


def refusal(answer):
    return answer.status_code, answer.json()["code"]


@pytest.mark.usefixtures("begun")
def test_an_admin_moves_the_time_by_seconds_and_to_an_instant(admin, clock):
    start = clock.now_us()
    moved = admin.post(PATH, {"advance_seconds": HOUR})
    assert moved == {"now": show(start + HOUR_US), "offset_us": HOUR_US}
    moved = admin.post(PATH, {"to": show(start + 5 * HOUR_US)})
    assert moved == admin.get(PATH) == {"now": show(start + 5 * HOUR_US), "offset_us": 5 * HOUR_US}
    made = admin.post("/v1/consumers", {"name": "Ada"})
    assert made["created_at"] == show(start + 5 * HOUR_US)


@pytest.mark.usefixtures("begun")
def test_the_services_here_have_moved_when_it_answers(admin, billing):
    run(billing, settle_test_clock, wanted=True)
    follow_test_clock(billing)
    for hours in (1, 2):
        admin.post(PATH, {"advance_seconds": HOUR})
        with billing.read() as tx:
            assert tx.moved_us == hours * HOUR_US


def show(at_us):
    return show_time(at_us).replace(".000000Z", "Z")


@pytest.mark.usefixtures("begun")
def test_a_repeat_under_the_same_key_moves_once(admin):
    for _ in range(3):
        assert admin.post(PATH, {"advance_seconds": 60}, key="once")["offset_us"] == 60_000_000
    other = admin.call("POST", PATH, json={"advance_seconds": 61}, key="once")
    assert refusal(other) == (422, "idempotency_key_reused")
    assert admin.get(PATH)["offset_us"] == 60_000_000


@pytest.mark.usefixtures("begun")
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 409, "clock_move_unclear"),
        ({"advance_seconds": 1, "to": "2999-01-01T00:00:00Z"}, 409, "clock_move_unclear"),
        ({"to": "2001-01-01T00:00:00Z"}, 409, "clock_goes_forward"),
        ({"to": "9999-01-01T00:00:00Z"}, 409, "clock_too_far"),
        ({"to": "2999-01-01T00:00:00"}, 422, "fields_invalid"),
        ({"to": "tomorrow"}, 422, "fields_invalid"),
        ({"advance_seconds": 0}, 422, "fields_invalid"),
        ({"advance_seconds": -60}, 422, "fields_invalid"),
        ({"advance_seconds": 1.5}, 422, "fields_invalid"),
        ({"advance_seconds": 2**53}, 422, "fields_invalid"),
        ({"advance_seconds": 1, "back": True}, 422, "fields_invalid"),
    ],
)
def test_what_is_no_move_forward_is_refused_and_moves_nothing(admin, tables, body, status, code):
    before = tables()
    assert refusal(admin.call("POST", PATH, json=body)) == (status, code)
    assert tables() == before


@pytest.mark.usefixtures("begun")
def test_only_an_admin_moves_or_reads_it(caller, consumer):
    _, own = consumer("Ada")
    for them in (own, *map(caller, ("vendor", "provider", "edge", "billing", "support", "viewer"))):
        for method in ("GET", "POST"):
            refused = them.call(method, PATH, json={"advance_seconds": 60})
            assert refusal(refused) == (403, "role_missing")


@pytest.mark.usefixtures("begun")
def test_a_remembered_key_expires_when_the_clock_is_moved(admin, client, clock):
    made = admin.post("/v1/consumers", {"name": "Ada"})
    end = show(clock.now_us() + HOUR_US)
    key = admin.post(f"/v1/consumers/{made['id']}/keys", {"expires_at": end})["key"]
    own = Api(client, {"Authorization": f"Bearer {key}"})
    question = {"product": "films", "mode": "check", "quantity": 1}
    assert own.call("POST", "/v1/access/decide", json=question).status_code == 200
    admin.post(PATH, {"advance_seconds": HOUR})
    assert own.call("POST", "/v1/access/decide", json=question).status_code == 401


def test_data_that_was_begun_without_cannot_be_moved(admin, tables):
    before = tables()
    moved = admin.call("POST", PATH, json={"advance_seconds": 60})
    assert refusal(moved) == (409, "test_clock_absent")
    assert admin.get(PATH)["offset_us"] == 0
    assert tables() == before


def test_a_server_without_one_has_no_such_routes(services, admin):
    assert not services.test_clock
    with TestClient(create_app(services), raise_server_exceptions=False) as client:
        real = Api(client, admin.headers)
        assert refusal(real.call("GET", PATH)) == (404, "route_unknown")
        assert refusal(real.call("POST", PATH, json={"advance_seconds": 1})) == (
            404,
            "route_unknown",
        )
        assert PATH not in real.get("/openapi.json")["paths"]
