"""The cart as its page shows it: each line with what the shelf and the places say of it now."""

from typing import Final

from farebox.kernel.clock import parse_time
from farebox.shop.views import Json, all_of, currency_of, offer_of, premiere_of
from farebox.web.pages import Page

BLOCKING: Final = frozenset({"not_for_sale", "no_places", "start_passed"})
_HELD: Final = frozenset({"held", "pinned"})


async def open_cart(page: Page) -> Json | None:
    """Return the visitor's open cart with what its lines meet; None where nothing is sold."""
    currency = await currency_of(page)
    if currency is None:
        return None
    return await seen_cart(page, await page.post("/v1/carts", {"currency": currency}))


async def seen_cart(page: Page, cart: Json) -> Json:
    """Return a cart with each line's premiere, offer, place and troubles beside it."""
    places = await all_of(page, "/v1/places") if cart["lines"] else []
    held = {(one["item"], one["offer"]): one for one in places}
    for line in cart["lines"]:
        wish = line["wish"]
        premiere = await premiere_of(page, wish["code"]) if wish["kind"] == "item" else None
        line["premiere"] = premiere
        line["offer"] = offer_of(premiere, wish["offer"])
        line["place"] = held.get((wish["code"], wish["offer"]))
        line["troubles"] = _troubles(page, line)
    cart["blocked"] = any(BLOCKING & set(line["troubles"]) for line in cart["lines"])
    return cart


def _troubles(page: Page, line: Json) -> list[str]:
    """Return what the visitor should know of a line, as names that the template words."""
    found = list(line["problems"])
    offer, place, starts_at = line["offer"], line["place"], line["wish"]["starts_at"]
    if starts_at is not None and parse_time(starts_at) < page.now_us:
        found.append("start_passed")
    if offer is None or offer["places_left"] is None:
        return found
    if place is None or place["state"] not in _HELD:
        found.append("place_lapsed")
        if offer["places_left"] == 0:
            found.append("no_places")
    return found
