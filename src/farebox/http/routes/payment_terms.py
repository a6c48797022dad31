"""Terms of payment by plan, and what became of usage that was told to billing."""

from typing import Annotated

from litestar import get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, field, structs

from farebox.billing.schedules import service, service_usage
from farebox.billing.schedules.model import (
    AtEnd,
    OnCancel,
    PaymentTerms,
    Proration,
    UsageState,
    UsageTotal,
)
from farebox.billing.schedules.rules import MOST_DAYS, MOST_RETRIES
from farebox.http.deps import BILLING, Command, Desk
from farebox.http.routes.purchases import own_of
from farebox.http.wire import (
    Body,
    Id,
    IdFilter,
    Limit,
    NumberCursor,
    Page,
    Time,
    View,
    show_time,
)
from farebox.platform.service_audit import record
from farebox.storage import Tx

TAGS = ["Terms of payment"]
TERMS = "/v1/payment-terms/{plan:str}"
Days = Annotated[int, Meta(ge=0, le=MOST_DAYS)]
SomeDays = Annotated[int, Meta(ge=1, le=MOST_DAYS)]
OfUsage = Annotated[UsageState | None, QueryParameter(name="state")]


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


HANDLERS = (list_terms, read_terms, set_terms, list_usage, rate_again)
