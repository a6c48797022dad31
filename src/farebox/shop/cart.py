"""The cart's page: what is in it, for how long it is held, renewing and removing."""

from contextlib import suppress
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath

from farebox.shop.carts import open_cart
from farebox.shop.views import Json, own_page, shown
from farebox.web.api import Problem
from farebox.web.errors import explained
from farebox.web.pages import AnyRequest, Page


@get("/store/cart")
@explained
async def show_cart(request: AnyRequest) -> Response[Any]:
    """Show all that is in the visitor's cart."""
    page = await own_page(request)
    return shown(page, "store/cart.html", cart=await open_cart(page))


@post("/store/cart/{line:str}/remove", status_code=303)
@explained
async def remove_line(request: AnyRequest, line: FromPath[str]) -> Response[Any]:
    """Take a line out of the cart, and give its place back."""
    page = await own_page(request)
    cart, found = await _line(page, line)
    if cart is None or found is None:
        return page.go("/store/cart")
    await page.delete(f"/v1/carts/{cart['id']}/lines/{line}")
    if found["place"] is not None:
        # A place that is being paid for stays pinned; it is given back when its order ends.
        with suppress(Problem):
            await page.delete(f"/v1/places/{found['place']['id']}")
    return page.go("/store/cart", "removed")


@post("/store/cart/{line:str}/renew", status_code=303)
@explained
async def renew_line(request: AnyRequest, line: FromPath[str]) -> Response[Any]:
    """Begin a line's time anew: its place first, then its price."""
    page = await own_page(request)
    cart, found = await _line(page, line)
    if cart is None or found is None:
        return page.go("/store/cart")
    try:
        if found["offer"] is not None and found["offer"]["places_left"] is not None:
            await _hold_again(page, found)
        await page.post(f"/v1/carts/{cart['id']}/lines/{line}/renew")
    except Problem as problem:
        if problem.code in {"renewals_exceeded", "guarantee_used_up"}:
            return page.go("/store/cart", "renewals_used_up")
        if problem.code in {"sold_out", "not_for_sale"}:
            return page.go("/store/cart")
        raise
    return page.go("/store/cart", "renewed")


async def _hold_again(page: Page, line: Json) -> None:
    place, wish = line["place"], line["wish"]
    if place is None:
        await page.post("/v1/places", {"item": wish["code"], "offer": wish["offer"]})
    else:
        await page.post(f"/v1/places/{place['id']}/renew")


async def _line(page: Page, line: str) -> tuple[Json | None, Json | None]:
    """Return the visitor's cart and the line of it, None if it is not there any more."""
    cart = await open_cart(page)
    lines = [] if cart is None else cart["lines"]
    return cart, next((one for one in lines if one["id"] == line), None)


HANDLERS: Final = (show_cart, remove_line, renew_line)
