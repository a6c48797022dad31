"""Starting: the help, what stops a start with one line, and `farebox serve` until it is stopped."""

import os
import re
import signal
import socket
from contextlib import closing
from importlib.metadata import version
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.support.commands import Farebox, answers, line_of, stop, until

ADMIN_KEY = "the-first-admin-of-the-tests-0123456789"


def test_help_names_every_command_and_fits_a_screen(farebox):
    printed = farebox.done("--help")

    for command in ("serve", "demo", "migrate", "verify", "forget", "replay", "keys", "clock"):
        assert re.search(rf"^│ {command} ", printed, re.MULTILINE), command
    assert len(printed.splitlines()) < 24
    assert farebox.done("--version") == f"{version('farebox')}\n"


@pytest.mark.parametrize(
    "command",
    [
        ("serve",),
        ("demo",),
        ("migrate",),
        ("verify",),
        ("replay",),
        ("forget",),
        ("clock", "confirm"),
        *(
            ("keys", name)
            for name in ("list", "create", "revoke", "rotate-signing", "rotate-pepper")
        ),
    ],
)
def test_each_command_has_help_in_whole_sentences(farebox, command):
    usage, _, promise, *_ = farebox.done(*command, "--help", COLUMNS="80").splitlines()

    assert usage.startswith(f"Usage: farebox {' '.join(command)}")
    assert re.fullmatch(r"[A-Z][^.]*\.( [A-Z].*\.)?", promise.strip())


WRONG_SETTINGS = {
    ("FAREBOX_POTR", "8080"): "settings: there is no setting potr (FAREBOX_POTR)",
    (
        "FAREBOX_PORT",
        "http",
    ): "settings: port (FAREBOX_PORT) must be a whole number from 0 to 65535",
    ("FAREBOX_ADMIN_KEY", "short"): (
        "settings: admin_key (FAREBOX_ADMIN_KEY) must be 32 to 512 printable ASCII characters"
    ),
    ("FAREBOX_CONFIG", "none.toml"): (
        "settings: none.toml cannot be read: No such file or directory"
    ),
    ("FAREBOX_ACCESS_DATABASE_URL", "mysql://db/farebox"): (
        "the access database must be sqlite:/// or postgresql://"
    ),
    ("FAREBOX_ACCESS_DATABASE_URL", "farebox"): "the access database URL is not a URL",
    ("FAREBOX_ACCESS_DATABASE_URL", "sqlite://"): (
        "the access database needs a file: sqlite:///folder/access.db"
    ),
    ("FAREBOX_ACCESS_DATABASE_URL", "postgresql://me:secret@127.0.0.1:1/x"): (
        "the access database cannot be used: connection failed: "
    ),
    ("FAREBOX_DATA", "a-file"): "the access database cannot be opened: ",
    ("FAREBOX_DATA", "spoilt"): "the access database cannot be used: file is not a database",
    ("FAREBOX_HOST", "no.such.host.invalid"): "cannot listen on port ",
    ("FAREBOX_HOST", "192.0.2.1"): "cannot listen on port ",
}


@pytest.mark.parametrize(("name", "text"), WRONG_SETTINGS)
def test_a_wrong_setting_stops_the_start_with_one_line(farebox, tmp_path, name, text):
    (tmp_path / "a-file").write_text("not a folder")
    (tmp_path / "spoilt").mkdir()
    (tmp_path / "spoilt" / "access.db").write_bytes(os.urandom(20_000))

    settings = {"FAREBOX_PORT": "0"} | {name: text}
    why = farebox.refused("serve", **settings)

    assert why.startswith(WRONG_SETTINGS[name, text])
    assert "secret" not in why
    assert not (tmp_path / "farebox-data" / "access.db").exists()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("serve", "--port", "x"), 'Invalid value for --port: unable to convert "x" into int.'),
        (("serve", "--port", "70000"), "settings: port (FAREBOX_PORT) must be a whole number from"),
        (("serve", "--workers", "0"), "settings: workers (FAREBOX_WORKERS) must be a whole number"),
        (("serve", "--verbose"), "Unknown option: --verbose."),
        (("sevre",), 'Unknown command "sevre". '),
        (("keys", "steal"), 'Unknown command "steal". '),
        (("verify", "--config", "none.toml"), "settings: none.toml cannot be read: No such file"),
    ],
)
def test_a_wrong_word_is_one_line(farebox, arguments, why):
    assert farebox.refused(*arguments).startswith(why)


def test_a_port_that_is_taken_stops_the_start_before_a_key_is_made(farebox, tmp_path):
    with closing(socket.socket()) as other:
        # Whoever shares a port lets anybody else take a part of their requests.
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        why = farebox.refused("serve", "--port", str(port))

    assert why == f"cannot listen on port {port} of 127.0.0.1: something else listens there"
    assert not (tmp_path / "farebox-data").exists()


def operators(url: str, key: str) -> int:
    """Return the status of a request that only an admin may make."""
    headers = {"Authorization": f"Bearer {key}"}
    return httpx2.get(
        f"{url}/v1/operators", headers=headers, trust_env=False, verify=False, timeout=20
    ).status_code


def test_serve_prints_the_first_admins_key_once_and_stops_when_it_is_told(farebox_on_engine):
    with farebox_on_engine.executed("serve", "--port", "0") as process:
        key = line_of(process, r"^first admin key \(shown once\): (\S+)$")[1]
        url = line_of(process, r"^Farebox listens on (http://127\.0\.0\.1:\d+)$")[1]
        until(lambda: answers(f"{url}/readyz"), process)
        status = operators(url, key)
        code, said = stop(process, signal.SIGTERM)

    assert (status, code, said) == (200, 0, "")
    assert not answers(f"{url}/healthz")

    with farebox_on_engine.executed("serve", "--port", str(urlsplit(url).port)) as process:
        # What comes first on a later start is no key.
        assert line_of(process, r".*")[0] == f"Farebox listens on {url}"
        until(lambda: answers(f"{url}/readyz"), process)
        status = operators(url, key)
        code, said = stop(process, signal.SIGINT)

    assert (status, code, said) == (200, 0, "")


def test_a_configured_admin_key_works_and_is_not_printed(command_nursery, tmp_path):
    farebox = Farebox(command_nursery, tmp_path, FAREBOX_ADMIN_KEY=ADMIN_KEY, FAREBOX_PORT="0")
    with farebox.started("serve") as process:
        line = line_of(process, r".*")[0]
        url = line.rpartition(" ")[2]
        until(lambda: answers(f"{url}/readyz"), process)
        statuses = [operators(url, key) for key in (ADMIN_KEY, ADMIN_KEY[:-1] + "x")]
        stop(process, signal.SIGTERM)

    assert line.startswith("Farebox listens on http://")
    assert statuses == [200, 401]
    assert (tmp_path / "farebox-data" / "access.db").exists()


PEPPERS = ("the-pepper-of-the-tests-0123456789", "another-pepper-of-the-tests-012345")


def test_a_pepper_from_the_environment_is_needed_from_then_on(command_nursery, tmp_path):
    settings = {"FAREBOX_ADMIN_KEY": ADMIN_KEY, "FAREBOX_PORT": "0", "FAREBOX_PEPPER": PEPPERS[0]}
    farebox = Farebox(command_nursery, tmp_path, **settings)
    with farebox.started("serve") as process:
        url = line_of(process, r".*")[0].rpartition(" ")[2]
        until(lambda: answers(f"{url}/readyz"), process)
        key = farebox.done("keys", "create", "Second", "--role", "admin").strip()
        statuses = [operators(url, each) for each in (ADMIN_KEY, key)]
        stop(process, signal.SIGTERM)
    assert statuses == [200, 200]

    without = Farebox(command_nursery, tmp_path, FAREBOX_PORT="0")
    assert without.refused("serve").startswith("this data needs its pepper: set FAREBOX_PEPPER")
    why = farebox.refused("serve", FAREBOX_PEPPER=PEPPERS[1])
    assert why.startswith("FAREBOX_PEPPER is not the pepper of this data")
    assert farebox.refused("serve", FAREBOX_PEPPER="short") == (
        "settings: pepper (FAREBOX_PEPPER) must be 32 to 512 printable ASCII characters"
    )

    rotated = {"FAREBOX_PEPPER": PEPPERS[1], "FAREBOX_PEPPER_OLD": PEPPERS[0]}
    farebox = Farebox(command_nursery, tmp_path, **settings | rotated)
    with farebox.started("serve") as process:
        url = line_of(process, r".*")[0].rpartition(" ")[2]
        until(lambda: answers(f"{url}/readyz"), process)
        status = operators(url, key)
        stop(process, signal.SIGTERM)
    assert status == 200


def test_forget_removes_what_was_kept_long_enough_and_says_how_much(farebox_on_engine):
    farebox_on_engine.done("keys", "create", "Vera", "--role", "viewer")
    expected = "0 denials\n0 answers\n"
    assert farebox_on_engine.done("forget") == expected
    assert farebox_on_engine.done("forget", FAREBOX_KEEP_AUDIT_DAYS="1") == (
        f"{expected}0 entries of the audit log\n"
    )
    assert farebox_on_engine.refused("forget", FAREBOX_KEEP_AUDIT_DAYS="0") == (
        "settings: keep_audit_days (FAREBOX_KEEP_AUDIT_DAYS) "
        "must be a whole number of days from 1 to 36500"
    )
