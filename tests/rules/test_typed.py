"""What people type into the pages' fields: read as it was meant, or not at all."""

import pytest

from farebox.web.forms import parse_amount, typed_amount, whole


@pytest.mark.parametrize(
    ("typed", "currency", "minor"),
    [
        ("160", "RUB", 16_000),
        ("1 159,50", "RUB", 115_950),
        ("1\N{NO-BREAK SPACE}159,5 ₽", "RUB", 115_950),
        ("$20.05", "USD", 2_005),
        ("500", "JPY", 500),
        ("0.001", "KWD", 1),
        ("0", "RUB", 0),
        ("90071992547409.91", "RUB", 2**53 - 1),
        ("90071992547409.92", "RUB", None),
        ("0.005", "RUB", None),
        ("500.5", "JPY", None),
        ("-5", "RUB", None),
        ("+5", "RUB", None),
        ("1e3", "RUB", None),
        (".5", "RUB", None),
        ("5.", "RUB", None),
        ("1.5.0", "RUB", None),
        ("٣", "RUB", None),
        ("NaN", "RUB", None),
        ("0,001", "RUB", None),
        ("9" * 19, "RUB", None),
        ("", "RUB", None),
        ("5", "XQZ", None),
        ("5", "", None),
    ],
)
def test_an_amount_is_read_in_the_smallest_unit(typed, currency, minor):
    assert parse_amount(typed, currency) == minor


@pytest.mark.parametrize("minor", [0, 1, 99, 100, 16_000, 2**53 - 1])
@pytest.mark.parametrize("currency", ["RUB", "JPY", "KWD"])
def test_an_amount_that_is_typed_back_is_the_same(minor, currency):
    assert parse_amount(typed_amount(minor, currency), currency) == minor


def test_an_amount_is_typed_with_the_places_of_its_currency():
    written = [typed_amount(15_950, currency) for currency in ("RUB", "JPY", "KWD")]
    assert written == ["159,50", "15950", "15,950"]


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("0", 0),
        ("48", 48),
        ("007", 7),
        (str(2**53 - 1), 2**53 - 1),
        (str(2**53), -1),
        ("9" * 5_000, -1),
        ("-1", -1),
        ("4.8", -1),
        ("٣", -1),
        ("²", -1),
        (" 1", -1),
        ("", -1),
        (None, -1),
        ("4 8", -1),
    ],
)
def test_a_whole_number_is_read_or_is_one_that_no_page_offers(typed, number):
    assert whole(typed) == number
