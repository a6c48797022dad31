"""The server's own protocol, over real sockets: what is answered where, and in which order."""

import threading

import pytest

from farebox.http.hot import LARGEST_BODY
from tests.support.front_stage import CHUNKS, KINDS, Stage, post, said, told


@pytest.fixture(scope="module")
def stage():
    made = Stage()
    yield made
    made.close()


@pytest.fixture
def client(stage):
    with stage.client() as made:
        yield made


# -- what a hot route answers ----------------------------------------------------------------------


def test_a_hot_request_is_answered_by_its_route_and_the_connection_is_kept(client):
    for body in (b"one", b"two", b""):
        client.send(post("/now", body))
        answer = client.read()
        assert answer.status == 200
        assert answer.body == b"now " + body
        assert set(answer.headers) == {"date", "content-type", "content-length"}


def test_an_answer_may_come_after_the_route_has_returned(stage, client):
    client.send(post("/later", b"x"))
    stage.next_asked()()
    assert client.read()[::2] == (201, b"later x")
    client.send(post("/now", b"y"))
    assert client.read().body == b"now y"


def test_a_route_that_replies_twice_sends_one_answer(client):
    client.send(post("/twice", b"x") + post("/twice", b"y"))
    assert [client.read().body for _ in range(2)] == [b"first x", b"first y"]
    client.send(post("/now", b"z"))
    assert client.read().body == b"now z"


WHOLE = post("/now", b"a body", "X-Long: " + "x" * 50)
HEAD = WHOLE.index(b"\r\n\r\n") + 4
PIECES = {
    "byte by byte": [WHOLE[place : place + 1] for place in range(len(WHOLE))],
    "head and body apart": [WHOLE[:HEAD], WHOLE[HEAD:]],
    "cut in the end of the head": [WHOLE[: HEAD - 2], WHOLE[HEAD - 2 :]],
    "after empty lines": [b"\r\n\r\n", WHOLE],
}


@pytest.mark.parametrize("how", PIECES)
def test_a_request_in_pieces_is_the_same_request(client, how):
    for _ in range(2):
        client.send(*PIECES[how])
        assert client.read().body == b"now a body"


def test_the_largest_body_of_a_hot_request_comes_whole(client):
    body = bytes(range(97, 123)) * (LARGEST_BODY // 26) + b"z" * (LARGEST_BODY % 26)
    client.send(post("/now", body))
    assert client.read().body == b"now " + body


# -- what the app answers --------------------------------------------------------------------------

BY_THE_APP = {
    "GET": (b"GET /now HTTP/1.1\r\nHost: a\r\n\r\n", b""),
    "GET with a body": (post("/now", b"abc").replace(b"POST", b"GET"), b"abc"),
    "PUT": (post("/now", b"abc").replace(b"POST", b"PUT"), b"abc"),
    "a query": (post("/now?a=1", b"abc"), b"abc"),
    "another path": (post("/now/", b"abc"), b"abc"),
    "an absolute address": (post("http://farebox.test/now", b"abc"), b"abc"),
    "a body in chunks": (CHUNKS, b"abc"),
    "a header twice": (post("/now", b"abc", "X-A: 1", "x-a: 2"), b"abc"),
    "another expectation": (post("/now", b"abc", "Expect: wonders"), b"abc"),
    "no length": (b"POST /now HTTP/1.1\r\nHost: a\r\n\r\n", b""),
    "a large body": (post("/now", b"a" * (LARGEST_BODY + 1)), b"a" * (LARGEST_BODY + 1)),
}


@pytest.mark.parametrize("what", BY_THE_APP)
def test_what_is_not_plain_goes_to_the_app_and_the_connection_is_kept(client, what):
    sent, body = BY_THE_APP[what]
    client.send(sent)
    got = told(client.read())
    assert got["body"].encode() == body
    assert got["method"] == sent.split(b" ")[0].decode()
    client.send(post("/now", b"next"))
    assert client.read().body == b"now next"


def test_the_app_is_told_all_that_was_sent(client):
    client.send(post("/a%20b/c?d=e%20f", b"abc", "X-A: 1", "X-A: 2"))
    got = told(client.read())
    assert got == {
        "method": "POST",
        "path": "/a b/c",
        "query": "d=e%20f",
        "headers": [
            ["host", "farebox.test"],
            ["content-length", "3"],
            ["x-a", "1"],
            ["x-a", "2"],
        ],
        "body": "abc",
    }


LAST_ONES = {
    "HTTP/1.0": b"POST /now HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc",
    "HTTP/1.0 that would stay": b"POST /now HTTP/1.0\r\nConnection: keep-alive\r\n"
    b"Content-Length: 3\r\n\r\nabc",
    "Connection: close": post("/now", b"abc", "Connection: close"),
}


@pytest.mark.parametrize("what", LAST_ONES)
def test_who_wants_no_more_is_answered_by_the_app_and_hung_up_on(client, what):
    client.send(LAST_ONES[what])
    answer = client.read()
    assert told(answer)["body"] == "abc"
    assert answer.headers["connection"] == "close"
    assert client.ended()


def test_who_asks_before_sending_the_body_is_told_to_continue(client):
    client.send(post("/now", b"", "Expect: 100-continue", length=3))
    assert client.read() == (100, {}, b"")
    client.send(b"abc")
    assert told(client.read())["body"] == "abc"


UPGRADES = {
    "websocket": b"GET /now HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    "h2c": post("/now", b"abc", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"),
    "h2c in chunks": CHUNKS.replace(b"Host: a", b"Connection: Upgrade\r\nUpgrade: h2c"),
}


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("what", UPGRADES)
def test_who_wants_another_protocol_is_answered_in_this_one(client, what, together):
    body = b"" if what == "websocket" else b"abc"
    row = [UPGRADES[what], UPGRADES[what], post("/now", b"next")]
    client.send(*([b"".join(row)] if together else row))
    assert [said(client.read()) for _ in row] == [body, body, b"next"]


@pytest.mark.parametrize("what", UPGRADES)
def test_a_wish_for_another_protocol_may_come_byte_by_byte(client, what):
    sent = UPGRADES[what] + post("/now", b"next")
    client.send(*(sent[place : place + 1] for place in range(len(sent))))
    assert said(client.read()) == (b"" if what == "websocket" else b"abc")
    assert said(client.read()) == b"next"


def test_what_follows_a_body_in_chunks_is_no_header(client):
    client.send(CHUNKS[:-2] + b"X-Role: admin\r\nAuthorization: Bearer x\r\n\r\n")
    assert [name for name, _ in told(client.read())["headers"]] == ["host", "transfer-encoding"]


# -- several at once -------------------------------------------------------------------------------

ROWS = [
    ("now", "now"),
    ("soon", "now"),
    ("later", "now"),
    ("now", "app"),
    ("later", "app"),
    ("app", "now"),
    ("held", "now"),
    ("held", "soon", "now"),
    ("now", "app", "soon", "now", "app"),
    ("later", "app", "now", "held", "now"),
    ("soon", "soon", "soon", "soon", "soon"),
    ("app", "app", "app", "app", "app"),
]


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("row", ROWS, ids="-".join)
def test_requests_sent_together_are_answered_in_their_order(stage, client, row, apart):
    sent = [KINDS[kind](b"%d" % place) for place, kind in enumerate(row)]
    client.send(*(sent if apart else [b"".join(sent)]))
    answers = []
    for kind in row:
        if kind in {"later", "held"}:
            stage.next_asked()()
        answers.append(client.read())
    assert [said(answer) for answer in answers] == [b"%d" % place for place in range(len(row))]


def test_many_sent_together_are_all_answered(client):
    sent = [KINDS["app" if place % 7 == 3 else "now"](b"%d" % place) for place in range(500)]
    sender = threading.Thread(target=client.send, args=(b"".join(sent),))
    sender.start()
    assert [said(client.read()) for _ in sent] == [b"%d" % place for place in range(500)]
    sender.join()


def test_who_sends_on_without_waiting_is_not_read_on_without_end(stage, client):
    large = post("/app", b"x", "X-Large: " + "x" * 1000)
    count = 2000
    stage.queued.clear()
    sender = threading.Thread(target=client.send, args=(large * count,))
    sender.start()
    for _ in range(count):
        assert told(client.read())["body"] == "x"
    sender.join()
    # As much as is read from a socket at once, and no more.
    assert max(stage.queued) <= 256_000 // len(large) + 1
