"""Watching: the player, and the film in ranges of bytes, each of them judged when it is asked for.

The film's address carries an end and a seal. The seal is made with the session's own key, so an
address that was copied to another browser, or kept for later, opens nothing:

    /store/watch/rnt_1/film/1795165200/6f1e...webm      until 20 November 2026, this session alone
"""

import hashlib
import hmac
from importlib import resources
from typing import Any, Final

from litestar import HttpMethod, Response, get, post, route
from litestar.exceptions import HTTPException
from litestar.params import FromPath

from farebox.kernel.clock import SECOND_US, parse_time
from farebox.shop.ranges import partial_of
from farebox.shop.rentals import rented
from farebox.shop.views import own_page, shown
from farebox.web.api import Problem
from farebox.web.errors import explained
from farebox.web.pages import AnyRequest, Page, opened
from farebox.web.sessions import Visitor

_LIFE_S: Final = 4 * 3_600
_FILM: Final = "premiere.webm"
_KIND: Final = "video/webm"
_NOT_PLAYED: Final = frozenset(
    {"rental_not_started", "rental_over", "finish_clock_unconfirmed", "playing_elsewhere"}
)


@get("/store/watch/{rental:str}")
@explained
async def show_player(request: AnyRequest, rental: FromPath[str]) -> Response[Any]:
    """Show the player, or why there is none now. The first play is begun by a button."""
    page = await own_page(request)
    return await _player(page, rental)


async def _player(
    page: Page, rental: str, *, status: int = 200, why: str | None = None
) -> Response[Any]:
    one = await rented(page, rental)
    film = None
    if _plays_here(one.rental, page.own):
        film = _address(page, page.own, rental, parse_time(one.rental["ends_at"]) // SECOND_US)
    return shown(page, "store/watch.html", status=status, one=one, film=film, why=why)


@post("/store/watch/{rental:str}", status_code=303)
@explained
async def play(request: AnyRequest, rental: FromPath[str]) -> Response[Any]:
    """Note the play; a rental of two clocks starts its second one if that was ticked."""
    page = await own_page(request)
    form = await request.form()
    ticks = ("start_finish_clock", "take_over")
    body = {tick: form.get(tick) == "yes" for tick in ticks}
    try:
        await page.post(f"/v1/rentals/{rental}/play", body)
    except Problem as problem:
        if problem.code not in _NOT_PLAYED:
            raise
        return await _player(page, rental, status=409, why=problem.code)
    return page.go(f"/store/watch/{rental}")


@route(
    "/store/watch/{rental:str}/film/{ends:int}/{name:str}",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
)
@explained
async def send_film(
    request: AnyRequest, rental: FromPath[str], ends: FromPath[int], name: FromPath[str]
) -> Response[Any]:
    """Send the film, or the bytes of it that were asked for, if the rental allows it now."""
    page = await opened(request)
    if page.visitor is None:
        raise HTTPException(status_code=403)
    right = _seal(page.visitor, rental, ends)
    if not hmac.compare_digest(name.encode(), f"{right}.webm".encode()):
        raise HTTPException(status_code=403)
    found = await page.find(f"/v1/rentals/{rental}")
    if found is None:
        raise HTTPException(status_code=404)
    if page.now_us >= ends * SECOND_US or not _plays_here(found, page.visitor):
        raise HTTPException(status_code=403)
    return partial_of(request, _film(), _KIND)


def _plays_here(rental: dict[str, Any], visitor: Visitor) -> bool:
    return bool(rental["state"] == "playing" and rental["device"] == visitor.key_id)


def _address(page: Page, visitor: Visitor, rental: str, rental_ends_s: int) -> str:
    """Return where this session may get the film, for some hours and never beyond the rental."""
    ends = min(page.now_us // SECOND_US + _LIFE_S, rental_ends_s)
    return f"/store/watch/{rental}/film/{ends}/{_seal(visitor, rental, ends)}.webm"


def _seal(visitor: Visitor, rental: str, ends: int) -> str:
    said = f"film {rental} until {ends}".encode()
    return hmac.digest(visitor.key.encode(), said, hashlib.sha256).hex()


def _film() -> bytes:
    """Return the film that is shipped with Farebox: it stands for whatever a shop would show."""
    return (resources.files("farebox.shop") / "videos" / _FILM).read_bytes()


HANDLERS: Final = (show_player, play, send_film)
