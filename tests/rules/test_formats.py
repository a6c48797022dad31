"""Money, dates and spans of time as people read them."""

from decimal import Decimal

import pytest

from farebox.kernel.clock import SECOND_US, parse_time
from farebox.kernel.refusals import ValueRefused
from farebox.platform import formats

GLUE = "\N{NO-BREAK SPACE}"
HOUR_US = 3_600 * SECOND_US
MINUTE_US = 60 * SECOND_US
EVENING = parse_time("2026-11-20T17:00:00Z")


@pytest.mark.parametrize(
    ("minor", "currency", "locale", "text"),
    [
        (275_000, "RUB", "ru", f"2{GLUE}750,00{GLUE}₽"),
        (275_000, "RUB", "en", f"RUB{GLUE}2,750.00"),
        (36_000, "RUB", "ru", f"360,00{GLUE}₽"),
        (-86_000, "RUB", "ru", f"-860,00{GLUE}₽"),
        (-86_000, "RUB", "en", f"-RUB{GLUE}860.00"),
        (0, "RUB", "ru", f"0,00{GLUE}₽"),
        (1_250, "EUR", "en", "€12.50"),
        (1_250, "EUR", "ru", f"12,50{GLUE}€"),
        (123_456_789, "USD", "en", "$1,234,567.89"),
        (1_500, "JPY", "en", "¥1,500"),
        (1_505, "BHD", "en", f"BHD{GLUE}1.505"),
        (150, "RSD", "en", f"RSD{GLUE}1.50"),
        (9_007_199_254_740_991, "RUB", "ru", GLUE.join(["90", "071", "992", "547", "409,91", "₽"])),
    ],
)
def test_money_is_written_by_pinned_patterns(minor, currency, locale, text):
    assert formats.money(minor, currency, locale) == text


@pytest.mark.parametrize(
    ("minor", "text"), [(100_000, f"+1{GLUE}000,00"), (-86_000, "-860,00"), (0, "0,00")]
)
def test_a_movement_has_its_sign(minor, text):
    assert formats.amount(minor, "RUB", "ru", signed=True) == text


@pytest.mark.parametrize("currency", ["XAU", "rub", "", "ABC"])
def test_money_of_no_currency_is_refused(currency):
    with pytest.raises(ValueRefused):
        formats.money(1, currency, "ru")


@pytest.mark.parametrize(
    ("zone", "locale", "text"),
    [
        ("Europe/Moscow", "ru", "20 ноября 2026, 20:00 (МСК)"),
        ("Europe/Moscow", "en", "20 November 2026, 20:00 (MSK)"),
        ("Asia/Vladivostok", "en", "21 November 2026, 03:00 (Asia/Vladivostok)"),
        ("Asia/Vladivostok", "ru", "21 ноября 2026, 03:00 (Asia/Vladivostok)"),
        ("UTC", "en", "20 November 2026, 17:00 (UTC)"),
    ],
)
def test_an_instant_is_written_in_its_readers_zone(zone, locale, text):
    assert formats.when(EVENING, zone, locale) == text


def test_days_and_rows_of_tables_are_written_in_the_zone():
    assert formats.day(EVENING, "Asia/Vladivostok", "ru") == "21 ноября 2026"
    assert formats.short(EVENING, "Europe/Moscow", "ru") == "20.11.2026 20:00"
    assert formats.short(EVENING, "Europe/Moscow", "en") == "20 Nov 2026, 20:00"


def test_an_unknown_zone_is_refused():
    with pytest.raises(ValueRefused):
        formats.when(EVENING, "Mars/Olympus", "ru")


@pytest.mark.parametrize(
    ("count", "russian", "english"),
    [
        (0, "0 часов", "0 hours"),
        (1, "1 час", "1 hour"),
        (3, "3 часа", "3 hours"),
        (11, "11 часов", "11 hours"),
        (12, "12 часов", "12 hours"),
        (24, "24 часа", "24 hours"),
        (31, "31 час", "31 hours"),
        (48, "48 часов", "48 hours"),
        (72, "72 часа", "72 hours"),
        (111, "111 часов", "111 hours"),
        (Decimal("1.5"), "1,5 часа", "1.5 hours"),
    ],
)
def test_hours_have_their_plurals(count, russian, english):
    assert formats.hours(count, "ru") == russian
    assert formats.hours(count, "en") == english


@pytest.mark.parametrize(
    ("left_us", "russian", "english"),
    [
        (3 * HOUR_US, "осталось 3 часа", "3 hours left"),
        (3 * HOUR_US - SECOND_US, "осталось 3 часа", "3 hours left"),
        (HOUR_US, "остался 1 час", "1 hour left"),
        (21 * HOUR_US, "остался 21 час", "21 hours left"),
        (MINUTE_US, "осталась 1 минута", "1 minute left"),
        (HOUR_US + 30 * MINUTE_US, "осталось 1 час 30 минут", "1 hour 30 minutes left"),
        (72 * HOUR_US, "осталось 72 часа", "72 hours left"),
        (96 * HOUR_US, "осталось 4 дня", "4 days left"),
        (100 * HOUR_US, "осталось 4 дня 4 часа", "4 days 4 hours left"),
        (20 * SECOND_US, "осталось меньше минуты", "less than a minute left"),
        (0, "время вышло", "the time is over"),
    ],
)
def test_time_left_agrees_with_its_verb(left_us, russian, english):
    assert formats.time_left(left_us, "ru") == russian
    assert formats.time_left(left_us, "en") == english


@pytest.mark.parametrize(
    ("tag", "language"),
    [("ru", "ru"), ("ru-RU", "ru"), ("RU_ru", "ru"), ("en-GB", "en"), ("kk", "en"), (None, "en")],
)
def test_a_language_tag_is_one_of_ours(tag, language):
    assert formats.language_of(tag) == language
