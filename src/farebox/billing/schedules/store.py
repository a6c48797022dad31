"""The tables of schedules, of what they billed, of terms of payment, and of usage to be billed."""

from functools import partial
from typing import Any, Final

import msgspec
import sqlalchemy as sa

from farebox.billing.schedules.model import Charge, PaymentTerms, Schedule, UsageBill, UsageTotal
from farebox.storage import table

metadata = sa.MetaData()
_table = partial(table, metadata)
_INT, _TEXT = sa.BigInteger, sa.Text
schedule = _table(
    "subscription_schedule", subscription=_TEXT, holder_kind=_TEXT, customer=_TEXT, plan=_TEXT,
    plan_version=_INT, unit=_TEXT, count=_INT, currency=_TEXT, zone=_TEXT, state=_TEXT,
    created_at=_INT, price=_TEXT, price_version=_INT, advance=_INT, anchor_at=_INT,
    next_index=_INT, trial_days=_INT, trial_ends_at=_INT, cancel_at=_INT, pending_plan=_TEXT,
    pending_version=_INT, change_invoice=_TEXT, invoice=_TEXT, failures=_INT, retry_at=_INT,
    late_at=_INT, grace_ends_at=_INT, give_up_at=_INT, paused_at=_INT, last_paid_at=_INT,
    ended_at=_INT, version=_INT, due_at=_INT, pending_price=_TEXT, pending_price_version=_INT,
    changed_at=_INT,
)  # fmt: skip
charge = _table(
    "schedule_charge", id=_TEXT, subscription=_TEXT, starts_at=_INT, ends_at=_INT,
    period_starts_at=_INT, period_ends_at=_INT, plan=_TEXT, plan_version=_INT, price=_TEXT,
    price_version=_INT, amount=_INT, net=_INT, invoice=_TEXT, line=_TEXT, state=_TEXT,
    created_at=_INT, credited=_INT, cut_at=_INT,
)  # fmt: skip
terms = _table(
    "payment_terms", plan=_TEXT, retry_days=_TEXT, grace_days=_INT, at_end=_TEXT, due_days=_INT,
    first_days=_INT, on_cancel=_TEXT, proration=_TEXT,
)  # fmt: skip
usage = _table(
    "usage_total", consumer=_TEXT, period=_TEXT, product=_TEXT, interim=_INT, customer=_TEXT,
    starts_at=_INT, ends_at=_INT, count=_INT, quantity=_INT, maximum=_INT, aggregations=_TEXT,
    state=_TEXT, reason=_TEXT, told_at=_INT, due_at=_INT,
)  # fmt: skip
usage_bill = _table(
    "usage_bill", customer=_TEXT, period=_TEXT, product=_TEXT, currency=_TEXT, price=_TEXT,
    price_version=_INT, amount=_INT, invoice=_TEXT, billed_at=_INT,
)  # fmt: skip
USAGE_KEY: Final = ("consumer", "period", "product", "interim")
USAGE: Final = tuple(column.name for column in usage.c)
BILL_KEY: Final = ("customer", "period", "product")
BILL: Final = tuple(column.name for column in usage_bill.c)


def schedule_of(row: sa.Row[Any]) -> Schedule:
    """Return a row of `subscription_schedule`."""
    found = row._asdict()
    del found["due_at"]
    return Schedule(**{**found, "advance": bool(found["advance"])})


def row_of(one: Schedule, *, due_at: int | None) -> dict[str, Any]:
    """Return a schedule as a row, with when it next has something to do."""
    return {**msgspec.structs.asdict(one), "advance": int(one.advance), "due_at": due_at}


def charge_of(row: sa.Row[Any]) -> Charge:
    """Return a row of `schedule_charge`."""
    return Charge(**row._asdict())


def terms_of(row: sa.Row[Any]) -> PaymentTerms:
    """Return a row of `payment_terms`."""
    found = row._asdict()
    del found["plan"]
    days = tuple(msgspec.json.decode(found["retry_days"], type=list[int]))
    return PaymentTerms(**{**found, "retry_days": days})


def terms_row(plan: str, one: PaymentTerms) -> dict[str, Any]:
    """Return terms of payment as a row."""
    days = msgspec.json.encode(one.retry_days).decode()
    return {**msgspec.structs.asdict(one), "retry_days": days, "plan": plan}


def usage_of(row: sa.Row[Any]) -> UsageTotal:
    """Return a row of `usage_total`."""
    found = row._asdict()
    parts = msgspec.json.decode(found["aggregations"])
    return UsageTotal(**{**found, "aggregations": parts, "interim": bool(found["interim"])})


def usage_row(one: UsageTotal) -> dict[str, Any]:
    """Return a total of usage as a row."""
    parts = msgspec.json.encode(one.aggregations).decode()
    return {**msgspec.structs.asdict(one), "aggregations": parts, "interim": int(one.interim)}


def bill_of(row: sa.Row[Any]) -> UsageBill:
    """Return a row of `usage_bill`."""
    return UsageBill(**row._asdict())
