"""What a person typed, as the API wants it: amounts and moments. Nothing is decided here."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Final

import iso4217

from farebox.kernel.clock import SECOND_US
from farebox.kernel.periods import zone_of

_GAPS: Final = re.compile(r"[\s\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}₽]")
_LONGEST: Final = 20
# What is added to a moment must still be one that can be written.
_YEARS: Final = range(1970, 9000)


def parse_amount(text: str, currency: str) -> int | None:
    """Return a typed amount (`1 159,50` of RUB) in the smallest unit (115950), or None."""
    plain = _GAPS.sub("", text[:_LONGEST]).replace(",", ".")
    places = int(iso4217.Currency(currency).exponent or 0)
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", plain, re.ASCII) is None:
        return None
    try:
        minor = Decimal(plain).scaleb(places)
    except InvalidOperation:
        return None
    return int(minor) if minor == minor.to_integral_value() else None


def typed_amount(minor: int, currency: str) -> str:
    """Write an amount as a person would type it into a field: `160,00`."""
    places = int(iso4217.Currency(currency).exponent or 0)
    return f"{Decimal(minor).scaleb(-places):.{places}f}".replace(".", ",")


def parse_moment(text: str, zone: str) -> int | None:
    """Return the microseconds of a `datetime-local` field's text in a zone, None if it is none."""
    try:
        local = datetime.strptime(text[:16], "%Y-%m-%dT%H:%M").replace(tzinfo=zone_of(zone))
    except ValueError:
        return None
    return int(local.timestamp()) * SECOND_US if local.year in _YEARS else None


def typed_moment(at_us: int, zone: str) -> str:
    """Write an instant as a `datetime-local` field has it."""
    local = datetime.fromtimestamp(at_us // SECOND_US, UTC).astimezone(zone_of(zone))
    return local.strftime("%Y-%m-%dT%H:%M")


def parse_day(text: str, zone: str, *, later: int = 0) -> int | None:
    """Return the microseconds at which a day of a `date` field begins in a zone.

    So many days `later` are counted on the calendar: a day has 23 hours now and then.
    """
    try:
        day = date.fromisoformat(text) + timedelta(days=later)
    except (ValueError, OverflowError):
        return None
    return parse_moment(f"{day.isoformat()}T00:00", zone)


def whole(text: object) -> int:
    """Return a field's whole number, -1 for anything else: no page offers that one."""
    typed = str(text)
    return int(typed) if typed.isascii() and typed.isdigit() and len(typed) <= _LONGEST else -1
