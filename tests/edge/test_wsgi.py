"""What only WSGI can do to a visit: `write`, `exc_info`, and results that are closed unread."""

import sys
from contextlib import closing

import pytest

from farebox.edge import Charging
from farebox.edge.wsgi import AccManMiddleware
from tests.edge.visits import WsgiServer, accman, costing, environment_of, wsgi_visit

PLAIN = [("Content-Type", "text/plain")]


class Result:
    """A result that counts how often it is closed."""

    def __init__(self, *chunks, fails=None):
        self.chunks = list(chunks)
        self.fails = fails
        self.closed = 0

    def __iter__(self):
        yield from self.chunks
        if self.fails:
            raise self.fails

    def close(self):
        self.closed += 1


@pytest.fixture
def middleware(stage):
    """A maker of middleware whose client is closed after the test."""
    with stage.farebox() as farebox:
        yield lambda app, charging: AccManMiddleware(app, farebox=farebox, charging=charging)


def divide_by(number):
    return 1 / number


def answering(result, status="200 OK"):
    def app(environment, start_response):
        start_response(status, PLAIN)
        return result

    return app


@pytest.mark.parametrize("from_head", [False, True])
def test_result_that_is_closed_unread_is_not_charged(stage, middleware, from_head):
    credential = stage.open(20)
    result = Result(b"for nobody")
    app = middleware(answering(result), costing(3, cost_from_head=from_head))
    server = WsgiServer()

    app(environment_of(headers=accman(credential)), server.start_response).close()

    assert (server.head, result.closed) == (None, 1)
    assert (stage.tot(credential), stage.charges(credential)) == (20, [])


@pytest.mark.parametrize("from_head", [False, True])
def test_result_is_closed_once_however_often_the_server_closes(stage, middleware, from_head):
    credential = stage.open(20)
    result = Result(b"one", b"two")
    app = middleware(answering(result), costing(3, cost_from_head=from_head))
    visit = app(environment_of(headers=accman(credential)), WsgiServer().start_response)

    assert b"".join(visit) == b"onetwo"
    visit.close()
    visit.close()

    assert result.closed == 1
    assert stage.charges(credential) == [3]


@pytest.mark.parametrize("from_head", [False, True])
def test_result_is_closed_after_a_crash_which_is_charged_only_if_the_head_was_out(
    stage, middleware, from_head
):
    credential = stage.open(20)
    result = Result(b"one", fails=ConnectionError())
    app = middleware(answering(result), costing(3, cost_from_head=from_head))

    with pytest.raises(ConnectionError):
        wsgi_visit(app, headers=accman(credential))

    assert result.closed == 1
    assert stage.charges(credential) == ([3] if from_head else [])
    assert stage.tot(credential) == (17 if from_head else 20)


def test_head_leaves_after_the_whole_body_and_the_charge(stage, middleware):
    credential = stage.open(20)
    server = WsgiServer()
    seen = []

    def app(environment, start_response):
        start_response("200 OK", PLAIN)
        yield b"one"
        seen.append((server.head, stage.charges(credential)))
        yield b"two"

    charged = middleware(app, costing(3))
    with closing(charged(environment_of(headers=accman(credential)), server.start_response)) as it:
        for chunk in it:
            server.send(chunk)

    assert seen == [(None, [])]
    assert (server.answer().body, server.answer().balance) == (b"onetwo", 17)


def test_streamed_body_leaves_piece_by_piece(stage, middleware):
    credential = stage.open(20)
    server = WsgiServer()
    seen = []

    def app(environment, start_response):
        start_response("200 OK", PLAIN)
        yield b"one"
        seen.append((list(server.body), stage.charges(credential)))
        yield b"two"

    charged = middleware(app, costing(3, cost_from_head=True))
    with closing(charged(environment_of(headers=accman(credential)), server.start_response)) as it:
        for chunk in it:
            server.send(chunk)

    assert seen == [([b"one"], [3])]
    assert (server.answer().body, server.answer().balance) == (b"onetwo", 17)


@pytest.mark.parametrize("from_head", [False, True])
def test_what_the_service_writes_comes_before_what_it_returns(stage, middleware, from_head):
    credential = stage.open(20)
    charged_at_write = []

    def app(environment, start_response):
        write = start_response("200 OK", PLAIN)
        write(b"one")
        charged_at_write.append(stage.charges(credential))
        write(b"two")
        return [b"three"]

    charged = middleware(app, costing(3, cost_from_head=from_head))
    answer = wsgi_visit(charged, headers=accman(credential))

    assert (answer.body, answer.balance) == (b"onetwothree", 17)
    assert charged_at_write == [[]]
    assert stage.charges(credential) == [3]


def test_writing_service_that_costs_too_much_is_withheld(stage, middleware):
    credential = stage.open(20)

    def app(environment, start_response):
        write = start_response("200 OK", PLAIN)
        write(b"secret")
        write(b"secret")
        return [b"secret"]

    charged = middleware(app, costing(21, cost_from_head=True))
    answer = wsgi_visit(charged, headers=accman(credential))

    assert (answer.status, answer.problem) == (402, "insufficient_balance")
    assert b"secret" not in answer.body
    assert stage.tot(credential) == 20


def test_service_may_replace_its_head_by_an_error_page(stage, middleware):
    credential = stage.open(20)

    def app(environment, start_response):
        start_response("200 OK", PLAIN)
        try:
            divide_by(0)
        except ZeroDivisionError:
            start_response("500 Oops", PLAIN, sys.exc_info())
        return [b"oops"]

    answer = wsgi_visit(middleware(app, costing(3)), headers=accman(credential))

    assert (answer.status, answer.body, answer.balance) == (500, b"oops", 20)


def test_service_cannot_replace_a_head_that_is_out(stage, middleware):
    credential = stage.open(20)

    def app(environment, start_response):
        start_response("200 OK", PLAIN)
        yield b"one"
        try:
            divide_by(0)
        except ZeroDivisionError:
            start_response("500 Oops", PLAIN, sys.exc_info())

    charged = middleware(app, costing(3, cost_from_head=True))
    with pytest.raises(ZeroDivisionError):
        wsgi_visit(charged, headers=accman(credential))

    assert stage.charges(credential) == [3]


@pytest.mark.parametrize("from_head", [False, True])
def test_second_head_without_exc_info_is_a_crash(stage, middleware, from_head):
    credential = stage.open(20)

    def app(environment, start_response):
        start_response("200 OK", PLAIN)
        start_response("201 Created", PLAIN)
        return [b"one"]

    charged = middleware(app, costing(3, cost_from_head=from_head))
    with pytest.raises(AssertionError, match="start_response"):
        wsgi_visit(charged, headers=accman(credential))

    assert stage.tot(credential) == 20


@pytest.mark.parametrize("from_head", [False, True])
def test_service_without_a_head_is_a_crash(stage, middleware, from_head):
    credential = stage.open(20)
    charged = middleware(
        lambda environment, start_response: [b"one"], costing(3, cost_from_head=from_head)
    )

    with pytest.raises(AssertionError, match="start_response"):
        wsgi_visit(charged, headers=accman(credential))

    assert stage.tot(credential) == 20


@pytest.mark.parametrize("from_head", [False, True])
def test_writing_too_much_stops_the_service(stage, middleware, from_head):
    credential = stage.open(20)
    got_on = []

    def app(environment, start_response):
        write = start_response("200 OK", PLAIN)
        write(b"12345678")
        got_on.append("past the limit")
        return []

    charged = middleware(app, costing(3, largest_body_bytes=7, cost_from_head=from_head))
    answer = wsgi_visit(charged, headers=accman(credential))

    assert (answer.status, answer.problem, got_on) == (500, "response_too_large", [])
    assert stage.tot(credential) == 20


@pytest.mark.parametrize(
    "read",
    [
        lambda stream: stream.read(),
        lambda stream: stream.read(6) + stream.read(6),
        lambda stream: stream.readline() + stream.readline(10),
        lambda stream: b"".join(stream.readlines()),
        b"".join,
    ],
    ids=["read", "read n", "readline", "readlines", "iterate"],
)
def test_request_body_is_counted_however_it_is_read(stage, middleware, read):
    credential = stage.open(20)
    seen = []

    def app(environment, start_response):
        assert read(environment["wsgi.input"]) == b"line\nline 2\n"
        start_response("200 OK", PLAIN)
        return []

    def cost(request, response):
        seen.append((request.body_size, request.body_start))
        return 1

    charged = middleware(app, Charging(cost=cost))
    wsgi_visit(charged, method="POST", body=b"line\nline 2\n", headers=accman(credential))

    assert seen == [(12, b"line\nline 2\n")]


def test_path_of_a_mounted_service_is_whole(stage, middleware):
    credential = stage.open(20)
    seen = []

    def cost(request, response):
        seen.append((request.path, request.headers["content-type"]))
        return 1

    charged = middleware(answering([]), Charging(cost=cost))
    environment = environment_of(
        path="/фильм".encode().decode("latin-1"), headers=accman(credential)
    )
    environment |= {"SCRIPT_NAME": "/shop", "CONTENT_TYPE": "text/x"}
    with closing(charged(environment, WsgiServer().start_response)) as result:
        list(result)

    assert seen == [("/shop/фильм", "text/x")]


@pytest.mark.parametrize("from_head", [False, True])
def test_server_that_reads_the_head_early_finds_it_and_the_whole_body(stage, middleware, from_head):
    credential = stage.open(20)
    charged = middleware(answering(Result(b"one", b"two")), costing(3, cost_from_head=from_head))
    server = WsgiServer()
    environment = environment_of(headers=accman(credential)) | {"SERVER_SOFTWARE": "Granian"}

    with closing(charged(environment, server.start_response)) as result:
        assert server.answer().balance == 17
        assert b"".join(result) == b"onetwo"

    assert stage.charges(credential) == [3]


@pytest.mark.parametrize("from_head", [False, True])
def test_crash_under_a_server_that_reads_the_head_early_is_not_charged(
    stage, middleware, from_head
):
    credential = stage.open(20)
    result = Result(fails=ConnectionError())
    charged = middleware(answering(result), costing(3, cost_from_head=from_head))
    environment = environment_of(headers=accman(credential)) | {"SERVER_SOFTWARE": "Granian"}

    with pytest.raises(ConnectionError):
        charged(environment, WsgiServer().start_response)

    assert (result.closed, stage.tot(credential)) == (1, 20)


def test_service_that_fails_to_clean_up_is_not_charged(stage, middleware):
    credential = stage.open(20)

    class Untidy(Result):
        def close(self):
            raise ConnectionError

    with pytest.raises(ConnectionError):
        wsgi_visit(middleware(answering(Untidy(b"one")), costing(3)), headers=accman(credential))

    assert stage.tot(credential) == 20
