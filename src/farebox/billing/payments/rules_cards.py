"""What looks like the number of a card is refused wherever a text comes in.

A number that reached us would be in logs, backups and copies for ever, and would make all of them
subject to PCI DSS. So a token is refused rather than stored when in doubt. Checked are 12 to 19
digits (ISO/IEC 7812-1), whatever separates them and in whatever script, whose check digit is right
(Luhn, annex B there).
"""

import re
import unicodedata
from typing import Final

from farebox.billing.payments.model import CardNumberRefused

LEAST: Final = 12
MOST: Final = 19
# Beside digits, what people and programs put between them.
_RUN: Final = re.compile(r"\d(?:[\s._\-/·•‐-―\u200b\u200c\u200d\u2060]{0,3}\d)+")


# Ids of ours, and UUIDs: some of them hold a dozen digits by chance, and people type none of them.
# They stand alone or in a longer text, such as the name that a gateway keeps a customer under.
_ID: Final = re.compile(
    r"(?<![^\W_])(?:[a-z]{2,4}_[0-9a-f]{27}"
    r"|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})(?!\w)"
)
_NO_DIGIT: Final = "x"


def checked_no_card(text: str) -> str:
    """Return a text in which no card number stands; else refuse it (`card_number_refused`).

    The refusal does not repeat the text.
    """
    if looks_like_card(text):
        raise CardNumberRefused
    return text


def looks_like_card(text: str) -> bool:
    """Tell whether a number that could be a card's stands in a text."""
    return any(_holds_card(_digits(run)) for run in _RUN.findall(_ID.sub(_NO_DIGIT, text)))


def _digits(run: str) -> str:
    return "".join(str(unicodedata.digit(letter)) for letter in run if letter.isdecimal())


def _holds_card(digits: str) -> bool:
    """Tell whether any stretch of digits is a number of a card's length with a good check digit.

    A long run is one text to its writer; a number hides in it as well as beside it. Only stretches
    that begin as cards do (2 to 6, ISO/IEC 7812) are looked at inside a longer run, or every tenth
    long number would be refused.
    """
    if LEAST <= len(digits) <= MOST and passes_luhn(digits):
        return True
    return any(
        digits[start] in "23456" and passes_luhn(digits[start : start + length])
        for length in (15, 16)
        for start in range(len(digits) - length + 1)
        if len(digits) > MOST
    )


def passes_luhn(digits: str) -> bool:
    """Tell whether the last digit is the check digit of those before it."""
    total = 0
    for place, letter in enumerate(reversed(digits)):
        value = int(letter) * (1 + place % 2)
        total += value if value <= 9 else value - 9  # noqa: PLR2004 - Luhn's rule
    return total % 10 == 0 and digits.strip("0") != ""
