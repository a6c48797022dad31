"""What the portal's pages have in common: whose they are, lists, numbers, prices in words."""

from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any, Final

import iso4217
from babel.numbers import format_decimal
from litestar import Response

from farebox.kernel.clock import parse_time
from farebox.kernel.ids import record_id
from farebox.platform import formats
from farebox.web.pages import AnyRequest, Page, opened

MOST_PAGES: Final = 20
DEFAULT_CURRENCY: Final = "RUB"


async def own_page(request: AnyRequest) -> Page:
    """Return the page of whoever is signed in; others are sent to sign in."""
    page = await opened(request)
    _ = page.own
    return page


def shown(
    page: Page,
    template: str,
    *,
    status: int = 200,
    errors: Mapping[str, str] | None = None,
    **values: object,
) -> Response[str]:
    """Answer with a page of the portal; `errors` are words by the name of a field."""
    return page.show(
        f"portal/{template}",
        status=422 if errors and status == 200 else status,  # noqa: PLR2004 - the usual answer
        number=partial(number, page),
        day=partial(day, page),
        date=partial(date, page),
        percent=partial(percent, page),
        errors=errors or {},
        decimal_money=partial(decimal_money, page),
        fresh=lambda: record_id("web"),
        **values,
    )


def number(page: Page, amount: int | Decimal) -> str:
    """Write a number with its groups parted: `44 569`, `44,569`."""
    return str(format_decimal(amount, locale=page.language))


def decimal_money(page: Page, amount: str, currency: str) -> str:
    """Write a decimal of the main unit; what is finer than the smallest unit is kept: `0,004 ₽`."""
    minor = minor_of(amount, currency)
    if minor is not None:
        return page.money(minor, currency)
    return f"{number(page, Decimal(amount))}\N{NO-BREAK SPACE}{currency}"


def percent(page: Page, part: int, whole: int) -> str:
    """Write a part of a whole in whole percents; rounded down, so that 100 % is all of it."""
    found = part * 100 // whole if whole else 0
    # A no-break space, as Russian typography wants it.
    return f"{found}\N{NO-BREAK SPACE}%" if page.language == "ru" else f"{found}%"


def day(page: Page, at: str | int) -> str:
    """Write the day of an instant."""
    at_us = parse_time(at) if isinstance(at, str) else at
    return formats.day(at_us, page.zone, page.language)


def date(page: Page, at: int) -> str:
    """Write the day of an instant shortly, for tables: `20.11.2026`, `20 Nov 2026`."""
    return formats.short(at, page.zone, page.language).rpartition(" ")[0].rstrip(",")


async def all_of(page: Page, path: str, **query: object) -> list[Any]:
    """Return all items of a list of the API, page by page."""
    found: list[Any] = []
    cursor = None
    for _ in range(MOST_PAGES):
        part = await page.get(path, **query, cursor=cursor)
        found += part["items"]
        cursor = part["next"]
        if cursor is None:
            break
    return found


async def currency_of(page: Page) -> str:
    """Return what the visitor pays in: what they said, else what their wallet has."""
    if page.customer.get("currency"):
        return str(page.customer["currency"])
    if page.customer:
        wallets = await page.get(f"/v1/customers/{page.own.consumer}/wallets")
        if wallets["items"]:
            return str(wallets["items"][0]["currency"])
    return DEFAULT_CURRENCY


async def methods_of(page: Page) -> list[Any]:
    """Return the visitor's payment methods that may be used, the standard one first."""
    if not page.customer:
        return []
    found = await all_of(page, f"/v1/customers/{page.own.consumer}/payment-methods")
    active = [one for one in found if one["state"] == "active"]
    return sorted(active, key=lambda one: not one["standard"])


async def products_of(page: Page) -> dict[str, Any]:
    """Return the products by code, for their names and units."""
    return {one["code"]: one for one in await all_of(page, "/v1/products", limit=200)}


def minor_of(amount: str, currency: str) -> int | None:
    """Return a decimal of the main unit in the smallest unit; None if it is not a whole one."""
    places = int(iso4217.Currency(currency).exponent or 0)
    minor = Decimal(amount).scaleb(places)
    return int(minor) if minor == minor.to_integral_value() else None


def flat_of(price: Mapping[str, Any] | None) -> int | None:
    """Return what a price of one amount comes to each period, in the smallest unit."""
    if price is None or price["terms"]["charge"]["model"] != "flat":
        return None
    return minor_of(price["terms"]["charge"]["amount"], price["currency"])
