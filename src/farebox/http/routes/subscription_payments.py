"""What subscriptions have paid and owe next, and what their changes would cost."""

from typing import Annotated

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import structs

from farebox.billing.flows.change_subscription import ChangeRequested, preview_change
from farebox.billing.flows.preview_invoice import preview_next
from farebox.billing.invoices.service import list_invoices
from farebox.billing.payments.service_methods import methods_of
from farebox.billing.schedules import service
from farebox.billing.schedules.model import Schedule, ScheduleUnknown, State
from farebox.billing.schedules.rules import billed_until
from farebox.http.deps import BILLING, Desk
from farebox.http.routes.invoice_forms import show_invoice
from farebox.http.routes.purchases import own_of
from farebox.http.routes.schedule_forms import (
    AskChange,
    ChangePreview,
    Charges,
    CreditedView,
    MethodView,
    NextInvoices,
    SubscriptionPaymentDetails,
    SubscriptionPaymentView,
    show_charge,
    show_paid,
    show_schedule,
)
from farebox.http.wire import IdFilter, Limit, Page, TextCursor, show_end, show_time
from farebox.storage import Tx

TAGS = ["Subscription payments"]
PATH = "/v1/subscription-payments/{subscription:str}"
HISTORY = 100
InState = Annotated[State | None, QueryParameter(name="state")]


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
            invoice_history=[show_paid(each) for each in invoices.items],
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
        return Charges(items=[show_charge(each) for each in service.charges_of(tx, subscription)])

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


HANDLERS = (list_schedules, read_schedule, list_charges, preview_next_invoice, preview)
