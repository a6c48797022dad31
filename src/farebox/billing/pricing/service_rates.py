"""Exchange rates by day: our own, the European Central Bank's, and amounts by them.

An amount that was converted keeps the rate it was converted by (`Converted.used`), so a rate that
is corrected later changes nothing that was billed.
"""

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Final

import sqlalchemy as sa

from farebox.billing.pricing import store
from farebox.billing.pricing.model_money import Converted, DayRate, RateUnknown
from farebox.billing.pricing.rules_currency import ECB, Rates, places_of
from farebox.billing.pricing.rules_currency import convert as _convert
from farebox.billing.pricing.rules_rates import (
    MOST_DAYS,
    OWN,
    File,
    Imported,
    check_rate,
    differences,
    read_file,
)
from farebox.kernel.refusals import TryAgain, ValueRefused
from farebox.kernel.rounding import Rounding
from farebox.platform.model import Actor, Page
from farebox.platform.rules import checked_limit, page_of
from farebox.platform.service_audit import record
from farebox.storage import Tx

_rate: Final = store.exchange_rate
_KEY: Final = ("base", "quote", "day", "source")
_PIVOT: Final = "EUR"
_AT_ONCE: Final = 10_000


def set_rate(tx: Tx, actor: Actor, *, base: str, quote: str, day: date, rate: Decimal) -> DayRate:
    """Set our own rate of a day: one unit of `base` is `rate` units of `quote` from then on.

    Own rates go before the bank's. Again for the same day it is the new one that counts. Refuses
    `value_invalid`, `currency_unknown`.
    """
    places_of(base), places_of(quote)
    made = DayRate(base=base, quote=quote, day=day, rate=rate, source=OWN)
    check_rate(made)
    old = _find(tx, base, quote, day)
    if old == made:
        return old
    tx.upsert(_rate, store.rate_row(made), key=_KEY)
    subject = f"exchange_rate:{base}-{quote}"
    record(tx, actor, "exchange_rate.set", subject, before=_facts(old), after=_facts(made))
    return made


def remove_rate(tx: Tx, actor: Actor, *, base: str, quote: str, day: date) -> None:
    """Forget our own rate of a day; refuses (`rate_unknown`) where there is none."""
    old = _find(tx, base, quote, day)
    if old is None:
        raise RateUnknown(f"there is no own rate from {base} to {quote} of {day}")
    tx.run(_rate.delete().where(*_here(base, quote, day)))
    record(tx, actor, "exchange_rate.removed", f"exchange_rate:{base}-{quote}", before=_facts(old))


def read_ecb_file(text: str) -> File:
    """Read the bank's file (CSV), before a transaction is open.

    Its whole history has 300,000 rates, which take seconds to read. Refuses (`rate_unknown`) what
    is not such a file.
    """
    return read_file(text)


def import_ecb(tx: Tx, actor: Actor, file: File) -> Imported:
    """Take in the bank's file, whole or not at all.

    The same file again changes nothing; a rate that the bank has corrected is corrected.
    """
    days = [day for _, day in file]
    within = _rate.c.day.between(min(days), max(days))
    known = sa.select(_rate.c.quote, _rate.c.day, _rate.c.rate)
    rows = tx.run(known.where(_rate.c.base == _PIVOT, _rate.c.source == ECB, within))
    held = {(row.quote, row.day): row.rate for row in rows}
    wanted, done = differences(file, held)
    _write(tx, [(key, rate) for key, rate in wanted if key not in held])
    changed = [(_PIVOT, *key, ECB, rate) for key, rate in wanted if key in held]
    tx.update_many(_rate, ("rate",), changed, key=_KEY)
    if wanted:
        record(tx, actor, "exchange_rate.imported", "exchange_rate:ECB", after=done)
    return done


def list_rates(
    tx: Tx,
    *,
    base: str | None = None,
    quote: str | None = None,
    day: date | None = None,
    source: str | None = None,
    after: str | None = None,
    limit: int = 100,
) -> Page[DayRate]:
    """Return rates, the newest days first. Refuses (`value_invalid`) a cursor that is none."""
    order = (_rate.c.day, _rate.c.base, _rate.c.quote, _rate.c.source)
    statement = sa.select(_rate).order_by(*(column.desc() for column in order))
    wanted = {"base": base, "quote": quote, "source": source}
    for name, value in wanted.items():
        if value is not None:
            statement = statement.where(_rate.c[name] == value)
    if day is not None:
        statement = statement.where(_rate.c.day == day.isoformat())
    if after is not None:
        place = after.split("_")
        if len(place) != len(order):
            raise ValueRefused("this cursor is not of this list")
        statement = statement.where(sa.tuple_(*order) < tuple(place))
    rows = tx.run(statement.limit(checked_limit(limit) + 1))
    return page_of([store.rate_of(row) for row in rows], limit, _cursor)


def rates_for(tx: Tx, base: str, quote: str, day: date) -> Rates:
    """Return what is known for converting between two currencies on a day."""
    names = {base, quote, _PIVOT}
    oldest = day - timedelta(days=MOST_DAYS)
    rows = tx.run(
        sa.select(_rate).where(
            _rate.c.base.in_(names),
            _rate.c.quote.in_(names),
            _rate.c.day.between(oldest.isoformat(), day.isoformat()),
        )
    )
    return Rates([store.rate_of(row) for row in rows], most_days=MOST_DAYS)


def rate_between(tx: Tx, base: str, quote: str, day: date) -> tuple[Fraction, tuple[DayRate, ...]]:
    """Return how much of `quote` one of `base` is on a day, and by which rates.

    Refuses `currency_unknown`, `rate_unknown`.
    """
    places_of(base), places_of(quote)
    return rates_for(tx, base, quote, day).find(base, quote, day)


def convert(
    tx: Tx, amount: int, base: str, quote: str, *, day: date, rounding: Rounding = "half_up"
) -> Converted:
    """Return an amount in another currency, rounded once to its smallest unit.

    Refuses `currency_unknown`, `rate_unknown`.
    """
    rates = rates_for(tx, base, quote, day)
    return _convert(amount, base, quote, day=day, rates=rates, rounding=rounding)


def _write(tx: Tx, new: list[tuple[tuple[str, str], str]]) -> None:
    try:
        for start in range(0, len(new), _AT_ONCE):
            some = new[start : start + _AT_ONCE]
            rows = [(_PIVOT, quote, day, ECB, rate) for (quote, day), rate in some]
            tx.insert_many(_rate, (*_KEY, "rate"), rows)
    except sa.exc.IntegrityError as error:
        # Somebody else takes the same file in: look again at what is there.
        raise TryAgain from error


def _here(base: str, quote: str, day: date) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        _rate.c.base == base,
        _rate.c.quote == quote,
        _rate.c.day == day.isoformat(),
        _rate.c.source == OWN,
    )


def _find(tx: Tx, base: str, quote: str, day: date) -> DayRate | None:
    row = tx.one(sa.select(_rate).where(*_here(base, quote, day)).with_for_update())
    return None if row is None else store.rate_of(row)


def _facts(rate: DayRate | None) -> dict[str, str] | None:
    return None if rate is None else store.rate_row(rate)


def _cursor(rate: DayRate) -> str:
    return f"{rate.day.isoformat()}_{rate.base}_{rate.quote}_{rate.source}"
