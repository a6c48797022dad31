"""The shelf: premieres found by words, one premiere's page, and putting it into the cart."""

import hashlib
from typing import Any, Final

from litestar import Response, get, post
from litestar.exceptions import HTTPException
from litestar.params import FromPath
from markupsafe import Markup, escape

from farebox.shop.views import offer_of, own_page, premiere_of, shown
from farebox.web.api import Problem
from farebox.web.errors import explained
from farebox.web.forms import whole
from farebox.web.pages import AnyRequest, Page, opened

_LONGEST_QUERY: Final = 200
_A_PAGE: Final = 24
_GONE: Final = frozenset({"sold_out", "item_not_on_sale", "item_unknown", "not_for_sale"})
_DAY: Final = "private, max-age=86400"
_PALETTES: Final = (
    ("#3a0d1f", "#a8324f", "#f0b27a"),
    ("#0f2434", "#2f6d7e", "#e6d3a3"),
    ("#24123a", "#7a3b8f", "#f2a7a0"),
    ("#10291f", "#3f7d56", "#f0dc9a"),
    ("#2b1a10", "#96602c", "#f6d9a8"),
    ("#141a33", "#4657a4", "#f1b8c6"),
)


@get("/store/")
@explained
async def show_shelf(request: AnyRequest) -> Response[Any]:
    """Show what is on, or what was found by words."""
    page = await opened(request)
    q = request.query_params.get("q", "")[:_LONGEST_QUERY]
    found = await page.get(
        "/api/v1/search/",
        q=q.strip(),
        lang=page.language,
        limit=_A_PAGE,
        cursor=request.query_params.get("cursor"),
    )
    meant = found["suggestion"]
    return shown(page, "store/shelf.html", q=q, found=found, meant=meant and _titled(meant))


def _titled(text: str) -> str:
    return text[:1].upper() + text[1:]


@get("/store/premieres/{code:str}")
@explained
async def show_premiere(request: AnyRequest, code: FromPath[str]) -> Response[Any]:
    """Show a premiere: what it is, what it costs for how long, and when money goes back."""
    return await _premiere(await opened(request), code)


async def _premiere(
    page: Page, code: str, *, status: int = 200, why: str | None = None
) -> Response[Any]:
    premiere = await premiere_of(page, code)
    if premiere is None:
        raise HTTPException(status_code=404)
    chosen = page.request.query_params.get("chosen")
    return shown(
        page, "store/premiere.html", status=status, premiere=premiere, why=why, chosen=chosen
    )


@post("/store/premieres/{code:str}", status_code=303)
@explained
async def add_to_cart(request: AnyRequest, code: FromPath[str]) -> Response[Any]:
    """Put a premiere into the cart; a place that may run out is held first."""
    page = await own_page(request)
    form = await request.form()
    chosen, _, hours = str(form.get("terms", "")).partition(":")
    premiere = await premiere_of(page, code)
    offer = offer_of(premiere, chosen)
    if premiere is None or offer is None or (hours and whole(hours) < 0):
        return await _premiere(page, code, status=422, why="choose")
    wish: dict[str, Any] = {"kind": "item", "code": code, "offer": chosen}
    if hours:
        wish["period_hours"] = whole(hours)
    try:
        if offer["places_left"] is not None:
            await page.post("/v1/places", {"item": code, "offer": chosen})
        cart = await page.post("/v1/carts", {"currency": premiere["currency"]})
        await page.post(f"/v1/carts/{cart['id']}/lines", wish)
    except Problem as problem:
        if problem.code not in _GONE:
            raise
        return await _premiere(page, code, status=409, why=problem.code)
    return page.go("/store/cart", "added")


@get("/store/premieres/{code:str}/poster.svg")
@explained
async def draw_poster(request: AnyRequest, code: FromPath[str]) -> Response[Any]:
    """Draw a poster for a premiere that brings none of its own: the same one each time."""
    page = await opened(request)
    premiere = await premiere_of(page, code)
    if premiere is None:
        raise HTTPException(status_code=404)
    text = _poster(code, premiere["title"])
    return Response(text, media_type="image/svg+xml", headers={"Cache-Control": _DAY})


def _poster(code: str, title: str) -> str:
    seed = hashlib.sha256(code.encode()).digest()
    # Neighbours on the shelf should differ: codes that end alike are told apart by their sum.
    dark, middle, light = _PALETTES[sum(code.encode()) % len(_PALETTES)]
    folds = "".join(
        f'<path d="M{x} 0 q{8 + seed[place % 32] % 12} 180 -6 360" stroke="{dark}" '
        f'stroke-opacity=".{2 + seed[place % 31] % 4}" stroke-width="{6 + seed[place % 29] % 14}" '
        'fill="none"/>'
        for place, x in enumerate(range(20, 640, 42))
    )
    sun_x, sun_y = 320 + seed[0] % 200, 90 + seed[1] % 90
    return Markup(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 640 360" role="img">'
        '<defs><linearGradient id="g" x1="0" y1="0" x2="1" y2="1"><stop stop-color="{dark}"/>'
        '<stop offset="1" stop-color="{middle}"/></linearGradient></defs>'
        '<rect width="640" height="360" fill="url(#g)"/>{folds}'
        '<circle cx="{x}" cy="{y}" r="{r}" fill="{light}" fill-opacity=".9"/>'
        '<rect y="318" width="640" height="42" fill="{dark}" fill-opacity=".85"/>'
        '<text x="36" y="286" font-family="Georgia, \'DejaVu Serif\', serif" font-size="150" '
        'font-weight="700" fill="#fff" fill-opacity=".95">{letter}</text></svg>'
    ).format(
        dark=dark,
        middle=middle,
        light=light,
        folds=Markup(folds),  # noqa: S704 - numbers and colours of our own
        x=sun_x,
        y=sun_y,
        r=48 + seed[2] % 30,
        letter=escape(title[:1]),
    )


HANDLERS: Final = (show_shelf, show_premiere, add_to_cart, draw_poster)
