"""Header fields that gateways and their clients read, written in one place each.

`RateLimit` and `RateLimit-Policy` are structured fields (RFC 9651) of the draft
draft-ietf-httpapi-ratelimit-headers-11, whose names are still changing: whoever writes them calls
`rate_limit_fields`, and nobody else knows the names. `x-ratelimit` are the older, unwritten ones.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal
from urllib.parse import quote

import msgspec

Fields = list[tuple[str, str]]
FieldStyle = Literal["draft-11", "x-ratelimit"]
Parameter = int | str | bytes
LARGEST_INTEGER: Final = 10**15 - 1
REALM: Final = "api"
_STRING: Final = re.compile(r"[ -~]*")
_KEPT: Final = "!$&'()*+/:;=?@_~"


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that counted for a decision.

    `quota` is what it admits in `window` seconds (None: what was bought, without an end), `left`
    what is left of it and `resets` the seconds until it is renewed.
    """

    name: str
    left: int
    quota: int | None = None
    window: int | None = None
    resets: int | None = None


def structured_list(items: Sequence[tuple[str, Mapping[str, Parameter]]]) -> str:
    """Return a structured field: a list of strings with parameters, in their order."""
    return ", ".join(_item(name, parameters) for name, parameters in items)


def _item(name: str, parameters: Mapping[str, Parameter]) -> str:
    return _string(name) + "".join(f";{key}={_bare(value)}" for key, value in parameters.items())


def _bare(value: Parameter) -> str:
    if isinstance(value, bytes):
        return f":{base64.b64encode(value).decode()}:"
    if isinstance(value, str):
        return _string(value)
    assert abs(value) <= LARGEST_INTEGER, "an Integer has at most 15 digits"
    return str(value)


def _string(text: str) -> str:
    assert _STRING.fullmatch(text), "a String is ASCII without control characters"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def rate_limit_fields(
    policies: Sequence[Policy], *, cost: int | None, now_s: int, style: FieldStyle = "draft-11"
) -> Fields:
    """Return the fields that tell these limits, the tightest first; none for no limit.

    `cost` is what the call takes. `now_s` is the Unix time, which the older style counts from.
    """
    tightest = sorted(policies, key=lambda one: (one.left, one.name))
    if not tightest:
        return []
    if style == "x-ratelimit":
        return _old_fields(tightest[0], now_s)
    more: dict[str, Parameter] = {} if cost is None else {"farebox-cost": _fitting(cost)}
    left = [(one.name, {**_known(r=one.left, t=one.resets), **more}) for one in tightest]
    fields = [("RateLimit", structured_list(left))]
    limits = [
        (one.name, _known(q=one.quota, w=one.window)) for one in tightest if one.quota is not None
    ]
    if limits:
        fields.append(("RateLimit-Policy", structured_list(limits)))
    return fields


def _old_fields(policy: Policy, now_s: int) -> Fields:
    fields = [("X-RateLimit-Remaining", str(policy.left))]
    if policy.quota is not None:
        fields.append(("X-RateLimit-Limit", str(policy.quota)))
    if policy.resets is not None:
        fields.append(("X-RateLimit-Reset", str(now_s + policy.resets)))
    return fields


def _known(**values: int | None) -> dict[str, Parameter]:
    return {name: _fitting(value) for name, value in values.items() if value is not None}


def _fitting(value: int) -> int:
    return min(max(value, 0), LARGEST_INTEGER)


def challenge(error: str | None = None) -> str:
    """Return the value of `WWW-Authenticate` for a key that is missing (None) or in error."""
    said = f'Bearer realm="{REALM}"'
    return said if error is None else f'{said}, error="{error}"'


def ascii_value(text: str) -> str:
    """Return a text as a field's value: what is not plain ASCII is percent-encoded."""
    return quote(text, safe=_KEPT)
