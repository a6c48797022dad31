"""One subscription: how it stands, and its changes, each after a step that says what it costs."""

from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath

from farebox.portal.forms import key_of, text_of
from farebox.portal.overview import ENDED, standing_of
from farebox.portal.plans import extras_of, plans_on_sale
from farebox.portal.views import own_page, products_of, shown
from farebox.web.api import Problem
from farebox.web.errors import explained
from farebox.web.pages import AnyRequest, Page

PATH: Final = "/portal/subscriptions/{subscription:str}"
WHEN: Final = ("now", "period_end")
_CHANGES: Final = ("cancel", "pause", "resume", "change-plan")
_REFUSED: Final = frozenset(
    {"schedule_change_refused", "subscription_change_refused", "subscription_unknown"}
)


async def _read(page: Page, subscription: str, *, own: bool = False) -> dict[str, Any]:
    """Return a subscription; with `own` one that a group has is not there."""
    found: dict[str, Any] = await page.get(f"/v1/subscriptions/{subscription}")
    if own and found["consumer"] != page.own.consumer:
        raise Problem(404, {"code": "subscription_unknown"})
    return found


async def _preview(
    page: Page, subscription: str, change: str, at: str = "now", plan: str | None = None
) -> dict[str, Any] | None:
    """Return what a change would lead to, or None where it cannot be had now."""
    body: dict[str, Any] = {"change": change, "at": at}
    if plan is not None:
        body["plan"] = plan
    path = f"/v1/subscription-payments/{subscription}/preview"
    try:
        found: dict[str, Any] = await page.post(path, body)
    except Problem as problem:
        if problem.code in _REFUSED:
            return None
        raise
    return found


async def _owed(page: Page, paying: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the invoice of which something is still due; None too when it was paid just now."""
    if paying is None or paying["open_invoice"] is None:
        return None
    invoice: dict[str, Any] | None = await page.find(f"/v1/invoices/{paying['open_invoice']}")
    return invoice if invoice is not None and invoice["due"] else None


@get(PATH)
@explained
async def show_subscription(subscription: FromPath[str], request: AnyRequest) -> Response[Any]:
    """Show a subscription and what may be done with it; waits while it is being set up."""
    page = await own_page(request)
    one = await _read(page, subscription)
    standing = await standing_of(page, one)
    return shown(
        page,
        "subscription.html",
        one=standing,
        owed=await _owed(page, standing.paying),
        mine=one["consumer"] == page.own.consumer,
        products=await products_of(page),
    )


@get(PATH + "/change-plan")
@explained
async def ask_to_change(subscription: FromPath[str], request: AnyRequest) -> Response[Any]:
    """Let the visitor choose another plan, or show what the chosen one costs now and later."""
    page = await own_page(request)
    one = await _read(page, subscription, own=True)
    if one["state"] in ENDED:
        return page.go(f"/portal/subscriptions/{subscription}")
    period = f"{one['period']}-{one['period_count']}"
    offers = [
        (sold, price)
        for sold in await plans_on_sale(page)
        for price in sold.prices
        if price.period == period and sold.plan["code"] != one["plan"]
    ]
    wanted = request.query_params.get("plan")
    chosen = next(((sold, price) for sold, price in offers if sold.plan["code"] == wanted), None)
    options = []
    if chosen is not None:
        options = [(at, await _preview(page, subscription, "plan", at, wanted)) for at in WHEN]
    return shown(
        page,
        "change.html",
        one=await standing_of(page, one, uses=False),
        offers=offers,
        chosen=chosen,
        options=[option for option in options if option[1] is not None],
        **await extras_of(page),
    )


@get(PATH + "/cancel")
@explained
async def ask_to_cancel(subscription: FromPath[str], request: AnyRequest) -> Response[Any]:
    """Show what it gives back to end now, and that it gives nothing back to end with the period."""
    page = await own_page(request)
    one = await _read(page, subscription, own=True)
    options = [(at, await _preview(page, subscription, "cancel", at)) for at in WHEN]
    return shown(
        page,
        "cancel.html",
        one=await standing_of(page, one, uses=False),
        options=[option for option in options if option[1] is not None],
    )


@get([PATH + "/pause", PATH + "/resume"])
@explained
async def ask_to_pause(subscription: FromPath[str], request: AnyRequest) -> Response[Any]:
    """Say what a pause means, or what going on costs."""
    page = await own_page(request)
    one = await _read(page, subscription, own=True)
    change = request.url.path.rpartition("/")[2]
    return shown(
        page,
        "pause.html",
        one=await standing_of(page, one, uses=False),
        change=change,
        preview=await _preview(page, subscription, change),
    )


@post([f"{PATH}/{change}" for change in _CHANGES], status_code=303)
@explained
async def change_subscription(subscription: FromPath[str], request: AnyRequest) -> Response[Any]:
    """Send a wish on, once for each page that asked."""
    page = await own_page(request)
    change = request.url.path.rpartition("/")[2]
    form = await request.form()
    body: dict[str, Any] | None = None
    if change in {"cancel", "change-plan"}:
        body = {"at": text_of(form, "at") if text_of(form, "at") in WHEN else "period_end"}
    if body is not None and change == "change-plan":
        body["plan"] = text_of(form, "plan")
    path = f"/v1/subscriptions/{subscription}/{change}"
    await page.post(path, body, key=key_of(form))
    return page.go(f"/portal/subscriptions/{subscription}", "change_asked")


HANDLERS = (
    show_subscription,
    ask_to_change,
    ask_to_cancel,
    ask_to_pause,
    change_subscription,
)
