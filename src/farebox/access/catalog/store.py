"""The tables of products, features and plans."""

from functools import partial
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from farebox.access.catalog.model import Feature, Plan, PlanTerms, Product, ProductEntitlement
from farebox.access.catalog.rules import terms_of
from farebox.storage import table

metadata = sa.MetaData()
_table = partial(table, metadata)
_INT, _TEXT = sa.BigInteger, sa.Text
product = _table(
    "product", code=_TEXT, name=_TEXT, type=_TEXT, unit=_TEXT, scale=_INT, state=_TEXT,
    created_at=_INT, description=_TEXT, entitlements=_TEXT, add_ons=_TEXT, version=_INT,
    search=_TEXT, billable=_INT,
)  # fmt: skip
feature = _table(
    "feature", code=_TEXT, name=_TEXT, description=_TEXT, kind=_TEXT, choices=_TEXT, state=_TEXT,
    version=_INT, created_at=_INT,
)  # fmt: skip
plan = _table("plan", code=_TEXT, state=_TEXT, version=_INT)
plan_version = _table("plan_version", plan=_TEXT, version=_INT, terms=_TEXT, created_at=_INT)

_encode: Final = msgspec.json.encode
_ENTITLEMENTS: Final = msgspec.json.Decoder(tuple[ProductEntitlement, ...])
_WORDS: Final = msgspec.json.Decoder(tuple[str, ...])
_TERMS: Final = msgspec.json.Decoder(PlanTerms)


def product_row(made: Product, search: str) -> dict[str, Any]:
    """Return the row that a product is, found by `search`."""
    return {
        **msgspec.structs.asdict(made),
        "billable": int(made.billable),
        "entitlements": _encode(made.entitlements).decode(),
        "add_ons": _encode(made.add_ons).decode(),
        "search": search,
    }


def product_of(row: sa.Row[Any]) -> Product:
    """Return a row of `product`."""
    return Product(
        code=row.code,
        name=row.name,
        type=row.type,
        unit=row.unit,
        scale=row.scale,
        state=row.state,
        created_at=row.created_at,
        description=row.description,
        billable=bool(row.billable),
        entitlements=_ENTITLEMENTS.decode(row.entitlements),
        add_ons=_WORDS.decode(row.add_ons),
        version=row.version,
    )


def words_of(text: str) -> tuple[str, ...]:
    """Return a list of words that a column holds."""
    return _WORDS.decode(text)


def feature_row(made: Feature) -> dict[str, Any]:
    """Return the row that a feature is."""
    return {**msgspec.structs.asdict(made), "choices": _encode(made.choices).decode()}


def feature_of(row: sa.Row[Any]) -> Feature:
    """Return a row of `feature`."""
    return Feature(
        code=row.code,
        name=row.name,
        kind=row.kind,
        state=row.state,
        created_at=row.created_at,
        description=row.description,
        choices=_WORDS.decode(row.choices),
        version=row.version,
    )


def plan_version_row(made: Plan) -> dict[str, Any]:
    """Return the row that a version of a plan is."""
    return {
        "plan": made.code,
        "version": made.version,
        "terms": _encode(terms_of(made)).decode(),
        "created_at": made.created_at,
    }


def plan_of(row: sa.Row[Any]) -> Plan:
    """Return a row of `plan_version` with its plan's `state`."""
    return Plan(
        code=row.plan,
        version=row.version,
        state=row.state,
        created_at=row.created_at,
        **msgspec.structs.asdict(_TERMS.decode(row.terms)),
    )
