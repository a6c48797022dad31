"""Buying by the API: a cart becomes an order, its places are pinned, and the page waits a moment.

    order = await complete(page, cart, key=..., shown_total=...)   # nothing is charged yet
    trouble = await begin(page, order)                             # access pins each place
    order = await settled(page, order["id"])                       # paid and granted meanwhile

Each step is safe to repeat: the key is that of the form, a purchase has the id of its line.
"""

from typing import Any, Final

import anyio

from farebox.shop.views import Json
from farebox.web.api import Problem, one_part
from farebox.web.pages import Page

_TICK_S: Final = 0.1
_PATIENCE_S: Final = 2.0


async def complete(page: Page, cart: str, *, key: str, shown_total: int, **terms: object) -> Json:
    """Make a cart an order, once under its key; the order of a cart that is one already."""
    body = {"shown_total": shown_total, **terms}
    try:
        order: Json = await page.post(f"/v1/carts/{one_part(cart)}/complete", body, key=key)
    except Problem as problem:
        if problem.code != "cart_converted" or not problem.said.get("order"):
            raise
        order = await page.get(f"/v1/orders/{problem.said['order']}")
    return order


async def begin(page: Page, order: Json) -> str | None:
    """Begin the purchases of an order that is not paid yet; the code of what stands in the way.

    Then the order is called off, nothing was charged, and its cart is open again.
    """
    if order["state"] not in {"created", "awaiting_funds"}:
        return None
    for line in order["lines"]:
        if line["kind"] != "item" or line["state"] != "open":
            continue
        try:
            await page.post("/v1/purchases", _purchase(order, line), key=line["purchase"])
        except Problem as problem:
            await page.post(f"/v1/orders/{order['id']}/cancel")
            return problem.code
    return None


def _purchase(order: Json, line: Json) -> dict[str, Any]:
    wish = {
        "id": line["purchase"],
        "item": line["code"],
        "offer": line["offer"],
        "order": order["id"],
        "period_hours": line["period_hours"],
        "starts_at": line["starts_at"],
    }
    return {name: value for name, value in wish.items() if value is not None}


async def settled(page: Page, order_id: str, *, filled: bool = False) -> Json:
    """Return an order once it is paid and granted, or ended; after 2 s as it is then.

    One that is bought at once is awaited too when its money has been `filled` in.
    """
    order: Json = await page.get(f"/v1/orders/{order_id}")
    with anyio.move_on_after(_PATIENCE_S):
        while is_under_way(order, filled=filled):
            await anyio.sleep(_TICK_S)
            order = await page.get(f"/v1/orders/{order_id}")
    return order


def is_under_way(order: Json, *, filled: bool = False) -> bool:
    """Tell whether the services still work on an order."""
    working = {"created", "awaiting_funds"} if filled else {"created"}
    return order["state"] in working or (
        order["state"] == "paid" and any(line["state"] == "pinned" for line in order["lines"])
    )
