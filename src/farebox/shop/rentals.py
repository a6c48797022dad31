"""Rentals with what was ordered: titles, lines, and waiting until the services have agreed."""

from typing import Final

import anyio
import msgspec

from farebox.shop.views import Json, all_of
from farebox.web.pages import Page

_TICK_S: Final = 0.1
_PATIENCE_S: Final = 2.0


class Rented(msgspec.Struct, frozen=True, kw_only=True):
    """A rental as access has it, and the order and line that sold it where there is one."""

    rental: Json
    order: Json | None
    line: Json | None

    @property
    def titles(self) -> dict[str, str]:
        """Return the title as it was sold, by language."""
        return self.line["title"] if self.line else {"en": str(self.rental["item"])}


async def rented(page: Page, rental: str) -> Rented:
    """Return one rental of the visitor's; a stranger's is a problem (404)."""
    return await _with_order(page, await page.get(f"/v1/rentals/{rental}"), {})


async def rented_all(page: Page) -> list[Rented]:
    """Return all rentals of the visitor, oldest first; each order is asked for once."""
    known: dict[str, Json | None] = {}
    return [await _with_order(page, one, known) for one in await all_of(page, "/v1/rentals")]


async def _with_order(page: Page, rental: Json, known: dict[str, Json | None]) -> Rented:
    number = rental["order"]
    if number is not None and number not in known:
        known[number] = await page.find(f"/v1/orders/{number}")
    order = known.get(number)
    lines = [] if order is None else order["lines"]
    line = next((one for one in lines if one["rental"] == rental["id"]), None)
    return Rented(rental=rental, order=order, line=line)


async def changed(page: Page, rental: str, hours: int) -> Rented:
    """Return a rental once it has another period, or as it is after 2 s."""
    one = await rented(page, rental)
    with anyio.move_on_after(_PATIENCE_S):
        while one.rental["period_hours"] != hours:
            await anyio.sleep(_TICK_S)
            one = await rented(page, rental)
    return one


async def revoked(page: Page, rental: str) -> None:
    """Wait up to 2 s until access has heard that a rental was given back."""
    found = await page.get(f"/v1/rentals/{rental}")
    with anyio.move_on_after(_PATIENCE_S):
        while found["state"] != "revoked":
            await anyio.sleep(_TICK_S)
            found = await page.get(f"/v1/rentals/{rental}")
