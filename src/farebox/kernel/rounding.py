"""Rounding and sharing out: the only places where a fraction of a smallest unit disappears.

Prices, shares and rates are exact (`Decimal`, `Fraction`) until a rounding step that its caller
names; `rounded` is that step. Where a whole is shared out, the parts add up to it to the last
unit: `allocate` gives each its floor and hands what is missing to the largest remainders, so that
100 over lines of 100 and 200 is 33 and 67. Never a float: a float is refused.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final, Literal

from farebox.kernel.refusals import ValueRefused

Exact = int | Decimal | Fraction
# half_up is half away from zero: 10.125 is 10.13 and -10.125 is -10.13.
Rounding = Literal["half_up", "half_even", "up", "down", "ceiling", "floor"]
_HALF: Final = Fraction(1, 2)


def exact(value: Exact) -> Fraction:
    """Return a number as a fraction; refuses (`value_invalid`) a float and what is no number."""
    if type(value) is int or isinstance(value, Fraction):
        return Fraction(value)
    if not isinstance(value, Decimal) or not value.is_finite():
        raise ValueRefused(f"{value!r} is not an exact number")
    return Fraction(value)


def rounded(value: Exact, rounding: Rounding = "half_up") -> int:
    """Return the whole number that a rounding makes of an exact one."""
    number = exact(value)
    below = number.numerator // number.denominator
    over = number - below
    if not over:
        return below
    away = below + 1 if number > 0 else below
    if rounding == "floor":
        return below
    if rounding == "ceiling":
        return below + 1
    if rounding == "up":
        return away
    if rounding == "down":
        return below if number > 0 else below + 1
    if over == _HALF:
        return away if rounding == "half_up" else below + below % 2
    return below + (over > _HALF)


def rounded_to(places: int, value: Exact, rounding: Rounding = "half_up") -> Decimal:
    """Return a number at so many decimal places: `rounded_to(9, 23/31)` is 0.741935484."""
    return Decimal(rounded(exact(value) * 10**places, rounding)).scaleb(-places)


def allocate(amount: int, weights: Sequence[Exact]) -> list[int]:
    """Share an amount out by weights, by largest remainder; equal remainders go by place.

    The parts add up to the amount. A weight of nothing gets nothing. Refuses (`value_invalid`) an
    amount or a weight below 0, and an amount that nobody has a weight for.
    """
    exactly = [exact(weight) for weight in weights]
    total = sum(exactly)
    if amount < 0 or any(weight < 0 for weight in exactly):
        raise ValueRefused("what is shared out, and by which weights, is not below 0")
    if not total:
        if amount:
            raise ValueRefused("there is nobody to share the amount out to")
        return [0 for _ in exactly]
    return spread(amount, [amount * weight / total for weight in exactly])


def spread(total: int, parts: Sequence[Exact]) -> list[int]:
    """Round parts so that they add up to their own sum, rounded: `total`.

    Each gets its floor, and what is missing goes to the largest remainders, equal ones by place.
    Parts may be below 0.
    """
    exactly = [exact(part) for part in parts]
    whole = [part.numerator // part.denominator for part in exactly]
    missing = total - sum(whole)
    assert 0 <= missing <= len(whole), (total, parts)
    by_remainder = sorted(
        range(len(whole)), key=lambda place: (whole[place] - exactly[place], place)
    )
    for place in by_remainder[:missing]:
        whole[place] += 1
    return whole
