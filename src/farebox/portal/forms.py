"""What a person typed, as the API wants it: amounts and days. Nothing is decided here."""

import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import iso4217

from farebox.kernel.clock import SECOND_US, show_time
from farebox.kernel.periods import zone_of

_GAPS: Final = re.compile(r"[\s\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}₽$€]")
_LONGEST: Final = 20
_LARGEST: Final = 2**53 - 1


def text_of(form: Any, name: str) -> str:  # noqa: ANN401 - the framework's form
    """Return what stands in a field, without spaces around it; nothing if it is not there."""
    return str(form.get(name) or "").strip()


def key_of(form: Any) -> str | None:  # noqa: ANN401 - as above
    """Return the key that the form was rendered with, under which it counts once."""
    return text_of(form, "key")[:200] or None


def parse_amount(text: str, currency: str) -> int | None:
    """Return a typed amount in the smallest unit (`1 159,50` of RUB is 115950), or None."""
    plain = _GAPS.sub("", text[:_LONGEST]).replace(",", ".")
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", plain, re.ASCII) is None:
        return None
    minor = Decimal(plain).scaleb(_places_of(currency))
    return int(minor) if minor == minor.to_integral_value() and minor <= _LARGEST else None


def typed_amount(minor: int, currency: str) -> str:
    """Write an amount as a person would type it into a field: `160,00`."""
    places = _places_of(currency)
    return f"{Decimal(minor).scaleb(-places):.{places}f}".replace(".", ",")


def whole(text: str) -> int:
    """Return a field's whole number, -1 for anything else: no page offers that one."""
    return int(text) if re.fullmatch(r"[0-9]{1,15}", text, re.ASCII) else -1


def parse_last_day(text: str, zone: str) -> str | None:
    """Return the end of a `date` field's day in a zone, as the API writes times; or None."""
    try:
        # The hour is the zone's own; the day after is counted on its calendar.
        begins = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=zone_of(zone))
        end = begins + timedelta(days=1)
        return str(show_time(int(end.timestamp()) * SECOND_US))
    except (ValueError, OverflowError):
        return None


def _places_of(currency: str) -> int:
    return int(iso4217.Currency(currency).exponent or 0)
