"""The tables of customers and of the evidence of their tax numbers."""

from functools import partial
from typing import Any

import msgspec
import sqlalchemy as sa

from farebox.billing.customers.model import Address, Customer, Evidence
from farebox.storage import table

metadata = sa.MetaData()
_table = partial(table, metadata)
_INT, _TEXT = sa.BigInteger, sa.Text
customer = _table(
    "customer", id=_TEXT, kind=_TEXT, name=_TEXT, email=_TEXT, address=_TEXT, country=_TEXT,
    region=_TEXT, tax_number=_TEXT, tax_country=_TEXT, tax_checked_at=_INT, exempt_because=_TEXT,
    currency=_TEXT, zone=_TEXT, locale=_TEXT, invoice_email=_TEXT, due_days=_INT, version=_INT,
    created_at=_INT, changed_at=_INT,
)  # fmt: skip
evidence = _table(
    "tax_evidence", seq=_INT, customer=_TEXT, number=_TEXT, country=_TEXT, source=_TEXT,
    reference=_TEXT, valid=_INT, at=_INT, actor=_TEXT,
)  # fmt: skip


def customer_of(row: sa.Row[Any]) -> Customer:
    """Return a row of `customer`."""
    facts = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's own name for a row as a mapping
    if facts["address"] is not None:
        facts["address"] = msgspec.json.decode(facts["address"], type=Address)
    return Customer(**facts)


def row_of(one: Customer) -> dict[str, Any]:
    """Return a customer as a row."""
    address = None if one.address is None else msgspec.json.encode(one.address).decode()
    return {**msgspec.structs.asdict(one), "address": address}


def evidence_of(row: sa.Row[Any]) -> Evidence:
    """Return a row of `tax_evidence`."""
    return Evidence(
        customer=row.customer,
        number=row.number,
        country=row.country,
        source=row.source,
        reference=row.reference,
        valid=bool(row.valid),
        at=row.at,
        actor=row.actor,
    )


def row_of_evidence(one: Evidence) -> dict[str, Any]:
    """Return what was found about a tax number as a row."""
    return {**msgspec.structs.asdict(one), "valid": int(one.valid)}
