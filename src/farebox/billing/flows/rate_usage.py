"""Usage becomes an invoice: access tells what was used in a period, and billing rates it.

Source 002, flow 3. A period's totals are told once for each consumer; those of a customer's devices
come by themselves. They wait a while for each other, and then all of a customer is on one invoice.
How one of its products is rated: `rate_product`.

What cannot be rated is held, with the reason, for a person to look at: nothing is given away by an
oversight, and nobody is charged by one.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import msgspec

from farebox.billing.flows.bill_subscription import open_payment, terms_of, wait_for
from farebox.billing.flows.dunning import paid_up
from farebox.billing.flows.rate_product import Known, NotRated, Part, known_of, rate
from farebox.billing.flows.sold import Sold
from farebox.billing.invoices.model import Invoice
from farebox.billing.invoices.service_issue import issue_new
from farebox.billing.schedules.model import (
    HOUR_US,
    PaymentTerms,
    Schedule,
    UsageBill,
    UsageTotal,
)
from farebox.billing.schedules.service import (
    lock_schedules_of,
    write_schedule,
)
from farebox.billing.schedules.service_usage import (
    drop_interim,
    due_customers,
    is_due,
    keep_bills,
    keep_totals,
    lock_due,
    mark,
    put_off,
)
from farebox.events.model import Event
from farebox.events.rests import Rests
from farebox.kernel.clock import parse_time
from farebox.storage import Database, Tx

AT_ONCE: Final = 100
COLLECT_US: Final = HOUR_US
"""So long totals of a period wait for those of the customer's other devices."""
WAIT_US: Final = HOUR_US
"""So often it is looked whether an earlier invoice of the subscription is paid."""
_RESTING: Final = frozenset({"unpriced", "trialing", "paused"})
"""Schedules that try nothing again which is not paid."""


class Total(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What access tells of a product in a period."""

    product_code: str
    count: int
    sum: int
    maximum: int
    aggregations: list[dict[str, Any]] = []


class UsageAggregated(msgspec.Struct, frozen=True, kw_only=True):
    """What access tells of a consumer's period, finally or so far."""

    consumer: str = msgspec.field(name="consumerId")
    owner: str | None = msgspec.field(name="ownerId", default=None)
    period: str
    starts: str = msgspec.field(name="from")
    ends: str = msgspec.field(name="to")
    interim: bool = False
    totals: list[Total] = []


# -- what access tells -----------------------------------------------------------------------------


def aggregate_usage(tx: Tx, event: Event) -> None:
    """Keep what a consumer used: to be billed if it is final, for previews if it is interim."""
    told = msgspec.convert(event.data, UsageAggregated)
    drop_interim(tx, told.consumer)
    starts_at, ends_at = parse_time(told.starts), parse_time(told.ends)
    totals = [
        UsageTotal(
            consumer=told.consumer,
            period=told.period,
            product=each.product_code,
            interim=told.interim,
            customer=told.owner or told.consumer,
            starts_at=starts_at,
            ends_at=ends_at,
            count=each.count,
            quantity=each.sum,
            maximum=each.maximum,
            aggregations=each.aggregations,
            state="interim" if told.interim else "waiting",
            told_at=tx.now_us,
            due_at=None if told.interim else tx.now_us + COLLECT_US,
        )
        for each in told.totals
    ]
    keep_totals(tx, totals)


# -- billing ---------------------------------------------------------------------------------------


class UsageDue:
    """Bills what customers used, once its time has come; each customer in a transaction."""

    name: Final = "usage"

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rests = Rests()

    def step(self) -> int:
        """Bill up to a hundred customers; returns how many were due.

        One that fails keeps none of the others waiting, and rests (`Rests.each`).
        """
        with self._database.read() as tx:
            due = due_customers(tx, AT_ONCE + len(self._rests))
        sold = Sold()
        works = {each: partial(bill_usage, customer=each, sold=sold) for each in due}
        return self._rests.each_in(self._database, works)


def bill_usage(tx: Tx, customer: str, sold: Sold) -> Invoice | None:
    """Issue the invoice of what a customer used and is due; None where it comes to nothing."""
    # The locks of subscriptions come before that of their usage, here as everywhere.
    schedules = lock_schedules_of(tx, customer)
    payer = _payer_of(schedules)
    totals = lock_due(tx, customer)
    due = [each for each in totals if is_due(each, tx.now_us)]
    if not due:
        return None
    if payer is not None and payer.invoice is not None:
        put_off(tx, due, tx.now_us + WAIT_US)
        return None
    # What was billed is read when nobody else bills it any more.
    known = known_of(tx, customer, due, schedules)
    parts = _of_one_currency(rated(tx, totals, known, sold))
    billed = [each for part in parts for each in part.totals if each.state == "waiting"]
    mark(tx, billed, "billed")
    lines = [part.line for part in parts if part.line is not None]
    if not lines:
        _note(tx, parts, None, known)
        return None
    of = payer or max(known.schedules, key=lambda each: each.created_at)
    terms = terms_of(tx, of)
    made = _issued(tx, of, terms, parts, sold)
    _note(tx, parts, made.id, known)
    if payer is None or payer.state != "active":
        if made.due:
            open_payment(tx, of, made, key=f"{made.id}:0")
    elif made.state == "paid":
        write_schedule(tx, payer, paid_up(tx, payer, made))
    else:
        write_schedule(tx, payer, wait_for(tx, payer, made, terms))
    return made


def _payer_of(schedules: Sequence[Schedule]) -> Schedule | None:
    """Return the subscription that collects: one that is billed goes before one that rests."""
    alive = [each for each in schedules if each.state != "canceled"]
    return min(alive, key=lambda each: each.state in _RESTING, default=None)


def rated(tx: Tx, totals: Sequence[UsageTotal], known: Known, sold: Sold) -> list[Part]:
    """Rate what is due, by period and product; what is not rated is marked with the reason."""
    parts = []
    by_product: dict[tuple[str, str], list[UsageTotal]] = {}
    for each in totals:
        by_product.setdefault((each.period, each.product), []).append(each)
    for everything in by_product.values():
        due = [each for each in everything if is_due(each, tx.now_us)]
        if not due:
            continue
        try:
            parts.append(rate(tx, everything, known, sold))
        except NotRated as why:
            reason = str(why)
            free = reason in {"not_billable", "no_price", "included_in_plan"}
            mark(tx, due, "free" if free else "held", reason=reason)
    return parts


def _of_one_currency(parts: list[Part]) -> list[Part]:
    """Return what one invoice can bill; what is in another currency stays due, for the next one."""
    return [each for each in parts if each.price.currency == parts[0].price.currency]


def _issued(
    tx: Tx, of: Schedule, terms: PaymentTerms, parts: Sequence[Part], sold: Sold
) -> Invoice:
    totals = [each for part in parts for each in part.totals]
    first, last = min(each.starts_at for each in totals), max(each.ends_at for each in totals)
    for part in parts:
        sold.use(tx, part.price)
    return issue_new(
        tx,
        customer=of.customer,
        currency=parts[0].price.currency,
        lines=[part.line for part in parts if part.line is not None],
        due_days=terms.due_days,
        key=f"usage:{of.customer}:{parts[0].price.currency}:{first}:{tx.now_us}",
        period=(first, last),
        subscription=of.subscription,
    )


def _note(tx: Tx, parts: Sequence[Part], invoice: str | None, known: Known) -> None:
    """Keep what is billed of each product by now, also where that comes to nothing more."""
    bills = []
    for part in parts:
        first = part.totals[0]
        before = known.bills.get((first.period, first.product))
        kept = None if before is None else before.invoice
        bills.append(
            UsageBill(
                customer=first.customer,
                period=first.period,
                product=first.product,
                currency=part.price.currency,
                price=part.price.id,
                price_version=part.price.version,
                amount=part.amount,
                invoice=kept if part.line is None else invoice,
                billed_at=tx.now_us,
            )
        )
    keep_bills(tx, bills, known.bills)
