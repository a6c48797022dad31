"""What the middleware and the service's own functions see of a request and its response."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Final

import msgspec

from farebox.contracts.problems import PROBLEM_MEDIA_TYPE, Problem

BALANCE_HEADER: Final = "ACCMAN"
KEPT_REQUEST_BYTES: Final = 64 * 1024
CHUNK_BYTES: Final = 64 * 1024


class Headers(Mapping[str, str]):
    """Header fields under their names in any case.

    A field that comes more than once is joined by commas (RFC 9110, 5.3); `every` keeps them apart.
    """

    __slots__ = ("_values",)

    def __init__(self, fields: Iterable[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in fields:
            self._values.setdefault(name.lower(), []).append(value)

    def __getitem__(self, name: str) -> str:
        return ", ".join(self._values[name.lower()])

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def every(self, name: str) -> list[str]:
        """Return the values of a field, one for each time that it came."""
        return list(self._values.get(name.lower(), ()))


def text_of(raw: bytes) -> str:
    """Return a header value or a path as text.

    Clients send UTF-8, old ones Latin-1; bytes that are not UTF-8 are read as Latin-1, so that
    every byte string has exactly one reading and none is refused.
    """
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


class Request:
    """A request as the service's `cost`, `maximum_cost` and `free` see it.

    `path` is decoded, `query` is raw. `body_size` counts the bytes of the body received so far and
    `body_start` holds the first 64 KiB of them: nothing before the service runs, and everything
    that the service has read by the time the cost is worked out.
    """

    __slots__ = ("_body_start", "body_size", "headers", "method", "path", "query")

    def __init__(self, *, method: str, path: str, query: str, headers: Headers) -> None:
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body_size = 0
        self._body_start = bytearray()

    @property
    def body_start(self) -> bytes:
        """The first 64 KiB of what was received."""
        return bytes(self._body_start)

    def received(self, chunk: bytes) -> None:
        """Count one more piece of the body."""
        self.body_size += len(chunk)
        self._body_start += chunk[: KEPT_REQUEST_BYTES - len(self._body_start)]


class ResponseTooLarge(Exception):
    """The response is longer than a body may be that waits for its price."""


class Body:
    """A response body that waits for its price; above `memory_bytes` it waits in a temporary file.

    What would exceed `largest_bytes` raises `ResponseTooLarge` and is remembered as `too_large`, so
    that a service which catches it and goes on has no half body sent.
    """

    def __init__(self, *, memory_bytes: int, largest_bytes: int) -> None:
        self.size = 0
        self.too_large = False
        self._memory_bytes = memory_bytes
        self._largest_bytes = largest_bytes
        # The spool outlives this function; `close` is called by the visit that it belongs to.
        self._spool = tempfile.SpooledTemporaryFile(max_size=memory_bytes)  # noqa: SIM115

    def write(self, chunk: bytes) -> None:
        """Add a piece at the end."""
        if self.size + len(chunk) > self._largest_bytes:
            self.too_large = True
            raise ResponseTooLarge
        self.size += len(chunk)
        self._spool.write(chunk)

    def waits_for_disk(self, chunk: bytes = b"") -> bool:
        """Tell whether reading, or writing `chunk`, may wait for a disk."""
        return self.size + len(chunk) > self._memory_bytes

    def read(self) -> bytes:
        """Return everything that was written."""
        self._spool.seek(0)
        return self._spool.read()

    def pieces(self) -> Iterator[bytes]:
        """Return everything that was written, in pieces of at most 64 KiB."""
        self._spool.seek(0)
        while piece := self._spool.read(CHUNK_BYTES):
            yield piece

    def close(self) -> None:
        """Forget the content."""
        self._spool.close()


class Response:
    """A response as the service's `cost` sees it.

    With `cost_from_head` the body does not exist yet, and asking for it is an error.
    """

    __slots__ = ("_body", "headers", "status")

    def __init__(self, *, status: int, headers: Headers, body: Body | None) -> None:
        self.status = status
        self.headers = headers
        self._body = body

    @property
    def size(self) -> int:
        """The length of the body in bytes."""
        return self._known_body().size

    @property
    def body(self) -> bytes:
        """The whole body; `size` is cheaper."""
        return self._known_body().read()

    @property
    def too_large(self) -> bool:
        """Tell whether the body was longer than may be kept."""
        return self._body is not None and self._body.too_large

    def _known_body(self) -> Body:
        if self._body is None:
            raise LookupError("cost_from_head: the cost is worked out before there is a body")
        return self._body


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer of the middleware itself, sent in place of the service's."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def status_line(self) -> str:
        """The status as WSGI wants it: `402 Payment Required`."""
        return f"{self.status} {HTTPStatus(self.status).phrase}"


def answer_with_problem(
    *, status: int, code: str, detail: str, balance: int | None = None
) -> Answer:
    """Return a refusal as RFC 9457 wants it, with the balance in `ACCMAN` where it is known."""
    problem = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        code=code,
        detail=detail,
    )
    body = msgspec.json.encode(problem)
    headers = [
        ("content-type", PROBLEM_MEDIA_TYPE),
        ("content-length", str(len(body))),
        ("cache-control", "no-store"),
    ]
    if status == HTTPStatus.UNAUTHORIZED:
        headers.append(("www-authenticate", BALANCE_HEADER))
    if balance is not None:
        headers.append((BALANCE_HEADER.lower(), str(balance)))
    return Answer(status=status, headers=tuple(headers), body=body)
