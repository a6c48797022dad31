"""Currencies: how many decimal places each has, and amounts of one in another by a dated rate.

Smallest units are those of ISO 4217: 2 places for EUR, 0 for JPY, 3 for BHD. A rate holds from its
day until the next one of the same pair; weekends and holidays have the last one before. Own rates
go before the central bank's. Without a rate of the pair itself the reverse one is used, then both
through a pivot (the euro, in which the ECB quotes). All of it is exact; the amount is rounded once,
at the end, to the target's smallest unit.
"""

import csv
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from typing import Final

import iso4217

from farebox.billing.pricing.model_money import (
    Converted,
    CurrenciesMixed,
    CurrencyUnknown,
    DayRate,
    RateUnknown,
)
from farebox.kernel.rounding import Exact, Rounding, exact, rounded

ECB: Final = "ECB"
_PIVOT: Final = "EUR"
_MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip


def places_of(currency: str) -> int:
    """Return a currency's decimal places; refuses (`currency_unknown`) what is none.

    Gold, the test code and others of ISO 4217 that have no smallest unit are refused too.
    """
    try:
        places = iso4217.Currency(currency).exponent
    except ValueError as error:
        raise CurrencyUnknown(f"{currency!r} is not a currency of ISO 4217") from error
    if places is None:
        raise CurrencyUnknown(f"{currency!r} has no smallest unit")
    return int(places)


def counted() -> tuple[str, ...]:
    """Return the codes of ISO 4217 that have a smallest unit, in their order."""
    return tuple(sorted(str(each.code) for each in iso4217.Currency if each.exponent is not None))


def in_units(amount: Exact, currency: str, rounding: Rounding = "half_up") -> int:
    """Return an amount of a currency in its smallest unit: 10.275 USD is 1028 cents."""
    return rounded(exact(amount) * 10 ** places_of(currency), rounding)


def one_currency(currencies: Iterable[str]) -> str:
    """Return the one currency that all have; refuses (`currencies_mixed`) several and none."""
    found = set(currencies)
    if len(found) != 1:
        raise CurrenciesMixed(f"one currency is needed, not {sorted(found)}")
    return found.pop()


class Rates:
    """Dated rates, to look up by pair and day. `most_days` is how old a rate may be at most."""

    def __init__(self, rates: Iterable[DayRate], *, most_days: int | None = 7) -> None:
        self._most_days = most_days
        self._of: dict[tuple[str, str], list[DayRate]] = {}
        for rate in rates:
            if not rate.rate.is_finite() or rate.rate <= 0:
                raise RateUnknown(f"{rate.base} to {rate.quote}: a rate is above 0")
            self._of.setdefault((rate.base, rate.quote), []).append(rate)

    def find(self, base: str, quote: str, day: date) -> tuple[Fraction, tuple[DayRate, ...]]:
        """Return how much of `quote` one of `base` is on a day, and the rates that say so.

        Refuses (`rate_unknown`) a pair without a rate that is new enough.
        """
        if base == quote:
            return Fraction(1), ()
        direct = self._either(base, quote, day)
        if direct is not None:
            return direct[0], (direct[1],)
        first, second = self._either(base, _PIVOT, day), self._either(_PIVOT, quote, day)
        if first is None or second is None:
            raise RateUnknown(f"there is no rate from {base} to {quote} for {day}")
        return first[0] * second[0], (first[1], second[1])

    def _either(self, base: str, quote: str, day: date) -> tuple[Fraction, DayRate] | None:
        forth = self._latest(base, quote, day)
        back = self._latest(quote, base, day)
        # An own rate goes before the bank's also where it is quoted the other way round.
        if forth is not None and (back is None or _rank(forth) >= _rank(back)):
            return Fraction(forth.rate), forth
        return None if back is None else (1 / Fraction(back.rate), back)

    def _latest(self, base: str, quote: str, day: date) -> DayRate | None:
        known = [rate for rate in self._of.get((base, quote), ()) if rate.day <= day]
        if self._most_days is not None:
            oldest = day - timedelta(days=self._most_days)
            known = [rate for rate in known if rate.day >= oldest]
        return max(known, key=_rank, default=None)


def _rank(rate: DayRate) -> tuple[bool, date]:
    return rate.source != ECB, rate.day


def convert(
    amount: int,
    base: str,
    quote: str,
    *,
    day: date,
    rates: Rates,
    rounding: Rounding = "half_up",
) -> Converted:
    """Return an amount in another currency, rounded once to that currency's smallest unit.

    Refuses with `rate_unknown` or `currency_unknown`.
    """
    found, used = rates.find(base, quote, day)
    scale = Fraction(10 ** places_of(quote), 10 ** places_of(base))
    return Converted(
        amount=rounded(amount * found * scale, rounding), currency=quote, rate=found, used=used
    )


def _day(text: str) -> date:
    words = text.split()
    if len(words) == 1:
        return date.fromisoformat(text)
    number, month, year = words
    return date(int(year), _MONTHS.index(month) + 1, int(number))


def read_ecb(text: str) -> list[DayRate]:
    """Read the file of the European Central Bank: a day a row, a currency a column, per euro.

    Its file of one day writes 21 November 2025, the others 2025-11-21. Refuses (`rate_unknown`) a
    file that is of another form. Days without a rate are left out.
    """
    rows = csv.reader(text.splitlines(), skipinitialspace=True)
    heads = [each.strip() for each in next(rows, [])]
    if not heads or heads[0] != "Date":
        raise RateUnknown("the file does not begin with a row of Date and currencies")
    found = []
    for row in rows:
        if not row:
            continue
        try:
            day = _day(row[0].strip())
            for currency, value in zip(heads[1:], row[1:], strict=False):
                if currency and value.strip() not in {"", "N/A"}:
                    rate = Decimal(value.strip())
                    found.append(
                        DayRate(base=_PIVOT, quote=currency, day=day, rate=rate, source=ECB)
                    )
        except (ValueError, InvalidOperation) as error:
            raise RateUnknown(f"the file has a row that is no day of rates: {row[0]!r}") from error
    return found
