"""The tables of payments."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final, TypeVar

import msgspec
import sqlalchemy as sa

from farebox.billing.payments.model import (
    Chargeback,
    GatewayCall,
    Method,
    Noun,
    Payment,
    Payout,
    Refund,
)
from farebox.storage import table

metadata = sa.MetaData()
T = TypeVar("T")
_table = partial(table, metadata)
_INT, _TEXT = sa.BigInteger, sa.Text
# What is kept of something until its gateway has given a definite answer.
_WORK: Final[Mapping[str, type[sa.types.TypeEngine[Any]]]] = {
    "asked": _INT, "unreached": _INT, "looks": _INT, "first_call_at": _INT, "due_at": _INT,
    "claim": _TEXT, "attention": _TEXT,
}  # fmt: skip
NEW: Final = {"asked": 0, "unreached": 0, "looks": 0}
method = _table(
    "payment_method", id=_TEXT, customer=_TEXT, gateway=_TEXT, token=_TEXT, account=_TEXT,
    kind=_TEXT, label=_TEXT, expires=_TEXT, standard=_INT, state=_TEXT, created_at=_INT,
)  # fmt: skip
payment = _table(
    "payment", id=_TEXT, key=_TEXT, customer=_TEXT, amount=_INT, currency=_TEXT, purpose=_TEXT,
    reference=_TEXT, gateway=_TEXT, method=_TEXT, state=_TEXT, provider_reference=_TEXT,
    reason=_TEXT, final=_INT, action_url=_TEXT, refunded=_INT, refunding=_INT, charged_back=_INT,
    created_at=_INT, changed_at=_INT, ended_at=_INT, abandoning=_INT, **_WORK,
)  # fmt: skip
refund = _table(
    "refund", id=_TEXT, key=_TEXT, payment=_TEXT, amount=_INT, currency=_TEXT, gateway=_TEXT,
    state=_TEXT, provider_reference=_TEXT, reason=_TEXT, created_at=_INT, changed_at=_INT,
    ended_at=_INT, **_WORK,
)  # fmt: skip
chargeback = _table(
    "chargeback", id=_TEXT, payment=_TEXT, gateway=_TEXT, provider_reference=_TEXT, amount=_INT,
    currency=_TEXT, state=_TEXT, reason=_TEXT, recovered=_INT, opened_at=_INT, changed_at=_INT,
)  # fmt: skip
notice = _table(
    "gateway_notice", id=_TEXT, gateway=_TEXT, event=_TEXT, noun=_TEXT, subject=_TEXT,
    content=_TEXT, state=_TEXT, reason=_TEXT, tries=_INT, due_at=_INT, claim=_TEXT,
    received_at=_INT, ended_at=_INT,
)  # fmt: skip
payout = _table(
    "payout", id=_TEXT, owner=_TEXT, amount=_INT, currency=_TEXT, gateway=_TEXT, destination=_TEXT,
    state=_TEXT, requested_by=_TEXT, approved_by=_TEXT, provider_reference=_TEXT, reason=_TEXT,
    created_at=_INT, changed_at=_INT, ended_at=_INT, **_WORK,
)  # fmt: skip
payout_account = _table("payout_account", owner=_TEXT, currency=_TEXT, under_way=_INT)
call = _table(
    "gateway_call", seq=_INT, subject=_TEXT, verb=_TEXT, at=_INT, outcome=_TEXT, detail=_TEXT
)
OF_NOUN: Final[Mapping[Noun, sa.Table]] = {"payment": payment, "refund": refund, "payout": payout}


def _value(row: sa.Row[Any], kind: type[T], *flags: str) -> T:
    fields: dict[str, Any] = {name: getattr(row, name) for name in kind.__struct_fields__}  # type: ignore[attr-defined]
    fields.update({name: bool(fields[name]) for name in flags})
    return msgspec.convert(fields, kind)


def payment_of(row: sa.Row[Any]) -> Payment:
    """Return a row of `payment`."""
    return _value(row, Payment, "final")


def refund_of(row: sa.Row[Any]) -> Refund:
    """Return a row of `refund`."""
    return _value(row, Refund)


def payout_of(row: sa.Row[Any]) -> Payout:
    """Return a row of `payout`."""
    return _value(row, Payout)


def chargeback_of(row: sa.Row[Any]) -> Chargeback:
    """Return a row of `chargeback`."""
    return _value(row, Chargeback)


def method_of(row: sa.Row[Any]) -> Method:
    """Return a row of `payment_method`."""
    return _value(row, Method, "standard")


def call_of(row: sa.Row[Any]) -> GatewayCall:
    """Return a row of `gateway_call`."""
    return _value(row, GatewayCall)
