"""Money, dates and spans of time as people read them, in Russian and in English.

The one formatter of letters, pages and files. The patterns are pinned here, so that an update of
the locale data changes no letter; Babel brings separators, symbols, names of months and plurals.
A no-break space (U+00A0) stands between groups of digits and before a currency.
"""

from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final, Literal, get_args

import iso4217
from babel import Locale
from babel.dates import format_datetime
from babel.numbers import NumberPattern, get_currency_symbol, parse_pattern

from farebox.kernel.clock import SECOND_US
from farebox.kernel.periods import zone_of
from farebox.kernel.refusals import ValueRefused

Language = Literal["ru", "en"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
Noun = Literal["day", "hour", "minute"]
Plural = Literal["one", "few", "many", "other"]

_GLUE: Final = "\N{NO-BREAK SPACE}"
_DAY: Final = "d MMMM y"
_WHEN: Final = "d MMMM y, HH:mm"
_SHORT: Final[dict[Language, str]] = {"ru": "dd.MM.y HH:mm", "en": "d MMM y, HH:mm"}
_CURRENCY_SIGN: Final = "\N{CURRENCY SIGN}"
_LOCALES: Final[dict[Language, Locale]] = {name: Locale(name) for name in LANGUAGES}
# A short name that everybody in the country reads in one way. Others, as IST, mean several zones.
_ZONES: Final[dict[str, dict[Language, str]]] = {
    "Europe/Moscow": {"ru": "МСК", "en": "MSK"},
    "UTC": {"ru": "UTC", "en": "UTC"},
}
_NOUNS: Final[dict[Language, dict[Noun, dict[Plural, str]]]] = {
    "ru": {
        "day": {"one": "день", "few": "дня", "many": "дней", "other": "дня"},
        "hour": {"one": "час", "few": "часа", "many": "часов", "other": "часа"},
        "minute": {"one": "минута", "few": "минуты", "many": "минут", "other": "минуты"},
    },
    "en": {
        "day": {"one": "day", "other": "days"},
        "hour": {"one": "hour", "other": "hours"},
        "minute": {"one": "minute", "other": "minutes"},
    },
}
_ONE_LEFT: Final[dict[Noun, str]] = {"day": "остался", "hour": "остался", "minute": "осталась"}
_LESS_THAN_A_MINUTE: Final[dict[Language, str]] = {
    "ru": "меньше минуты",
    "en": "less than a minute",
}
_OVER: Final[dict[Language, str]] = {"ru": "время вышло", "en": "the time is over"}
_MINUTE_US: Final = 60 * SECOND_US
_MINUTES_OF_HOUR: Final = 60
_HOURS_OF_DAY: Final = 24
_LONG_HOURS: Final = 72
"""From so many hours on days are counted: a rental of 72 hours is still one of hours."""


def language_of(tag: str | None, default: Language = "en") -> Language:
    """Return the language that we write for a language tag: `ru-RU` is `ru`, others the default."""
    found = (tag or "").replace("_", "-").partition("-")[0].lower()
    return next((name for name in LANGUAGES if name == found), default)


def money(minor: int, currency: str, locale: str, *, signed: bool = False) -> str:
    """Write an amount of a currency's smallest unit: `2 750,00 ₽`, `RUB 2,750.00`, `€12.50`.

    `signed` writes a plus as well. Refuses (`value_invalid`) what is no currency with a smallest
    unit.
    """
    language, places = language_of(locale), _places_of(currency)
    symbol = get_currency_symbol(currency, _LOCALES[language])
    digits = _digits(places)
    if language == "ru":
        pattern = f"{digits}{_GLUE}{_CURRENCY_SIGN}"
    else:
        # As CLDR does it: letters keep a distance to the digits, signs do not.
        pattern = f"{_CURRENCY_SIGN}{_GLUE if symbol[-1].isalpha() else ''}{digits}"
    return _sign(minor, signed=signed) + _apply(pattern, minor, places, language, currency)


def amount(minor: int, currency: str, locale: str, *, signed: bool = False) -> str:
    """Write an amount without its currency, for a column that names it: `2 750,00`, `2,750.00`."""
    language, places = language_of(locale), _places_of(currency)
    return _sign(minor, signed=signed) + _apply(_digits(places), minor, places, language, currency)


def quantity(count: int, scale: int, locale: str) -> str:
    """Write a quantity of so many decimal places: 150,000 with scale 2 is `1 500,00`."""
    language = language_of(locale)
    return _sign(count, signed=False) + _apply(_digits(scale), count, scale, language, "XXX")


def when(at_us: int, zone: str, locale: str) -> str:
    """Write an instant in a zone, and name the zone.

    `20 ноября 2026, 20:00 (МСК)`, `21 November 2026, 03:00 (Asia/Vladivostok)`. Refuses
    (`value_invalid`) an unknown zone.
    """
    return f"{_moment(at_us, zone, locale, _WHEN)} ({zone_name(zone, locale)})"


def day(at_us: int, zone: str, locale: str) -> str:
    """Write the day of an instant in a zone: `20 ноября 2026`, `20 November 2026`."""
    return _moment(at_us, zone, locale, _DAY)


def short(at_us: int, zone: str, locale: str) -> str:
    """Write an instant for a table, whose head names the zone: `20.11.2026 20:00`."""
    return _moment(at_us, zone, locale, _SHORT[language_of(locale)])


def zone_name(zone: str, locale: str) -> str:
    """Return a zone's name as readers know it: `МСК`, `MSK`, `Asia/Vladivostok`."""
    return _ZONES.get(zone, {}).get(language_of(locale), zone)


def plural_of(count: int | Decimal, locale: str) -> Plural:
    """Return the plural form of a number: of Russian `one` (31), `few` (3), `many` (48), `other`.

    `other` in Russian is a fraction (1,5).
    """
    form: Plural = _LOCALES[language_of(locale)].plural_form(count)  # type: ignore[assignment]  # Babel says str
    return form


def counted(count: int | Decimal, noun: Noun, locale: str) -> str:
    """Write so many of something: `3 часа`, `1,5 часа`, `48 hours`."""
    language = language_of(locale)
    number = str(count).replace(".", ",") if language == "ru" else str(count)
    return f"{number} {_NOUNS[language][noun][plural_of(count, language)]}"


def hours(count: int | Decimal, locale: str) -> str:
    """Write so many hours: `1 час`, `3 часа`, `48 часов`, `24 hours`."""
    return counted(count, "hour", locale)


def span(length_us: int, locale: str) -> str:
    """Write how long something lasts, to the minute: `2 часа 59 минут`, `3 days 4 hours`."""
    parts = _parts(length_us)
    if not parts:
        return _LESS_THAN_A_MINUTE[language_of(locale)]
    return " ".join(counted(count, noun, locale) for noun, count in parts)


def time_left(left_us: int, locale: str) -> str:
    """Write how much time is left: `осталось 3 часа`, `остался 1 час`, `3 hours left`."""
    language = language_of(locale)
    if left_us <= 0:
        return _OVER[language]
    text = span(left_us, language)
    if language == "en":
        return f"{text} left"
    parts = _parts(left_us)
    is_one = len(parts) == 1 and plural_of(parts[0][1], language) == "one"
    return f"{_ONE_LEFT[parts[0][0]] if is_one else 'осталось'} {text}"


def _parts(length_us: int) -> list[tuple[Noun, int]]:
    """Part a length into its two largest units, rounded to the nearest minute."""
    minutes = (length_us + _MINUTE_US // 2) // _MINUTE_US
    whole, minutes = divmod(minutes, _MINUTES_OF_HOUR)
    if whole > _LONG_HOURS:
        days, whole = divmod(whole, _HOURS_OF_DAY)
        parts: list[tuple[Noun, int]] = [("day", days), ("hour", whole)]
    else:
        parts = [("hour", whole), ("minute", minutes)]
    return [(noun, count) for noun, count in parts if count]


@lru_cache(maxsize=256)
def _places_of(currency: str) -> int:
    # Babel knows only how many places are shown, which is not ISO 4217 for 13 currencies.
    try:
        places = iso4217.Currency(currency).exponent
    except ValueError as error:
        raise ValueRefused(f"{currency!r} is not a currency of ISO 4217") from error
    if places is None:
        raise ValueRefused(f"{currency!r} has no smallest unit")
    return int(places)


def _digits(places: int) -> str:
    return "#,##0." + "0" * places if places else "#,##0"


@lru_cache(maxsize=64)
def _pattern(text: str) -> NumberPattern:
    return parse_pattern(text)


def _apply(text: str, minor: int, places: int, language: Language, currency: str) -> str:
    value = Decimal(abs(minor)).scaleb(-places)
    written: str = _pattern(text).apply(
        value, _LOCALES[language], currency=currency, currency_digits=False
    )
    return written


def _sign(minor: int, *, signed: bool) -> str:
    if minor < 0:
        return "-"
    return "+" if signed and minor > 0 else ""


def _moment(at_us: int, zone: str, locale: str, pattern: str) -> str:
    moment = datetime.fromtimestamp(at_us // SECOND_US, UTC).astimezone(zone_of(zone))
    return format_datetime(moment, pattern, locale=_LOCALES[language_of(locale)])
