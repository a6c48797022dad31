"""Currencies and dated rates, what credits are worth, and rounding itself."""

from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farebox.billing.pricing.model_money import (
    CurrenciesMixed,
    CurrencyUnknown,
    DayRate,
    RateUnknown,
)
from farebox.billing.pricing.rules_currency import (
    Rates,
    convert,
    in_units,
    one_currency,
    places_of,
    read_ecb,
)
from farebox.billing.wallets.rules import credits_for, rolled_over, worth_of
from farebox.kernel.refusals import ValueRefused
from farebox.kernel.rounding import exact, rounded, rounded_to

FILE = """Date, USD, JPY, RUB, 
2026-11-20, 1.1000, 160.00, N/A, 
2026-11-19, 1.2000, 150.50, , 

"""  # noqa: W291 - the bank's file ends its rows so
FRIDAY, SUNDAY = date(2026, 11, 20), date(2026, 11, 22)


def own(base, quote, rate, day=FRIDAY):
    return DayRate(base=base, quote=quote, day=day, rate=Decimal(rate), source="own")


@pytest.mark.parametrize(
    ("currency", "amount", "units"),
    [
        ("USD", "10.275", 1028), ("USD", "-10.125", -1013), ("JPY", "1000.5", 1001),
        ("BHD", "1.0005", 1001), ("EUR", "0.004", 0),
    ],
)  # fmt: skip
def test_an_amount_is_rounded_to_the_currencys_own_unit(currency, amount, units):
    assert in_units(Decimal(amount), currency) == units


@pytest.mark.parametrize("currency", ["XXX", "XAU", "usd", "EURO", "", "ЕUR"])
def test_what_is_no_currency_with_a_smallest_unit_is_refused(currency):
    with pytest.raises(CurrencyUnknown):
        places_of(currency)


@pytest.mark.parametrize("currencies", [["EUR", "USD"], []])
def test_currencies_are_not_mixed(currencies):
    assert one_currency(["EUR", "EUR"]) == "EUR"
    with pytest.raises(CurrenciesMixed):
        one_currency(currencies)


@pytest.mark.parametrize(
    ("amount", "base", "quote", "day", "wanted"),
    [
        (10000, "EUR", "USD", FRIDAY, 11000),
        (11000, "USD", "EUR", FRIDAY, 10000),
        # Sunday has Friday's rate, Thursday its own.
        (10000, "EUR", "USD", SUNDAY, 11000),
        (10000, "EUR", "USD", date(2026, 11, 19), 12000),
        # Through the euro, and to a currency without decimal places: 1.00 USD is 145.45 JPY.
        (100, "USD", "JPY", FRIDAY, 145),
        (145, "JPY", "USD", FRIDAY, 100),
        (500, "EUR", "EUR", FRIDAY, 500),
        (-10000, "EUR", "USD", FRIDAY, -11000),
    ],
)  # fmt: skip
def test_an_amount_is_converted_by_the_rate_of_its_day(*, amount, base, quote, day, wanted):
    found = convert(amount, base, quote, day=day, rates=Rates(read_ecb(FILE)))
    assert (found.amount, found.currency) == (wanted, quote)
    assert all(rate.day <= day for rate in found.used)


def test_an_own_rate_goes_before_the_banks_in_either_direction():
    bank = read_ecb(FILE)
    for rate in (own("EUR", "USD", "2"), own("USD", "EUR", "0.5")):
        found = convert(100, "EUR", "USD", day=FRIDAY, rates=Rates([*bank, rate]))
        assert (found.amount, found.used) == (200, (rate,))


@pytest.mark.parametrize(
    ("base", "quote", "day"),
    [
        ("EUR", "RUB", FRIDAY),
        ("EUR", "USD", date(2026, 11, 18)),
        ("EUR", "USD", date(2026, 11, 28)),
        ("USD", "GBP", FRIDAY),
    ],
)
def test_without_a_rate_that_is_new_enough_nothing_is_converted(base, quote, day):
    with pytest.raises(RateUnknown):
        convert(100, base, quote, day=day, rates=Rates(read_ecb(FILE)))


@pytest.mark.parametrize("text", ["", "USD, JPY\n", "Date, USD\nyesterday, 1.1\n",
                                  "Date, USD\n2026-11-20, many\n"])  # fmt: skip
def test_a_file_of_another_form_is_refused(text):
    with pytest.raises(RateUnknown):
        read_ecb(text)


@pytest.mark.parametrize("rate", ["0", "-1", "NaN"])
def test_a_rate_is_above_nothing(rate):
    with pytest.raises(RateUnknown):
        Rates([own("EUR", "USD", rate)])


@given(
    amount=st.integers(0, 10**12),
    rate=st.decimals("0.0001", 10**4, places=6, allow_nan=False),
)
def test_converting_there_and_back_loses_at_most_what_rounding_took(amount, rate):
    rates = Rates([own("EUR", "USD", rate)])
    there = convert(amount, "EUR", "USD", day=FRIDAY, rates=rates).amount
    back = convert(there, "USD", "EUR", day=FRIDAY, rates=rates).amount
    assert abs(back - amount) <= Fraction(1, 2) / Fraction(rate) + Fraction(1, 2)


# -- credits -------------------------------------------------------------------------------------


def test_money_buys_whole_credits():
    assert credits_for(Decimal("1.00"), Decimal("0.008")) == 125
    assert credits_for(Decimal("10.00"), Decimal("0.01")) == 1000
    assert credits_for(Decimal("1.00"), Decimal("0.03")) == 33
    assert worth_of(60, 50) == 3000
    with pytest.raises(ValueRefused):
        credits_for(100, 0)


@given(money=st.integers(0, 10**9), value=st.fractions("1/1000", 10**4))
def test_credits_are_never_worth_more_than_was_paid(money, value):
    assert credits_for(money, value) * value <= money


@pytest.mark.parametrize(
    ("balance", "least", "most", "wanted"),
    [(90, 0, 50, 50), (30, 0, 50, 30), (0, 50, 50, 50), (150, 0, 500, 150)],
)
def test_what_rolls_over_lies_within_its_bounds(balance, least, most, wanted):
    assert rolled_over(balance, least=least, most=most) == wanted
    with pytest.raises(ValueRefused):
        rolled_over(balance, least=most + 1, most=most)


# -- rounding ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rounding", "wanted"),
    [
        # of          2.5  -2.5  3.5  2.4  -2.4  2.6  3
        ("half_up",   [3, -3, 4, 2, -2, 3, 3]),
        ("half_even", [2, -2, 4, 2, -2, 3, 3]),
        ("up",        [3, -3, 4, 3, -3, 3, 3]),
        ("down",      [2, -2, 3, 2, -2, 2, 3]),
        ("ceiling",   [3, -2, 4, 3, -2, 3, 3]),
        ("floor",     [2, -3, 3, 2, -3, 2, 3]),
    ],
)  # fmt: skip
def test_each_rounding_is_the_one_that_it_names(rounding, wanted):
    numbers = ["2.5", "-2.5", "3.5", "2.4", "-2.4", "2.6", "3"]
    assert [rounded(Decimal(each), rounding) for each in numbers] == wanted


@pytest.mark.parametrize("value", [0.5, True, Decimal("NaN"), Decimal("Infinity"), "1", None])
def test_what_is_not_exact_is_refused(value):
    with pytest.raises(ValueRefused):
        exact(value)


def test_a_ratio_is_shown_at_so_many_places():
    assert rounded_to(9, Fraction(23, 31)) == Decimal("0.741935484")
