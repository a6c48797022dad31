"""`/portal/plans`: what may be subscribed to, and a step that says what it costs."""

from typing import Any

import msgspec
from litestar import Response, get, post

from farebox.portal.forms import key_of, text_of
from farebox.portal.overview import ENDED
from farebox.portal.views import (
    all_of,
    currency_of,
    flat_of,
    methods_of,
    own_page,
    products_of,
    shown,
)
from farebox.web.api import Problem
from farebox.web.errors import explained
from farebox.web.forms import whole
from farebox.web.pages import AnyRequest, Page


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan costs each period; `amount` is None where it is not one amount."""

    unit: str
    count: int
    currency: str
    amount: int | None
    inclusive: bool

    @property
    def period(self) -> str:
        """Return the period as an address carries it: `month-1`."""
        return f"{self.unit}-{self.count}"


class Sold(msgspec.Struct, frozen=True, kw_only=True):
    """A plan on sale with its prices, and the subscription of the visitor's that has it."""

    plan: dict[str, Any]
    prices: list[Price]
    own: str | None


_LENGTHS = {"day": 1, "week": 7, "month": 30, "year": 365}


async def plans_on_sale(page: Page) -> list[Sold]:
    """Return the plans that may be subscribed to, the cheapest first.

    A plan without a price is not sold; of several currencies the visitor's own counts.
    """
    currency = await currency_of(page)
    prices: dict[str, list[dict[str, Any]]] = {}
    for one in await all_of(page, "/v1/prices", of="plan", limit=200):
        if one["recurring"] is not None:
            prices.setdefault(one["code"], []).append(one)
    mine = {
        one["plan"]: one["id"]
        for one in await all_of(page, "/v1/subscriptions", consumer=page.own.consumer)
        if one["state"] not in ENDED
    }
    found = []
    for plan in await all_of(page, "/v1/plans", state="active", limit=200):
        of_plan = prices.get(plan["code"], [])
        offered = [one for one in of_plan if one["currency"] == currency] or of_plan
        if offered:
            shown_prices = sorted(
                map(_price_of, offered), key=lambda one: _LENGTHS[one.unit] * one.count
            )
            own = mine.get(plan["code"])
            found.append(Sold(plan=plan, prices=shown_prices, own=own))
    return sorted(found, key=lambda one: (one.prices[0].amount or 0, one.plan["code"]))


def _price_of(one: dict[str, Any]) -> Price:
    return Price(
        unit=one["recurring"]["unit"],
        count=one["recurring"]["count"],
        currency=one["currency"],
        amount=flat_of(one),
        inclusive=one["tax_behaviour"] == "inclusive",
    )


async def extras_of(page: Page) -> dict[str, Any]:
    """Return what the words about plans need: products, features, prices of use above quotas."""
    above = {}
    currency = await currency_of(page)
    for one in await all_of(page, "/v1/prices", of="product", limit=200):
        if one["timing"] == "arrears" and one["currency"] == currency:
            above[one["code"]] = one
    features = await all_of(page, "/v1/features", limit=200)
    return {
        "products": await products_of(page),
        "features": {one["code"]: one for one in features},
        "above": above,
    }


@get("/portal/plans")
@explained
async def show_plans(request: AnyRequest) -> Response[Any]:
    """Show the plans on sale; who has one already may change to another."""
    page = await own_page(request)
    sold = await plans_on_sale(page)
    return shown(
        page,
        "plans.html",
        sold=sold,
        current=[one for one in sold if one.own is not None],
        **await extras_of(page),
    )


async def _chosen(page: Page, plan: str, period: str) -> tuple[Sold, Price] | None:
    for one in await plans_on_sale(page):
        for price in one.prices:
            if (one.plan["code"], price.period) == (plan, period):
                return one, price
    return None


@get("/portal/subscribe")
@explained
async def ask_to_subscribe(request: AnyRequest) -> Response[Any]:
    """Show what a plan will cost before anything happens."""
    page = await own_page(request)
    asked = request.query_params
    return await _confirm(page, asked.get("plan", ""), asked.get("period", ""))


async def _confirm(
    page: Page, plan: str, period: str, errors: dict[str, str] | None = None
) -> Response[Any]:
    chosen = await _chosen(page, plan, period)
    if chosen is None:
        return page.go("/portal/plans")
    sold, price = chosen
    return shown(
        page,
        "subscribe.html",
        errors=errors,
        sold=sold,
        price=price,
        methods=await methods_of(page),
        **await extras_of(page),
    )


@post("/portal/subscribe", status_code=303)
@explained
async def subscribe(request: AnyRequest) -> Response[Any]:
    """Subscribe, once for each page that asked."""
    page = await own_page(request)
    form = await request.form()
    plan, period = text_of(form, "plan"), text_of(form, "period")
    unit, _, count = period.partition("-")
    if whole(count) < 0:
        return page.go("/portal/plans")
    wish = {"plan": plan, "period": unit, "period_count": whole(count)}
    try:
        made = await page.post("/v1/subscriptions", wish, key=key_of(form))
    except Problem as problem:
        if problem.code != "already_subscribed":
            raise
        words = page.words("You have this plan already.")
        return await _confirm(page, plan, period, {"": words})
    return page.go(f"/portal/subscriptions/{made['id']}", "subscribed")


HANDLERS = (show_plans, ask_to_subscribe, subscribe)
