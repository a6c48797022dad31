"""What the client promises: answers as values, refusals as errors, and no call taken twice."""

import asyncio

import httpx2
import pytest

from farebox.contracts.decisions import CaptureRequest, DecideRequest
from farebox.edge import (
    Farebox,
    FareboxUnavailable,
    Refused,
    capture,
    decide,
    mod,
    past,
    tot,
)
from tests.edge.stage import CAPTURE, DECIDE


@pytest.fixture(params=["sync", "async"])
def send(request, stage):
    """Send a call by either client."""

    def send_in_thread(call):
        with stage.farebox() as farebox:
            return farebox.send(call)

    def send_on_loop(call):
        async def send_once():
            async with stage.async_farebox() as farebox:
                return await farebox.send(call)

        return asyncio.run(send_once())

    return send_in_thread if request.param == "sync" else send_on_loop


def reserving(credential, quantity=5):
    return DecideRequest(mode="reserve", product="accman", credential=credential, quantity=quantity)


def test_account_is_opened_read_and_remembered(stage, send):
    credential = f"cinema & {stage.unique} / 7?"

    opened = send(mod(credential, by=100))
    spent = send(mod(credential, by=-30))

    assert (opened.cred, opened.tot, opened.by) == (credential, 100, 100)
    assert spent.operation != opened.operation
    assert send(tot(credential)).tot == 70
    assert [(entry.by, entry.tot) for entry in send(past(credential)).past] == [
        (-30, 70),
        (100, 100),
    ]


def test_history_is_paged(stage, send):
    credential = stage.open(10)
    for _ in range(4):
        send(mod(credential, by=-1))

    pages: list[list[int]] = []
    cursor = None
    while cursor is not None or not pages:
        page = send(past(credential, limit=2, cursor=cursor))
        pages.append([entry.by for entry in page.past])
        cursor = page.next

    assert pages == [[-1, -1], [-1, -1], [10]]


def test_below_the_floor_is_refused_and_changes_nothing(stage, send):
    credential = stage.open(10)

    with pytest.raises(Refused) as refused:
        send(mod(credential, by=-11))

    assert (refused.value.status, refused.value.code) == (402, "insufficient_balance")
    assert stage.tot(credential) == 10


def test_unknown_account_is_refused(stage, send):
    with pytest.raises(Refused) as refused:
        send(tot("nobody"))

    assert (refused.value.status, refused.value.code) == (404, "account_unknown")


def test_same_call_sent_twice_takes_effect_once(stage, send):
    credential = stage.open(10)
    call = mod(credential, by=-3, key=f"once-{stage.unique}")

    assert send(call) == send(call)
    assert stage.tot(credential) == 7


def test_other_call_under_the_same_key_is_refused(stage, send):
    credential = stage.open(10)
    send(mod(credential, by=-3, key=f"once-{stage.unique}"))

    with pytest.raises(Refused) as refused:
        send(mod(credential, by=-4, key=f"once-{stage.unique}"))

    assert refused.value.code == "idempotency_key_reused"
    assert stage.tot(credential) == 7


def test_hold_is_captured_once(stage, send):
    credential = stage.open(10)
    hold = send(decide(reserving(credential))).hold

    captured = send(capture(CaptureRequest(hold=hold, quantity=2)))

    assert (captured.captured, captured.released, captured.remaining) == (2, 3, 8)
    assert send(capture(CaptureRequest(hold=hold, quantity=2))) == captured
    with pytest.raises(Refused):
        send(capture(CaptureRequest(hold=hold, quantity=3)))
    assert stage.charges(credential) == [2]


def test_lost_answer_of_a_call_with_key_is_asked_for_again(stage, send):
    credential = stage.open(10)
    stage.way.lose[DECIDE] = 2

    decision = send(decide(reserving(credential), key=f"reserve-{stage.unique}"))

    assert (decision.quantity, decision.remaining) == (5, 5)
    assert stage.tot(credential) == 5


def test_lost_answer_of_a_call_without_key_is_not_asked_for_again(stage, send):
    credential = stage.open(10)
    stage.way.lose[DECIDE] = 1

    with pytest.raises(FareboxUnavailable):
        send(decide(reserving(credential)))

    assert (stage.way.sent[DECIDE], stage.pauses) == (1, [])


def test_call_without_key_that_never_left_is_sent_again(stage, send):
    credential = stage.open(10)
    stage.way.block[DECIDE] = 2

    assert send(decide(reserving(credential))).allowed
    assert stage.way.sent[DECIDE] == 3


def test_pauses_grow_and_end(stage, send):
    stage.way.fail[CAPTURE] = 100

    with pytest.raises(FareboxUnavailable, match="503 bucket_fault: planned"):
        send(capture(CaptureRequest(hold="hld_1", quantity=1)))

    assert stage.way.sent[CAPTURE] == 4
    assert stage.pauses == sorted(stage.pauses)
    assert len(set(stage.pauses)) == 3


def test_refusal_is_not_asked_for_again(stage, send):
    with pytest.raises(Refused) as refused:
        send(capture(CaptureRequest(hold="hld_0000000000000000", quantity=1)))

    assert (refused.value.status, stage.way.sent[CAPTURE], stage.pauses) == (404, 1, [])


@pytest.mark.parametrize(
    ("response", "error", "says"),
    [
        (httpx2.Response(200, content=b"<html>"), FareboxUnavailable, "not understood"),
        (httpx2.Response(200, json={"cred": "x"}), FareboxUnavailable, "not understood"),
        (httpx2.Response(302, headers={"location": "/"}), FareboxUnavailable, "302"),
        (httpx2.Response(502, content=b"<html>"), FareboxUnavailable, "502"),
        (httpx2.Response(403, content=b"<html>"), Refused, "403 unknown"),
        (httpx2.Response(403, json={"code": "role_missing"}), Refused, "403 role_missing"),
    ],
)
def test_strange_answer_is_an_error_and_no_value(response, error, says):
    transport = httpx2.MockTransport(lambda request: response)

    with (
        Farebox("http://farebox.test", key="k", transport=transport, pauses=()) as farebox,
        pytest.raises(error, match=says),
    ):
        farebox.send(tot("x"))
