"""Payments: read, called off, looked for, and said by a person."""

from typing import Annotated, Any, Literal

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, structs

from farebox.billing.flows.say_by_hand import (
    say_payment,
)
from farebox.billing.payments import service
from farebox.billing.payments.model import (
    GatewayCall,
    Payment,
    PaymentState,
    PaymentUnknown,
    Purpose,
)
from farebox.http.deps import BILLING, Command, Desk
from farebox.http.roles import MOVES_VALUE
from farebox.http.wire import (
    ONE_LINE,
    Body,
    IdFilter,
    Limit,
    Page,
    TextCursor,
    Time,
    View,
    show_time,
)
from farebox.platform.service_audit import record
from farebox.storage import Tx

TAGS = ["Payments"]
PAYMENT = "/v1/payments/{payment:str}"
VALUE = {**BILLING, **MOVES_VALUE}
Reference = Annotated[str, Meta(min_length=1, max_length=128, pattern=ONE_LINE)]
PaymentStateFilter = Annotated[PaymentState | None, QueryParameter(name="state")]
Attention = Annotated[
    Literal["true", "false"] | None, QueryParameter(description="A person must look at them")
]


class Arrived(Body, frozen=True):
    """What the bank calls the transfer."""

    reference: Reference


class PaymentView(View, frozen=True):
    """What a customer is to pay, and how it stands. At `action_url` the customer goes on.

    `reason` is why it failed, `attention` why a person must look.
    """

    id: str
    customer: str
    amount: int
    currency: str
    purpose: Purpose
    reference: str
    gateway: str
    method: str | None
    state: PaymentState
    provider_reference: str | None
    reason: str | None
    final: bool
    action_url: str | None
    refunded: int
    refunding: int
    charged_back: int
    refundable: int
    attention: str | None
    created_at: Time
    changed_at: Time
    ended_at: Time | None


class CallView(View, frozen=True):
    """One call of the gateway and what it met."""

    verb: str
    at: Time
    outcome: str
    detail: str | None


class Calls(View, frozen=True):
    """The last hundred calls, oldest first."""

    items: list[CallView]


def with_times(thing: Any) -> dict[str, Any]:  # noqa: ANN401 - any of our frozen types
    """Return the fields of a thing, its times as those of the API."""
    fields: dict[str, Any] = structs.asdict(thing)
    for name, value in fields.items():
        if name.endswith("_at") and value is not None:
            fields[name] = show_time(value)
    return fields


def show_payment(one: Payment) -> PaymentView:
    """Return a payment as the API shows it."""
    facts = {**with_times(one), "refundable": one.refundable}
    return PaymentView(**{name: facts[name] for name in PaymentView.__struct_fields__})


def show_call(one: GatewayCall) -> CallView:
    """Return a call as the API shows it."""
    return CallView(verb=one.verb, at=show_time(one.at), outcome=one.outcome, detail=one.detail)


def own_payment(tx: Tx, desk: Desk, payment: str) -> Payment:
    """Return a payment; a stranger's is not there (`payment_unknown`)."""
    found = service.read_payment(tx, payment)
    desk.must_own(found.customer, PaymentUnknown)
    return found


@get("/v1/payments", operation_id="listPayments", opt=BILLING, tags=TAGS, sync_to_thread=True)
def list_payments(
    desk: NamedDependency[Desk],
    *,
    customer: IdFilter = None,
    in_state: PaymentStateFilter = None,
    attention: Attention = None,
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[PaymentView]:
    """List payments, newest first; consumers list their own."""
    whose = desk.principal.id if desk.principal.kind == "consumer" else customer
    if customer is not None:
        desk.must_own(customer, PaymentUnknown)

    def work(tx: Tx) -> Page[PaymentView]:
        wanted = None if attention is None else attention == "true"
        page = service.list_payments(
            tx, customer=whose, state=in_state, attention=wanted, before=cursor, limit=limit
        )
        return Page(items=[show_payment(one) for one in page.items], next=page.next)

    return desk.read(work)


@get(PAYMENT, operation_id="readPayment", opt=BILLING, tags=TAGS, sync_to_thread=True)
def read_payment(payment: FromPath[str], desk: NamedDependency[Desk]) -> PaymentView:
    """Read a payment; consumers read their own."""
    return desk.read(lambda tx: show_payment(own_payment(tx, desk, payment)))


@get(
    PAYMENT + "/calls",
    operation_id="listGatewayCalls",
    opt=BILLING,
    tags=TAGS,
    sync_to_thread=True,
)
def list_calls(payment: FromPath[str], desk: NamedDependency[Desk]) -> Calls:
    """List what the gateway was asked about a payment, and what it answered."""

    def work(tx: Tx) -> Calls:
        found = service.read_payment(tx, payment)
        return Calls(items=[show_call(one) for one in service.calls_of(tx, found.id)])

    return desk.read(work)


@post(
    PAYMENT + "/cancel",
    operation_id="cancelPayment",
    opt=BILLING,
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def cancel_payment(payment: FromPath[str], command: NamedDependency[Command]) -> PaymentView:
    """Call a payment off that waits for its customer; consumers call off their own."""

    def work(tx: Tx) -> PaymentView:
        before = own_payment(tx, command, payment)
        made = service.call_off(tx, payment)
        record(tx, command.actor, "payment.called_off", payment, before=before.state)
        return show_payment(made)

    return command.answer(PaymentView, work)


@post(
    PAYMENT + "/look",
    operation_id="lookAtPayment",
    opt=BILLING,
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def look_at_payment(payment: FromPath[str], command: NamedDependency[Command]) -> PaymentView:
    """Let the gateway be asked now what came of a payment."""

    def work(tx: Tx) -> PaymentView:
        made = service.look_again(tx, payment)
        record(tx, command.actor, "payment.looked_at", payment)
        return show_payment(made)

    return command.answer(PaymentView, work)


@post(
    PAYMENT + "/confirm",
    operation_id="confirmPayment",
    opt=VALUE,
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def confirm_payment(
    payment: FromPath[str], data: JSONBody[Arrived], command: NamedDependency[Command]
) -> PaymentView:
    """Say that a transfer arrived in whole, or what came of a payment that no gateway tells."""
    return command.answer(
        PaymentView,
        lambda tx: show_payment(say_payment(tx, command.actor, payment, reference=data.reference)),
    )


@post(
    PAYMENT + "/deny",
    operation_id="denyPayment",
    opt=VALUE,
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def deny_payment(payment: FromPath[str], command: NamedDependency[Command]) -> PaymentView:
    """Say that a payment was not made and will not be."""
    return command.answer(
        PaymentView,
        lambda tx: show_payment(say_payment(tx, command.actor, payment, reference=None)),
    )


@post(
    PAYMENT + "/set-aside",
    operation_id="setPaymentAside",
    opt=BILLING,
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def set_aside(payment: FromPath[str], command: NamedDependency[Command]) -> PaymentView:
    """Note that a person has looked at a payment that has ended."""

    def work(tx: Tx) -> PaymentView:
        before = service.read_payment(tx, payment)
        made = service.set_aside(tx, payment)
        record(tx, command.actor, "payment.set_aside", payment, before=before.attention)
        return show_payment(made)

    return command.answer(PaymentView, work)


HANDLERS = (
    list_payments,
    read_payment,
    list_calls,
    cancel_payment,
    look_at_payment,
    confirm_payment,
    deny_payment,
    set_aside,
)
