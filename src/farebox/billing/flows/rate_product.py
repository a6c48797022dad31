"""What a customer used of a product in a period, rated: the line that bills what is not billed yet.

A product is rated on everything that was used of it in the period, and what was billed of it before
is taken off; so tiers and packages are about the whole, in whatever parts it came. What a plan
includes costs nothing: all of a product whose quota has no overage, or a quota's limit.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Final

import msgspec

from farebox.billing.copies.model import ProductCopy
from farebox.billing.flows.sold import Sold
from farebox.billing.invoices.model import InvoiceLine
from farebox.billing.pricing.model_charges import BY_QUANTITY, ByDimension, Windowed
from farebox.billing.pricing.model_prices import Price
from farebox.billing.pricing.model_rating import Usage, UsageNotPriced
from farebox.billing.pricing.service_quotes import line_of
from farebox.billing.schedules.model import Schedule, UsageBill, UsageTotal
from farebox.billing.schedules.rules import included
from farebox.billing.schedules.service_usage import bills_of
from farebox.kernel.amounts import MAX_AMOUNT
from farebox.kernel.refusals import ValueRefused
from farebox.storage import Tx

AGGREGATION: Final = "aggregation"
"""What a price's metadata names the aggregation by that it charges, instead of all units."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be billed of a product in a period: the line, and how much is billed with it."""

    totals: list[UsageTotal]
    price: Price
    amount: int
    billed: int
    line: InvoiceLine | None


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer's usage is rated by, read once for all of it."""

    schedules: list[Schedule]
    bills: dict[tuple[str, str], UsageBill]


class NotRated(Exception):
    """Says why usage is held or free."""


def known_of(
    tx: Tx, customer: str, totals: Iterable[UsageTotal], schedules: list[Schedule]
) -> Known:
    """Return what a customer's usage is rated by: their subscriptions, and what was billed."""
    periods = sorted({each.period for each in totals})
    return Known(schedules=schedules, bills=bills_of(tx, customer, periods))


def rate(tx: Tx, totals: Sequence[UsageTotal], known: Known, sold: Sold) -> Part:
    """Rate what a customer used of a product in a period, and say what of it is not billed yet.

    Raises `NotRated` for what is free or cannot be rated, with the reason.
    """
    first = totals[0]
    product = sold.product(tx, first.product)
    if product is None or not product.billable:
        raise NotRated("not_billable")
    paying = _paying(known, first)
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
    if whole > MAX_AMOUNT:
        raise NotRated("amount_too_large")
    before = known.bills.get((first.period, first.product))
    billed = 0 if before is None else before.amount
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


def _paying(known: Known, one: UsageTotal) -> list[Schedule]:
    """Return the customer's subscriptions that ran in a period."""
    return [
        each
        for each in known.schedules
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
