"""Tax: the rates of places over time, where the seller is, and numbers that were checked."""

from decimal import Decimal
from typing import Final

import msgspec
import sqlalchemy as sa

from farebox.billing.pricing import store
from farebox.billing.pricing.model_money import Level, PlaceRate, Rate, TaxRefused, VatNumber
from farebox.billing.pricing.model_prices import VersionPassed
from farebox.billing.pricing.model_taxes import TaxRate, TaxRateUnknown, TaxSettings
from farebox.billing.pricing.rules_tax import rates_at, vat_number
from farebox.billing.pricing.rules_tax_rates import (
    check_beside,
    check_settings,
    check_tax_rate,
    facts_of,
    table_of,
)
from farebox.kernel.ids import record_id
from farebox.platform.model import Actor, Page
from farebox.platform.rules import checked_limit, page_of
from farebox.platform.service_audit import record
from farebox.storage import Tx

_rate, _settings = store.tax_rate, store.tax_settings
_ROW: Final = "tax"


def create_tax_rate(
    tx: Tx,
    actor: Actor,
    *,
    code: str,
    percent: Decimal,
    country: str,
    region: str | None = None,
    category: str | None = None,
    valid_from: int | None = None,
    valid_until: int | None = None,
) -> TaxRate:
    """Make a tax rate, which holds from now on unless it is said otherwise.

    Refuses `value_invalid`, `tax_invalid`, and (`tax_rate_overlaps`) a second one of a code at one
    time: in the same place, or of another percentage. End the one before first.
    """
    made = TaxRate(
        id=record_id("txr"),
        code=code,
        percent=percent,
        country=country,
        region=region,
        category=category,
        valid_from=tx.now_us if valid_from is None else valid_from,
        valid_until=valid_until,
        created_at=tx.now_us,
    )
    check_tax_rate(made)
    _lock(tx)
    rows = tx.run(sa.select(_rate).where(_rate.c.code == code))
    check_beside(made, [store.tax_rate_of(row) for row in rows])
    tx.run(_rate.insert(), store.tax_rate_row(made))
    record(tx, actor, "tax_rate.created", f"tax_rate:{made.id}", after=facts_of(made))
    return made


def end_tax_rate(tx: Tx, actor: Actor, rate_id: str, *, at: int | None = None) -> TaxRate:
    """Let a rate hold until an instant, now if none is named; one that has not begun never holds.

    An end is never moved later, nor into the past (`tax_invalid`). Refuses `tax_rate_unknown`.
    Repeating changes nothing.
    """
    _lock(tx)
    old = find_tax_rate(tx, rate_id)
    if at is not None and at < tx.now_us:
        raise TaxRefused("what was taxed already stays so: a rate ends now or later")
    end = max(tx.now_us if at is None else at, old.valid_from)
    if old.valid_until is not None and old.valid_until <= end:
        return old
    new = msgspec.structs.replace(old, valid_until=end)
    tx.run(_rate.update().where(_rate.c.id == rate_id).values(valid_until=end))
    subject = f"tax_rate:{rate_id}"
    record(tx, actor, "tax_rate.ended", subject, before=facts_of(old), after=facts_of(new))
    return new


def find_tax_rate(tx: Tx, rate_id: str) -> TaxRate:
    """Return a tax rate; refuses `tax_rate_unknown`."""
    row = tx.one(sa.select(_rate).where(_rate.c.id == rate_id))
    if row is None:
        raise TaxRateUnknown
    return store.tax_rate_of(row)


def list_tax_rates(
    tx: Tx,
    *,
    country: str | None = None,
    code: str | None = None,
    at: int | None = None,
    after: str | None = None,
    limit: int = 100,
) -> Page[TaxRate]:
    """Return tax rates, oldest first; with `at` only those that hold then."""
    statement = sa.select(_rate).order_by(_rate.c.id)
    if country is not None:
        statement = statement.where(_rate.c.country == country)
    if code is not None:
        statement = statement.where(_rate.c.code == code)
    if at is not None:
        statement = statement.where(_holds(at))
    if after is not None:
        statement = statement.where(_rate.c.id > after)
    rows = tx.run(statement.limit(checked_limit(limit) + 1))
    return page_of([store.tax_rate_of(row) for row in rows], limit, lambda rate: rate.id)


def tax_table(tx: Tx, country: str, at: int) -> list[PlaceRate]:
    """Return the rates of a country and its regions that hold at an instant."""
    rows = tx.run(sa.select(_rate).where(_rate.c.country == country, _holds(at)))
    return table_of([store.tax_rate_of(row) for row in rows])


def taxes_for(
    tx: Tx, country: str, *, at: int, region: str | None = None, category: str | None = None
) -> tuple[Rate, ...]:
    """Return the taxes of a place at an instant; of a region its own instead of its country's."""
    table = tax_table(tx, country, at)
    return rates_at(table, country=country, region=region, category=category)


def tax_settings(tx: Tx) -> TaxSettings:
    """Return where the seller is and where tax is rounded, as it was last said."""
    row = tx.one(sa.select(_settings))
    if row is None:
        return TaxSettings()
    return TaxSettings(country=row.country, level=row.level, version=row.version)


def set_tax_settings(
    tx: Tx,
    actor: Actor,
    *,
    country: str | None,
    level: Level,
    expected_version: int | None = None,
) -> TaxSettings:
    """Say where the seller is and where tax is rounded, for what is billed from now on.

    Refuses `value_invalid`, and another newest version than the expected one (`version_passed`).
    """
    _lock(tx)
    old = tax_settings(tx)
    if expected_version not in {None, old.version}:
        raise VersionPassed("the settings were changed meanwhile", version=old.version)
    new = TaxSettings(country=country, level=level, version=old.version + 1)
    check_settings(new)
    if (old.country, old.level) == (country, level):
        return old
    tx.run(_settings.update().values(country=country, level=level, version=new.version))
    record(tx, actor, "tax_settings.updated", "tax_settings", before=old, after=new)
    return new


def check_vat_number(tx: Tx, text: str) -> VatNumber:
    """Return a VAT number with the time of this check; refuses `vat_number_invalid`.

    Its form and check digits are checked, offline; a registration is not.
    """
    return vat_number(text, now=tx.now_us)


def _holds(at: int) -> sa.ColumnElement[bool]:
    return sa.and_(
        _rate.c.valid_from <= at, sa.or_(_rate.c.valid_until.is_(None), _rate.c.valid_until > at)
    )


def _lock(tx: Tx) -> None:
    """Let whoever else changes taxes wait: rates are checked against each other."""
    row = {"name": _ROW, "country": None, "level": "line", "version": 0}
    tx.insert_once(_settings, row, key=("name",))
    tx.run(sa.select(_settings.c.name).with_for_update())
