"""Amounts: whole numbers of an asset's smallest unit, never floats.

`MAX_AMOUNT` is 2^53 - 1, so that every JSON client reads an amount exactly; stored counters are
64-bit and bounded by `MAX_COUNTER`, far from where SQLite would turn an integer into a float.
"""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Final

import msgspec

from farebox.kernel.refusals import ValueRefused

MAX_AMOUNT: Final = 2**53 - 1
MAX_COUNTER: Final = 2**62
_MOST_DIGITS: Final = 30


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """A unit that can be counted. An amount of 150 with scale 2 is 1.50 of it.

    `scale` (0 to 18) is chosen at birth and never changes.
    """

    number: int
    code: str
    scale: int


def is_amount(amount: object, *, least: int = 1) -> bool:
    """Tell whether this is a whole number from `least` to 2^53 - 1. True is not."""
    return type(amount) is int and least <= amount <= MAX_AMOUNT


def checked_amount(amount: object, *, least: int = 1) -> int:
    """Return the amount if it is a whole number from `least` to 2^53 - 1, else refuse it."""
    if type(amount) is not int or not is_amount(amount, least=least):
        raise ValueRefused(f"an amount is a whole number from {least} to {MAX_AMOUNT}")
    return amount


def show_amount(amount: int, scale: int) -> str:
    """Write an amount exactly: `show_amount(150, 2)` is `1.50`."""
    return f"{Decimal(amount).scaleb(-scale):f}"


def parse_amount(text: str, scale: int) -> int:
    """Read a decimal string as smallest units; refuses digits beyond the asset's scale."""
    try:
        value = Decimal(text)
    except InvalidOperation as error:
        raise ValueRefused(f"{text!r} is not a decimal number") from error
    if not value.is_finite() or abs(value.adjusted()) > _MOST_DIGITS:
        raise ValueRefused(f"{text!r} is not a usable amount")
    units = value.scaleb(scale)
    if units != units.to_integral_value():
        raise ValueRefused(f"{text!r} has more than {scale} decimal places")
    return int(units)


def split(amount: int, shares: Sequence[Decimal] | Sequence[Fraction]) -> list[int]:
    """Split an amount by shares that sum to 1: floor each, remainder by one unit from the first.

    Conserves the amount to the last unit: `split(15, [0.80, 0.08, 0.12])` is `[13, 1, 1]`
    (Numscript's allotment rule). A share of nothing stays nothing. Refuses (`value_invalid`) an
    amount below 0.
    """
    # As fractions: a product of decimals is rounded at 28 digits, and a third is none at all.
    exact = [Fraction(share) for share in shares]
    if sum(exact) != 1 or any(share < 0 for share in exact):
        raise ValueRefused("shares are not negative and sum to 1")
    if amount < 0:
        raise ValueRefused("what is split is not below 0")
    parts = [int(amount * share) for share in exact]
    # Less is left than there are shares; who has no share gets nothing of it either.
    sharing = [index for index, share in enumerate(exact) if share]
    for index in sharing[: amount - sum(parts)]:
        parts[index] += 1
    return parts
