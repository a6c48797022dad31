"""One customer, one order: what they have, what happened, and what support may do about it."""

import asyncio
from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath

from farebox.console.asking import allowed
from farebox.console.session import opened
from farebox.web.api import Problem, one_part
from farebox.web.errors import explained
from farebox.web.forms import parse_amount
from farebox.web.pages import AnyRequest

_ROWS: Final = 20
_LONGEST: Final = 12


@get("/console/customers/{consumer:str}")
@explained
async def show_customer(request: AnyRequest, consumer: FromPath[str]) -> Response[Any]:
    """Show a customer: money, orders, rights to watch, letters, keys' owners, the audit."""
    page = await opened(request)
    who = await page.get(f"/v1/consumers/{consumer}")
    asked = {
        "billed": (f"/v1/customers/{consumer}", {}),
        "wallets": (f"/v1/customers/{consumer}/wallets", {}),
        "orders": ("/v1/orders", {"customer": consumer, "limit": _ROWS}),
        "rentals": ("/v1/rentals", {"consumer": consumer, "limit": _ROWS}),
        "subscriptions": ("/v1/subscriptions", {"consumer": consumer, "limit": _ROWS}),
        "deliveries": ("/v1/deliveries", {"consumer": consumer, "limit": _ROWS}),
        "audit": ("/v1/audit", {"subject": consumer, "limit": _ROWS}),
    }
    found = await asyncio.gather(*(allowed(page, path, **query) for path, query in asked.values()))
    return page.show("console/customer.html", who=who, **dict(zip(asked, found, strict=True)))


@post("/console/customers/{consumer:str}/{change:str}", status_code=303)
@explained
async def change_customer(
    request: AnyRequest, consumer: FromPath[str], change: FromPath[str]
) -> Response[Any]:
    """Suspend or activate a customer, or fill a wallet by hand; each with a reason."""
    page = await opened(request)
    form = await request.form()
    reason = str(form.get("reason", "")).strip()
    back = f"/console/customers/{consumer}"
    if not reason:
        return page.go(back, "reason_missing")
    key = str(form.get("key", ""))
    if change in {"suspend", "activate"}:
        await page.site.api.post(
            f"/v1/consumers/{consumer}/{change}", page.own.key, key=key, reason=reason
        )
        return page.go(back, "saved")
    if change == "fill":
        currency = str(form.get("currency", "RUB"))
        amount = parse_amount(str(form.get("amount", "")), currency, digits=_LONGEST)
        if not amount:
            return page.go(back, "amount_wrong")
        body = {"amount": amount, "reason": reason, "part": str(form.get("part", "paid"))}
        path = f"/v1/customers/{consumer}/wallets/{one_part(currency)}/fills"
        await page.post(path, body, key=key)
        return page.go(back, "saved")
    raise Problem(404, {"code": "page_refused"})


@get("/console/orders/{order:str}")
@explained
async def show_order(request: AnyRequest, order: FromPath[str]) -> Response[Any]:
    """Show an order: lines as they were bought, what was charged, what went back and what could."""
    page = await opened(request)
    found, refunds, quote = await asyncio.gather(
        page.get(f"/v1/orders/{order}"),
        allowed(page, f"/v1/orders/{order}/refunds"),
        _quote(page, order),
    )
    return page.show("console/order.html", order=found, refunds=refunds, quote=quote)


async def _quote(page: Any, order: str) -> Any:  # noqa: ANN401 - JSON
    try:
        return await page.get(f"/v1/orders/{order}/return-quote", reason="our_fault")
    except Problem:
        return None


@post("/console/orders/{order:str}/return", status_code=303)
@explained
async def give_back(request: AnyRequest, order: FromPath[str]) -> Response[Any]:
    """Give an order's money back in full, because the fault was ours; with a reason."""
    page = await opened(request)
    form = await request.form()
    reason = str(form.get("reason", "")).strip()
    back = f"/console/orders/{order}"
    if not reason:
        return page.go(back, "reason_missing")
    body = {"reason": "our_fault", "note": reason}
    await page.post(f"/v1/orders/{order}/returns", body, key=str(form.get("key", "")))
    return page.go(back, "saved")


@post("/console/deliveries/{delivery:str}/resend", status_code=303)
@explained
async def resend(request: AnyRequest, delivery: FromPath[str]) -> Response[Any]:
    """Send a letter again, in its own language and zone."""
    page = await opened(request)
    form = await request.form()
    await page.post(f"/v1/deliveries/{delivery}/resend", key=str(form.get("key", "")))
    return page.go(f"/console/customers/{form.get('customer', '')}", "saved")


HANDLERS: Final = (show_customer, change_customer, show_order, give_back, resend)
