"""`farebox replay`: a real log, charged line by line, each line once whatever happens."""

import re
import signal
import subprocess
import threading
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path

import pytest

from farebox.access.buckets import service as buckets
from farebox.access.consumers import service as consumers
from farebox.storage import Database
from tests.support.commands import Farebox, until

LOG = Path(__file__).parent / "data" / "access.log"
# Counted by awk over the file.
VISITS = {
    "203.0.113.17": 53,
    "2001:db8:4f::91c2": 36,
    "vera": 24,
    "boris": 21,
    "192.0.2.8": 17,
    "66.249.66.1": 15,
    "198.51.100.77": 14,
    "anna": 11,
    "192.0.2.44": 2,
    "198.51.100.23": 1,
    "john smith": 1,
}
BYTES_OF_VERA = 375_590


@pytest.fixture
def farebox(farebox_on_engine):
    return farebox_on_engine


def rows(printed: str) -> dict[str, tuple[str, ...]]:
    """Return the table: the numbers of each visitor."""
    found = {}
    for line in printed.splitlines():
        if match := re.fullmatch(r"(\S+(?: \S+)*?)\s{2,}([\d,]+(?:\s+[\d,]+)*)\s*", line):
            found[match[1]] = tuple(number.replace(",", "") for number in match[2].split())
    return found


def summary(printed: str) -> dict[str, int]:
    """Return the last lines: each number by what it counts."""
    return {
        match[2]: int(match[1].replace(",", ""))
        for match in re.finditer(r"^ *([\d,]+) ([a-z].*)$", printed, re.MULTILINE)
    }


def used_by(database: Database, product: str) -> dict[str, int]:
    """Return what the ledger says that each visitor used."""
    with database.read() as tx:
        views = buckets.list_buckets(tx, product=product, limit=1000).items
        return {
            consumers.read_consumer(tx, view.bucket.holder).name: view.balance.used
            for view in views
        }


def many_lines(count: int) -> bytes:
    return b"".join(
        b'10.0.0.%d - - [21/Nov/2026:10:00:00 +0000] "GET /%d HTTP/1.1" 200 1 "-" "-"\n'
        % (number % 50, number)
        for number in range(count)
    )


def write_until_killed(pipe: TextIOWrapper, log: bytes) -> None:
    with suppress(BrokenPipeError):
        pipe.buffer.write(log)
        pipe.flush()


def test_each_visitor_is_charged_for_each_visit_and_the_journal_proves_it(
    farebox, database_url, open_database_at
):
    printed = farebox.done("replay", str(LOG))

    assert {name: int(row[0]) for name, row in rows(printed).items()} == VISITS
    assert summary(printed) == {
        "lines": 200,
        "visitors": 11,
        "requests charged now": 195,
        "requests charged before": 0,
        "visits refused": 0,
        "visits free": 0,
        "lines not read": 4,
    }
    assert re.findall(r"line (\d+) is not", printed) == ["76", "77", "121", "122"]
    assert used_by(open_database_at(database_url), "web") == VISITS
    assert farebox.done("verify") == "11 buckets, 195 entries, 0 faults\n"


def test_a_log_replayed_again_from_a_pipe_and_grown_since_charges_what_is_new(farebox):
    farebox.done("replay", str(LOG))
    vera = b'1.2.3.4 - vera [21/Nov/2026:11:00:00 +0000] "GET / HTTP/1.1" 200 9 "-" "-"\n'

    again = farebox.done("replay", "--top", "1", "-", stdin=LOG.read_bytes() + vera)

    assert summary(again)["requests charged now"] == 1
    assert summary(again)["requests charged before"] == 195
    assert "and 10 more" in again
    assert "203.0.113.17" in again
    assert "boris" not in again


def test_bytes_are_charged_until_the_allowance_is_used_up(farebox, database_url, open_database_at):
    told = ("--product", "traffic", "--count", "bytes", "--allowance", str(BYTES_OF_VERA))

    printed = farebox.done("replay", str(LOG), *told)

    table = rows(printed)
    assert table["vera"] == ("24", str(BYTES_OF_VERA), "0", "0")
    for _, used, refused, left in table.values():
        assert int(used) + int(left) == BYTES_OF_VERA
        assert int(used) < BYTES_OF_VERA or refused == "0"
    assert int(table["203.0.113.17"][2]) > 0
    assert summary(printed)["visits refused"] == sum(int(row[2]) for row in table.values())
    # Not modified, and empty answers: nothing was sent.
    assert summary(printed)["visits free"] == 49
    assert used_by(open_database_at(database_url), "traffic")["vera"] == BYTES_OF_VERA
    assert summary(farebox.done("replay", str(LOG), *told))["bytes charged now"] == 0


def test_a_visitor_without_an_allowance_is_refused_from_the_first_line(farebox):
    printed = farebox.done("replay", str(LOG), "--allowance", "0", "--top", "0")

    assert summary(printed)["visits refused"] == 195
    assert summary(printed)["requests charged now"] == 0


def test_a_replay_that_was_killed_is_finished_by_the_next_one(
    farebox, database_url, open_database_at, tmp_path
):
    log = tmp_path / "access.log"
    log.write_bytes(many_lines(3000))
    database = open_database_at(database_url)

    with farebox.executed("replay", "-", stdin=subprocess.PIPE) as process:
        # The end is kept open, so that the command cannot finish before it is killed.
        feed = threading.Thread(target=write_until_killed, args=(process.stdin, many_lines(3000)))
        feed.start()
        until(lambda: sum(used_by(database, "web").values()) > 0, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
        feed.join()
    charged = sum(used_by(database, "web").values())
    printed = farebox.done("replay", str(log))

    assert 0 < charged <= 3000
    assert summary(printed)["requests charged before"] == charged
    assert summary(printed)["requests charged now"] == 3000 - charged
    assert set(used_by(database, "web").values()) == {60}
    assert farebox.done("verify") == "50 buckets, 3000 entries, 0 faults\n"


def test_ctrl_c_says_that_the_same_command_goes_on(farebox, database_url, open_database_at):
    database = open_database_at(database_url)

    with farebox.executed("replay", "-", stdin=subprocess.PIPE) as process:
        process.stdin.write(many_lines(1000).decode())
        process.stdin.flush()
        until(lambda: sum(used_by(database, "web").values()) == 1000, process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()

    assert process.returncode == 130
    assert err.splitlines()[-1] == "stopped; the same command goes on where it was"
    assert "Traceback" not in err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("/no/such/file",), "/no/such/file cannot be read: No such file or directory"),
        ((".",), ". cannot be read: Is a directory"),
        (("-", "--count", "bytes"), "the product web is counted in request, not in byte; name"),
        (("-", "--product", "a b"), "a code is 1 to 128 letters, digits and . _ : - in"),
        (("-", "--allowance", "-1"), 'Invalid value "-1" for --allowance. Must be >= 0.'),
        (("-", "--allowance", str(2**53)), "an amount is a whole number from 0 to"),
        (("-", "--count", "clicks"), 'Invalid value "clicks" for --count.'),
        ((), 'Command "replay" parameter FILE requires an argument.'),
    ],
)
def test_what_cannot_be_replayed_is_one_line(arguments, why, command_nursery, tmp_path):
    farebox = Farebox(command_nursery, tmp_path)
    farebox.done("replay", "-")
    assert farebox.refused("replay", *arguments).startswith(why)
