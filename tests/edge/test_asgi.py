"""What only ASGI can do to a visit: leave, be cancelled, stream, and speak other protocols."""

import asyncio
import contextlib
import time

import pytest

from farebox.edge import Charging
from farebox.edge.asgi import AccManMiddleware, Message
from tests.edge.stage import CAPTURE, DECIDE
from tests.edge.visits import Service, accman, asgi_visit, costing, scope_of

START = {"type": "http.response.start", "status": 200, "headers": []}


def body(chunk, *, more=False):
    return {"type": "http.response.body", "body": chunk, "more_body": more}


def played(stage, app, charging, story):
    """Run `story(middleware)` on a loop of its own and return what it returns."""

    async def play():
        async with stage.async_farebox() as farebox:
            middleware = AccManMiddleware(app, farebox=farebox, charging=charging)
            return await story(middleware)

    return asyncio.run(play())


async def until(is_true):
    """Let the other tasks go on until something is true."""
    deadline = time.monotonic() + 20
    while not is_true():
        assert time.monotonic() < deadline, "it did not become true"
        await asyncio.sleep(0)


@pytest.mark.parametrize("from_head", [False, True])
def test_client_who_leaves_before_the_response_is_not_charged(stage, from_head):
    credential = stage.open(20)

    async def story(middleware):
        leaves = asyncio.Event()
        leaves.set()
        return await asgi_visit(middleware, leaves=leaves, headers=accman(credential))

    async def app(scope, receive, send):
        await receive()
        assert await receive() == {"type": "http.disconnect"}
        assert await receive() == {"type": "http.disconnect"}
        await send(START)
        await send(body(b"for nobody"))

    answer = played(stage, app, costing(3, cost_from_head=from_head), story)

    assert answer is None
    assert (stage.tot(credential), stage.charges(credential)) == (20, [])


def test_client_who_leaves_is_noticed_though_the_service_never_listens(stage):
    credential = stage.open(20)
    leaves = asyncio.Event()

    async def app(scope, receive, send):
        leaves.set()
        for _ in range(5):
            await asyncio.sleep(0)
        await send(START)
        await send(body(b"for nobody"))

    async def story(middleware):
        return await asgi_visit(middleware, leaves=leaves, headers=accman(credential))

    assert played(stage, app, costing(3), story) is None
    assert stage.tot(credential) == 20


def test_service_that_stops_when_the_client_leaves_is_not_charged(stage):
    credential = stage.open(20)

    async def app(scope, receive, send):
        while (await receive())["type"] != "http.disconnect":
            pass

    async def story(middleware):
        leaves = asyncio.Event()
        leaves.set()
        await asgi_visit(middleware, leaves=leaves, headers=accman(credential))

    played(stage, app, costing(3), story)

    assert stage.tot(credential) == 20


def test_cancelled_visit_is_not_charged(stage):
    credential = stage.open(20)
    began = asyncio.Event()

    async def app(scope, receive, send):
        began.set()
        await asyncio.Event().wait()

    async def story(middleware):
        visit = asyncio.create_task(asgi_visit(middleware, headers=accman(credential)))
        await began.wait()
        assert stage.tot(credential) == 0
        visit.cancel()
        with pytest.raises(asyncio.CancelledError):
            await visit
        return stage.tot(credential)

    assert played(stage, app, costing(3), story) == 20


def test_visit_cancelled_while_credit_is_reserved_leaves_no_hold(stage):
    credential = stage.open(20)
    stage.way.hold_back[DECIDE] = asyncio.Event()

    async def story(middleware):
        visit = asyncio.create_task(asgi_visit(middleware, headers=accman(credential)))
        await until(lambda: stage.tot(credential) == 0)
        visit.cancel()
        with pytest.raises(asyncio.CancelledError):
            await visit
        stage.way.hold_back[DECIDE].set()
        await until(lambda: stage.tot(credential) == 20)

    played(stage, Service().asgi, costing(3), story)


def test_visit_cancelled_during_the_charge_is_charged_once(stage):
    credential = stage.open(20)
    stage.way.hold_back[CAPTURE] = asyncio.Event()

    async def story(middleware):
        visit = asyncio.create_task(asgi_visit(middleware, headers=accman(credential)))
        await until(lambda: stage.way.sent[CAPTURE])
        visit.cancel()
        with pytest.raises(asyncio.CancelledError):
            await visit
        stage.way.hold_back[CAPTURE].set()
        await until(lambda: stage.tot(credential) == 17)

    played(stage, Service().asgi, costing(3), story)

    assert (stage.tot(credential), stage.charges(credential)) == (17, [3])


def test_nothing_of_a_waiting_body_leaves_before_the_charge(stage):
    credential = stage.open(20)
    sent: list[Message] = []
    seen = []

    async def app(scope, receive, send):
        await send(START)
        await send(body(b"first", more=True))
        seen.append((list(sent), stage.charges(credential)))
        await send(body(b"last"))

    async def story(middleware):
        return await asgi_visit(middleware, sent=sent, headers=accman(credential))

    answer = played(stage, app, costing(3), story)

    assert seen == [([], [])]
    assert answer.body == b"firstlast"


def test_streamed_body_is_charged_first_and_leaves_piece_by_piece(stage):
    credential = stage.open(20)
    sent: list[Message] = []
    seen = []

    async def app(scope, receive, send):
        await send(START)
        seen.append((sent[-1]["type"], stage.charges(credential)))
        await send(body(b"first", more=True))
        seen.append((sent[-1]["type"], stage.charges(credential)))
        await send(body(b"last"))

    async def story(middleware):
        return await asgi_visit(middleware, sent=sent, headers=accman(credential))

    answer = played(stage, app, costing(3, cost_from_head=True), story)

    assert seen == [("http.response.start", [3]), ("http.response.body", [3])]
    assert (answer.balance, answer.body) == (17, b"firstlast")


def test_stream_that_breaks_off_stays_charged(stage):
    credential = stage.open(20)

    async def app(scope, receive, send):
        await send(START)
        await send(body(b"first", more=True))
        raise ConnectionError

    async def story(middleware):
        with pytest.raises(ConnectionError):
            await asgi_visit(middleware, headers=accman(credential))

    played(stage, app, costing(3, cost_from_head=True), story)

    assert stage.charges(credential) == [3]


def test_service_that_breaks_off_a_waiting_body_is_not_charged(stage):
    credential = stage.open(20)

    async def app(scope, receive, send):
        await send(START)
        await send(body(b"first", more=True))

    async def story(middleware):
        return await asgi_visit(middleware, headers=accman(credential))

    assert played(stage, app, costing(3), story) is None
    assert stage.tot(credential) == 20


def test_crash_after_the_answer_stays_charged(stage):
    credential = stage.open(20)

    async def app(scope, receive, send):
        await send(START)
        await send(body(b"done"))
        raise ValueError("in a background task")

    async def story(middleware):
        with pytest.raises(ValueError, match="background"):
            await asgi_visit(middleware, headers=accman(credential))

    played(stage, app, costing(3), story)

    assert stage.charges(credential) == [3]


def test_service_that_goes_on_sending_too_much_is_stopped_with_one_answer(stage):
    credential = stage.open(20)

    async def app(scope, receive, send):
        await send(START)
        for _ in range(3):
            with contextlib.suppress(Exception):
                await send(body(b"12345678", more=True))
        await send(body(b""))

    async def story(middleware):
        return await asgi_visit(middleware, headers=accman(credential))

    answer = played(stage, app, costing(3, largest_body_bytes=10), story)

    assert (answer.status, answer.problem) == (500, "response_too_large")
    assert stage.tot(credential) == 20


def test_two_credentials_are_ambiguous(stage):
    credential = stage.open(20)

    async def story(middleware):
        return await asgi_visit(middleware, headers=accman(credential) + accman("other"))

    answer = played(stage, Service().asgi, costing(3), story)

    assert (answer.status, answer.problem) == (401, "credential_ambiguous")


@pytest.mark.parametrize(
    ("from_head", "offered"), [(False, {"tls"}), (True, {"tls", "http.response.pathsend"})]
)
def test_service_is_offered_no_way_past_a_waiting_body(stage, from_head, offered):
    credential = stage.open(20)
    seen = []

    async def app(scope, receive, send):
        seen.append(set(scope["extensions"]))
        await Service().asgi(scope, receive, send)

    async def story(middleware):
        extensions: dict[str, Message] = {"tls": {}, "http.response.pathsend": {}}
        await asgi_visit(middleware, headers=accman(credential), extensions=extensions)

    played(stage, app, costing(3, cost_from_head=from_head), story)

    assert seen == [offered]


def test_large_request_reaches_the_service_piece_by_piece(stage):
    credential = stage.open(20)
    pieces = [b"a" * 60_000, b"b" * 60_000, b"c"]
    waiting = [
        {"type": "http.request", "body": piece, "more_body": piece != b"c"} for piece in pieces
    ]
    arrived: list[bytes] = []
    seen, sent = [], []

    async def receive():
        if waiting:
            return waiting.pop(0)
        return await asyncio.Event().wait()

    async def send(message):
        sent.append(message)

    async def app(scope, receive, send):
        more = True
        while more:
            await asyncio.sleep(0)
            # One message lies ready and one is in the pump's hand: a slow service is not overrun.
            assert len(waiting) + len(arrived) >= 1
            message = await receive()
            arrived.append(message["body"])
            more = message["more_body"]
        await send(START)
        await send(body(b""))

    def cost(request, response):
        seen.append((request.body_size, request.body_start))
        return 1

    async def story(middleware):
        await middleware(scope_of(method="POST", headers=accman(credential)), receive, send)

    played(stage, app, Charging(cost=cost), story)

    assert arrived == pieces
    assert seen == [(120_001, (b"a" * 60_000 + b"b" * 60_000)[: 64 * 1024])]


@pytest.mark.parametrize("passes", [False, True])
def test_websocket_is_closed_unless_it_may_pass(stage, passes):
    sent = []

    async def app(scope, receive, send):
        await send({"type": "websocket.accept"})

    async def receive():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message)

    async def story():
        async with stage.async_farebox() as farebox:
            middleware = AccManMiddleware(
                app, farebox=farebox, charging=costing(3), websockets=passes
            )
            await middleware({"type": "websocket", "path": "/"}, receive, send)

    asyncio.run(story())

    accepted, closed = {"type": "websocket.accept"}, {"type": "websocket.close", "code": 1008}
    assert sent == [accepted if passes else closed]


def test_shutdown_waits_for_the_charge_that_is_under_way(stage):
    credential = stage.open(20)
    stage.way.hold_back[CAPTURE] = asyncio.Event()
    charged_at_shutdown = []

    async def app(scope, receive, send):
        if scope["type"] == "lifespan":
            await send({"type": "lifespan.shutdown.complete"})
        else:
            await Service().asgi(scope, receive, send)

    async def send(message):
        charged_at_shutdown.append(stage.charges(credential))

    async def story(middleware):
        visit = asyncio.create_task(asgi_visit(middleware, headers=accman(credential)))
        await until(lambda: stage.way.sent[CAPTURE])
        visit.cancel()
        shutdown = asyncio.create_task(middleware({"type": "lifespan"}, None, send))
        await asyncio.sleep(0)
        assert charged_at_shutdown == []
        stage.way.hold_back[CAPTURE].set()
        await shutdown
        await asyncio.wait([visit])

    played(stage, app, costing(3), story)

    assert charged_at_shutdown == [[3]]
