"""Refunds and chargebacks of payments: asked for, read, and said by a person."""

from typing import Annotated, Literal

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from farebox.billing.flows.say_by_hand import refund_by_hand, say_chargeback, say_refund
from farebox.billing.payments import service_chargebacks, service_refunds
from farebox.billing.payments.model import Chargeback, ChargebackState, Refund, RefundState
from farebox.billing.payments.model_outcomes import Disputed
from farebox.http.deps import BILLING, Command, Desk
from farebox.http.routes.payments import (
    PAYMENT,
    TAGS,
    VALUE,
    Arrived,
    Attention,
    Reference,
    own_payment,
    with_times,
)
from farebox.http.wire import Amount, Body, IdFilter, Limit, Page, TextCursor, Time, View
from farebox.ledger.service import digest_of
from farebox.platform.service_audit import record
from farebox.storage import Tx

REFUND = "/v1/refunds/{refund:str}"
ChargebackStateFilter = Annotated[ChargebackState | None, QueryParameter(name="state")]


class AskForRefund(Body, frozen=True):
    """How much of the payment is given back."""

    amount: Amount


class NoteChargeback(Body, frozen=True):
    """What the bank took back; `reference` is its own word for that."""

    reference: Reference
    amount: Amount
    reason: Reference | None = None


class CloseChargeback(Body, frozen=True):
    """How it ended; what is won is ours again."""

    state: Literal["won", "lost"]


class RefundView(View, frozen=True):
    """Money of a payment on its way back."""

    id: str
    payment: str
    amount: int
    currency: str
    gateway: str
    state: RefundState
    provider_reference: str | None
    reason: str | None
    attention: str | None
    created_at: Time
    changed_at: Time
    ended_at: Time | None


class ChargebackView(View, frozen=True):
    """Money that the customer's bank took back; `recovered` is what their wallet gave for it."""

    id: str
    payment: str
    gateway: str
    provider_reference: str
    amount: int
    currency: str
    state: ChargebackState
    reason: str | None
    recovered: int
    opened_at: Time
    changed_at: Time


class Refunds(View, frozen=True):
    """The refunds of a payment, oldest first."""

    items: list[RefundView]


def show_refund(one: Refund) -> RefundView:
    """Return a refund as the API shows it."""
    facts = with_times(one)
    return RefundView(**{name: facts[name] for name in RefundView.__struct_fields__})


def show_chargeback(one: Chargeback) -> ChargebackView:
    """Return a chargeback as the API shows it."""
    return ChargebackView(**with_times(one))


@post(PAYMENT + "/refunds", operation_id="refundPayment", opt=VALUE, tags=TAGS, sync_to_thread=True)
def refund_payment(
    payment: FromPath[str], data: JSONBody[AskForRefund], command: NamedDependency[Command]
) -> RefundView:
    """Give a payment back, in whole or in part; an order is given back by its own refund."""
    # A key of this route is longer than one of ours may be.
    key = f"hand:{digest_of(command.principal.id, command.key or '').hex()}"

    def work(tx: Tx) -> RefundView:
        return show_refund(refund_by_hand(tx, command.actor, payment, data.amount, key=key))

    return command.answer(RefundView, work)


@get(
    PAYMENT + "/refunds",
    operation_id="listRefundsOfPayment",
    opt=BILLING,
    tags=TAGS,
    sync_to_thread=True,
)
def list_refunds_of_payment(payment: FromPath[str], desk: NamedDependency[Desk]) -> Refunds:
    """List the refunds of a payment; consumers those of their own."""

    def work(tx: Tx) -> Refunds:
        found = service_refunds.refunds_of(tx, own_payment(tx, desk, payment).id)
        return Refunds(items=[show_refund(one) for one in found])

    return desk.read(work)


@get("/v1/refunds", operation_id="listPaymentRefunds", opt=BILLING, tags=TAGS, sync_to_thread=True)
def list_refunds(
    desk: NamedDependency[Desk],
    attention: Attention = None,
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[RefundView]:
    """List refunds, newest first."""

    def work(tx: Tx) -> Page[RefundView]:
        wanted = None if attention is None else attention == "true"
        page = service_refunds.list_refunds(tx, attention=wanted, before=cursor, limit=limit)
        return Page(items=[show_refund(one) for one in page.items], next=page.next)

    return desk.read(work)


@get(REFUND, operation_id="readRefund", opt=BILLING, tags=TAGS, sync_to_thread=True)
def read_refund(refund: FromPath[str], desk: NamedDependency[Desk]) -> RefundView:
    """Read a refund."""
    return desk.read(lambda tx: show_refund(service_refunds.read_refund(tx, refund)))


@post(
    REFUND + "/look",
    operation_id="lookAtRefund",
    opt=BILLING,
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def look_at_refund(refund: FromPath[str], command: NamedDependency[Command]) -> RefundView:
    """Let the gateway be asked now what came of a refund."""

    def work(tx: Tx) -> RefundView:
        made = service_refunds.look_at_refund(tx, refund)
        record(tx, command.actor, "refund.looked_at", refund)
        return show_refund(made)

    return command.answer(RefundView, work)


@post(
    REFUND + "/confirm",
    operation_id="confirmRefund",
    opt=VALUE,
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def confirm_refund(
    refund: FromPath[str], data: JSONBody[Arrived], command: NamedDependency[Command]
) -> RefundView:
    """Say that a refund was transferred."""
    return command.answer(
        RefundView,
        lambda tx: show_refund(say_refund(tx, command.actor, refund, reference=data.reference)),
    )


@post(
    REFUND + "/deny",
    operation_id="denyRefund",
    opt=VALUE,
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def deny_refund(refund: FromPath[str], command: NamedDependency[Command]) -> RefundView:
    """Say that a refund was not made and will not be."""
    return command.answer(
        RefundView,
        lambda tx: show_refund(say_refund(tx, command.actor, refund, reference=None)),
    )


@post(
    PAYMENT + "/chargebacks",
    operation_id="noteChargeback",
    opt=VALUE,
    tags=TAGS,
    sync_to_thread=True,
)
def note_chargeback(
    payment: FromPath[str], data: JSONBody[NoteChargeback], command: NamedDependency[Command]
) -> ChargebackView:
    """Note that the bank took a payment back, where its gateway does not tell us."""
    said = Disputed(
        reference=data.reference,
        state="opened",
        amount=data.amount,
        payment=payment,
        reason=data.reason,
    )
    return command.answer(
        ChargebackView, lambda tx: show_chargeback(say_chargeback(tx, command.actor, said))
    )


@get("/v1/chargebacks", operation_id="listChargebacks", opt=BILLING, tags=TAGS, sync_to_thread=True)
def list_chargebacks(
    desk: NamedDependency[Desk],
    payment: IdFilter = None,
    in_state: ChargebackStateFilter = None,
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[ChargebackView]:
    """List chargebacks, newest first."""

    def work(tx: Tx) -> Page[ChargebackView]:
        page = service_chargebacks.list_chargebacks(
            tx, payment=payment, state=in_state, before=cursor, limit=limit
        )
        return Page(items=[show_chargeback(one) for one in page.items], next=page.next)

    return desk.read(work)


@get(
    "/v1/chargebacks/{chargeback:str}",
    operation_id="readChargeback",
    opt=BILLING,
    tags=TAGS,
    sync_to_thread=True,
)
def read_chargeback(chargeback: FromPath[str], desk: NamedDependency[Desk]) -> ChargebackView:
    """Read a chargeback."""
    found = service_chargebacks.read_chargeback
    return desk.read(lambda tx: show_chargeback(found(tx, chargeback)))


@post(
    "/v1/chargebacks/{chargeback:str}/close",
    operation_id="closeChargeback",
    opt=VALUE,
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def close_chargeback(
    chargeback: FromPath[str], data: JSONBody[CloseChargeback], command: NamedDependency[Command]
) -> ChargebackView:
    """Note how a chargeback ended, where its gateway does not tell us."""

    def work(tx: Tx) -> ChargebackView:
        one = service_chargebacks.read_chargeback(tx, chargeback)
        said = Disputed(
            reference=one.provider_reference,
            state=data.state,
            amount=one.amount,
            payment=one.payment,
        )
        return show_chargeback(say_chargeback(tx, command.actor, said))

    return command.answer(ChargebackView, work)


HANDLERS = (
    refund_payment,
    list_refunds_of_payment,
    list_refunds,
    read_refund,
    look_at_refund,
    confirm_refund,
    deny_refund,
    note_chargeback,
    list_chargebacks,
    read_chargeback,
    close_chargeback,
)
