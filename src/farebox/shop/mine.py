"""My premieres: what may be watched now, later, and what is over; the terms of each."""

from typing import Any, Final

from litestar import Response, get, post
from litestar.params import FromPath

from farebox.kernel.clock import parse_time, show_time
from farebox.shop.forms import parse_moment, typed_moment
from farebox.shop.rentals import Rented, changed, rented, rented_all, revoked
from farebox.shop.views import Json, own_page, premiere_of, shown
from farebox.web.api import Problem
from farebox.web.errors import explained
from farebox.web.forms import whole
from farebox.web.pages import AnyRequest, Page

MINE: Final = "/store/premieres/mine"
_NOW: Final = frozenset({"available", "playing"})
_NOT_EXTENDED: Final = frozenset(
    {"rental_over", "period_not_priced", "shortening_refused", "rental_window", "rental_unknown"}
)


@get(MINE)
@explained
async def show_mine(request: AnyRequest) -> Response[Any]:
    """Show the visitor's premieres: available now, upcoming, history."""
    page = await own_page(request)
    all_of_them = await rented_all(page)
    tickets = await _tickets(page)
    return shown(
        page,
        "store/mine.html",
        now=sorted((one for one in all_of_them if one.rental["state"] in _NOW), key=_end),
        later=sorted(
            (one for one in all_of_them if one.rental["state"] == "scheduled"), key=_start
        ),
        over=[one for one in all_of_them if one.rental["state"] in {"expired", "revoked"}][::-1],
        tickets=tickets,
    )


def _end(one: Rented) -> str:
    return str(one.rental["ends_at"])


def _start(one: Rented) -> str:
    return str(one.rental["starts_at"])


async def _tickets(page: Page) -> list[Json]:
    """Return what was bought without a term: seats of showings, and what is for good."""
    orders = await page.get("/v1/orders", limit=100)
    return [
        {**line, "order": order["id"]}
        for order in orders["items"]
        for line in order["lines"]
        if line["kind"] == "item" and line["period_hours"] is None and line["state"] == "granted"
    ]


@get(MINE + "/{rental:str}")
@explained
async def show_rental(request: AnyRequest, rental: FromPath[str]) -> Response[Any]:
    """Show one rental, and what may be done with it."""
    page = await own_page(request)
    return await _terms(page, rental)


async def _terms(
    page: Page, rental: str, *, status: int = 200, fault: str | None = None, typed: str = ""
) -> Response[Any]:
    one = await rented(page, rental)
    starts_at = parse_time(one.rental["starts_at"])
    return shown(
        page,
        "store/rental.html",
        status=status,
        one=one,
        fault=fault,
        typed=typed or typed_moment(starts_at, page.zone),
        earliest=typed_moment(page.now_us, page.zone),
        longer=await _periods(page, one),
    )


async def _periods(page: Page, one: Rented) -> list[int]:
    """Return the offer's other periods that this rental may still have."""
    premiere = await premiere_of(page, one.rental["item"])
    offers = [] if premiere is None else premiere["offers"]
    known = [
        each
        for offer in offers
        if offer["code"] == one.rental["offer"]
        for each in offer["periods"]
    ]
    least = 0 if one.rental["state"] == "scheduled" else one.rental["period_hours"]
    return [
        each["hours"]
        for each in known
        if each["hours"] > least and each["hours"] != one.rental["period_hours"]
    ]


@get(MINE + "/{rental:str}/extend")
@explained
async def show_extension(request: AnyRequest, rental: FromPath[str]) -> Response[Any]:
    """Show what another period would cost, as the difference alone."""
    page = await own_page(request)
    hours = whole(request.query_params.get("hours"))
    if hours < 0:
        return page.go(f"{MINE}/{rental}")
    return await _extension(page, rental, hours)


async def _extension(
    page: Page, rental: str, hours: int, *, status: int = 200, why: str | None = None
) -> Response[Any]:
    one = await rented(page, rental)
    try:
        quote = await page.get(f"/v1/rental-quotes/{rental}", period_hours=hours)
    except Problem as problem:
        if problem.code not in _NOT_EXTENDED:
            raise
        return page.go(f"{MINE}/{rental}", "not_extended")
    path = f"/v1/customers/{page.own.consumer}/wallets/{quote['currency']}"
    return shown(
        page,
        "store/extend.html",
        status=status,
        one=one,
        quote=quote,
        why=why,
        wallet=await page.get(path),
    )


@post(MINE + "/{rental:str}/extend", status_code=303)
@explained
async def extend(request: AnyRequest, rental: FromPath[str]) -> Response[Any]:
    """Ask for another period, once; the page waits until it is paid and set."""
    page = await own_page(request)
    form = await request.form()
    hours, shown_amount = whole(form.get("hours")), whole(form.get("shown_amount"))
    one = await rented(page, rental)
    if one.rental["period_hours"] == hours:
        return page.go(f"{MINE}/{rental}", "extended")
    quote = await page.get(f"/v1/rental-quotes/{rental}", period_hours=hours)
    if quote["amount"] != shown_amount:
        return await _extension(page, rental, hours, status=409, why="changed")
    path = f"/v1/rentals/{rental}/request-extension"
    try:
        await page.post(path, {"period_hours": hours}, key=str(form.get("key", "")) or None)
    except Problem as problem:
        if problem.code in _NOT_EXTENDED or problem.code == "period_refused":
            return page.go(f"{MINE}/{rental}", "not_extended")
        raise
    return page.go(f"{MINE}/{rental}/extending?hours={hours}&was={quote['from_period_hours']}")


@get(MINE + "/{rental:str}/extending")
@explained
async def show_extending(request: AnyRequest, rental: FromPath[str]) -> Response[Any]:
    """Wait until another period is paid and set; say so when it cannot be."""
    page = await own_page(request)
    hours = whole(request.query_params.get("hours"))
    one = await changed(page, rental, hours)
    if one.rental["period_hours"] == hours:
        shorter = whole(request.query_params.get("was")) > hours
        return page.go(f"{MINE}/{rental}", "shortened" if shorter else "extended")
    tries = max(0, whole(request.query_params.get("tries"))) + 1
    return shown(page, "store/extending.html", one=one, hours_wanted=hours, tries=tries)


@post(MINE + "/{rental:str}/move", status_code=303)
@explained
async def move(request: AnyRequest, rental: FromPath[str]) -> Response[Any]:
    """Give a rental another start, free of charge, while it has not started."""
    page = await own_page(request)
    form = await request.form()
    typed = str(form.get("start", ""))
    at_us = parse_moment(typed, page.zone)
    if at_us is None or at_us < page.now_us:
        fault = "no_moment" if at_us is None else "moment_passed"
        return await _terms(page, rental, status=422, fault=fault, typed=typed)
    body = {"starts_at": show_time(at_us)}
    try:
        await page.post(f"/v1/rentals/{rental}/move", body, key=str(form.get("key", "")) or None)
    except Problem as problem:
        if problem.code not in {"rental_started", "rental_over", "rental_window"}:
            raise
        return await _terms(page, rental, status=409, fault=problem.code, typed=typed)
    return page.go(f"{MINE}/{rental}", "moved")


@get(MINE + "/{rental:str}/cancel")
@explained
async def show_cancel(request: AnyRequest, rental: FromPath[str]) -> Response[Any]:
    """Show exactly what would go back now, before anything is done."""
    page = await own_page(request)
    one = await rented(page, rental)
    if one.line is None or one.rental["state"] not in {"scheduled", "available"}:
        return page.go(f"{MINE}/{rental}")
    return await _cancel(page, one)


async def _cancel(page: Page, one: Rented, *, status: int = 200) -> Response[Any]:
    assert one.line is not None
    path = f"/v1/orders/{one.rental['order']}/return-quote"
    found = await page.get(path, line=one.line["id"])
    quote = next(iter(found["items"]), None)
    if quote is None:
        return page.go(f"{MINE}/{one.rental['id']}")
    return shown(page, "store/cancel.html", status=status, one=one, quote=quote)


@post(MINE + "/{rental:str}/cancel", status_code=303)
@explained
async def cancel(request: AnyRequest, rental: FromPath[str]) -> Response[Any]:
    """Give a rental back for exactly the sum that was shown, or show the new sum."""
    page = await own_page(request)
    form = await request.form()
    one = await rented(page, rental)
    if one.line is None or one.line["state"] == "returned":
        return page.go(MINE, "returned")
    path = f"/v1/orders/{one.rental['order']}"
    found = await page.get(f"{path}/return-quote", line=one.line["id"])
    agreed = form.get("accept_nothing") == "yes"
    if str(found["amount"]) != form.get("shown_amount") or not (found["amount"] or agreed):
        return await _cancel(page, one, status=409)
    body = {"lines": [one.line["id"]], "accept_nothing": agreed}
    await page.post(f"{path}/returns", body, key=str(form.get("key", "")) or None)
    await revoked(page, rental)
    return page.go(MINE, "returned" if found["amount"] else "returned_nothing")


HANDLERS: Final = (
    show_mine,
    show_rental,
    show_extension,
    extend,
    show_extending,
    move,
    show_cancel,
    cancel,
)
