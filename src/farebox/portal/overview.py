"""`/portal/`: the visitor's plans, what is used of them, and what is left of what was prepaid."""

from typing import Any

import msgspec
from litestar import Response, get

from farebox.portal.usage import Use, prepaid_of, use_of
from farebox.portal.views import all_of, flat_of, own_page, products_of, shown
from farebox.web.api import Problem
from farebox.web.errors import explained
from farebox.web.pages import AnyRequest, Page

ENDED = frozenset({"canceled", "expired"})


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription with its plan and what billing knows of it (None: it has not heard yet).

    `costs` is the fee of a period in the smallest unit, `due` what the next invoice comes to.
    """

    subscription: dict[str, Any]
    plan: dict[str, Any]
    paying: dict[str, Any] | None
    costs: int | None
    due: int | None
    group: str | None
    uses: list[Use]

    @property
    def ended(self) -> bool:
        """Tell whether it is over."""
        return self.subscription["state"] in ENDED


async def standing_of(page: Page, one: dict[str, Any], *, uses: bool = True) -> Standing:
    """Return all that the pages say of a subscription."""
    plan = await page.get(f"/v1/plans/{one['plan']}", version=one["plan_version"])
    # A group pays for its own; what it pays is not its members' to see.
    paying = await page.find(f"/v1/subscription-payments/{one['id']}")
    price = None
    if paying is not None and paying["price"] is not None:
        price = await page.find(f"/v1/prices/{paying['price']}", version=paying["price_version"])
    quotas = await page.get(f"/v1/subscriptions/{one['id']}/quotas") if uses else {"items": []}
    return Standing(
        subscription=one,
        plan=plan,
        paying=paying,
        costs=flat_of(price),
        due=await _next_due(page, paying),
        group=await _name_of_group(page, one["group"]),
        uses=[await use_of(page, quota, one["group"]) for quota in quotas["items"]],
    )


async def _next_due(page: Page, paying: dict[str, Any] | None) -> int | None:
    if paying is None or paying["next_payment_at"] is None:
        return None
    try:
        found = await page.get(f"/v1/subscription-payments/{paying['subscription']}/next")
    except Problem:
        return None  # the page is whole without it
    parts = [part for part in (found["period"], found["usage"]) if part is not None]
    return sum(part["total"] for part in parts) if parts else None


async def _name_of_group(page: Page, group: str | None) -> str | None:
    if group is None:
        return None
    mine = await page.get(f"/v1/consumers/{page.own.consumer}/groups")
    return next((one["name"] for one in mine["items"] if one["id"] == group), group)


@get("/portal/")
@explained
async def show_home(request: AnyRequest) -> Response[Any]:
    """Show the visitor's plans and what is left of them."""
    page = await own_page(request)
    found = [await standing_of(page, one) for one in await all_of(page, "/v1/subscriptions")]
    return shown(
        page,
        "home.html",
        standings=[one for one in found if not one.ended],
        over=[one for one in found if one.ended],
        prepaid=await prepaid_of(page),
        products=await products_of(page),
    )


HANDLERS = (show_home,)
