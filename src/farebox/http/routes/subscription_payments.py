"""What subscriptions have paid and owe next, what their changes would cost, terms of payment."""

from typing import Annotated, Literal

from litestar import get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, field, structs

from farebox.billing.flows.change_subscription import ChangeRequested, preview_change
from farebox.billing.flows.preview_invoice import preview_next
from farebox.billing.invoices.model import Invoice
from farebox.billing.invoices.service import list_invoices
from farebox.billing.payments.service_methods import methods_of
from farebox.billing.schedules import service, service_usage
from farebox.billing.schedules.model import (
    AtEnd,
    Charge,
    OnCancel,
    PaymentTerms,
    Proration,
    Schedule,
    ScheduleUnknown,
    State,
    UsageState,
    UsageTotal,
)
from farebox.billing.schedules.rules import MOST_DAYS, MOST_RETRIES, billed_until, bills_at
from farebox.http.deps import BILLING, Command, Desk
from farebox.http.routes.invoice_forms import InvoiceView, show_invoice
from farebox.http.routes.purchases import own_of
from farebox.http.wire import (
    Body,
    Id,
    IdFilter,
    Limit,
    NumberCursor,
    Page,
    TextCursor,
    Time,
    View,
    show_end,
    show_time,
)
from farebox.platform.service_audit import record
from farebox.storage import Tx

TAGS = ["Subscription payments"]
PATH = "/v1/subscription-payments/{subscription:str}"
TERMS = "/v1/payment-terms/{plan:str}"
HISTORY = 100
Days = Annotated[int, Meta(ge=0, le=MOST_DAYS)]
SomeDays = Annotated[int, Meta(ge=1, le=MOST_DAYS)]
InState = Annotated[State | None, QueryParameter(name="state")]
OfUsage = Annotated[UsageState | None, QueryParameter(name="state")]


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


class PaymentTermsBody(Body, frozen=True):
    """How the subscriptions of a plan are collected; what is left out is Farebox's own."""

    retry_days: Annotated[list[SomeDays], Meta(max_length=MOST_RETRIES)] = field(
        default_factory=lambda: [2, 5, 7, 7]
    )
    grace_days: Days | None = None
    at_end: AtEnd = "cancel"
    due_days: Days = 0
    first_days: SomeDays = 3
    on_cancel: OnCancel = "credit"
    proration: Proration = "seconds"


class PaymentTermsView(View, frozen=True):
    """The terms of payment that hold for a plan; `*` is every plan that has none of its own."""

    plan: str
    retry_days: list[int]
    grace_days: int | None
    at_end: AtEnd
    due_days: int
    first_days: int
    on_cancel: OnCancel
    proration: Proration


class TermsList(View, frozen=True):
    """Terms of payment by plan."""

    items: list[PaymentTermsView]


class UsageView(View, frozen=True):
    """What a consumer used in a period, and what became of it: `reason` says why it was not billed.

    `quantity` is in the product's smallest unit.
    """

    consumer: str
    customer: str
    period: str
    product: str
    starts_at: Time
    ends_at: Time
    count: int
    quantity: int
    maximum: int
    state: UsageState
    reason: str | None


class AskUsage(Body, frozen=True):
    """Which usage that is held shall be rated again."""

    customer: Id
    period: Id
    product: Id


class Waiting(View, frozen=True):
    """How much usage is rated again."""

    count: int


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


def _paid(one: Invoice) -> PaidView:
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


def _charge(one: Charge) -> ChargeView:
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


def _terms(plan: str, one: PaymentTerms) -> PaymentTermsView:
    return PaymentTermsView(
        plan=plan, **{**structs.asdict(one), "retry_days": list(one.retry_days)}
    )


def _usage(one: UsageTotal) -> UsageView:
    return UsageView(
        consumer=one.consumer,
        customer=one.customer,
        period=one.period,
        product=one.product,
        starts_at=show_time(one.starts_at),
        ends_at=show_time(one.ends_at),
        count=one.count,
        quantity=one.quantity,
        maximum=one.maximum,
        state=one.state,
        reason=one.reason,
    )


def _seen(tx: Tx, desk: Desk, subscription: str) -> Schedule:
    """Return a schedule; a stranger's is not there."""
    found = service.read_schedule(tx, subscription)
    desk.must_own(found.customer, ScheduleUnknown)
    return found


@get(
    "/v1/subscription-payments", operation_id="listSubscriptionPayments", opt=BILLING, tags=TAGS,
    sync_to_thread=True,
)  # fmt: skip
def list_schedules(
    desk: NamedDependency[Desk],
    customer: IdFilter = None,
    in_state: InState = None,
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[SubscriptionPaymentView]:
    """List what subscriptions owe, in the order of their ids; consumers see their own."""
    found = desk.read(
        lambda tx: service.list_schedules(
            tx, customer=own_of(desk) or customer, state=in_state, after=cursor, limit=limit
        )
    )
    return Page(items=[show_schedule(one) for one in found.items], next=found.next)


@get(PATH, operation_id="readSubscriptionPayment", opt=BILLING, tags=TAGS, sync_to_thread=True)
def read_schedule(
    subscription: FromPath[str], desk: NamedDependency[Desk]
) -> SubscriptionPaymentDetails:
    """Read what a subscription has paid and owes next, how it is paid, and its newest invoices."""

    def work(tx: Tx) -> SubscriptionPaymentDetails:
        one = _seen(tx, desk, subscription)
        standard = [each for each in methods_of(tx, one.customer).items if each.standard]
        invoices = list_invoices(tx, subscription=subscription, issued_only=True, limit=HISTORY)
        return SubscriptionPaymentDetails(
            **structs.asdict(show_schedule(one)),
            payment_method=MethodView(
                id=standard[0].id,
                kind=standard[0].kind,
                label=standard[0].label,
                gateway=standard[0].gateway,
            )
            if standard
            else None,
            invoice_history=[_paid(each) for each in invoices.items],
        )

    return desk.read(work)


@get(
    PATH + "/charges", operation_id="listChargesOfSubscription", opt=BILLING, tags=TAGS,
    sync_to_thread=True,
)  # fmt: skip
def list_charges(subscription: FromPath[str], desk: NamedDependency[Desk]) -> Charges:
    """List the stretches of time that were billed."""

    def work(tx: Tx) -> Charges:
        _seen(tx, desk, subscription)
        return Charges(items=[_charge(each) for each in service.charges_of(tx, subscription)])

    return desk.read(work)


@get(PATH + "/next", operation_id="previewNextInvoice", opt=BILLING, tags=TAGS, sync_to_thread=True)
def preview_next_invoice(subscription: FromPath[str], desk: NamedDependency[Desk]) -> NextInvoices:
    """Show what would be billed next, with usage as it was told last; nothing is kept."""
    desk.read(lambda tx: _seen(tx, desk, subscription))
    found = preview_next(desk.database, subscription)
    return NextInvoices(
        bills_at=show_end(found.bills_at),
        period=None if found.period is None else show_invoice(found.period),
        usage=None if found.usage is None else show_invoice(found.usage),
    )


@post(
    PATH + "/preview", operation_id="previewSubscriptionChange", opt=BILLING, tags=TAGS,
    status_code=200, sync_to_thread=True,
)  # fmt: skip
def preview(
    subscription: FromPath[str], data: JSONBody[AskChange], desk: NamedDependency[Desk]
) -> ChangePreview:
    """Show what a change would cost or give back, by doing it and taking it back."""
    desk.read(lambda tx: _seen(tx, desk, subscription))
    wish = ChangeRequested(
        subscription_id=subscription, change=data.change, at=data.at, plan=data.plan
    )
    found = preview_change(desk.database, wish)
    after, note = found.schedule, found.note
    later = after.cancel_at if data.change == "cancel" else None
    if data.change == "plan" and data.at == "period_end":
        later = desk.read(lambda tx: billed_until(service.read_schedule(tx, subscription)))
    return ChangePreview(
        state=after.state,
        plan=after.pending_plan or after.plan,
        effective_at=show_time(later or desk.read(lambda tx: tx.now_us)),
        invoice=None if found.invoice is None else show_invoice(found.invoice),
        credit_note=None
        if note is None
        else CreditedView(
            invoice=note.invoice,
            total=note.total,
            canceled=note.canceled,
            credit=note.credit,
            refund=note.refund,
        ),
    )


@get(
    "/v1/payment-terms", operation_id="listPaymentTerms", opt=BILLING, tags=TAGS,
    sync_to_thread=True,
)  # fmt: skip
def list_terms(desk: NamedDependency[Desk]) -> TermsList:
    """List the terms of payment that were set."""
    found = desk.read(service.known_terms)
    return TermsList(items=[_terms(plan, one) for plan, one in found])


@get(TERMS, operation_id="readPaymentTerms", opt=BILLING, tags=TAGS, sync_to_thread=True)
def read_terms(plan: FromPath[str], desk: NamedDependency[Desk]) -> PaymentTermsView:
    """Read the terms of payment that hold for a plan."""
    return _terms(plan, desk.read(lambda tx: service.terms_for(tx, plan)))


@put(TERMS, operation_id="setPaymentTerms", opt=BILLING, tags=TAGS, sync_to_thread=True)
def set_terms(
    plan: FromPath[Id], data: JSONBody[PaymentTermsBody], command: NamedDependency[Command]
) -> PaymentTermsView:
    """Set how the subscriptions of a plan are collected, or (`*`) of every other plan."""
    wished = PaymentTerms(**{**structs.asdict(data), "retry_days": tuple(data.retry_days)})
    command.write(lambda tx: service.set_terms(tx, command.actor, plan, wished))
    return _terms(plan, wished)


@get("/v1/billed-usage", operation_id="listBilledUsage", opt=BILLING, tags=TAGS,
     sync_to_thread=True)  # fmt: skip
def list_usage(
    desk: NamedDependency[Desk],
    customer: IdFilter = None,
    in_state: OfUsage = None,
    limit: Limit = 100,
    cursor: NumberCursor = None,
) -> Page[UsageView]:
    """List what was used by period, newest first, and what became of it; consumers' own."""
    found = desk.read(
        lambda tx: service_usage.list_usage(
            tx,
            customer=own_of(desk) or customer,
            state=in_state,
            after=int(cursor or 0),
            limit=limit,
        )
    )
    return Page(items=[_usage(one) for one in found.items], next=found.next)


@post(
    "/v1/billed-usage/rate-again", operation_id="rateUsageAgain", opt=BILLING, tags=TAGS,
    status_code=202, sync_to_thread=True,
)  # fmt: skip
def rate_again(data: JSONBody[AskUsage], command: NamedDependency[Command]) -> Waiting:
    """Rate usage again that was held or free: after its price or its plan was mended."""

    def work(tx: Tx) -> Waiting:
        totals = service_usage.totals_of(tx, data.customer, data.period, data.product)
        again = [each for each in totals if each.state in {"held", "free"}]
        service_usage.mark(tx, again, "waiting")
        subject = f"{data.customer}:{data.period}:{data.product}"
        record(tx, command.actor, "usage.rated_again", subject, after=len(again))
        return Waiting(count=len(again))

    return command.answer(Waiting, work)


HANDLERS = (
    list_schedules,
    read_schedule,
    list_charges,
    preview_next_invoice,
    preview,
    list_terms,
    read_terms,
    set_terms,
    list_usage,
    rate_again,
)
