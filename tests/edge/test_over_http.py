"""Charged services in processes of their own, on a real server, visited over real HTTP."""

import socket
import time
from contextlib import closing, contextmanager

import httpx2
import pytest

from farebox.demo.films import KEY_VARIABLE, URL_VARIABLE
from tests.edge.servers import served

HOLD_SECONDS = 60


class Service:
    """A charged service on a server, with a client before it."""

    def __init__(self, server):
        self.port = server.port
        self.kill = server.kill
        self.client = httpx2.Client(base_url=server.url, timeout=20)

    def visit(self, path, credential):
        return self.client.get(path, headers={"ACCMAN": credential})


@contextmanager
def service(target, stage, interface="asgi", **settings):
    """Serve a service that charges at this stage."""
    settings |= {URL_VARIABLE: stage.url, KEY_VARIABLE: stage.key}
    with served(target, interface, **settings) as server:
        it = Service(server)
        with it.client:
            yield it


def wait_until(is_true):
    """Ask again until something is true: the only sign that another process gives."""
    deadline = time.monotonic() + 20
    while not is_true():
        assert time.monotonic() < deadline, "it did not become true"


@pytest.fixture
def cinema(served_stage):
    """The film service, whose every title card stays for an hour."""
    with service(
        "farebox.demo.films:from_environment", served_stage, FILMS_SECONDS_PER_CARD="3600"
    ) as it:
        yield it


@pytest.fixture
def slow(served_stage):
    with service(
        "tests.edge.services:from_environment", served_stage, HOLD_SECONDS=str(HOLD_SECONDS)
    ) as it:
        yield it


def test_films_are_listed_for_nothing_and_charged_by_the_visit(served_stage, cinema):
    credential = served_stage.open(2)

    listed = cinema.client.get("/films")
    details = cinema.visit("/films/nosferatu", credential)
    unknown = cinema.visit("/films/no-such-film", credential)
    again = cinema.visit("/films/nosferatu", credential)
    broke = cinema.visit("/films/nosferatu", credential)
    stranger = cinema.visit("/films/nosferatu", "stranger")
    nobody = cinema.client.get("/films/nosferatu")

    assert (len(listed.json()["films"]), "accman" in listed.headers) == (10, False)
    assert (details.json()["year"], details.headers["accman"]) == (1922, "1")
    assert (unknown.status_code, unknown.headers["accman"]) == (404, "1")
    assert (again.status_code, again.headers["accman"]) == (200, "0")
    assert (broke.status_code, broke.json()["code"]) == (402, "insufficient_balance")
    assert (broke.headers["accman"], broke.headers["content-type"]) == (
        "0",
        "application/problem+json",
    )
    assert (stranger.status_code, stranger.json()["code"]) == (401, "account_unknown")
    assert (nobody.status_code, nobody.json()["code"]) == (401, "credential_missing")
    assert served_stage.charges(credential) == [1, 1]


def test_film_plays_while_it_is_made_and_is_charged_before_the_first_card(served_stage, cinema):
    credential = served_stage.open(20)
    path, headers = "/films/the-general/play", {"ACCMAN": credential}

    with cinema.client.stream("GET", path, headers=headers) as response:
        first_card = next(response.iter_text())

        assert (response.status_code, response.headers["accman"]) == (200, "10")
        assert first_card.startswith("THE GENERAL (1926)")
        assert served_stage.charges(credential) == [10]

    assert served_stage.charges(credential) == [10]


def test_page_of_the_films_is_free_and_needs_nothing_from_elsewhere(cinema):
    page = cinema.client.get("/")

    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "http://" not in page.text
    assert "https://" not in page.text


def test_credential_in_utf_8_crosses_a_real_server(served_stage, cinema):
    credential = served_stage.open(20, f"касса {served_stage.unique}")

    answer = cinema.visit("/films/the-kid", credential.encode())

    assert (answer.status_code, answer.headers["accman"]) == (200, "19")


def test_client_who_hangs_up_is_not_charged(served_stage, slow):
    credential = served_stage.open(20)
    line = socket.create_connection(("127.0.0.1", slow.port))
    line.sendall(f"GET /farewell HTTP/1.1\r\nhost: x\r\naccman: {credential}\r\n\r\n".encode())
    wait_until(lambda: served_stage.tot(credential) == 0)

    line.close()

    wait_until(lambda: served_stage.tot(credential) == 20)
    assert served_stage.charges(credential) == []


def test_killed_service_gives_the_credit_back_when_the_hold_ends(served_stage, slow):
    credential = served_stage.open(20)
    with closing(socket.create_connection(("127.0.0.1", slow.port))) as line:
        line.sendall(f"GET /wait HTTP/1.1\r\nhost: x\r\naccman: {credential}\r\n\r\n".encode())
        wait_until(lambda: served_stage.tot(credential) == 0)

        slow.kill()
        assert served_stage.tot(credential) == 0
        served_stage.move_clock(HOLD_SECONDS)

    assert (served_stage.tot(credential), served_stage.charges(credential)) == (20, [])


def test_answer_waits_for_the_charge_on_a_real_server(served_stage, slow):
    credential = served_stage.open(20)
    slow.client.get("/go")

    answer = slow.visit("/wait", credential)

    assert (answer.text, answer.headers["accman"]) == ("done", "17")


def test_wsgi_service_is_charged_for_its_size_on_a_real_server(served_stage):
    credential = served_stage.open(15)
    headers = {"ACCMAN": credential}

    with service("tests.edge.services:wsgi_from_environment", served_stage, "wsgi") as echo:
        said = echo.client.post("/", content=b"0123456789", headers=headers)
        too_long = echo.client.post("/", content=b"0123456789", headers=headers)
        rest = echo.client.post("/", content=b"01234", headers=headers)

    assert (said.content, said.headers["accman"]) == (b"0123456789", "5")
    assert (too_long.status_code, too_long.headers["accman"]) == (402, "5")
    assert (rest.status_code, rest.headers["accman"]) == (200, "0")
    assert served_stage.charges(credential) == [10, 5]
