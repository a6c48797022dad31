"""Orders: how one ended, what it cost, what went back, its receipt; and the list of them all."""

from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath

from farebox.shop import top_ups
from farebox.shop.buying import begin, is_under_way, settled
from farebox.shop.views import Json, all_of, own_page, shown
from farebox.web.api import Problem
from farebox.web.errors import explained
from farebox.web.forms import whole
from farebox.web.pages import AnyRequest, Page


@get("/store/orders")
@explained
async def show_orders(request: AnyRequest) -> Response[Any]:
    """List the visitor's orders, newest first."""
    page = await own_page(request)
    orders = await all_of(page, "/v1/orders")
    return shown(page, "store/orders.html", orders=orders[::-1])


@get("/store/orders/{order:str}/done")
@explained
async def show_done(request: AnyRequest, order: FromPath[str]) -> Response[Any]:
    """Tell how a purchase ended; while the services work on it, the page asks again."""
    page = await own_page(request)
    found = await page.get(f"/v1/orders/{order}")
    filled = request.query_params.get("at_once") == "yes" and await _is_filled(page, found)
    if found["state"] == "awaiting_funds" and not filled:
        return page.go(f"/store/orders/{order}")
    waiting = is_under_way(found, filled=filled)
    if waiting:
        # Whoever closed the page at the wrong moment goes on where they were; a repeat is harmless.
        await begin(page, found)
    return shown(page, "store/done.html", order=found, waiting=waiting)


async def _is_filled(page: Page, order: Json) -> bool:
    """Tell whether the balance has what an order waits for."""
    path = f"/v1/customers/{page.own.consumer}/wallets/{order['currency']}"
    wallet = await page.get(path)
    return bool(wallet["available"] >= order["total"])


@get("/store/orders/{order:str}")
@explained
async def show_order(request: AnyRequest, order: FromPath[str]) -> Response[Any]:
    """Show an order: its lines, what was charged, what went back, what is left."""
    page = await own_page(request)
    return await _order(page, order)


async def _order(
    page: Page, order: str, *, status: int = 200, form: top_ups.TopUpForm | None = None
) -> Response[Any]:
    found = await page.get(f"/v1/orders/{order}")
    refunds = await page.get(f"/v1/orders/{order}/refunds")
    wallet, missing = None, 0
    if found["state"] == "awaiting_funds":
        path = f"/v1/customers/{page.own.consumer}/wallets/{found['currency']}"
        wallet = await page.get(path)
        missing = max(0, found["total"] - wallet["available"])
        if missing and form is None:
            form = await _form(page, found, wallet)
    return shown(
        page,
        "store/order.html",
        status=status,
        order=found,
        refunds=refunds["items"],
        wallet=wallet,
        form=form if missing else None,
    )


async def _form(page: Page, order: Json, wallet: Json) -> top_ups.TopUpForm:
    return await top_ups.form_for(
        page,
        order["currency"],
        action=f"/store/orders/{order['id']}/top-up",
        missing=order["total"] - wallet["available"],
        wallet=wallet,
    )


@get("/store/orders/{order:str}/receipt.pdf")
@explained
async def send_receipt(request: AnyRequest, order: FromPath[str]) -> Response[Any]:
    """Send the receipt of a paid order, in the language of the page."""
    page = await own_page(request)
    return await page.file(f"/v1/orders/{order}/receipt.pdf", language=page.language)


@post("/store/orders/{order:str}/top-up", status_code=303)
@explained
async def top_up_for_order(request: AnyRequest, order: FromPath[str]) -> Response[Any]:
    """Fill the balance for an order that waits for it."""
    page = await own_page(request)
    found = await page.get(f"/v1/orders/{order}")
    wallet = await page.get(f"/v1/customers/{page.own.consumer}/wallets/{found['currency']}")
    form = await _form(page, found, wallet)
    made = await top_ups.ask(page, form, await request.form())
    if made is None:
        return await _order(page, order, status=422, form=form)
    return top_ups.go_on(page, made, f"/store/orders/{order}")


@post("/store/orders/{order:str}/confirm", status_code=303)
@explained
async def confirm_order(request: AnyRequest, order: FromPath[str]) -> Response[Any]:
    """Pay an order that has waited for its money."""
    page = await own_page(request)
    form = await request.form()
    body = {"shown_total": whole(form.get("shown_total"))}
    try:
        await page.post(f"/v1/orders/{order}/confirm", body, key=str(form.get("key", "")))
    except Problem as problem:
        if problem.code in {"wallet_short", "price_changed", "order_state_refused"}:
            return await _order(page, order, status=problem.status)
        raise
    await settled(page, order)
    return page.go(f"/store/orders/{order}/done")


@post("/store/orders/{order:str}/cancel", status_code=303)
@explained
async def cancel_order(request: AnyRequest, order: FromPath[str]) -> Response[Any]:
    """Call off an order that is not paid."""
    page = await own_page(request)
    await page.post(f"/v1/orders/{order}/cancel")
    return page.go(f"/store/orders/{order}", "order_canceled")


HANDLERS: Final = (
    show_orders,
    show_done,
    show_order,
    send_receipt,
    top_up_for_order,
    confirm_order,
    cancel_order,
)
