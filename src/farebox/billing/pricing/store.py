"""The tables of prices, coupons, taxes and rates. Lists and terms are JSON, decimals are text."""

from datetime import date
from decimal import Decimal
from functools import partial
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from farebox.billing.pricing.model_coupons import CouponRecord, Redeemed
from farebox.billing.pricing.model_money import Coupon, DayRate
from farebox.billing.pricing.model_prices import Price, Recurring, Reference, Scalar
from farebox.billing.pricing.model_promotions import Promotion
from farebox.billing.pricing.model_taxes import TaxRate
from farebox.billing.pricing.rules_terms import read_terms, write_terms
from farebox.storage import table

metadata = sa.MetaData()
_table = partial(table, metadata)
_INT, _TEXT = sa.BigInteger, sa.Text
price = _table(
    "price", id=_TEXT, kind=_TEXT, code=_TEXT, offer=_TEXT, period_hours=_INT, currency=_TEXT,
    state=_TEXT, version=_INT, created_at=_INT,
)  # fmt: skip
price_version = _table(
    "price_version", price=_TEXT, version=_INT, terms=_TEXT, unit=_TEXT, units=_INT, timing=_TEXT,
    tax_behaviour=_TEXT, tax_category=_TEXT, providers=_TEXT, metadata=_TEXT, used=_INT,
    changed_at=_INT,
)  # fmt: skip
price_reference = _table("price_reference", provider=_TEXT, reference=_TEXT, price=_TEXT)
coupon = _table(
    "coupon", code=_TEXT, percent=_TEXT, amount=_INT, currency=_TEXT, periods=_INT, products=_TEXT,
    plans=_TEXT, items=_TEXT, valid_from=_INT, valid_until=_INT, most_uses=_INT,
    most_uses_each=_INT, uses=_INT, state=_TEXT, version=_INT, created_at=_INT,
)  # fmt: skip
coupon_redemption = _table(
    "coupon_redemption", id=_TEXT, coupon=_TEXT, customer=_TEXT, subscription=_TEXT, claim=_TEXT,
    at=_INT,
)  # fmt: skip
coupon_use = _table("coupon_use", redemption=_TEXT, bill=_TEXT, at=_INT)
promotion = _table(
    "promotion", id=_TEXT, name=_TEXT, kind=_TEXT, code=_TEXT, offer=_TEXT, period_hours=_INT,
    percent=_TEXT, amount=_INT, currency=_TEXT, valid_from=_INT, valid_until=_INT, created_at=_INT,
)  # fmt: skip
tax_rate = _table(
    "tax_rate", id=_TEXT, code=_TEXT, percent=_TEXT, country=_TEXT, region=_TEXT, category=_TEXT,
    valid_from=_INT, valid_until=_INT, created_at=_INT,
)  # fmt: skip
tax_settings = _table("tax_settings", name=_TEXT, country=_TEXT, level=_TEXT, version=_INT)
exchange_rate = _table(
    "exchange_rate", base=_TEXT, quote=_TEXT, day=_TEXT, source=_TEXT, rate=_TEXT
)

_encode: Final = msgspec.json.encode
_REFERENCES: Final = msgspec.json.Decoder(tuple[Reference, ...])
_METADATA: Final = msgspec.json.Decoder(dict[str, Scalar])
_CODES: Final = msgspec.json.Decoder(frozenset[str])


def price_row(made: Price) -> dict[str, Any]:
    """Return the row of `price` that a price is."""
    return {
        "id": made.id,
        "kind": made.of,
        "code": made.code,
        "offer": made.offer,
        "period_hours": made.period_hours,
        "currency": made.currency,
        "state": made.state,
        "version": made.version,
        "created_at": made.created_at,
    }


def version_row(made: Price) -> dict[str, Any]:
    """Return the row of `price_version` that a version of a price is."""
    recurring = made.recurring
    return {
        "price": made.id,
        "version": made.version,
        "terms": write_terms(made.terms),
        "unit": None if recurring is None else recurring.unit,
        "units": None if recurring is None else recurring.count,
        "timing": made.timing,
        "tax_behaviour": made.tax_behaviour,
        "tax_category": made.tax_category,
        "providers": _encode(made.providers).decode(),
        "metadata": _encode(made.metadata).decode(),
        "used": int(made.used),
        "changed_at": made.changed_at,
    }


def price_of(row: sa.Row[Any]) -> Price:
    """Return a row of `price_version` joined with its price's columns."""
    recurring = None if row.unit is None else Recurring(unit=row.unit, count=row.units)
    return Price(
        id=row.id,
        of=row.kind,
        code=row.code,
        offer=row.offer,
        period_hours=row.period_hours,
        currency=row.currency,
        terms=read_terms(row.terms),
        recurring=recurring,
        timing=row.timing,
        tax_behaviour=row.tax_behaviour,
        tax_category=row.tax_category,
        providers=_REFERENCES.decode(row.providers),
        metadata=_METADATA.decode(row.metadata),
        version=row.version,
        state=row.state,
        used=bool(row.used),
        created_at=row.created_at,
        changed_at=row.changed_at,
    )


def coupon_row(made: CouponRecord) -> dict[str, Any]:
    """Return the row that a coupon is."""
    terms = made.coupon
    return {
        "code": terms.code,
        "percent": None if terms.percent is None else f"{terms.percent:f}",
        "amount": terms.amount,
        "currency": terms.currency,
        "periods": terms.periods,
        "products": _encode(sorted(terms.products)).decode(),
        "plans": _encode(sorted(terms.plans)).decode(),
        "items": _encode(sorted(terms.items)).decode(),
        "valid_from": terms.valid_from_us,
        "valid_until": terms.valid_until_us,
        "most_uses": terms.most_uses,
        "most_uses_each": terms.most_uses_each,
        "uses": made.uses,
        "state": made.state,
        "version": made.version,
        "created_at": made.created_at,
    }


def terms_of_coupon(row: sa.Row[Any]) -> Coupon:
    """Return the terms in a row of `coupon`."""
    return Coupon(
        code=row.code,
        percent=None if row.percent is None else Decimal(row.percent),
        amount=row.amount,
        currency=row.currency,
        periods=row.periods,
        products=_CODES.decode(row.products),
        plans=_CODES.decode(row.plans),
        items=_CODES.decode(row.items),
        valid_from_us=row.valid_from,
        valid_until_us=row.valid_until,
        most_uses=row.most_uses,
        most_uses_each=row.most_uses_each,
    )


def coupon_of(row: sa.Row[Any]) -> CouponRecord:
    """Return a row of `coupon`."""
    return CouponRecord(
        coupon=terms_of_coupon(row),
        uses=row.uses,
        state=row.state,
        version=row.version,
        created_at=row.created_at,
    )


def redeemed_of(row: sa.Row[Any]) -> Redeemed:
    """Return a row of `coupon` joined with a redemption's columns and how often it was used."""
    return Redeemed(
        coupon=terms_of_coupon(row),
        redeemed_at_us=row.at,
        periods_used=int(row.periods_used),
        id=row.id,
        customer=row.customer,
        subscription=row.subscription,
        claim=row.claim,
    )


def promotion_row(made: Promotion) -> dict[str, Any]:
    """Return the row that a promotion is."""
    row = msgspec.structs.asdict(made)
    row["kind"] = row.pop("of")
    row["percent"] = None if made.percent is None else f"{made.percent:f}"
    return row


def promotion_of(row: sa.Row[Any]) -> Promotion:
    """Return a row of `promotion`."""
    return Promotion(
        id=row.id,
        name=row.name,
        of=row.kind,
        code=row.code,
        offer=row.offer,
        period_hours=row.period_hours,
        percent=None if row.percent is None else Decimal(row.percent),
        amount=row.amount,
        currency=row.currency,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        created_at=row.created_at,
    )


def tax_rate_of(row: sa.Row[Any]) -> TaxRate:
    """Return a row of `tax_rate`."""
    return TaxRate(
        id=row.id,
        code=row.code,
        percent=Decimal(row.percent),
        country=row.country,
        region=row.region,
        category=row.category,
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        created_at=row.created_at,
    )


def tax_rate_row(made: TaxRate) -> dict[str, Any]:
    """Return the row that a tax rate is."""
    return {**msgspec.structs.asdict(made), "percent": f"{made.percent:f}"}


def rate_of(row: sa.Row[Any]) -> DayRate:
    """Return a row of `exchange_rate`."""
    return DayRate(
        base=row.base,
        quote=row.quote,
        day=date.fromisoformat(row.day),
        rate=Decimal(row.rate),
        source=row.source,
    )


def rate_row(made: DayRate) -> dict[str, Any]:
    """Return the row that a rate of a day is."""
    return {
        "base": made.base,
        "quote": made.quote,
        "day": made.day.isoformat(),
        "source": made.source,
        "rate": f"{made.rate:f}",
    }
