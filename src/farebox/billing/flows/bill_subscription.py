"""Billing a stretch of a subscription: its invoice, the payment of it, and what is told of it.

Whoever calls this holds the lock of the schedule and writes what is returned.
"""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from farebox.billing.copies.service import find_plan
from farebox.billing.customers.model import Customer
from farebox.billing.customers.service import read_customer
from farebox.billing.invoices.model import (
    Invoice,
    InvoiceLine,
    IssuedLine,
    PeriodClosed,
    TransitionRefused,
)
from farebox.billing.invoices.rules import OVER
from farebox.billing.invoices.service_issue import issue_new, void
from farebox.billing.invoices.service_notes import credit_note
from farebox.billing.payments.service import call_off, open_intent, payments_of
from farebox.billing.pricing.model_prices import Price, PriceUnknown
from farebox.billing.pricing.rules_proration import prorate, share
from farebox.billing.pricing.service_prices import find_price, price_for, prices_of, use_price
from farebox.billing.pricing.service_promotions import reduced
from farebox.billing.schedules.model import Charge, PaymentTerms, Proration, Schedule
from farebox.billing.schedules.rules import period_end, with_invoice
from farebox.billing.schedules.service import (
    charges_of_invoice,
    insert_charge,
    terms_for,
    write_charge,
)
from farebox.events.service import publish
from farebox.kernel.clock import show_time
from farebox.kernel.ids import record_id
from farebox.kernel.periods import Period
from farebox.storage import Tx

# -- prices ----------------------------------------------------------------------------------------


def price_of_plan(
    tx: Tx, customer: Customer, *, plan: str, unit: str, count: int, currency: str | None = None
) -> Price:
    """Return the price on which a customer subscribes to a plan; refuses `price_unknown`.

    It is in the customer's currency; where they have none, in the one that the plan is sold in.
    """
    wanted = currency or customer.currency
    if wanted is None:
        sold = {
            each.currency
            for each in prices_of(tx, "plan", plan)
            if each.state == "active" and each.recurring is not None
            if (each.recurring.unit, each.recurring.count) == (unit, count)
        }
        if len(sold) != 1:
            raise PriceUnknown(f"the plan {plan} is not sold in one currency for this period")
        [wanted] = sold
    return price_for(tx, of="plan", code=plan, currency=wanted, unit=unit, count=count)


def price_of_schedule(tx: Tx, one: Schedule) -> Price:
    """Return the version of the price that a subscription was agreed on."""
    assert one.price is not None, "what is billed has a price"
    return find_price(tx, one.price, one.price_version)


def with_price(tx: Tx, one: Schedule, price: Price, *, plan: str, version: int) -> Schedule:
    """Return a schedule on another price, which is kept as it is from now on."""
    used = use_price(tx, price.id, price.version)
    return msgspec.structs.replace(
        one,
        plan=plan,
        plan_version=version,
        price=used.id,
        price_version=used.version,
        currency=used.currency,
        advance=used.timing == "advance",
        pending_price=None,
        pending_price_version=None,
    )


def terms_of(tx: Tx, one: Schedule) -> PaymentTerms:
    """Return how a subscription is collected; a customer's own time to pay goes before others."""
    terms = terms_for(tx, one.plan)
    own = read_customer(tx, one.customer).due_days
    return terms if own is None else msgspec.structs.replace(terms, due_days=own)


# -- invoices --------------------------------------------------------------------------------------


def plan_line(
    tx: Tx, price: Price, *, plan: str, version: int, amount: int, start: int, end: int
) -> InvoiceLine:
    """Return a line for a stretch of a plan; below 0 it is what was not used of one."""
    known = find_plan(tx, plan, version) or find_plan(tx, plan)
    return InvoiceLine(
        description=plan if known is None else known.name,
        amount=amount,
        plan=plan,
        price=price.id,
        price_version=price.version,
        period_start=start,
        period_end=end,
    )


def issue_of_plan(
    tx: Tx, one: Schedule, lines: Sequence[InvoiceLine], *, period: tuple[int, int]
) -> Invoice:
    """Issue an invoice of a subscription: once for each version of its schedule."""
    return issue_new(
        tx,
        customer=one.customer,
        currency=one.currency,
        lines=lines,
        due_days=terms_of(tx, one).due_days,
        key=f"{one.subscription}:{one.version}:{period[0]}",
        period=period,
        subscription=one.subscription,
    )


def line_of_stretch(
    tx: Tx, one: Schedule, period: Period, start: int, end: int
) -> InvoiceLine | None:
    """Return the line of a stretch of a period; None where it costs nothing.

    It is priced with the promotion of the plan that holds when it is billed.
    """
    price, terms = price_of_schedule(tx, one), terms_for(tx, one.plan)
    found = reduced(tx, price)
    amount = part_of_fee(found.fee, period, start, end, zone=one.zone, mode=terms.proration)
    if not amount:
        return None
    line = plan_line(
        tx, price, plan=one.plan, version=one.plan_version, amount=amount, start=start, end=end
    )
    if found.promotion is None:
        return line
    return msgspec.structs.replace(line, description=f"{line.description} ({found.promotion.name})")


class Stretch(NamedTuple):
    """A stretch of a period, and the subscription as it was then. It costs `most` at most."""

    schedule: Schedule
    period: Period
    start: int
    end: int
    most: int | None = None


def bill_stretch(
    tx: Tx, one: Schedule, period: Period, start: int, end: int, *, most: int | None = None
) -> Invoice | None:
    """Issue the invoice of a stretch of a period; None where it costs nothing."""
    return bill_stretches(tx, [Stretch(one, period, start, end, most)])


def bill_stretches(tx: Tx, stretches: Sequence[Stretch]) -> Invoice | None:
    """Issue one invoice of stretches that follow each other; None where they cost nothing.

    A part of a period costs its share of the price, rounded once, and never more than `most`.
    """
    priced = [(each, line) for each in stretches if (line := _line_of(tx, each)) is not None]
    if not priced:
        return None
    made = issue_of_plan(
        tx,
        priced[0][0].schedule,
        [line for _, line in priced],
        period=(priced[0][0].start, priced[-1][0].end),
    )
    for (each, line), sold in zip(priced, made.lines, strict=True):
        insert_charge(tx, _charge_of(tx, each, line, sold, invoice=made.id))
    return made


def _line_of(tx: Tx, each: Stretch) -> InvoiceLine | None:
    line = line_of_stretch(tx, each.schedule, each.period, each.start, each.end)
    if line is not None and each.most is not None:
        line = msgspec.structs.replace(line, amount=min(line.amount, each.most))
    return line if line is not None and line.amount else None


def _charge_of(
    tx: Tx, each: Stretch, line: InvoiceLine, sold: IssuedLine, *, invoice: str
) -> Charge:
    return Charge(
        id=record_id("chg"),
        subscription=each.schedule.subscription,
        starts_at=each.start,
        ends_at=each.end,
        period_starts_at=each.period.start_us,
        period_ends_at=each.period.end_us,
        plan=each.schedule.plan,
        plan_version=each.schedule.plan_version,
        price=line.price or "",
        price_version=line.price_version or 1,
        amount=line.amount,
        net=line.amount - sold.discount,
        invoice=invoice,
        line=str(sold.line),
        state="open",
        created_at=tx.now_us,
    )


def part_of_fee(
    fee: int, period: Period, start: int, end: int, *, zone: str, mode: Proration
) -> int:
    """Return what a stretch of a period costs."""
    if (start, end) == (period.start_us, period.end_us):
        return fee
    return prorate(fee, share(period, start, end, mode=mode, zone=zone))


# -- payments --------------------------------------------------------------------------------------


def wait_for(
    tx: Tx, one: Schedule, invoice: Invoice, terms: PaymentTerms | None = None
) -> Schedule:
    """Return a schedule that waits for an invoice, whose payment is opened."""
    open_payment(tx, one, invoice, key=f"{invoice.id}:0")
    return with_invoice(one, invoice.id, terms or terms_of(tx, one), tx.now_us)


def collect(tx: Tx, one: Schedule, invoice: Invoice | None) -> Schedule:
    """Return a schedule that waits for an invoice, unless there is none or credit has paid it."""
    if invoice is None:
        return one
    if invoice.state != "paid":
        return wait_for(tx, one, invoice)
    settle_charges(tx, invoice)
    return one


def open_payment(
    tx: Tx, one: Schedule, invoice: Invoice, *, key: str, method: str | None = None
) -> None:
    """Open a payment of what is still due of an invoice."""
    open_intent(
        tx,
        customer=one.customer,
        amount=invoice.due,
        currency=invoice.currency,
        purpose="invoice",
        reference=invoice.id,
        method=method,
        key=key,
    )


def stop_payments(tx: Tx, invoice: Invoice) -> None:
    """Call off what still waits for the customer; what comes nevertheless becomes their credit."""
    for each in payments_of(tx, "invoice", invoice.id):
        if each.state in {"created", "action_required"}:
            call_off(tx, each.id)


def settle_charges(tx: Tx, invoice: Invoice) -> list[Charge]:
    """Note the charges of a paid invoice as paid, and return them."""
    return _end_charges(tx, invoice, "paid")


def void_charges(tx: Tx, invoice: Invoice) -> list[Charge]:
    """Note the open charges of an invoice as not owed, and return them."""
    return _end_charges(tx, invoice, "void")


def _end_charges(tx: Tx, invoice: Invoice, state: Literal["paid", "void"]) -> list[Charge]:
    charges = [each for each in charges_of_invoice(tx, invoice.id) if each.state == "open"]
    for each in charges:
        write_charge(tx, msgspec.structs.replace(each, state=state))
    return charges


def take_back(tx: Tx, invoice: Invoice) -> None:
    """Take an invoice back that is not paid, with what it billed.

    Where it cannot be voided any more (its period is closed, a part was paid), it is credited in
    whole, so that whatever paid for it comes back. One that somebody has ended stays as it is.
    """
    void_charges(tx, invoice)
    if invoice.state in OVER:
        return
    try:
        void(tx, invoice.id)
    except (PeriodClosed, TransitionRefused):
        credit_note(tx, invoice.id, reason="not paid", key=f"{invoice.id}:taken_back")


# -- what access hears -----------------------------------------------------------------------------


def tell(tx: Tx, one: Schedule, type_: str, **said: Any) -> None:  # noqa: ANN401 - JSON values
    """Publish a fact about a subscription; what is None is left out."""
    facts = {name: value for name, value in said.items() if value is not None}
    holder = "consumerId" if one.holder_kind == "consumer" else "groupId"
    data = {"subscriptionId": one.subscription, holder: one.customer, **facts}
    publish(tx, type=type_, subject=one.subscription, data=data)


def shown(at: int | None) -> str | None:
    """Return an instant as events tell it."""
    return None if at is None else show_time(at)


def tell_paid(
    tx: Tx,
    one: Schedule,
    invoice: Invoice | None,
    *,
    renewed: bool,
    payment: str | None = None,
) -> None:
    """Tell access that what a subscription owed is paid, and so goes on.

    `orderId` is the document that was paid, of a subscription its invoice. `periodStart` is from
    when paid periods count, so that months keep their day.
    """
    anchor = one.anchor_at if one.anchor_at is not None and one.anchor_at <= tx.now_us else None
    document = None if invoice is None else invoice.id
    said = {
        "orderId": document,
        "invoiceId": document,
        "paymentId": payment,
        "amount": 0 if invoice is None else invoice.total,
        "currency": one.currency,
        "periodStart": shown(anchor),
        "from": shown(None if invoice is None else invoice.period_start),
        "until": shown(None if invoice is None else invoice.period_end),
    }
    tell(tx, one, "payment.succeeded", **said)
    if renewed:
        tell(tx, one, "subscription.renewed", **said)


def tell_planned(tx: Tx, one: Schedule) -> None:
    """Tell access which plan follows, and when: as the period ends that runs now."""
    tell(
        tx,
        one,
        "subscription.changed",
        change="plan",
        plan=one.pending_plan,
        planVersion=one.pending_version,
        effectiveAt=shown(period_end(one, tx.now_us)),
    )


def decline(tx: Tx, one: Schedule, wish: str, reason: str) -> None:
    """Tell access that a wish is not granted: its subscription stays as it is.

    It names the plan that is there, or planned, so that access shows no wish any more.
    """
    planned = one.pending_plan is not None and one.change_invoice is None
    tell(
        tx,
        one,
        "subscription.changed",
        change="plan",
        plan=one.pending_plan if planned else one.plan,
        planVersion=one.pending_version if planned else one.plan_version,
        effectiveAt=shown(period_end(one, tx.now_us)) if planned else None,
        declined=wish,
        reason=reason,
    )
