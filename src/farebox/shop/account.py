"""The account: balance, top-up, and the statement with its running balance, also as a file."""

import csv
import io
from typing import Any, Final
from urllib.parse import quote

from litestar import Response, get, post

from farebox.kernel.clock import parse_time, show_time
from farebox.platform import formats
from farebox.shop import top_ups
from farebox.shop.forms import parse_day
from farebox.shop.views import Json, amount, currency_of, own_page, shown
from farebox.web.errors import explained
from farebox.web.forms import typed_amount, whole
from farebox.web.pages import AnyRequest, Page, local_address

_A_PAGE: Final = 100
_MOST_PAGES: Final = 50


@get("/store/account")
@explained
async def show_account(request: AnyRequest) -> Response[Any]:
    """Show what is on the balance, how to fill it, and what has happened to it."""
    page = await own_page(request)
    return await _account(page)


async def _account(
    page: Page, *, status: int = 200, form: top_ups.TopUpForm | None = None
) -> Response[Any]:
    currency = await currency_of(page)
    if currency is None or not page.customer:
        return shown(page, "store/account.html", status=status, wallet=None, form=None)
    wallet = await page.get(f"/v1/customers/{page.own.consumer}/wallets/{currency}")
    if form is None:
        form = await _form(page, wallet)
    found = await _lines(page, currency)
    query = page.request.query_params
    return shown(
        page,
        "store/account.html",
        status=status,
        wallet=wallet,
        form=form,
        lines=[_row(page, one, currency) for one in reversed(found["items"])],
        older=found["next"],
        since=query.get("from", ""),
        until_day=query.get("to", ""),
        after=local_address(query.get("next"), ""),
    )


async def _form(page: Page, wallet: Json) -> top_ups.TopUpForm:
    query = page.request.query_params
    missing = whole(query.get("missing"))
    after = local_address(query.get("next"), "")
    return await top_ups.form_for(
        page,
        wallet["currency"],
        action="/store/account/top-up" + (f"?next={quote(after)}" if after else ""),
        missing=missing if missing > 0 else None,
        wallet=wallet,
        presets=top_ups.PRESETS,
    )


@post("/store/account/top-up", status_code=303)
@explained
async def top_up(request: AnyRequest) -> Response[Any]:
    """Fill the balance, by a typed amount or one of the usual ones."""
    page = await own_page(request)
    currency = await currency_of(page)
    if currency is None:
        return page.go("/store/account")
    wallet = await page.get(f"/v1/customers/{page.own.consumer}/wallets/{currency}")
    form = await _form(page, wallet)
    given = dict(await request.form())
    preset = whole(given.get("preset"))
    if preset > 0:
        given["amount"] = typed_amount(preset, currency)
    made = await top_ups.ask(page, form, given)
    if made is None:
        return await _account(page, status=422, form=form)
    after = local_address(request.query_params.get("next"), "/store/account")
    return top_ups.go_on(page, made, after)


async def _lines(page: Page, currency: str, cursor: str | None = None) -> Json:
    """Return a page of the statement, newest first, between the days that were chosen."""
    query = page.request.query_params
    since = parse_day(query.get("from", ""), page.zone)
    end = parse_day(query.get("to", ""), page.zone, later=1)
    path = f"/v1/customers/{page.own.consumer}/wallets/{currency}/statement"
    found: Json = await page.get(
        path,
        **{
            "from": None if since is None else show_time(since),
            "to": None if end is None else show_time(end),
        },
        limit=_A_PAGE,
        cursor=cursor or query.get("cursor"),
    )
    return found


def _row(page: Page, line: Json, currency: str) -> Json:
    """Return a line as table and file have it: the same words in both."""
    at_us = parse_time(line["at"])
    return {
        "at": formats.short(at_us, page.zone, page.language),
        "what": _what(page, line["about"]["kind"], line["amount"]),
        "order": line["about"].get("order"),
        "amount": amount(page, line["amount"], currency, signed=True),
        "balance": amount(page, line["balance"], currency),
    }


def _what(page: Page, kind: str, moved: int) -> str:
    words = {
        "order": page.words("Order"),
        "top_up": page.words("Top-up"),
        "bonus": page.words("Bonus"),
        "bonus_ended": page.words("Bonus ended"),
        "refund": page.words("Refund"),
        "rental_change": page.words("Change of the term"),
        "adjustment": page.words("Correction"),
        "chargeback": page.words("Chargeback"),
        "invoice": page.words("Invoice"),
    }
    return words.get(kind) or (page.words("Credit") if moved > 0 else page.words("Charge"))


@get("/store/account/statement.csv")
@explained
async def send_statement(request: AnyRequest) -> Response[Any]:
    """Send the statement as a file: cell by cell what the table shows, oldest first."""
    page = await own_page(request)
    currency = await currency_of(page)
    lines: list[Json] = []
    cursor = None
    for _ in range(_MOST_PAGES if currency else 0):
        found = await _lines(page, str(currency), cursor)
        lines += found["items"]
        cursor = found["next"]
        if cursor is None:
            break
    text = io.StringIO()
    # What a spreadsheet of the country expects: in Russian the comma stands in the amounts.
    table = csv.writer(text, delimiter=";" if page.language == "ru" else ",")
    when = page.words("When (%(zone)s)", zone=formats.zone_name(page.zone, page.language))
    head = (when, page.words("What"), page.words("Order"), page.words("Amount"))
    table.writerow((*head, page.words("Balance"), page.words("Currency")))
    for one in reversed(lines):
        row = _row(page, one, str(currency))
        table.writerow((
            row["at"], row["what"], row["order"] or "", row["amount"], row["balance"], currency,
        ))  # fmt: skip
    return Response(
        text.getvalue().encode("utf-8-sig"),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="statement.csv"'},
    )


HANDLERS: Final = (show_account, top_up, send_statement)
