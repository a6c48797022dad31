"""Splitting an amount: nothing is lost, whoever comes first gets what does not divide."""

from decimal import Decimal
from fractions import Fraction

import pytest

from farebox.kernel.amounts import split
from farebox.kernel.refusals import ValueRefused

THIRD = Fraction(1, 3)


@pytest.mark.parametrize(
    ("amount", "shares", "parts"),
    [
        (15, ["0.80", "0.08", "0.12"], [13, 1, 1]),
        (10_000, ["0.0019", "0.9981"], [19, 9981]),
        (2, ["0.25", "0.25", "0.25", "0.25"], [1, 1, 0, 0]),
        (0, ["0.5", "0.5"], [0, 0]),
        (7, ["1"], [7]),
    ],
)
def test_each_share_is_floored_and_the_rest_handed_out_from_the_first(amount, shares, parts):
    assert split(amount, [Decimal(share) for share in shares]) == parts


def test_thirds_are_exact():
    assert split(20, [THIRD, THIRD, THIRD]) == [7, 7, 6]


def test_a_share_with_more_digits_than_decimals_multiply_exactly_takes_no_unit_too_much():
    nearly = Decimal("0." + "9" * 31)
    assert split(3, [nearly, Decimal("0." + "0" * 30 + "1")]) == [3, 0]
    assert split(10**15, [nearly, Decimal("0." + "0" * 30 + "1")]) == [10**15, 0]
    assert split(3, [Decimal("0." + "0" * 30 + "1"), nearly]) == [1, 2]


@pytest.mark.parametrize(
    ("amount", "shares"), [(10, ["0.5", "0.4"]), (10, ["1.5", "-0.5"]), (-1, ["0.5", "0.5"])]
)
def test_what_cannot_be_split_is_refused(amount, shares):
    with pytest.raises(ValueRefused):
        split(amount, [Decimal(share) for share in shares])
