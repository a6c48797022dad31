"""Which exchange rates are kept: own ones, and those of the European Central Bank's file."""

import re
from typing import Final

import msgspec

from farebox.billing.pricing.model_money import DayRate, RateUnknown
from farebox.billing.pricing.rules_currency import read_ecb
from farebox.kernel.refusals import ValueRefused

OWN: Final = "own"
MOST_DAYS: Final = 7
"""How old a rate may be: Sunday has Friday's, and Easter Monday Thursday's."""
_CODE: Final = re.compile(r"[A-Z]{3}")
_MOST_WHOLE: Final = 12
_MOST_PLACES: Final = 12
Key = tuple[str, str]
File = dict[Key, str]
"""The rates of the bank's file, as decimal strings: by currency and day (ISO 8601), for a euro."""


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What a file brought: its days, and how many of its rates were new, other, and as they were.

    Currencies that are no longer in ISO 4217 are kept too; nothing is converted by them.
    """

    days: int
    added: int
    changed: int
    same: int


def check_rate(rate: DayRate) -> None:
    """Refuse (`value_invalid`) what is no rate between two currencies."""
    for currency in (rate.base, rate.quote):
        if _CODE.fullmatch(currency) is None:
            raise ValueRefused("a currency is the three capital letters of ISO 4217")
    if rate.base == rate.quote:
        raise ValueRefused("a rate is between two currencies")
    value = rate.rate
    if not value.is_finite() or value <= 0 or value.adjusted() >= _MOST_WHOLE:
        raise ValueRefused(f"a rate is above 0 and has at most {_MOST_WHOLE} digits")
    if int(value.as_tuple().exponent) < -_MOST_PLACES:
        raise ValueRefused(f"a rate has at most {_MOST_PLACES} decimal places")


def read_file(text: str) -> File:
    """Return the rates of the bank's file; refuses (`rate_unknown`) another file, whole.

    Refused are a file without a rate, one with a day twice, and one with a rate that is none.
    """
    found: File = {}
    for rate in read_ecb(text):
        try:
            check_rate(rate)
        except ValueRefused as error:
            raise RateUnknown(f"{rate.day} {rate.quote}: {error.detail}") from error
        key = rate.quote, rate.day.isoformat()
        if key in found:
            raise RateUnknown(f"the file has {rate.quote} of {rate.day} twice")
        found[key] = f"{rate.rate:f}"
    if not found:
        raise RateUnknown("the file has no rate")
    return found


def parts_of(file: File, most: int) -> list[File]:
    """Return a file in parts of so many rates at most, the oldest days first."""
    rates = sorted(file.items(), key=lambda each: (each[0][1], each[0][0]))
    return [dict(rates[start : start + most]) for start in range(0, len(rates), most)]


def differences(new: File, old: File) -> tuple[list[tuple[Key, str]], Imported]:
    """Return the rates to write, in one order, and what an import does."""
    wanted = sorted((key, rate) for key, rate in new.items() if old.get(key) != rate)
    changed = sum(key in old for key, _ in wanted)
    return wanted, Imported(
        days=len({day for _, day in new}),
        added=len(wanted) - changed,
        changed=changed,
        same=len(new) - len(wanted),
    )
