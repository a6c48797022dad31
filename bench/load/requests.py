"""Prepared HTTP requests, the same bytes for `wrk` and for the open loop.

They are made once and replayed, so that the generator spends nothing on making
them. A request that needs a new idempotency key each time carries `KEY_MARK`
where the key goes; the generators put 32 random hexadecimal digits there.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

KEY_MARK = b"@" * 32


class RequestSet(msgspec.Struct, frozen=True, kw_only=True):
    """Requests to replay in turn, and a piece of text that every good answer contains."""

    requests: Sequence[bytes]
    expected: bytes


def request(
    method: str,
    target: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: object | None = None,
) -> bytes:
    """Write one HTTP/1.1 request as it goes over the wire."""
    content = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def write(requests: RequestSet, path: Path) -> None:
    """Write the requests for `replay.lua`: each one behind its length and a new line."""
    path.write_bytes(b"".join(b"%d\n%s\n" % (len(raw), raw) for raw in requests.requests))
