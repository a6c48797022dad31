"""Payouts to owners of the marketplace: asked for by one person, approved by another."""

from typing import Annotated

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from farebox.billing.flows.say_by_hand import say_payout
from farebox.billing.payments import service_payouts
from farebox.billing.payments.model import Payout, PayoutState
from farebox.http.deps import BILLING, Command, Desk
from farebox.http.roles import MOVES_VALUE
from farebox.http.routes.payments import Arrived, with_times
from farebox.http.wire import (
    ONE_LINE,
    Amount,
    Body,
    Id,
    IdFilter,
    Limit,
    Page,
    TextCursor,
    Time,
    View,
)
from farebox.platform.service_audit import record
from farebox.storage import Tx

TAGS = ["Payouts"]
PAYOUT = "/v1/payouts/{payout:str}"
VALUE = {**BILLING, **MOVES_VALUE}
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$")]
Destination = Annotated[str, Meta(min_length=1, max_length=255, pattern=ONE_LINE)]
StateFilter = Annotated[PayoutState | None, QueryParameter(name="state")]


class AskForPayout(Body, frozen=True):
    """What an owner is to get. `destination` is the gateway's word for where: no card's number."""

    owner: Id
    amount: Amount
    currency: Currency
    gateway: Id
    destination: Destination


class PayoutView(View, frozen=True):
    """Money of an owner's sales on its way to them."""

    id: str
    owner: str
    amount: int
    currency: str
    gateway: str
    destination: str
    state: PayoutState
    requested_by: str
    approved_by: str | None
    provider_reference: str | None
    reason: str | None
    attention: str | None
    created_at: Time
    changed_at: Time
    ended_at: Time | None


def show_payout(one: Payout) -> PayoutView:
    """Return a payout as the API shows it."""
    return PayoutView(**with_times(one))


@post("/v1/payouts", operation_id="requestPayout", opt=VALUE, tags=TAGS, sync_to_thread=True)
def request_payout(data: JSONBody[AskForPayout], command: NamedDependency[Command]) -> PayoutView:
    """Ask for a payout; somebody else has to approve it."""

    def work(tx: Tx) -> PayoutView:
        made = service_payouts.request_payout(
            tx,
            command.actor,
            owner=data.owner,
            amount=data.amount,
            currency=data.currency,
            gateway=data.gateway,
            destination=data.destination,
        )
        return show_payout(made)

    return command.answer(PayoutView, work)


@get("/v1/payouts", operation_id="listPayouts", opt=BILLING, tags=TAGS, sync_to_thread=True)
def list_payouts(
    desk: NamedDependency[Desk],
    owner: IdFilter = None,
    in_state: StateFilter = None,
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[PayoutView]:
    """List payouts, newest first."""

    def work(tx: Tx) -> Page[PayoutView]:
        page = service_payouts.list_payouts(
            tx, owner=owner, state=in_state, before=cursor, limit=limit
        )
        return Page(items=[show_payout(one) for one in page.items], next=page.next)

    return desk.read(work)


@get(PAYOUT, operation_id="readPayout", opt=BILLING, tags=TAGS, sync_to_thread=True)
def read_payout(payout: FromPath[str], desk: NamedDependency[Desk]) -> PayoutView:
    """Read a payout."""
    return desk.read(lambda tx: show_payout(service_payouts.read_payout(tx, payout)))


@post(
    PAYOUT + "/approve",
    operation_id="approvePayout",
    opt=VALUE,
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def approve_payout(payout: FromPath[str], command: NamedDependency[Command]) -> PayoutView:
    """Approve a payout that somebody else asked for."""
    approve = service_payouts.approve_payout
    return command.answer(PayoutView, lambda tx: show_payout(approve(tx, command.actor, payout)))


@post(
    PAYOUT + "/reject",
    operation_id="rejectPayout",
    opt=BILLING,
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def reject_payout(payout: FromPath[str], command: NamedDependency[Command]) -> PayoutView:
    """Let a payout not be made."""
    reject = service_payouts.reject_payout
    return command.answer(PayoutView, lambda tx: show_payout(reject(tx, command.actor, payout)))


@post(
    PAYOUT + "/look",
    operation_id="lookAtPayout",
    opt=BILLING,
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def look_at_payout(payout: FromPath[str], command: NamedDependency[Command]) -> PayoutView:
    """Let the gateway be asked now what came of a payout."""

    def work(tx: Tx) -> PayoutView:
        made = service_payouts.look_at_payout(tx, payout)
        record(tx, command.actor, "payout.looked_at", payout)
        return show_payout(made)

    return command.answer(PayoutView, work)


@post(
    PAYOUT + "/confirm",
    operation_id="confirmPayout",
    opt=VALUE,
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def confirm_payout(
    payout: FromPath[str], data: JSONBody[Arrived], command: NamedDependency[Command]
) -> PayoutView:
    """Say that a payout was transferred."""
    return command.answer(
        PayoutView,
        lambda tx: show_payout(say_payout(tx, command.actor, payout, reference=data.reference)),
    )


@post(
    PAYOUT + "/deny",
    operation_id="denyPayout",
    opt=VALUE,
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def deny_payout(payout: FromPath[str], command: NamedDependency[Command]) -> PayoutView:
    """Say that a payout was not made and will not be."""
    return command.answer(
        PayoutView, lambda tx: show_payout(say_payout(tx, command.actor, payout, reference=None))
    )


HANDLERS = (
    request_payout,
    list_payouts,
    read_payout,
    approve_payout,
    reject_payout,
    look_at_payout,
    confirm_payout,
    deny_payout,
)
