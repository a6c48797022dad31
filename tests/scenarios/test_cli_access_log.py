"""Lines of access logs: which are visits, whose, of what size; and how a log is read to its end."""

import io

import pytest

from farebox.cli.access_log import LONGEST_LINE, read_log, read_visit

AT = "[21/Nov/2026:09:58:10 +0000]"
TAIL = '"-" "curl/8.14.1"'


@pytest.mark.parametrize(
    ("line", "visitor", "size"),
    [
        (f'203.0.113.9 - - {AT} "GET / HTTP/1.1" 200 512 {TAIL}', "203.0.113.9", 512),
        (f'203.0.113.9 - vera {AT} "GET / HTTP/1.1" 200 512 {TAIL}', "vera", 512),
        (f'203.0.113.9 - john smith {AT} "GET / HTTP/1.1" 200 1 {TAIL}', "john smith", 1),
        (f'203.0.113.9 - "" {AT} "GET / HTTP/1.1" 401 1 {TAIL}', "203.0.113.9", 1),
        (f'2001:db8::1 - - {AT} "GET / HTTP/2.0" 200 7 {TAIL}', "2001:db8::1", 7),
        (f'fe80::1%eth0 - - {AT} "GET / HTTP/2.0" 200 7 {TAIL}', "fe80::1%eth0", 7),
        (f'host.example - - {AT} "GET / HTTP/1.1" 304 - {TAIL}', "host.example", 0),
        (f'10.0.0.1 - - {AT} "GET /a\\"b\\\\ HTTP/1.1" 200 3 "-" "x \\"y\\" \\\\"', "10.0.0.1", 3),
        (f'10.0.0.1 - - {AT} "\\x16\\x03\\x01" 400 157 "-" "-"', "10.0.0.1", 157),
        (f'10.0.0.1 - - {AT} "" 400 0 "-" "-"', "10.0.0.1", 0),
        (f'10.0.0.1 - - {AT} "GET / HTTP/1.1" 200 9', "10.0.0.1", 9),
        (f'10.0.0.1 - - {AT} "GET / HTTP/1.1" 200 9 {TAIL} "10.0.0.2" 0.004', "10.0.0.1", 9),
        (f'10.0.0.1 - вера {AT} "GET / HTTP/1.1" 200 9 {TAIL}', "вера", 9),
    ],
)
def test_a_line_is_a_visit_of_the_user_or_else_of_the_address(line, visitor, size):
    visit = read_visit(1, line)
    assert visit is not None
    assert (visit.visitor, visit.size, visit.at) == (visitor, size, AT[1:-1])


@pytest.mark.parametrize(
    "line",
    [
        "not a line of a log",
        f'10.0.0.1 - - {AT} "GET / HTTP/1.1" 200',
        f'10.0.0.1 - - {AT} "GET / HTTP/1.1" 20x 9 {TAIL}',
        f'10.0.0.1 - - {AT} "GET / HTTP/1.1" 200 -9 {TAIL}',
        f'10.0.0.1 - - {AT} "GET / HTTP/1.1" 200 {"9" * 5000} {TAIL}',
        f'10.0.0.1 - - {AT} "GET / HTTP/1.1" 200 9 "-" "never closed',
        f'10.0.0.1 - - {AT} "GET /films/metro',
        f'10.0.0.1 - - "GET / HTTP/1.1" 200 9 {TAIL}',
        f'10.0.0.1 - - [21/Nov/2026] "GET / HTTP/1.1" 200 9 {TAIL}',
        f'10.0.0.1 - - [21/Foo/2026:09:58:10 +0000] "GET / HTTP/1.1" 200 9 {TAIL}',
        f'10.0.0.1 - ve\x1bra {AT} "GET / HTTP/1.1" 200 9 {TAIL}',
        f'10.0.0.1 - {"v" * 300} {AT} "GET / HTTP/1.1" 200 9 {TAIL}',
        f'{"1" * 300} - - {AT} "GET / HTTP/1.1" 200 9 {TAIL}',
    ],
)
def test_what_is_no_whole_line_of_a_log_is_no_visit(line):
    assert read_visit(1, line) is None


@pytest.mark.parametrize(
    "line",
    [
        '"' * 60_000,
        "h - " + "u " * 30_000,
        f'h - u {AT} "' + '\\"' * 30_000,
        f'h - u {AT} "" 200 1 "" ""' + ' ""' * 20_000 + '"',
        f'h - u {AT} "" 200 1 "" ""' + " x" * 30_000 + '"',
        f'h - u {AT} "" 200 1 "" ""' + " " * 60_000 + '"',
    ],
)
def test_a_line_made_to_be_slow_is_refused_at_once(line):
    # By backtracking each of these would take minutes, and the test would be stopped.
    assert read_visit(1, line) is None


def read(log: bytes):
    return [
        (reading.lines, reading.visit and reading.visit.what, reading.fault)
        for reading in read_log(io.BytesIO(log))
    ]


WHOLE = f'10.0.0.1 - - {AT} "GET / HTTP/1.1" 200 9 {TAIL}'.encode()
COMMON = f'10.0.0.1 - - {AT} "GET / HTTP/1.1" 200 9'.encode()


def test_a_last_line_without_its_end_counts_if_it_is_whole():
    assert read(WHOLE) == [(1, "GET / HTTP/1.1", None)]


def test_a_last_line_that_may_still_be_written_is_left_for_the_next_time():
    assert read(WHOLE + b"\n" + COMMON) == [
        (1, "GET / HTTP/1.1", None),
        (2, None, "has no end"),
    ]
    assert read(COMMON + b"\n") == [(1, "GET / HTTP/1.1", None)]


def test_an_endless_line_is_passed_over_without_being_held():
    endless = b"x" * (3 * LONGEST_LINE) + b"\n"
    assert read(endless + WHOLE + b"\r\n") == [
        (1, None, f"is longer than {LONGEST_LINE} bytes"),
        (2, "GET / HTTP/1.1", None),
    ]


def test_every_byte_is_counted_for_the_bar_and_empty_lines_are_no_faults():
    log = b"\n" + WHOLE + b"\n" + b"y" * (2 * LONGEST_LINE) + b"\n\xff\xfe\n"
    last = list(read_log(io.BytesIO(log)))[-1]
    assert (last.bytes, last.lines) == (len(log), 4)
    assert [fault for _, _, fault in read(log)] == [
        None,
        None,
        f"is longer than {LONGEST_LINE} bytes",
        "is not of the combined format",
    ]
