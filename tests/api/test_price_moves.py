"""Moving subscribers of a price over the API: previews, moves, who may, what is refused."""

import pytest

from farebox.billing.pricing.service_prices import prices_of
from tests.support.renewals import Renewals
from tests.support.services import run

pytestmark = pytest.mark.usefixtures("billing")


@pytest.fixture
def who(consumer, hear):
    """A consumer of whom billing has heard: id and calls."""
    found = consumer("Ada")
    hear()
    return found


@pytest.fixture
def stage(billing, clock, who):
    made = Renewals(billing, clock, at="2027-03-01", customer=who[0])
    made.card()
    return made


@pytest.fixture
def path(stage, billing):
    [found] = run(billing, prices_of, "plan", "basic")
    return f"/v1/prices/{found.id}/moves"


def test_a_preview_shows_what_the_move_then_bills(stage, path, admin):
    one = stage.subscribe("basic")
    stage.reprice("basic", "20")
    stage.at("2027-03-16")

    shown = admin.post(f"{path}/preview", {"at": "now"})
    assert len(stage.bills(one)) == 1
    moved = admin.post(path, {"at": "now"})

    [seen], [done] = shown["items"], moved["items"]
    assert (moved["version"], moved["currency"], moved["next"]) == (2, "USD", None)
    assert (done["subscription"], done["moved"], done["reason"]) == (one, True, None)
    assert (done["fee_before"], done["fee_after"]) == (1000, 2000)
    assert (done["invoice"]["total"], done["credit_note"]["total"]) == (1032, 516)
    assert (seen["invoice"]["total"], seen["credit_note"]) == (1032, done["credit_note"])


def test_a_repeat_under_a_key_moves_once_and_gets_the_first_answer(stage, path, admin):
    one = stage.subscribe("basic")
    stage.reprice("basic", "20")
    stage.at("2027-03-16")
    body = {"at": "now"}
    first = admin.call("POST", path, json=body, key="move-1")
    again = admin.call("POST", path, json=body, key="move-1")
    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    assert len(stage.bills(one)) == 2


@pytest.mark.parametrize(
    "body", [{}, {"at": "later"}, {"at": "now", "limit": 0}, {"at": "now", "limit": 201},
             {"at": "now", "price": "1"}, {"at": "now", "after": 7}],
)  # fmt: skip
def test_a_bad_wish_is_refused_and_moves_nobody(stage, path, admin, body):
    one = stage.subscribe("basic")
    stage.reprice("basic", "20")
    assert admin.call("POST", path, json=body).status_code == 422
    assert stage.schedule(one).price_version == 1


def test_a_consumer_moves_nobody(stage, path, who):
    stage.subscribe("basic")
    for each in (path, f"{path}/preview"):
        assert who[1].call("POST", each, json={"at": "now"}).status_code == 403


def test_a_price_that_is_not_there_is_unknown(admin):
    for each in ("", "/preview"):
        answer = admin.call("POST", f"/v1/prices/prc_nobodys/moves{each}", json={"at": "now"})
        assert (answer.status_code, answer.json()["code"]) == (404, "price_unknown")
