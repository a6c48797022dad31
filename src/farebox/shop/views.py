"""What the store's pages have in common: titles, amounts without a sign, clocks, currencies."""

from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from babel.numbers import get_currency_symbol
from litestar import Response

from farebox.kernel.clock import SECOND_US, parse_time, show_time
from farebox.kernel.periods import zone_of
from farebox.platform import formats
from farebox.web.pages import AnyRequest, Page, opened

Json = dict[str, Any]
_MOST_PAGES: Final = 20
_HOUR_US: Final = 3_600 * SECOND_US


async def own_page(request: AnyRequest) -> Page:
    """Return the page of whoever is signed in; others are sent to sign in."""
    page = await opened(request)
    _ = page.own
    return page


def shown(page: Page, template: str, *, status: int = 200, **values: object) -> Response[str]:
    """Answer with a page of the store."""
    return page.show(
        template,
        status=status,
        **{
            "amount": partial(amount, page),
            "clock": partial(clock, page),
            "title_of": partial(text_in, language=page.language),
            "seconds_left": partial(seconds_left, page),
            "until": until,
            "sign_of": partial(sign_of, page),
            **values,
        },
    )


def amount(page: Page, minor: int, currency: str = "RUB", *, signed: bool = False) -> str:
    """Write an amount without its currency: `360,00`."""
    return formats.amount(minor, currency, page.language, signed=signed)


def sign_of(page: Page, currency: str) -> str:
    """Return a currency's sign, for the label of a field: `₽`."""
    return str(get_currency_symbol(currency, page.language))


def text_in(texts: Mapping[str, str], language: str) -> str:
    """Return a text in a language, else in another one that there is."""
    return texts.get(language) or next(iter(texts.values()), "")


def clock(page: Page, at: str) -> str:
    """Write when something happens, shortly: `12:30` of today, else with its day."""
    at_us = parse_time(at)
    zone = zone_of(page.zone)
    then = datetime.fromtimestamp(at_us // SECOND_US, UTC).astimezone(zone)
    now = datetime.fromtimestamp(page.now_us // SECOND_US, UTC).astimezone(zone)
    if then.date() == now.date():
        return then.strftime("%H:%M")
    return formats.short(at_us, page.zone, page.language)


def seconds_left(page: Page, at: str) -> int:
    """Return the whole seconds until an instant, 0 when it is over."""
    return max(0, (parse_time(at) - page.now_us) // SECOND_US)


def until(starts_at: str, hours: int) -> str:
    """Return when so many hours from an instant are over, as the API writes times."""
    return show_time(parse_time(starts_at) + hours * _HOUR_US)


async def all_of(page: Page, path: str, **query: object) -> list[Json]:
    """Return all items of a list of the API, page by page."""
    return [item async for item in _each(page, path, query)]


async def _each(page: Page, path: str, query: Mapping[str, object]) -> AsyncIterator[Json]:
    cursor = None
    for _ in range(_MOST_PAGES):
        part = await page.get(path, **query, cursor=cursor)
        for item in part["items"]:
            yield item
        cursor = part["next"]
        if cursor is None:
            return


async def currency_of(page: Page) -> str | None:
    """Return what the visitor pays in: as they said, as their wallet, as the shelf."""
    if page.customer.get("currency"):
        return str(page.customer["currency"])
    if page.customer:
        wallets = await page.get(f"/v1/customers/{page.own.consumer}/wallets")
        for wallet in wallets["items"]:
            return str(wallet["currency"])
    found = await page.get("/api/v1/search/", limit=1)
    return next((str(one["currency"]) for one in found["items"] if one["currency"]), None)


async def premiere_of(page: Page, code: str) -> Json | None:
    """Return a premiere as it is sold now, or None."""
    found: Json | None = await page.find(f"/api/v1/premiere/{code}", lang=page.language)
    return found


def offer_of(premiere: Json | None, code: str | None) -> Json | None:
    """Return an offer of a premiere, or None."""
    offers = [] if premiere is None else premiere["offers"]
    return next((one for one in offers if one["code"] == code), None)
