r"""Which route a call takes. Pure.

Gateway, backend and Farebox must read an address alike, or somebody pays for one thing and gets
another. So an address is brought into one form once, and one that programs read differently (an
encoded slash, a backslash, a control character, broken UTF-8) is no address at all:

    /v1//films/../books/%34%32?page=2   ->   ("v1", "books", "42")
    /v1/films%2F..%2Fadmin              ->   None

Of the routes that fit, the most special is taken: a host before a domain before any; then, from
left to right, a literal segment before a name before `*`; then a method before any.
"""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote_to_bytes

from farebox.access.gateways.model import (
    ANY,
    LONGEST_HOST,
    LONGEST_METHOD,
    LONGEST_PATH,
    Call,
    EdgeRouteRefused,
    Route,
)
from farebox.kernel.amounts import checked_amount
from farebox.kernel.refusals import ValueRefused

LONGEST_URI: Final = 16_384
_RAW: Final = re.compile(r"/(?:[!-$&-\[\]-~]|%[0-9A-Fa-f]{2})*")
_TWO_READINGS: Final = re.compile(r"%(?:2[fF]|5[cC])|#")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NAME: Final = re.compile(r"\{[A-Za-z_][A-Za-z0-9_]*\}")
_LITERAL: Final = re.compile(r"[^\x00-\x20\x7f-\x9f/\\{}*?#%]+")
_METHOD: Final = re.compile(r"[A-Z][A-Z-]*")
_HOST: Final = re.compile(r"(?:\*\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]")
_PORT: Final = re.compile(r":[0-9]*$")


def segments_of(uri: str) -> tuple[str, ...] | None:
    """Return the segments of an address's path in its one form; None for no address."""
    path = uri.partition("?")[0]
    if len(uri) > LONGEST_URI or not _RAW.fullmatch(path) or _TWO_READINGS.search(path):
        return None
    try:
        text = unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        return None
    if _CONTROL.search(text):
        return None
    found: list[str] = []
    for segment in text.split("/"):
        if segment == "..":
            if not found:
                return None
            found.pop()
        elif segment not in {"", "."}:
            found.append(segment)
    return tuple(found)


def host_of(text: str) -> str:
    """Return a host in its one form: small letters, without a port and a last dot."""
    return _PORT.sub("", text.strip().lower()).removesuffix(".")


class RouteTable:
    """The routes of a deployment, most special first."""

    def __init__(self, routes: Iterable[Route]) -> None:
        ranked = sorted(((_rank(one), one.id, one) for one in routes), key=lambda each: each[:2])
        self._routes = [(one, _pattern(one.path)) for _, _, one in ranked]

    def route_of(self, call: Call) -> Route | None:
        """Return the route that a call takes, or None.

        HEAD takes the routes of GET. A preflight takes that of any method, because browsers send
        it before the call and without its key.
        """
        segments, host = segments_of(call.uri), host_of(call.host)
        if segments is None:
            return None
        methods = {ANY, call.method} | ({"GET"} if call.method == "HEAD" else set())
        for route, pattern in self._routes:
            if (
                (call.preflight or route.method in methods)
                and _hosts(route.host, host)
                and _fits(pattern, segments)
            ):
                return route
        return None


def _pattern(path: str) -> tuple[str, ...]:
    return tuple(segment for segment in path.split("/") if segment)


def _rank(route: Route) -> tuple[int, tuple[int, ...], int]:
    host = 2 if route.host == ANY else int(route.host.startswith("*."))
    ranks = tuple(
        2 if segment == ANY else int(segment.startswith("{")) for segment in _pattern(route.path)
    )
    return host, ranks, int(route.method == ANY)


def _hosts(wanted: str, host: str) -> bool:
    return wanted in {ANY, host} or (wanted.startswith("*.") and host.endswith(wanted[1:]))


def _fits(pattern: tuple[str, ...], segments: tuple[str, ...]) -> bool:
    if pattern and pattern[-1] == ANY:
        pattern = pattern[:-1]
        segments = segments[: len(pattern)]
    if len(pattern) != len(segments):
        return False
    return all(
        wanted == segment or wanted.startswith("{")
        for wanted, segment in zip(pattern, segments, strict=True)
    )


def checked_route(route: Route) -> Route:
    """Return a route if it can be, in its one form.

    Refuses others: `value_invalid` a field that cannot be, `edge_route_refused` what does not go
    together.
    """
    if len(route.host) > LONGEST_HOST or not (route.host == ANY or _HOST.fullmatch(route.host)):
        raise ValueRefused("host: is a name in small letters, `*.` and a domain, or `*`")
    if len(route.method) > LONGEST_METHOD or not (
        route.method == ANY or _METHOD.fullmatch(route.method)
    ):
        raise ValueRefused("method: is one in capital letters, or `*`")
    _check_path(route.path)
    checked_amount(route.quantity)
    if route.mode == "open":
        if route.product is not None or route.feature is not None:
            raise EdgeRouteRefused("an open route uses nothing: name no product and no feature")
    elif route.product is None and (route.feature is None or route.mode != "check"):
        raise EdgeRouteRefused("name a product; a feature alone can be checked only")
    return route


def _check_path(path: str) -> None:
    if not path.startswith("/") or len(path) > LONGEST_PATH:
        raise ValueRefused(f"path: begins with / and has at most {LONGEST_PATH} characters")
    segments = path[1:].split("/")
    if path == "/" or segments[-1] == ANY:
        segments.pop()
    for segment in segments:
        if segment in {".", ".."}:
            raise EdgeRouteRefused("path: . and .. are no segments of an address in its one form")
        if not (_LITERAL.fullmatch(segment) or _NAME.fullmatch(segment)):
            raise ValueRefused(
                "path: has decoded segments without %, `{names}`, and `*` as the last one"
            )
