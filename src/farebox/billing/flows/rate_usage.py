"""Usage becomes an invoice: access tells what was used in a period, and billing rates it.

Source 002, flow 3. A period's totals are told once for each consumer; those of a customer's devices
come by themselves. They wait a while for each other, and then all of a customer is on one invoice.
A product is rated on everything that the customer used of it in the period, and what was billed of
it before is taken off; so tiers and packages are about the whole, in whatever parts it came.

What a plan includes costs nothing: all of a product whose quota has no overage, or a quota's limit.
What cannot be rated is held, with the reason, for a person to look at: nothing is given away by an
oversight, and nobody is charged by one.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any, Final

import msgspec

from farebox.billing.copies.model import ProductCopy
from farebox.billing.flows.bill_subscription import open_payment, terms_of, wait_for
from farebox.billing.flows.dunning import paid_up
from farebox.billing.flows.sold import Sold
from farebox.billing.invoices.model import Invoice, InvoiceLine
from farebox.billing.invoices.service import draft
from farebox.billing.invoices.service_issue import issue
from farebox.billing.pricing.model_charges import BY_QUANTITY, ByDimension, Windowed
from farebox.billing.pricing.model_prices import Price
from farebox.billing.pricing.model_rating import Usage, UsageNotPriced
from farebox.billing.pricing.service_quotes import line_of
from farebox.billing.schedules.model import HOUR_US, Schedule, UsageBill, UsageTotal
from farebox.billing.schedules.rules import included
from farebox.billing.schedules.service import (
    lock_schedule,
    schedules_of,
    write_schedule,
)
from farebox.billing.schedules.service_usage import (
    drop_interim,
    due_customers,
    find_bill,
    keep_bill,
    keep_total,
    lock_due,
    mark,
    put_off,
    totals_by_product,
)
from farebox.events.model import Event
from farebox.kernel.clock import parse_time
from farebox.kernel.refusals import ValueRefused
from farebox.storage import Database, Tx

COLLECT_US: Final = HOUR_US
"""So long totals of a period wait for those of the customer's other devices."""
WAIT_US: Final = HOUR_US
"""So often it is looked whether an earlier invoice of the subscription is paid."""
AGGREGATION: Final = "aggregation"
"""What a price's metadata names the aggregation by that it charges, instead of all units."""


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


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be billed of a product in a period: the line, and how much is billed with it."""

    totals: list[UsageTotal]
    price: Price
    amount: int
    billed: int
    line: InvoiceLine | None


class NotRated(Exception):
    """Says why usage is held or free."""


# -- what access tells -----------------------------------------------------------------------------


def aggregate_usage(tx: Tx, event: Event) -> None:
    """Keep what a consumer used: to be billed if it is final, for previews if it is interim."""
    told = msgspec.convert(event.data, UsageAggregated)
    drop_interim(tx, told.consumer)
    for each in told.totals:
        keep_total(
            tx,
            UsageTotal(
                consumer=told.consumer,
                period=told.period,
                product=each.product_code,
                interim=told.interim,
                customer=told.owner or told.consumer,
                starts_at=parse_time(told.starts),
                ends_at=parse_time(told.ends),
                count=each.count,
                quantity=each.sum,
                maximum=each.maximum,
                aggregations=each.aggregations,
                state="interim" if told.interim else "waiting",
                told_at=tx.now_us,
                due_at=None if told.interim else tx.now_us + COLLECT_US,
            ),
        )


# -- rating ----------------------------------------------------------------------------------------


def rate(tx: Tx, totals: Sequence[UsageTotal], sold: Sold | None = None) -> Part:
    """Rate what a customer used of a product in a period, and say what of it is not billed yet.

    Raises `NotRated` for what is free or cannot be rated, with the reason.
    """
    first = totals[0]
    sold = sold or Sold()
    product = sold.product(tx, first.product)
    if product is None or not product.billable:
        raise NotRated("not_billable")
    paying = _paying(tx, first)
    price = _price(tx, first, paying, sold)
    if price is None:
        raise NotRated("no_price")
    if not paying:
        raise NotRated("no_subscription")
    usage = _usage(tx, totals, product, price, paying, sold=sold)
    try:
        whole = line_of(price, name="1", usage=usage).amount
    except (UsageNotPriced, ValueRefused) as refusal:
        raise NotRated(refusal.code) from refusal
    known = find_bill(tx, first.customer, first.period, first.product)
    billed = 0 if known is None else known.amount
    if whole < billed:
        raise NotRated("lower_than_billed")
    line = None
    if whole > billed:
        line = InvoiceLine(
            description=f"{product.name}, {first.period}",
            amount=whole - billed,
            product=first.product,
            price=price.id,
            price_version=price.version,
            quantity=_shown(usage.quantity) if not billed else "1",
            unit=product.unit if not billed else None,
            period_start=first.starts_at,
            period_end=first.ends_at,
        )
    return Part(totals=list(totals), price=price, amount=whole, billed=billed, line=line)


def _paying(tx: Tx, one: UsageTotal) -> list[Schedule]:
    """Return the customer's subscriptions that ran in a period."""
    return [
        each
        for each in schedules_of(tx, one.customer)
        if each.price is not None and each.created_at < one.ends_at
        if each.ended_at is None or each.ended_at > one.starts_at
    ]


def _price(tx: Tx, one: UsageTotal, paying: Sequence[Schedule], sold: Sold) -> Price | None:
    """Return the price of a product's usage: the one that was billed on, else the newest."""
    prices = [
        each
        for each in sold.prices(tx, one.product)
        if each.recurring is not None and each.timing == "arrears" and each.state == "active"
        if not paying or each.currency == paying[0].currency
    ]
    own = {(each.unit, each.count) for each in paying}
    fitting = [
        each
        for each in prices
        if each.recurring is not None and (each.recurring.unit, each.recurring.count) in own
    ]
    return max(fitting or prices, key=lambda each: each.id, default=None)


def _usage(
    tx: Tx,
    totals: Sequence[UsageTotal],
    product: ProductCopy,
    price: Price,
    paying: Sequence[Schedule],
    *,
    sold: Sold,
) -> Usage:
    """Return what is rated: the units beyond those that the plans include."""
    charge = price.terms.charge
    scale = 10**product.scale
    count = sum(each.count for each in totals)
    if isinstance(charge, Windowed):
        raise NotRated("needs_each_event")
    if isinstance(charge, ByDimension):
        return Usage(count=count, parts=_parts(totals, charge, scale))
    named = price.metadata.get(AGGREGATION)
    if named is not None:
        return Usage(quantity=_aggregated(totals, str(named), scale), count=count)
    quantity = sum(each.quantity for each in totals)
    if isinstance(charge, BY_QUANTITY):
        for each in paying:
            plan = sold.plan(tx, each.plan, each.plan_version)
            free = (
                0
                if plan is None
                else included(plan.quotas, product.product, unit=each.unit, count=each.count)
            )
            if free is None:
                raise NotRated("included_in_plan")
            quantity -= free
    return Usage(quantity=Fraction(max(quantity, 0), scale), count=count)


def _parts(
    totals: Sequence[UsageTotal], charge: ByDimension, scale: int
) -> tuple[tuple[tuple[str, ...], Usage], ...]:
    """Return the usage by the values of a dimension, which access has to have added up so."""
    if len(charge.dimensions) != 1:
        raise NotRated("needs_each_event")
    [dimension] = charge.dimensions
    sums: dict[str, int] = {}
    for total in totals:
        found = [
            each
            for each in total.aggregations
            if each.get("splitBy") == dimension and each.get("kind") == "sum"
        ]
        if not found or found[0].get("partsLeftOut"):
            raise NotRated("needs_aggregation")
        for part in found[0]["parts"]:
            name = str(part["part"])
            sums[name] = sums.get(name, 0) + int(part["value"])
    return tuple(
        ((name,), Usage(quantity=Fraction(value, scale))) for name, value in sorted(sums.items())
    )


def _aggregated(totals: Sequence[UsageTotal], name: str, scale: int) -> Fraction:
    """Return the value of an aggregation over all totals: the largest maximum, else the sum."""
    values: list[int] = []
    kind = "sum"
    for total in totals:
        found = [each for each in total.aggregations if each.get("name") == name]
        if not found or found[0].get("partsLeftOut"):
            raise NotRated("needs_aggregation")
        kind = str(found[0]["kind"])
        values += [int(part["value"]) for part in found[0]["parts"]]
    whole = max(values, default=0) if kind == "maximum" else sum(values)
    return Fraction(whole, scale if kind in {"sum", "maximum"} else 1)


def _shown(quantity: Decimal | Fraction) -> str:
    """Return a quantity as a decimal text; those of products have a finite one."""
    exact = Fraction(quantity)
    return f"{Decimal(exact.numerator) / Decimal(exact.denominator):f}"


# -- billing ---------------------------------------------------------------------------------------


class UsageDue:
    """Bills what customers used, once its time has come; each customer in a transaction."""

    name: Final = "usage"

    def __init__(self, database: Database) -> None:
        self._database = database

    def step(self) -> int:
        """Bill up to a hundred customers; returns how many were due.

        One that fails keeps none of the others waiting; the first failure is raised at the end.
        """
        with self._database.read() as tx:
            due = due_customers(tx)
        sold = Sold()
        return self._database.run_each(
            [partial(bill_usage, customer=each, sold=sold) for each in due]
        )


def bill_usage(tx: Tx, customer: str, sold: Sold) -> Invoice | None:
    """Issue the invoice of what a customer used and is due; None where it comes to nothing."""
    running = [each for each in schedules_of(tx, customer) if each.state != "canceled"]
    # The lock of the subscription comes before that of its usage, here as everywhere.
    payer = lock_schedule(tx, running[0].subscription) if running else None
    due = lock_due(tx, customer)
    if not due:
        return None
    if payer is not None and payer.invoice is not None:
        put_off(tx, due, tx.now_us + WAIT_US)
        return None
    parts = rated(tx, due, sold)
    for part in parts:
        if part.line is None:
            _note(tx, part, None)
        mark(tx, [each for each in part.totals if each.state == "waiting"], "billed")
    lines = [part.line for part in parts if part.line is not None]
    if not lines:
        return None
    of = payer or _last(tx, customer)
    made = issue(tx, _draft(tx, of, parts, lines, sold).id)
    for part in parts:
        if part.line is not None:
            _note(tx, part, made.id)
    if payer is not None and payer.state == "active":
        waiting = paid_up if made.state == "paid" else wait_for
        write_schedule(tx, payer, waiting(tx, payer, made))
    elif made.due:
        open_payment(tx, of, made, key=f"{made.id}:0")
    return made


def rated(tx: Tx, due: Sequence[UsageTotal], sold: Sold) -> list[Part]:
    """Rate what is due, by period and product; what is not rated is marked with the reason."""
    parts = []
    periods = sorted({each.period for each in due})
    everything = totals_by_product(tx, due[0].customer, periods)
    for period, product in dict.fromkeys((each.period, each.product) for each in due):
        mine = [each for each in due if (each.period, each.product) == (period, product)]
        try:
            parts.append(rate(tx, everything[period, product], sold))
        except NotRated as why:
            reason = str(why)
            free = reason in {"not_billable", "no_price", "included_in_plan"}
            mark(tx, mine, "free" if free else "held", reason=reason)
    return parts


def _draft(
    tx: Tx, of: Schedule, parts: Sequence[Part], lines: Sequence[InvoiceLine], sold: Sold
) -> Invoice:
    totals = [each for part in parts for each in part.totals]
    first, last = min(each.starts_at for each in totals), max(each.ends_at for each in totals)
    for part in parts:
        sold.use(tx, part.price)
    return draft(
        tx,
        customer=of.customer,
        currency=parts[0].price.currency,
        lines=lines,
        due_days=terms_of(tx, of).due_days,
        key=f"usage:{of.customer}:{first}:{tx.now_us}",
        period=(first, last),
        subscription=of.subscription,
    )


def _note(tx: Tx, part: Part, invoice: str | None) -> None:
    first = part.totals[0]
    keep_bill(
        tx,
        UsageBill(
            customer=first.customer,
            period=first.period,
            product=first.product,
            currency=part.price.currency,
            price=part.price.id,
            price_version=part.price.version,
            amount=part.amount,
            invoice=invoice,
            billed_at=tx.now_us,
        ),
    )


def _last(tx: Tx, customer: str) -> Schedule:
    """Return the newest subscription of a customer; whatever is rated has one."""
    return max(schedules_of(tx, customer), key=lambda each: each.created_at)
