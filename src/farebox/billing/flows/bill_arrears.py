"""What is billed when it was used: at a period's end, and where a subscription stops before it."""

from farebox.billing.copies.service import find_subscription
from farebox.billing.customers.service import read_customer
from farebox.billing.flows.bill_subscription import (
    Stretch,
    bill_stretches,
    decline,
    price_of_plan,
    with_price,
)
from farebox.billing.invoices.model import Invoice
from farebox.billing.pricing.model_prices import PriceUnknown
from farebox.billing.pricing.service_prices import find_price
from farebox.billing.schedules.model import Schedule
from farebox.billing.schedules.rules import (
    billed_until,
    period_of,
    with_period_billed,
    without_change,
)
from farebox.billing.schedules.service import charges_of
from farebox.kernel.clock import parse_time
from farebox.storage import Tx


def bill_used(tx: Tx, one: Schedule, until: int) -> tuple[Schedule, Invoice | None]:
    """Issue the invoice of what was used until an instant and is not billed, a line a period.

    Returns the schedule with the periods that are over counted as billed, each followed by what was
    planned for its end; and None where nothing is owed. While a subscription is paused no period
    begins: only the one in which it was is billed.
    """
    if one.anchor_at is None:
        return one, None
    if one.state == "paused":
        until = min(until, period_of(one, one.next_index).end_us)
    since, stretches = unbilled_since(tx, one), []
    while (period := period_of(one, one.next_index)).start_us < until:
        start, end = max(since, period.start_us), min(until, period.end_us)
        if start < end:
            stretches.append(Stretch(one, period, start, end))
        if until < period.end_us:
            break
        one = with_planned(tx, with_period_billed(one))
    return one, bill_stretches(tx, stretches)


def unbilled_since(tx: Tx, one: Schedule) -> int:
    """Return since when use in arrears is not billed: the period's start, or a change within it."""
    period = period_of(one, one.next_index)
    # What was voided by hand counts as billed: who was forgiven is not asked again.
    billed = [each.ends_at for each in charges_of(tx, one.subscription)]
    ends = (end for end in billed if end <= period.end_us)
    # A plan that cost nothing has left no charge where it was changed.
    return max(period.start_us, one.changed_at or period.start_us, *ends)


def shut_since(tx: Tx, one: Schedule) -> int | None:
    """Return since when access keeps a subscription shut for a late payment; None: it is open.

    Access decides: a plan that ignores failed payments stays open, whatever billing has given up.
    Where access has not told since when, nothing after what is billed counts as used: nobody pays
    for what they may not have had.
    """
    if one.state not in {"past_due", "suspended"}:
        return None
    known = find_subscription(tx, one.subscription)
    told = None if known is None else known.shut_at
    # Access keeps its word when what is shut ends: billing may hear of that before it ends it.
    shut = one.state == "suspended" if known is None else known.state in {"suspended", "expired"}
    if not shut and told is None:
        return None
    return billed_until(one) if told is None else parse_time(told)


# -- what was planned for the end of a period ------------------------------------------------------


def with_planned(tx: Tx, one: Schedule) -> Schedule:
    """Return a schedule with the plan, or the price, that was planned for the end of the period.

    Access changes it at its own instant. A plan that is not sold any more is not changed to.
    """
    if one.change_invoice is not None:
        return one
    if one.pending_plan is None:
        return _with_planned_price(tx, one)
    customer = read_customer(tx, one.customer)
    try:
        price = price_of_plan(
            tx, customer, plan=one.pending_plan, unit=one.unit, count=one.count,
            currency=one.currency,
        )  # fmt: skip
    except PriceUnknown:
        kept = without_change(one)
        decline(tx, kept, "plan", "price_unknown")
        return _with_planned_price(tx, kept)
    version = one.plan_version if one.pending_version is None else one.pending_version
    return without_change(with_price(tx, one, price, plan=one.pending_plan, version=version))


def _with_planned_price(tx: Tx, one: Schedule) -> Schedule:
    if one.pending_price is None:
        return one
    price = find_price(tx, one.pending_price, one.pending_price_version)
    return with_price(tx, one, price, plan=one.plan, version=one.plan_version)
