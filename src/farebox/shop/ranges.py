"""A part of a file, as RFC 9110 section 14 has it: one range of bytes.

Several ranges at once, and units that are none of ours, are answered with the whole file, as the
standard allows.
"""

import hashlib
import re
from typing import Any, Final

from litestar import Response

from farebox.web.pages import AnyRequest

_ONE: Final = re.compile(r"bytes=([0-9]{0,15})-([0-9]{0,15})")


class Unsatisfiable(Exception):
    """Nothing of what was asked for is in the file."""


def range_of(header: str | None, size: int) -> tuple[int, int] | None:
    """Return first and last byte that are asked for, None for the whole; raises `Unsatisfiable`."""
    found = _ONE.fullmatch((header or "").replace(" ", ""))
    if found is None or found[1] == found[2] == "":
        return None
    if found[1] == "":
        length = min(int(found[2]), size)
        if length == 0:
            raise Unsatisfiable
        return size - length, size - 1
    first, last = int(found[1]), int(found[2] or size - 1)
    if found[2] and last < first:
        return None
    if first >= size:
        raise Unsatisfiable
    return first, min(last, size - 1)


def partial_of(request: AnyRequest, content: bytes, media_type: str) -> Response[Any]:
    """Answer with a file or a part of it; whoever asks for a part of another version gets all."""
    size, tag = len(content), f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": tag,
        "Cache-Control": "private, no-store",
        "Content-Disposition": "inline",
    }
    wanted = request.headers.get("range")
    if request.headers.get("if-range", tag) != tag:
        wanted = None
    try:
        part = range_of(wanted, size)
    except Unsatisfiable:
        headers["Content-Range"] = f"bytes */{size}"
        return Response(b"", status_code=416, media_type=media_type, headers=headers)
    if part is None:
        return Response(content, status_code=200, media_type=media_type, headers=headers)
    first, last = part
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    body = content[first : last + 1]
    return Response(body, status_code=206, media_type=media_type, headers=headers)
