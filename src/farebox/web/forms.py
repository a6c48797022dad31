"""What a person typed into a field, as the API wants it. Nothing is decided here."""

import re
from decimal import Decimal
from typing import Final

import iso4217

_GAPS: Final = re.compile(r"[\s\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}₽$€]")
_LONGEST: Final = 20
_LARGEST: Final = 2**53 - 1


def parse_amount(text: str, currency: str, *, digits: int = _LONGEST) -> int | None:
    """Return a typed amount (`1 159,50` of RUB) in the smallest unit (115950), or None.

    None also for what is finer than that unit, for more digits than so many before the point, and
    for a currency that there is not.
    """
    plain = _GAPS.sub("", text[:_LONGEST]).replace(",", ".")
    if re.fullmatch(rf"[0-9]{{1,{digits}}}(\.[0-9]+)?", plain, re.ASCII) is None:
        return None
    try:
        minor = Decimal(plain).scaleb(_places_of(currency))
    except ValueError:
        return None
    return int(minor) if minor == minor.to_integral_value() and minor <= _LARGEST else None


def typed_amount(minor: int, currency: str) -> str:
    """Write an amount as a person would type it into a field: `160,00`."""
    places = _places_of(currency)
    return f"{Decimal(minor).scaleb(-places):.{places}f}".replace(".", ",")


def whole(text: object) -> int:
    """Return a field's whole number, -1 for anything else: no page offers that one."""
    typed = str(text)
    if re.fullmatch(r"[0-9]{1,16}", typed, re.ASCII) is None:
        return -1
    return int(typed) if int(typed) <= _LARGEST else -1


def _places_of(currency: str) -> int:
    return int(iso4217.Currency(currency).exponent or 0)
