"""What a tax rate may look like, which rates may hold together, and the table they make."""

import re
from collections.abc import Iterable
from typing import Any, Final, get_args

from farebox.billing.pricing.model_money import Level, PlaceRate, Rate, TaxRefused
from farebox.billing.pricing.model_taxes import (
    LONGEST_REGION,
    LONGEST_TAX_CODE,
    TaxRate,
    TaxRateOverlaps,
    TaxSettings,
)
from farebox.kernel.clock import show_time
from farebox.kernel.refusals import ValueRefused
from farebox.platform.rules import checked_text

_CODE: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{LONGEST_TAX_CODE - 1}}}")
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_ALL: Final = 100
_MOST_PLACES: Final = 12


def check_country(country: str) -> str:
    """Return a country's two letters (ISO 3166), else refuse them (`value_invalid`)."""
    if _COUNTRY.fullmatch(country) is None:
        raise ValueRefused("a country is the two capital letters of ISO 3166")
    return country


def check_tax_rate(rate: TaxRate) -> None:
    """Refuse (`value_invalid`, `tax_invalid`) what is no tax rate."""
    if _CODE.fullmatch(rate.code) is None:
        raise ValueRefused(
            f"a tax code is 1 to {LONGEST_TAX_CODE} letters, digits and . _ - in ASCII"
        )
    check_country(rate.country)
    for text in (rate.region, rate.category):
        if text is not None:
            checked_text(text, "a region or category", longest=LONGEST_REGION)
    percent = rate.percent
    if not percent.is_finite() or not 0 <= percent <= _ALL:
        raise TaxRefused
    if int(percent.as_tuple().exponent) < -_MOST_PLACES:
        raise TaxRefused(f"a tax rate has at most {_MOST_PLACES} decimal places")
    if rate.valid_until is not None and rate.valid_until <= rate.valid_from:
        raise TaxRefused("a tax rate holds from before it holds until")


def check_beside(rate: TaxRate, others: Iterable[TaxRate]) -> None:
    """Refuse (`tax_rate_overlaps`) a rate beside which a bill could have one tax twice.

    At any time a code has one percentage, and one rate in a place.
    """
    for other in others:
        if other.code != rate.code or not _together(rate, other):
            continue
        if other.percent != rate.percent:
            raise TaxRateOverlaps(f"{rate.code} is {other.percent:f} % at that time")
        if _place(other) == _place(rate):
            raise TaxRateOverlaps


def _together(one: TaxRate, other: TaxRate) -> bool:
    """Tell whether two rates hold at some time both."""
    begins = max(one.valid_from, other.valid_from)
    ends = [each.valid_until for each in (one, other) if each.valid_until is not None]
    return not ends or begins < min(ends)


def _place(rate: TaxRate) -> tuple[str, str | None, str | None]:
    return rate.country, rate.region, rate.category


def table_of(rates: Iterable[TaxRate]) -> list[PlaceRate]:
    """Return rates that hold together as a table by place, in the order of their codes."""
    places: dict[tuple[str, str | None, str | None], list[Rate]] = {}
    for each in sorted(rates, key=lambda each: each.code):
        places.setdefault(_place(each), []).append(Rate(each.code, each.percent))
    return [
        PlaceRate(country=country, region=region, category=category, rates=tuple(found))
        for (country, region, category), found in places.items()
    ]


def check_settings(settings: TaxSettings) -> None:
    """Refuse (`value_invalid`) settings that cannot be."""
    if settings.country is not None:
        check_country(settings.country)
    if settings.level not in get_args(Level):
        raise ValueRefused(f"tax is rounded by {', '.join(get_args(Level))}")


def facts_of(rate: TaxRate) -> dict[str, Any]:
    """Return a tax rate as the audit log tells it."""
    return {
        "taxRate": rate.id,
        "code": rate.code,
        "percent": f"{rate.percent:f}",
        "country": rate.country,
        "region": rate.region,
        "category": rate.category,
        "validFrom": show_time(rate.valid_from),
        "validUntil": None if rate.valid_until is None else show_time(rate.valid_until),
    }
