"""What every refusal looks like on the wire (RFC 9457)."""

from typing import Final

import msgspec

PROBLEM_MEDIA_TYPE: Final = "application/problem+json"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Say which rule stands in the way: `code` is stable, `detail` is for people."""

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str
