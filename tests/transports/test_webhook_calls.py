"""One call of a webhook: where it may go, how long it may take, what it takes for an answer."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import httpcore2
import pytest

from farebox.events.transports.webhooks import LARGEST_ANSWER, Caller, _BoundedStream
from farebox.events.webhooks.model import Parcel
from tests.support.certificates import server_and_client
from tests.support.receiver import Receiver


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def raw() -> Iterator[Callable[..., int]]:
    """Return a function that lets a bare socket answer one call, and returns its port."""
    listeners, threads = [], []
    over = threading.Event()

    def serve(answer: Callable[[socket.socket, threading.Event], None]) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def run() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65_536)
                try:
                    answer(connection, over)
                except OSError:
                    return

        threads.append(threading.Thread(target=run, daemon=True))
        threads[-1].start()
        return int(listener.getsockname()[1])

    yield serve
    over.set()
    for listener in listeners:
        listener.close()
    for thread in threads:
        thread.join(10)


def parcel(url: str) -> Parcel:
    return Parcel(
        delivery="whd_1",
        endpoint="whk_1",
        event="evt_1",
        url=url,
        body=b'{"a":1}',
        secrets=(b"\7" * 32,),
        tries=0,
        number=1,
        claim=1,
    )


# -- where a call may go -------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0"])
def test_a_private_address_is_not_called_however_it_is_written(receiver, host):
    answer = Caller().call(parcel(f"http://{host}:{receiver.port}/"))
    assert (answer.status, answer.error) == (None, "address_not_public")
    assert receiver.got == []


@pytest.mark.parametrize(
    "addresses",
    [
        ["169.254.169.254"],
        ["93.184.215.14", "127.0.0.1"],
        ["::ffff:127.0.0.1"],
        ["fd00:ec2::254"],
        ["no address"],
    ],
)
def test_a_name_that_leads_to_a_private_address_is_not_called(receiver, addresses):
    caller = Caller(resolve=lambda host, port: addresses)
    answer = caller.call(parcel(f"http://hooks.example.org:{receiver.port}/"))
    assert answer.error == "address_not_public"
    assert receiver.got == []


def test_a_name_that_answers_otherwise_the_second_time_gains_nothing(monkeypatch):
    """DNS rebinding: the connection goes to the address that was looked at."""
    answers = iter([["93.184.215.14"], ["127.0.0.1"], ["127.0.0.1"]])
    asked, connected = [], []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return next(answers)

    def connect(self, host, *_: object) -> None:
        connected.append(host)
        raise httpcore2.ConnectError

    monkeypatch.setattr(httpcore2.SyncBackend, "connect_tcp", connect)
    answer = Caller(resolve=resolve).call(parcel("https://rebinding.example.org/"))
    assert answer.error == "not_connected"
    assert asked == ["rebinding.example.org"]
    assert connected == ["93.184.215.14"]


def test_the_next_address_of_a_name_is_tried_when_one_does_not_answer(receiver):
    with socket.create_server(("127.0.0.2", 0)) as closed:
        nobody = closed.getsockname()[0]
    caller = Caller(private=True, resolve=lambda host, port: [nobody, "127.0.0.1"])
    assert caller.call(parcel(f"http://hooks.test:{receiver.port}/")).status == 204
    assert receiver.got[0].headers["host"] == f"hooks.test:{receiver.port}"


def test_a_redirect_is_not_followed(receiver):
    receiver.answer = receiver.say(307, location=f"http://127.0.0.1:{receiver.port}/other")
    answer = Caller(private=True).call(parcel(receiver.url))
    assert (answer.status, answer.error) == (307, None)
    assert [got.path for got in receiver.got] == ["/hook"]


def test_a_proxy_of_the_environment_is_not_asked(receiver, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert Caller(private=True).call(parcel(receiver.url)).status == 204


def test_the_certificate_is_held_against_the_name_and_not_the_address(receiver, tmp_path):
    server, client = server_and_client(tmp_path, "hooks.test")
    receiver.serve_tls(server)
    caller = Caller(private=True, resolve=lambda host, port: ["127.0.0.1"], tls=client)
    assert caller.call(parcel(f"https://hooks.test:{receiver.port}/")).status == 204
    answer = caller.call(parcel(f"https://other.test:{receiver.port}/"))
    assert (answer.status, answer.error) == (None, "tls_failed")
    untrusting = Caller(private=True, resolve=lambda host, port: ["127.0.0.1"])
    assert untrusting.call(parcel(f"https://hooks.test:{receiver.port}/")).error == "tls_failed"
    assert len(receiver.got) == 1


# -- what can go wrong ---------------------------------------------------------------------------


def test_a_name_that_leads_nowhere_is_an_error_of_its_own():
    def resolve(host: str, port: int) -> list[str]:
        raise socket.gaierror

    assert Caller(resolve=resolve).call(parcel("https://a.test/")).error == "name_unknown"
    assert Caller(resolve=lambda host, port: []).call(parcel("https://a.test/")).error == (
        "name_unknown"
    )


def test_nobody_who_listens_is_an_error_of_its_own(receiver):
    receiver.close()
    assert Caller(private=True).call(parcel(receiver.url)).error == "not_connected"


@pytest.mark.parametrize("said", [b"", b"hello\r\n\r\n", b"HTTP/1.1 99999 x\r\n\r\n"])
def test_what_is_no_answer_is_an_error_of_its_own(raw, said):
    port = raw(lambda connection, _: connection.sendall(said))
    answer = Caller(private=True).call(parcel(f"http://127.0.0.1:{port}/"))
    assert (answer.status, answer.error) == (None, "answer_malformed")


@pytest.mark.parametrize("beginning", [b"", b"HTTP/1.1 200 OK\r\nx: "])
def test_a_byte_now_and_then_holds_nobody_beyond_the_deadline(raw, beginning):
    def drip(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(beginning)
        while not over.wait(0.02):
            if beginning:
                connection.sendall(b"x")

    port = raw(drip)
    began = time.monotonic()
    answer = Caller(private=True, deadline_s=0.4).call(parcel(f"http://127.0.0.1:{port}/"))
    assert answer.error == "timed_out"
    assert time.monotonic() - began < 5
    assert 300 <= answer.duration_ms < 5_000


def test_a_deadline_that_passes_before_tls_begins_hangs_up(monkeypatch):
    """What is not closed stays with the receiver until our garbage collector comes by."""
    now = [0.0]
    read = partial(now.__getitem__, 0)
    connect = httpcore2.SyncBackend.connect_tcp

    def connect_late(*args: Any) -> httpcore2.NetworkStream:
        stream = connect(*args)
        now[0] += 21
        return stream

    monkeypatch.setattr(httpcore2.SyncBackend, "connect_tcp", connect_late)
    monkeypatch.setattr(
        "farebox.events.transports.webhooks.time", SimpleNamespace(monotonic=read, time=read)
    )
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        answer = Caller(private=True).call(parcel(f"https://127.0.0.1:{port}/"))
        line, _ = mute.accept()
        with line:
            line.settimeout(10)
            assert line.recv(1) == b""
    assert (answer.error, answer.duration_ms) == ("timed_out", 21_000)


def test_a_body_without_end_is_left_alone(raw):
    sent = []

    def pour(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
        while not over.is_set():
            sent.append(connection.send(b"x" * 65_536))

    port = raw(pour)
    answer = Caller(private=True).call(parcel(f"http://127.0.0.1:{port}/"))
    assert answer.status == 200
    # What the two sockets held when the reader hung up is in it.
    assert sum(sent) < 16 * 1024 * 1024 + LARGEST_ANSWER


def test_a_status_counts_though_its_body_never_ends(raw, monkeypatch):
    now = [0.0]
    clock = partial(now.__getitem__, 0)
    read = _BoundedStream.read

    def read_long(*args: Any, **named: Any) -> bytes:
        got = read(*args, **named)
        # The head is short enough to come in one piece, however slowly it is sent.
        now[0] += 21
        return got

    def stall(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab")
        over.wait(30)

    monkeypatch.setattr(_BoundedStream, "read", read_long)
    monkeypatch.setattr(
        "farebox.events.transports.webhooks.time", SimpleNamespace(monotonic=clock, time=clock)
    )
    port = raw(stall)
    answer = Caller(private=True).call(parcel(f"http://127.0.0.1:{port}/"))
    assert (answer.status, answer.error, answer.duration_ms) == (200, None, 21_000)
