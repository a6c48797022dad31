"""The server's own protocol, over real sockets: who is refused, who goes, who stays too long."""

import json
from contextlib import suppress

import pytest

from farebox.http.front import LARGEST_HEAD
from tests.support.front_stage import (
    CHUNKS,
    KINDS,
    MUCH,
    PATIENCE_S,
    SHORT_S,
    Stage,
    post,
    said,
    told,
)


@pytest.fixture(scope="module")
def stage():
    made = Stage()
    yield made
    made.close()


@pytest.fixture
def client(stage):
    with stage.client() as made:
        yield made


@pytest.fixture
def own_stage():
    """Return a server that the test may stop."""
    made = Stage()
    yield made
    made.close()


# -- what is refused -------------------------------------------------------------------------------

NO_HTTP = {
    "words": b"hello there\r\n\r\n",
    "a handshake of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(60),
    "the preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "another version": b"GET / HTTP/7.3\r\n\r\n",
    "no length but a word": b"POST /now HTTP/1.1\r\nContent-Length: many\r\n\r\n",
    "a negative length": b"POST /now HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    "an endless length": b"POST /now HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "two lengths": b"POST /now HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a length and chunks": b"POST /now HTTP/1.1\r\nContent-Length: 1\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a chunk of no size": b"POST /now HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a path that is no text": b"GET /\xff\xfe HTTP/1.1\r\n\r\n",
    "a header without a name": b"GET / HTTP/1.1\r\n: x\r\n\r\n",
    "a tunnel": b"CONNECT farebox.test:80 HTTP/1.1\r\n\r\n",
    "a header with a zero": b"GET / HTTP/1.1\r\nX: a\0b\r\n\r\n",
}


def is_malformed(answer):
    assert answer.status == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"
    assert json.loads(answer.body)["code"] == "request_malformed"
    return True


@pytest.mark.parametrize("what", NO_HTTP)
def test_what_is_no_http_is_refused_and_harms_nobody_else(stage, client, what):
    with stage.client() as stranger:
        client.send(post("/now", b"abc")[:-1])
        stranger.send(NO_HTTP[what])
        assert is_malformed(stranger.read())
        assert stranger.ended()
        client.send(b"c")
        assert client.read().body == b"now abc"


HEADS = {
    "a long address": b"GET /" + b"a" * LARGEST_HEAD,
    "a long header": b"GET / HTTP/1.1\r\nX: " + b"a" * LARGEST_HEAD,
    "many headers": b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * (LARGEST_HEAD // 6),
}


@pytest.mark.parametrize("what", HEADS)
def test_a_head_without_an_end_is_refused(client, what):
    client.send(post("/now", b"first"))
    assert client.read().body == b"now first"
    client.send(HEADS[what])
    assert is_malformed(client.read())
    assert client.ended()


def test_a_head_is_not_too_large_because_of_what_came_before_it(client):
    body = b"a" * (LARGEST_HEAD - 5000)
    client.send(post("/now", body) + b"P")
    assert client.read().body == b"now " + body
    rest = post("/now", b"next", "X: " + "x" * 9000)[1:]
    client.send(rest[:8000])
    client.send(rest[8000:])
    assert client.read().body == b"now next"


def let_it_be_read(stage):
    """Wait for an answer to somebody else: by then, what others had sent has been read as well."""
    with stage.client() as other:
        other.send(post("/now", b"y"))
        assert other.read().body == b"now y"


TAILS = {
    "a long trailer": b"X: " + b"a" * LARGEST_HEAD,
    "many trailers": b"X: 1\r\n" * (LARGEST_HEAD // 6 + 1),
}


@pytest.mark.parametrize("what", TAILS)
def test_what_follows_a_body_in_chunks_without_an_end_is_refused(stage, client, what):
    client.send(CHUNKS.removesuffix(b"\r\n"))
    let_it_be_read(stage)
    client.send(TAILS[what])
    assert is_malformed(client.read())
    assert client.ended()


def test_a_large_body_in_chunks_is_not_taken_for_what_follows_it(client):
    body = b"a" * 3 * LARGEST_HEAD
    client.send(b"POST /app HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"%x\r\n" % len(body))
    for start in range(0, len(body), 10_000):
        client.send(body[start : start + 10_000])
    client.send(b"\r\n1;" + b"x=1;" * 5_000 + b"y\r\n" + b"b\r\n0\r\nX: " + b"x" * 9_000)
    client.send(b"x" * 9_000 + b"\r\n\r\n")
    assert told(client.read())["body"] == (body + b"b").decode()
    client.send(post("/now", b"next"))
    assert client.read().body == b"now next"


@pytest.mark.parametrize("kind", ["later", "held"])
def test_garbage_behind_a_request_is_not_taken_for_its_answer(stage, client, kind):
    client.send(KINDS[kind](b"x"))
    answer = stage.next_asked()
    client.send(b"\0\0\0 garbage\r\n\r\n")
    let_it_be_read(stage)
    answer()
    assert said(client.read()) == b"x"
    while (more := client.read()) is not None:
        assert is_malformed(more)


def test_garbage_in_a_request_behind_another_is_not_taken_for_the_others_answer(stage, client):
    client.send(KINDS["later"](b"x") + CHUNKS[:-7] + b"zzzz\r\n")
    answer = stage.next_asked()
    let_it_be_read(stage)
    answer()
    first = client.read()
    assert first is None or first.status == 201


# -- who goes, and who stays too long --------------------------------------------------------------


@pytest.mark.parametrize("kind", ["later", "held"])
def test_a_client_that_has_gone_before_the_answer_harms_nobody(stage, kind):
    gone = stage.client()
    gone.send(KINDS[kind](b"x") + KINDS["now"](b"y"))
    answer = stage.next_asked()
    gone.vanish()
    with stage.client() as other:
        other.send(post("/now", b"z"))
        assert other.read().body == b"now z"
        answer()
        other.send(post("/app", b"z"))
        assert told(other.read())["body"] == "z"


def test_the_app_hears_of_a_client_that_has_gone(stage):
    gone = stage.client()
    gone.send(post("/app?one", b"x", length=2))
    gone.vanish()
    while stage.gone.get(timeout=PATIENCE_S) != b"one":
        pass


SILENCES = {
    "before the first word": b"",
    "in the head": b"POST /now HTTP/1.1\r\nHo",
    "in the body": post("/now", b"ab", length=3),
    "in a body for the app": post("/app", b"ab", length=3),
    "in a chunk": CHUNKS[:-8],
}


def greeted(stage):
    """Return a client that was answered once; one that was hung up on before comes anew."""
    for _ in range(100):
        client = stage.client()
        with suppress(ConnectionResetError, BrokenPipeError):
            client.send(post("/now", b"x"))
            if (answer := client.read()) is not None:
                assert answer.body == b"now x"
                return client
        client.vanish()
    raise AssertionError("nobody is answered in time")


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("where", SILENCES)
def test_who_says_nothing_for_long_is_hung_up_on(monkeypatch, stage, where, first):
    monkeypatch.setattr("farebox.http.front.IDLE_SECONDS", SHORT_S)
    with greeted(stage) if first else stage.client() as client:
        client.send(SILENCES[where])
        assert client.ended()


DRIPS = {
    "in the head": b"POST /now HTTP/1.1\r\nX: ",
    "in a trailer": CHUNKS.removesuffix(b"\r\n") + b"X: ",
}


@pytest.mark.parametrize("where", DRIPS)
def test_who_drips_what_we_gather_is_hung_up_on_as_well(monkeypatch, stage, where):
    monkeypatch.setattr("farebox.http.front.IDLE_SECONDS", SHORT_S)
    with stage.client() as client:
        client.send(DRIPS[where])
        for _ in range(100):
            if client.is_left_within(SHORT_S / 4):
                return
            client.send(b"a")
    pytest.fail("it is still read")


LARGE = b"x" * 50_000
TOO_MUCH = 64 * 1024 * 1024


def pour(client, request):
    """Send a request again and again, reading nothing, until it is not taken; tell how much was."""
    sent = 0
    while sent < TOO_MUCH and (taken := client.offer(request[sent % len(request) :])):
        sent += taken
    return sent


def test_who_does_not_read_is_not_read_on_and_loses_nothing(client):
    request = post("/now", LARGE)
    sent = pour(client, request)
    assert sent < TOO_MUCH
    for _ in range(sent // len(request)):
        assert client.read().body == b"now " + LARGE
    client.send(request[sent % len(request) :])
    assert client.read().body == b"now " + LARGE


def test_who_never_reads_is_hung_up_on(monkeypatch, stage):
    monkeypatch.setattr("farebox.http.front.IDLE_SECONDS", SHORT_S)
    with stage.client() as client, pytest.raises((ConnectionResetError, BrokenPipeError)):
        pour_for_ever(client)


def pour_for_ever(client):
    for _ in range(30):
        pour(client, post("/now", LARGE))


def test_who_never_reads_the_last_answer_is_hung_up_on(monkeypatch, stage):
    monkeypatch.setattr("farebox.http.front.IDLE_SECONDS", SHORT_S)
    with stage.client() as client:
        client.send(post("/much", b"", "Connection: close"))
        wait_idle(stage, 10)
        assert len(client.rest()) < MUCH


def test_who_sends_a_body_slowly_is_heard(monkeypatch, stage):
    # Long enough for a pause of a busy machine not to count.
    monkeypatch.setattr("farebox.http.front.IDLE_SECONDS", 3)
    with stage.client() as client:
        client.send(post("/app", length=14))
        for _ in range(14):
            assert not client.is_left_within(0.25)
            client.send(b"a")
        assert client.is_left_within(PATIENCE_S)


def wait_idle(stage, times):
    """Wait as long as idle connections are kept."""
    for _ in range(times):
        with stage.client() as idle:
            assert idle.ended()


# Long enough for a request to be read in time although the machine is busy.
IDLE_S = 2
OWED = {
    "a hot route": [KINDS["later"](b"x")],
    "the app": [KINDS["held"](b"x")],
    "a hot route, with half of another behind it": [
        KINDS["later"](b"x"),
        post("/now", b"y", length=2),
    ],
    "the app, with half of another behind it": [
        KINDS["held"](b"x"),
        post("/app", b"y", length=2),
    ],
}


@pytest.mark.parametrize("by", OWED)
def test_whoever_waits_for_us_is_not_hung_up_on(monkeypatch, stage, by):
    monkeypatch.setattr("farebox.http.front.IDLE_SECONDS", IDLE_S)
    with stage.client() as client:
        client.send(b"".join(OWED[by]))
        answer = stage.next_asked()
        wait_idle(stage, 2)
        answer()
        assert said(client.read()) == b"x"
        # And then it is its turn again.
        assert client.ended()


# -- the end ---------------------------------------------------------------------------------------


def test_an_idle_connection_ends_with_the_server(own_stage):
    with own_stage.client() as new, own_stage.client() as used:
        used.send(post("/now", b"x"))
        assert used.read().body == b"now x"
        new.send(b"POST /n")
        own_stage.stop()
        assert new.ended()
        assert used.ended()


@pytest.mark.parametrize("kind", ["later", "held"])
def test_what_is_under_way_at_the_end_is_answered_first(own_stage, kind):
    with own_stage.client() as client, own_stage.client() as idle:
        idle.send(post("/now", b""))
        idle.read()
        client.send(KINDS[kind](b"x"))
        answer = own_stage.next_asked()
        own_stage.stop()
        assert idle.ended()
        answer()
        last = client.read()
        assert said(last) == b"x"
        assert last.headers["connection"] == "close"
        assert client.ended()


@pytest.mark.parametrize("behind", ["now", "app"])
def test_nothing_is_done_behind_an_answer_that_was_the_last(own_stage, behind):
    with own_stage.client() as client, own_stage.client() as idle:
        client.send(post("/now", b"a", length=2))
        idle.send(post("/now", b""))
        idle.read()
        own_stage.stop()
        assert idle.ended()
        client.send(b"b" + KINDS[behind](b"too late"))
        last = client.read()
        assert last.body == b"now ab"
        assert last.headers["connection"] == "close"
        assert client.ended()
    own_stage.close()
    assert own_stage.ran == [b"", b"ab"]
