"""What a seller and a series of documents may look like, and how a document is numbered."""

import re
from datetime import UTC, datetime
from typing import Final

from farebox.billing.invoices.model import LANGUAGES, Seller, Series
from farebox.kernel.clock import SECOND_US
from farebox.kernel.refusals import ValueRefused
from farebox.platform.model import LONGEST_NAME
from farebox.platform.rules import checked_text

MOST_ADDRESS_LINES: Final = 4
MOST_DIGITS: Final = 12
LONGEST_TERMS: Final = 1_024
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
_SERIES: Final = re.compile(r"[a-z][a-z0-9_]{0,31}")
_PREFIX: Final = re.compile(r"[A-ZА-ЯЁ0-9][A-ZА-ЯЁ0-9-]{0,15}")


def checked_seller(seller: Seller) -> None:
    """Refuse (`value_invalid`) details that no document can show."""
    place, bank = seller.place, seller.bank
    checked_text(seller.name, "a name", longest=LONGEST_NAME)
    if place.country is None or not _COUNTRY.fullmatch(place.country):
        raise ValueRefused("a seller has a country, of two capital letters (ISO 3166)")
    if seller.language not in LANGUAGES:
        raise ValueRefused(f"documents are written in {', '.join(LANGUAGES)}")
    if len(place.lines) > MOST_ADDRESS_LINES:
        raise ValueRefused(f"an address has at most {MOST_ADDRESS_LINES} lines")
    texts = [*place.lines, place.city, place.postal_code, place.region, seller.tax_number]
    texts += [seller.registration, seller.email, seller.phone]
    texts += [] if bank is None else [bank.account, bank.name, bank.code, bank.correspondent]
    for text in texts:
        if text is not None:
            checked_text(text, "a detail of the seller", longest=LONGEST_NAME)
    if seller.terms is not None:
        checked_text(seller.terms, "terms", longest=LONGEST_TERMS)


def checked_series(series: Series) -> None:
    """Refuse (`value_invalid`) a series whose numbers nobody could read."""
    if not _SERIES.fullmatch(series.series):
        raise ValueRefused("a series is small letters, digits and _, at most 32 of them")
    if not _PREFIX.fullmatch(series.prefix):
        raise ValueRefused("a prefix is 1 to 16 capital letters, digits and -")
    if not 1 <= series.digits <= MOST_DIGITS:
        raise ValueRefused(f"a number has 1 to {MOST_DIGITS} digits")


def number_of(series: Series, year: int, sequence: int) -> str:
    """Return what a document is called: `INV-2026-000001`, or `INV-000001` without the year."""
    parts = [series.prefix, str(year)] if series.yearly else [series.prefix]
    return "-".join([*parts, f"{sequence:0{series.digits}}"])


def may_meet(one: str, other: str) -> bool:
    """Tell whether two prefixes can give one number: `INV-2027` gives what `INV` does in 2027."""
    short, long = sorted((one, other), key=len)
    return one == other or (long.startswith(f"{short}-") and long[len(short) + 1 :].isdigit())


def year_of(series: Series, at: int) -> int:
    """Return the year in which a series counts at an instant; 0 for one that goes on."""
    return datetime.fromtimestamp(at // SECOND_US, UTC).year if series.yearly else 0
