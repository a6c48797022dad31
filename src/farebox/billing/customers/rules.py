"""What may stand in a customer's record."""

import re
from typing import Final

from farebox.billing.customers.model import Address
from farebox.kernel.periods import zone_of
from farebox.kernel.refusals import ValueRefused
from farebox.platform.rules import checked_text

LONGEST_NAME: Final = 256
LONGEST_LINE: Final = 256
MOST_LINES: Final = 4
LONGEST_DUE_DAYS: Final = 365
# Who has an address decides by letting a letter arrive; this keeps out what cannot be one.
_EMAIL: Final = re.compile(r"[^\s@<>\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,64}@[^\s@<>]{1,190}")
_COUNTRY: Final = re.compile(r"[A-Z]{2}")
LOCALE: Final = r"^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$"


def checked_name(name: str) -> str:
    """Return a name that an invoice may carry, else refuse it (`value_invalid`)."""
    return checked_text(name, "a name", longest=LONGEST_NAME)


def checked_email(email: str) -> str:
    """Return an address for letters if it has the form of one, else refuse it."""
    if _EMAIL.fullmatch(email) is None:
        raise ValueRefused(f"{email!r} is not an address for letters")
    return email


def checked_country(country: str) -> str:
    """Return a country's two letters (ISO 3166-1), else refuse it."""
    if _COUNTRY.fullmatch(country) is None:
        raise ValueRefused("a country is two capital letters")
    return country


def checked_locale(locale: str) -> str:
    """Return a language with its script and region if any (BCP 47: `ru`, `en-GB`), else refuse."""
    if re.fullmatch(LOCALE, locale) is None:
        raise ValueRefused("a locale is a language and perhaps a region, such as ru or en-GB")
    return locale


def checked_zone(zone: str) -> str:
    """Return a time zone's name (`Europe/Moscow`), else refuse it."""
    zone_of(zone)
    return zone


def checked_due_days(days: int) -> int:
    """Return how many days an invoice may take, else refuse it."""
    if type(days) is not int or not 0 <= days <= LONGEST_DUE_DAYS:
        raise ValueRefused(f"an invoice is due in 0 to {LONGEST_DUE_DAYS} days")
    return days


def checked_address(address: Address) -> Address:
    """Return an address if every part of it fits on its line, else refuse it."""
    if len(address.lines) > MOST_LINES:
        raise ValueRefused(f"an address has up to {MOST_LINES} lines")
    for line in (*address.lines, address.city, address.postal_code):
        if line is not None:
            checked_text(line, "a line of an address", longest=LONGEST_LINE)
    return address


def checked_line(text: str) -> str:
    """Return a text of one line, else refuse it."""
    return checked_text(text, "a text", longest=LONGEST_LINE)
