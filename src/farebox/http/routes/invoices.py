"""Invoices: drafting, issuing, what becomes of them. Consumers see their own once issued."""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Final

from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, field

from farebox.billing.customers.model import CustomerUnknown
from farebox.billing.customers.service import ensure_by_id, read_customer
from farebox.billing.flows.end_invoice import end_invoice
from farebox.billing.flows.issue_invoices import pay_invoice
from farebox.billing.invoices import service, service_issue
from farebox.billing.invoices.model import (
    INVOICES,
    LONGEST_DUE_DAYS,
    Invoice,
    InvoiceState,
    InvoiceTermsRefused,
    InvoiceUnknown,
)
from farebox.billing.invoices.service_credit import credits_of
from farebox.billing.invoices.service_files import plan_delivery
from farebox.billing.invoices.service_payments import payments_of
from farebox.http.deps import BILLING, Command, Desk
from farebox.http.roles import MOVES_VALUE
from farebox.http.routes.invoice_forms import (
    CreditView,
    Currency,
    HappenedView,
    InvoiceView,
    Language,
    Lines,
    PaidView,
    PreviewView,
    line_of,
    show_happened,
    show_invoice,
    show_line,
    show_paid,
)
from farebox.http.routes.purchases import own_of
from farebox.http.wire import Body, Id, IdFilter, Limit, Page, TextCursor, Time, View, read_time
from farebox.kernel.ids import record_id
from farebox.platform.service_audit import record
from farebox.storage import Tx

TAGS = ["Invoices"]
PATH = "/v1/invoices/{invoice:str}"
VALUE = {**BILLING, **MOVES_VALUE}
EVERYBODYS_DUE_DAYS: Final = 14
DueDays = Annotated[int, Meta(ge=0, le=LONGEST_DUE_DAYS)]
SeriesCode = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
InState = Annotated[InvoiceState | None, QueryParameter(name="state")]


class NewInvoice(Body, frozen=True):
    """A draft. Without `due_days` it is the customer's own time, or 14 days."""

    customer: Id
    currency: Currency
    lines: Lines = field(default_factory=list)
    due_days: DueDays | None = None
    period_start: Time | None = None
    period_end: Time | None = None
    subscription: Id | None = None
    order: Id | None = None
    series: SeriesCode = INVOICES
    language: Language | None = None


class AskPreview(Body, frozen=True):
    """What an invoice would be made of."""

    customer: Id
    currency: Currency
    lines: Lines
    subscription: Id | None = None


class MoreLines(Body, frozen=True):
    """Lines to add."""

    lines: Lines


class PayInvoice(Body, frozen=True):
    """How to pay; with neither it is the customer's standard method."""

    method: Id | None = None
    gateway: Id | None = None


class PaymentOpened(View, frozen=True):
    """The payment by which an invoice is being paid."""

    payment: str
    state: str
    amount: int
    currency: str
    gateway: str


def invoice_for(tx: Tx, desk: Desk, invoice: str) -> Invoice:
    """Return an invoice; a stranger's, and to a consumer a draft, is not there."""
    found = service.read_invoice(tx, invoice)
    desk.must_own(found.customer, InvoiceUnknown)
    if found.state == "draft" and desk.principal.kind == "consumer":
        raise InvoiceUnknown
    return found


@post(
    "/v1/invoices/preview", operation_id="previewInvoice", opt=BILLING, tags=TAGS,
    status_code=200, sync_to_thread=True,
)  # fmt: skip
def preview_invoice(data: JSONBody[AskPreview], desk: NamedDependency[Desk]) -> PreviewView:
    """Say what an invoice would come to, by the code that issues it; nothing is kept."""
    lines = desk.read(
        lambda tx: service.preview(
            tx,
            customer=data.customer,
            currency=data.currency,
            lines=[line_of(each) for each in data.lines],
            subscription=data.subscription,
        )
    )
    return PreviewView(
        currency=data.currency,
        fees=sum(line.sold.amount for line in lines),
        discount=sum(line.discount for line in lines),
        net=sum(line.net for line in lines),
        tax=sum(line.tax for line in lines),
        total=sum(line.gross for line in lines),
        lines=[show_line(line) for line in lines],
    )


def _due_days(tx: Tx, data: NewInvoice) -> int:
    own = ensure_by_id(tx, data.customer).due_days if data.due_days is None else data.due_days
    return EVERYBODYS_DUE_DAYS if own is None else own


@post("/v1/invoices", operation_id="draftInvoice", opt=VALUE, tags=TAGS, sync_to_thread=True)
def draft_invoice(data: JSONBody[NewInvoice], command: NamedDependency[Command]) -> InvoiceView:
    """Draft an invoice."""
    start, end = data.period_start, data.period_end
    if (start is None) != (end is None):
        raise InvoiceTermsRefused("a period has a start and an end")
    period = None if start is None or end is None else (read_time(start), read_time(end))

    def work(tx: Tx) -> InvoiceView:
        made = service.draft(
            tx,
            customer=data.customer,
            currency=data.currency,
            lines=[line_of(each) for each in data.lines],
            due_days=_due_days(tx, data),
            key=record_id("key"),
            period=period,
            subscription=data.subscription,
            order=data.order,
            series=data.series,
            language=data.language,
            actor=command.actor,
        )
        record(tx, command.actor, "invoice.drafted", f"invoice:{made.id}", after=made.id)
        return show_invoice(made)

    return command.answer(InvoiceView, work)


@get("/v1/invoices", operation_id="listInvoices", opt=BILLING, tags=TAGS, sync_to_thread=True)
def list_invoices(  # noqa: PLR0917 - the framework gives them by name
    desk: NamedDependency[Desk],
    customer: IdFilter = None,
    in_state: InState = None,
    subscription: IdFilter = None,
    order: IdFilter = None,
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[InvoiceView]:
    """List invoices newest first, without their lines; consumers see their own, once issued."""
    own = own_of(desk)
    found = desk.read(
        lambda tx: service.list_invoices(
            tx,
            customer=own or customer,
            state=in_state,
            subscription=subscription,
            order=order,
            issued_only=own is not None,
            after=cursor,
            limit=limit,
        )
    )
    return Page(items=[show_invoice(one) for one in found.items], next=found.next)


@get(PATH, operation_id="readInvoice", opt=BILLING, tags=TAGS, sync_to_thread=True)
def read_invoice(invoice: FromPath[str], desk: NamedDependency[Desk]) -> InvoiceView:
    """Read an invoice with its lines."""
    return desk.read(lambda tx: show_invoice(invoice_for(tx, desk, invoice)))


@post(
    PATH + "/lines", operation_id="addInvoiceLines", opt=VALUE, tags=TAGS, status_code=200,
    sync_to_thread=True,
)  # fmt: skip
def add_lines(
    invoice: FromPath[str], data: JSONBody[MoreLines], command: NamedDependency[Command]
) -> InvoiceView:
    """Add lines to a draft."""
    lines = [line_of(each) for each in data.lines]

    def work(tx: Tx) -> InvoiceView:
        made = service.add_lines(tx, invoice, lines, actor=command.actor)
        record(tx, command.actor, "invoice.lines_added", f"invoice:{invoice}", after=len(lines))
        return show_invoice(made)

    return command.answer(InvoiceView, work)


@delete(PATH, operation_id="discardInvoice", opt=BILLING, tags=TAGS, sync_to_thread=True)
def discard_invoice(invoice: FromPath[str], command: NamedDependency[Command]) -> None:
    """Throw a draft away. What is issued is voided or credited instead."""

    def work(tx: Tx) -> None:
        service.discard(tx, invoice)
        record(tx, command.actor, "invoice.discarded", f"invoice:{invoice}")

    command.write(work)


@post(
    PATH + "/issue", operation_id="issueInvoice", opt=VALUE, tags=TAGS, status_code=200,
    sync_to_thread=True,
)  # fmt: skip
def issue_invoice(invoice: FromPath[str], command: NamedDependency[Command]) -> InvoiceView:
    """Issue a draft: it gets its number, and nothing of it changes any more."""
    return command.answer(
        InvoiceView,
        lambda tx: show_invoice(service_issue.issue(tx, invoice, actor=command.actor)),
    )


@post(
    PATH + "/void", operation_id="voidInvoice", opt=VALUE, tags=TAGS, status_code=200,
    sync_to_thread=True,
)  # fmt: skip
def void_invoice(invoice: FromPath[str], command: NamedDependency[Command]) -> InvoiceView:
    """Take an unpaid invoice back as if it had never been owed; its number stays taken.

    A subscription that waits for it goes on; one that never paid anything is canceled.
    """
    return _ended(invoice, command, service_issue.void)


@post(
    PATH + "/write-off", operation_id="writeOffInvoice", opt=VALUE, tags=TAGS, status_code=200,
    sync_to_thread=True,
)  # fmt: skip
def write_off_invoice(invoice: FromPath[str], command: NamedDependency[Command]) -> InvoiceView:
    """Give up what is still owed: it is bad debt. A late payment is still taken.

    A subscription that waits for it ends as its terms of payment say.
    """
    return _ended(invoice, command, service_issue.write_off)


def _ended(invoice: str, command: Command, end: Callable[..., Invoice]) -> InvoiceView:
    def work(tx: Tx) -> InvoiceView:
        act = partial(end, tx, invoice, actor=command.actor)
        return show_invoice(end_invoice(tx, invoice, act))

    return command.answer(InvoiceView, work)


@post(
    PATH + "/send", operation_id="sendInvoice", opt=BILLING, tags=TAGS, status_code=202,
    sync_to_thread=True,
)  # fmt: skip
def send_invoice(invoice: FromPath[str], command: NamedDependency[Command]) -> InvoiceView:
    """Hand an issued invoice over to notifications again."""

    def work(tx: Tx) -> InvoiceView:
        found = service_issue.issued_of(tx, invoice)
        plan_delivery(tx, found.id, found)
        record(tx, command.actor, "invoice.sent_again", f"invoice:{invoice}")
        return show_invoice(found)

    return command.answer(InvoiceView, work)


@post(PATH + "/payments", operation_id="payInvoice", opt=VALUE, tags=TAGS, sync_to_thread=True)
def pay(
    invoice: FromPath[str],
    command: NamedDependency[Command],
    data: JSONBody[PayInvoice | None] = None,
) -> PaymentOpened:
    """Pay all that is owed; the payment says how it goes on."""
    how = data or PayInvoice()

    def work(tx: Tx) -> PaymentOpened:
        invoice_for(tx, command, invoice)
        key = f"{command.principal.id}:{command.key or record_id('key')}"
        made = pay_invoice(tx, invoice, key=key, method=how.method, gateway=how.gateway)
        return PaymentOpened(
            payment=made.id,
            state=made.state,
            amount=made.amount,
            currency=made.currency,
            gateway=made.gateway,
        )

    return command.answer(PaymentOpened, work)


@get(
    PATH + "/payments", operation_id="listPaymentsOfInvoice", opt=BILLING, tags=TAGS,
    sync_to_thread=True,
)  # fmt: skip
def list_payments(invoice: FromPath[str], desk: NamedDependency[Desk]) -> Page[PaidView]:
    """List what paid an invoice, oldest first."""

    def work(tx: Tx) -> list[PaidView]:
        return [show_paid(each) for each in payments_of(tx, invoice_for(tx, desk, invoice).id)]

    return Page(items=desk.read(work), next=None)


@get(
    PATH + "/history", operation_id="readInvoiceHistory", opt=BILLING, tags=TAGS,
    sync_to_thread=True,
)  # fmt: skip
def read_history(invoice: FromPath[str], desk: NamedDependency[Desk]) -> Page[HappenedView]:
    """Read what became of an invoice, and by whom, oldest first."""
    entries = desk.read(lambda tx: service.history_of(tx, service.read_invoice(tx, invoice).id))
    return Page(items=[show_happened(each) for each in entries], next=None)


@get(
    "/v1/customers/{customer:str}/credit", operation_id="readCredit", opt=BILLING, tags=TAGS,
    sync_to_thread=True,
)  # fmt: skip
def read_credit(customer: FromPath[str], desk: NamedDependency[Desk]) -> CreditView:
    """Read what a customer has of credit: their next invoices use it."""
    desk.must_own(customer, CustomerUnknown)

    def work(tx: Tx) -> CreditView:
        read_customer(tx, customer)
        return CreditView(customer=customer, credit=credits_of(tx, customer))

    return desk.read(work)


HANDLERS = (
    preview_invoice,
    draft_invoice,
    list_invoices,
    read_invoice,
    add_lines,
    discard_invoice,
    issue_invoice,
    void_invoice,
    write_off_invoice,
    send_invoice,
    pay,
    list_payments,
    read_history,
    read_credit,
)
