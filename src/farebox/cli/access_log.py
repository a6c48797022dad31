"""Reading a web server's access log: the combined format of Apache and nginx, or the common one.

    203.0.113.9 - vera [21/Nov/2026:09:58:10 +0000] "GET / HTTP/1.1" 200 512 "-" "curl/8.5"

Fields that a server adds behind these are passed over.
"""

import re
from collections.abc import Iterator
from typing import BinaryIO, Final

import msgspec

LONGEST_LINE: Final = 65_536
LONGEST_SHOWN: Final = 200
_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_MONTH: Final = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"
# Each part can be matched in one way only, or is short, so that no line takes long to refuse.
_LINE: Final = re.compile(
    r"(?P<host>[!-~]{1,200}) \S{1,200} (?P<user>[^\[]{1,200}?) "
    rf"\[(?P<at>\d\d/(?:{_MONTH})/\d{{4}}:\d\d:\d\d:\d\d [+-]\d{{4}})\] "
    r'"(?P<what>(?:[^"\\]|\\.)*)" (?P<status>\d{3}) (?P<size>\d{1,18}|-)'
    rf"(?P<agent> {_QUOTED} {_QUOTED}(?: (?:{_QUOTED}|[^\s\"]+))*)?\s*"
)


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the log. `size` is in bytes, `at` as the log has it; lines count from 1."""

    number: int
    text: str
    visitor: str
    what: str
    at: str
    size: int


class Reading(msgspec.Struct):
    """How far a log was read: lines and bytes so far, and the last visit if the line is one."""

    lines: int = 0
    bytes: int = 0
    visit: Visit | None = None
    fault: str | None = None


def read_log(stream: BinaryIO) -> Iterator[Reading]:
    """Yield after each line how far the log was read, always the same object; memory stays flat.

    A last line without its end counts only if it is whole: one that is still being written would
    be another line the next time, and charged again.
    """
    reading = Reading()
    while line := stream.readline(LONGEST_LINE):
        reading.lines += 1
        reading.bytes += len(line)
        reading.visit = reading.fault = None
        ended = line.endswith(b"\n")
        if not ended and len(line) == LONGEST_LINE:
            reading.bytes += _skip(stream)
            reading.fault = f"is longer than {LONGEST_LINE} bytes"
        elif line.strip():
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            reading.visit = read_visit(reading.lines, text, ended=ended)
            if reading.visit is None:
                reading.fault = "is not of the combined format" if ended else "has no end"
        yield reading


def _skip(stream: BinaryIO) -> int:
    """Pass over the rest of a line and return its length."""
    length = 0
    while rest := stream.readline(LONGEST_LINE):
        length += len(rest)
        if rest.endswith(b"\n"):
            break
    return length


def read_visit(number: int, text: str, *, ended: bool = True) -> Visit | None:
    """Read a line, or return None if it is not one of a log, or not whole."""
    match = _LINE.fullmatch(text)
    if match is None or not (ended or match["agent"]):
        return None
    visitor = match["host"] if match["user"] in {"-", '""'} else match["user"]
    if not visitor.isprintable():
        return None
    return Visit(
        number=number,
        text=text,
        visitor=visitor,
        what=match["what"][:LONGEST_SHOWN],
        at=match["at"],
        size=0 if match["size"] == "-" else int(match["size"]),
    )
