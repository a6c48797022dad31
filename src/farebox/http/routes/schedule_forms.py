"""How what subscriptions owe is shown and asked for over the API."""

from typing import Literal

from farebox.billing.invoices.model import Invoice
from farebox.billing.schedules.model import Charge, Schedule, State
from farebox.billing.schedules.rules import billed_until, bills_at
from farebox.http.routes.invoice_forms import InvoiceView
from farebox.http.wire import Body, Id, Time, View, show_end, show_time


class MethodView(View, frozen=True):
    """How a customer pays."""

    id: str
    kind: str
    label: str
    gateway: str


class PaidView(View, frozen=True):
    """An invoice of a subscription, in its history."""

    invoice: str
    number: str | None
    state: str
    total: int
    due: int
    issued_at: Time | None
    period_start: Time | None
    period_end: Time | None


class SubscriptionPaymentView(View, frozen=True):
    """What a subscription has paid and owes next.

    `state` is that of its payments; whether it opens access is access's. `next_payment_at` is when
    the next period is billed, `next_attempt_at` when a late invoice is tried again.
    """

    subscription: str
    customer: str
    plan: str
    plan_version: int
    state: State
    price: str | None
    price_version: int | None
    currency: str | None
    period: str
    period_count: int
    timing: Literal["advance", "arrears"]
    zone: str
    anchor_at: Time | None
    billed_until: Time | None
    trial_ends_at: Time | None
    cancel_at: Time | None
    paused_at: Time | None
    ended_at: Time | None
    pending_plan: str | None
    last_payment_at: Time | None
    next_payment_at: Time | None
    open_invoice: str | None
    failed_attempts: int
    next_attempt_at: Time | None
    grace_ends_at: Time | None
    gives_up_at: Time | None


class SubscriptionPaymentDetails(SubscriptionPaymentView, frozen=True):
    """The same with how it is paid, and its newest invoices."""

    payment_method: MethodView | None
    invoice_history: list[PaidView]


class ChargeView(View, frozen=True):
    """A stretch of a period that was billed; `credited` is what of the fee was given back."""

    id: str
    plan: str
    plan_version: int
    price: str
    price_version: int
    starts_at: Time
    ends_at: Time
    cut_at: Time | None
    amount: int
    net: int
    credited: int
    invoice: str
    state: str


class Charges(View, frozen=True):
    """What was billed of a subscription, by time."""

    items: list[ChargeView]


class AskChange(Body, frozen=True):
    """A change as it would be asked for at the subscription; `plan` names the other plan."""

    change: Literal["cancel", "pause", "resume", "plan"]
    at: Literal["now", "period_end"] = "now"
    plan: Id | None = None


class CreditedView(View, frozen=True):
    """A credit note that a change would bring; what is not paid yet is `canceled` by it."""

    invoice: str
    total: int
    canceled: int
    credit: int
    refund: int


class ChangePreview(View, frozen=True):
    """What a change would lead to. Of an invoice the customer's credit has paid its part."""

    state: State
    plan: str
    effective_at: Time
    invoice: InvoiceView | None
    credit_note: CreditedView | None


class NextInvoices(View, frozen=True):
    """What would be billed next: the period, and usage that is not billed yet."""

    bills_at: Time | None
    period: InvoiceView | None
    usage: InvoiceView | None


def show_schedule(one: Schedule) -> SubscriptionPaymentView:
    """Return a schedule as the API shows it."""
    bills = one.state in {"active", "past_due"} and one.invoice is None
    due_at = one.trial_ends_at if one.state == "trialing" else bills_at(one) if bills else None
    return SubscriptionPaymentView(
        subscription=one.subscription,
        customer=one.customer,
        plan=one.plan,
        plan_version=one.plan_version,
        state=one.state,
        price=one.price,
        price_version=one.price_version,
        currency=None if one.price is None else one.currency,
        period=one.unit,
        period_count=one.count,
        timing="advance" if one.advance else "arrears",
        zone=one.zone,
        anchor_at=show_end(one.anchor_at),
        billed_until=show_end(billed_until(one)),
        trial_ends_at=show_end(one.trial_ends_at),
        cancel_at=show_end(one.cancel_at),
        paused_at=show_end(one.paused_at),
        ended_at=show_end(one.ended_at),
        pending_plan=one.pending_plan,
        last_payment_at=show_end(one.last_paid_at),
        next_payment_at=None if one.cancel_at is not None else show_end(due_at),
        open_invoice=one.invoice or one.change_invoice,
        failed_attempts=one.failures,
        next_attempt_at=show_end(one.retry_at) if one.state == "past_due" else None,
        grace_ends_at=show_end(one.grace_ends_at),
        gives_up_at=show_end(one.give_up_at),
    )


def show_paid(one: Invoice) -> PaidView:
    """Return an invoice as the history of a subscription shows it."""
    return PaidView(
        invoice=one.id,
        number=one.number,
        state=one.state,
        total=one.total,
        due=one.due,
        issued_at=show_end(one.issued_at),
        period_start=show_end(one.period_start),
        period_end=show_end(one.period_end),
    )


def show_charge(one: Charge) -> ChargeView:
    """Return a charge as the API shows it."""
    return ChargeView(
        id=one.id,
        plan=one.plan,
        plan_version=one.plan_version,
        price=one.price,
        price_version=one.price_version,
        starts_at=show_time(one.starts_at),
        ends_at=show_time(one.ends_at),
        cut_at=show_end(one.cut_at),
        amount=one.amount,
        net=one.net,
        credited=one.credited,
        invoice=one.invoice,
        state=one.state,
    )
