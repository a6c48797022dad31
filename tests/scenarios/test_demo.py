"""`farebox demo`: started for real; what it prints is done as printed; it leaves nothing behind."""

import re
import signal
import socket
import stat
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta

import httpx2
import psutil  # type: ignore[import-untyped]
import pytest

from farebox.wiring.services import prepare
from farebox.wiring.settings import Settings
from tests.support.commands import Farebox, Process, send_curl, stop, until
from tests.support.ports import free_port

ADMIN_KEY = "the-admin-of-the-demo-0123456789-abcdef"
ALL_KEYS = re.compile(r"fb_live_\w+")


class Demo:
    """A running demo, and what it printed."""

    def __init__(self, process: Process) -> None:
        assert process.stdout is not None
        self.process = process
        self.text = ""
        for line in process.stdout:
            self.text += line
            if line.startswith("Ctrl-C"):
                break
        else:
            assert process.stderr is not None
            raise AssertionError(self.text + process.stderr.read())
        self.lines: dict[str, str] = dict(
            re.findall(r"^  # (.*)\n  (.*)$", self.text, re.MULTILINE)
        )
        self.client = httpx2.Client(timeout=20, trust_env=False, verify=False)
        self.family = psutil.Process(process.pid).children(recursive=True)

    def told(self, what: str) -> str:
        """Return what stands beside a word at the top."""
        found = re.search(rf"^  {what} {{2,}}(\S+)", self.text, re.MULTILINE)
        assert found is not None, self.text
        return found[1]

    def line(self, beginning: str) -> str:
        """Return the line to copy below what begins so."""
        (found,) = (line for what, line in self.lines.items() if what.startswith(beginning))
        return found

    def send(self, line: str) -> httpx2.Response:
        """Do what a line says."""
        return send_curl(self.client, line)

    def left(self) -> int:
        """Return what the family has left, as it is printed at the start."""
        found = re.search(r"share 20 films \((\d+) left\)", self.text)
        assert found is not None, self.text
        return int(found[1])

    def as_admin(self, path: str) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.told('admin key')}"}
        url = self.told("API, to try out").removesuffix("/docs")
        return self.client.get(url + path, headers=headers)

    def is_gone(self) -> bool:
        """Tell whether nothing of it is left."""
        _, alive = psutil.wait_procs(self.family, timeout=20)
        return not alive


@contextmanager
def running(farebox: Farebox, *arguments: str) -> Iterator[Demo]:
    with farebox.executed("demo", *arguments) as process:
        demo = Demo(process)
        with demo.client:
            try:
                yield demo
            finally:
                process.kill()
                for each in demo.family:
                    if each.is_running():
                        each.kill()


@pytest.fixture
def farebox(command_nursery, tmp_path) -> Farebox:
    return Farebox(command_nursery, tmp_path, FAREBOX_PORT="0")


def everybody(demo: Demo) -> list[dict[str, object]]:
    """Do what the loop says: each turn, each member."""
    loop = re.fullmatch(
        r"for turn in ([\d ]+); do for key in (.*?); do (curl .*); done; done",
        demo.line("all three of them watch"),
    )
    assert loop is not None
    turns, keys, line = loop.groups()
    assert len(keys.split()) == 3
    return [
        demo.send(line.replace("$key", key)).json() for _ in turns.split() for key in keys.split()
    ]


def test_twenty_films_are_shared_the_next_is_denied_and_a_top_up_lets_them_on(farebox, tmp_path):
    with running(farebox, "--quiet") as demo:
        first = demo.send(demo.line("Anna watches a film")).json()
        said = everybody(demo)
        top_up = demo.send(demo.line("a top-up")).json()
        after = demo.send(demo.line("Vera watches again")).json()
        history = demo.send(demo.line("what happened on the bucket")).json()["items"]
        docs = demo.client.get(demo.told("API, to try out"))
        code, err = stop(demo.process, signal.SIGTERM)

        assert (code, err, demo.is_gone()) == (0, "", True)

    assert demo.left() == 20
    assert (first["allowed"], first["remaining"]) == (True, 19)
    assert [answer["allowed"] for answer in said] == [True] * 19 + [False] * 2
    assert len({answer["consumer"] for answer in said}) == 3
    assert (said[19]["code"], said[19]["remaining"]) == ("bucket_empty", 0)
    assert top_up["available"] == 5
    assert (after["allowed"], after["remaining"]) == (True, 4)
    assert [(entry["kind"], entry["by"]) for entry in history[:3]] == [
        ("use", -1),
        ("grant", 5),
        ("use", -1),
    ]
    assert docs.status_code == 200
    assert stat.S_IMODE((tmp_path / "demo-data" / "admin.key").stat().st_mode) == 0o600

    with running(farebox, "--quiet") as later:
        pass

    assert later.left() == 4
    # Every key is the one that was printed before.
    assert ALL_KEYS.findall(later.text) == ALL_KEYS.findall(demo.text)


def test_premieres_are_found_priced_and_paid_from_a_balance(farebox):
    with running(farebox, "--quiet") as demo:
        found = demo.send(demo.line("premieres about")).json()["items"]
        cost = demo.send(demo.line("what a day")).json()
        balance = demo.send(demo.line("Anna's balance")).json()
        before = demo.as_admin("/v1/test-clock").json()["now"]
        later = demo.send(demo.line("let an hour pass")).json()["now"]

    assert [(each["id"], each["online_from"]) for each in found] == [("P1", 24_000), ("P3", 40_000)]
    assert (cost["list_price"], cost["discount"], cost["price"]) == (45_000, 9_000, 36_000)
    assert balance["summ"] == 100_000
    hour = datetime.fromisoformat(later) - datetime.fromisoformat(before)
    assert hour >= timedelta(hours=1)


def test_whom_the_demo_names_may_sign_in_at_the_pages(farebox):
    with running(farebox, "--quiet") as demo:
        doors = re.findall(
            r"(\S+/(?:store|portal)/)  \(sign in as (.+) or (\S+), password (\S+)\)", demo.text
        )
        seen = []
        for address, others, last, password in doors:
            for email in (*others.split(", "), last):
                with httpx2.Client(trust_env=False, verify=False, timeout=20) as browser:
                    sign_in = str(httpx2.URL(address).join("/store/sign-in"))
                    token = re.search(
                        r'name="_csrf_token" value="([^"]+)"', browser.get(sign_in).text
                    )
                    assert token is not None
                    fields = {"_csrf_token": token[1], "email": email, "password": password}
                    seen.append(browser.post(sign_in, data=fields).status_code)
                    assert browser.get(address).status_code == 200
                    assert "farebox_session" in browser.cookies

    assert len(doors) == 2
    assert seen == [303] * 6


def test_each_request_to_the_film_service_is_paid_from_the_account(farebox):
    with running(farebox, "--quiet") as demo:
        balance = demo.send(demo.line("the balance")).json()
        taken = demo.send(demo.line("take 5 from it")).json()
        details = demo.send(demo.line("read about a film"))
        playing = httpx2.URL(demo.told("film service")).join("/films/the-general/play")
        with demo.client.stream("GET", playing, headers={"ACCMAN": "demo-credit"}) as film:
            played = (film.status_code, film.headers["accman"])
        assert str(playing) in demo.line("watch one for 10")
        past = demo.send(demo.line("its past")).json()["past"]
        stranger = demo.send(demo.line("a stranger"))
        page = demo.client.get(demo.told("film service"))
        code, err = stop(demo.process, signal.SIGINT)

        assert (code, err, demo.is_gone()) == (0, "", True)

    assert (balance["tot"], taken["tot"], taken["by"]) == (500, 495, -5)
    assert (details.status_code, details.headers["accman"]) == (200, "494")
    assert details.json()["title"] == "Nosferatu"
    assert played == (200, "484")
    assert past[0]["tot"] == 484
    assert past[-1]["by"] == -5
    assert (stranger.status_code, stranger.json()["code"]) == (401, "account_unknown")
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")


def test_visitors_come_by_themselves_and_settings_are_honoured(command_nursery, tmp_path):
    folder = tmp_path / "elsewhere"
    port = free_port()
    farebox = Farebox(
        command_nursery,
        tmp_path,
        FAREBOX_ADMIN_KEY=ADMIN_KEY,
        FAREBOX_DATA=str(folder),
        FAREBOX_PORT=str(port),
    )
    with running(farebox) as demo:
        plans = demo.as_admin("/v1/service-plans").json()["items"]
        (hotel,) = (plan["bucket"] for plan in plans if plan["bucket_limit"] > 20)
        until(lambda: demo.as_admin(f"/v1/buckets/{hotel}").json()["used"] > 0, demo.process)
        history = demo.as_admin(f"/v1/buckets/{hotel}/history").json()["items"]
        metrics = demo.client.get(demo.told("figures")).text
        code, err = stop(demo.process, signal.SIGHUP)

        assert (code, err, demo.is_gone()) == (0, "", True)

    assert demo.told("admin key") == ADMIN_KEY
    assert demo.told("figures") == f"http://127.0.0.1:{port}/metrics"
    assert demo.left() == 20
    assert {"film"} in [set(entry["metadata"] or ()) for entry in history]
    assert "farebox_http_requests_total{" in metrics
    assert (folder / "access.db").exists()
    assert not (folder / "admin.key").exists()


def test_demo_ends_when_a_service_of_it_does_and_makes_a_key_where_none_is_known(farebox, tmp_path):
    first: list[str] = []
    prepare(Settings(data=str(tmp_path / "demo-data")), first.append)

    with running(farebox, "--quiet") as demo:
        admin = demo.as_admin("/v1/operators").status_code
        (films,) = (
            each
            for each in demo.family
            if each.parent().pid == demo.process.pid
            and "farebox.demo.films:from_environment" in each.cmdline()
        )
        films.kill()
        _, err = demo.process.communicate(timeout=60)

        assert demo.is_gone()

    assert demo.text.startswith("The admin's key is not known here any more;")
    assert (admin, demo.told("admin key") in first) == (200, False)
    assert (demo.process.returncode, err) == (2, "farebox: the film service has ended by itself\n")


def test_a_taken_port_is_one_line_and_the_film_service_finds_another(farebox, tmp_path):
    with closing(socket.socket()) as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        why = f"cannot listen on port {port} of 127.0.0.1: something else listens there"

        assert farebox.refused("demo", FAREBOX_PORT=port) == why
        assert farebox.refused("demo", "--port", port) == why
        assert farebox.refused("demo", "--films-port", port) == why
    assert not (tmp_path / "demo-data").exists()
