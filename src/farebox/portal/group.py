"""`/portal/group`: what the visitor shares with others, who used how much of it, and caps."""

from typing import Any

import msgspec
from litestar import Response, get

from farebox.portal.overview import ENDED, Standing, standing_of
from farebox.portal.views import MOST_PAGES, all_of, own_page, products_of, shown
from farebox.web.errors import explained
from farebox.web.pages import AnyRequest, Page


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What one member used of a product: `share` in thousandths of what all used."""

    name: str
    own: bool
    quantity: int
    uses: int
    share: int
    cap: dict[str, Any] | None


class Shared(msgspec.Struct, frozen=True, kw_only=True):
    """A product that is shared: the prepaid buckets of it, and each member's part of its use.

    `gone` is what was used by those who have left the group.
    """

    product: str
    buckets: list[dict[str, Any]]
    used: int
    parts: list[Part]
    gone: int


class Team(msgspec.Struct, frozen=True, kw_only=True):
    """A group with what it shares and its own plans."""

    group: dict[str, Any]
    members: list[str]
    shared: list[Shared]
    plans: list[Standing]


async def _team(page: Page, group: dict[str, Any], plans: list[Standing]) -> Team:
    path = f"/v1/groups/{group['id']}/shares"
    found = await page.get(path)
    members, cursor = found["members"], found["next"]
    for _ in range(MOST_PAGES):
        if cursor is None:
            break
        more = await page.get(path, cursor=cursor)
        members, cursor = members + more["members"], more["next"]
    used = {one["product"]: one["quantity"] for one in found["used"]}
    products = dict.fromkeys([*(one["product"] for one in found["buckets"]), *used])
    return Team(
        group=group,
        members=[one["name"] for one in members],
        shared=[
            _shared(page, product, found["buckets"], members, used.get(product, 0))
            for product in products
        ],
        plans=plans,
    )


def _shared(
    page: Page,
    product: str,
    buckets: list[dict[str, Any]],
    members: list[dict[str, Any]],
    used: int,
) -> Shared:
    of_product = [one for one in buckets if one["product"] == product]
    here = {one["id"] for one in of_product}
    parts = []
    for one in members:
        mine = next((each for each in one["used"] if each["product"] == product), None)
        quantity = 0 if mine is None else mine["quantity"]
        parts.append(
            Part(
                name=one["name"],
                own=one["consumer"] == page.own.consumer,
                quantity=quantity,
                uses=0 if mine is None else mine["uses"],
                share=quantity * 1000 // used if used > 0 else 0,
                cap=next((cap for cap in one["caps"] if cap["bucket"] in here), None),
            )
        )
    parts.sort(key=lambda part: -part.quantity)
    return Shared(
        product=product,
        buckets=[one for one in of_product if one["origin"] is None],
        used=used,
        parts=parts,
        gone=used - sum(part.quantity for part in parts),
    )


@get("/portal/group")
@explained
async def show_group(request: AnyRequest) -> Response[Any]:
    """Show the visitor's groups: who used what."""
    page = await own_page(request)
    groups = await page.get(f"/v1/consumers/{page.own.consumer}/groups")
    teams = []
    for group in groups["items"]:
        plans = [
            await standing_of(page, one)
            for one in await all_of(page, "/v1/subscriptions", group=group["id"])
            if one["state"] not in ENDED
        ]
        teams.append(await _team(page, group, plans))
    return shown(page, "group.html", teams=teams, products=await products_of(page))


HANDLERS = (show_group,)
