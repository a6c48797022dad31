"""Moving subscribers of a price to its newest version, and what that would cost them."""

from typing import Annotated, Literal

from litestar import post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from farebox.billing.flows.move_subscribers import (
    Move,
    Moves,
    Reason,
    move_subscribers,
    preview_moves,
)
from farebox.http.deps import BILLING, Command, Desk
from farebox.http.roles import MOVES_VALUE
from farebox.http.routes.invoice_forms import InvoiceView, show_invoice
from farebox.http.routes.schedule_forms import CreditedView
from farebox.http.wire import Body, Id, Time, View, show_time
from farebox.platform.model import SYSTEM

TAGS = ["Prices"]
PATH = "/v1/prices/{price:str}/moves"
MOST = 200


class AskMoves(Body, frozen=True):
    """When subscribers go on with the newest version; `after` is the `next` of the page before."""

    at: Literal["now", "period_end"]
    after: Id | None = None
    limit: Annotated[int, Meta(ge=1, le=MOST)] = 100


class MoveView(View, frozen=True):
    """A subscription that was moved, or with a `reason` was not. Fees are of a whole period.

    Of an invoice the customer's credit has paid its part; the credit note gives back what was not
    used at the old price.
    """

    subscription: str
    customer: str
    from_version: int
    moved: bool
    reason: Reason | None
    fee_before: int
    fee_after: int
    effective_at: Time
    invoice: InvoiceView | None
    credit_note: CreditedView | None


class MovesView(View, frozen=True):
    """A page of subscribers by their ids; with `next` there may be more."""

    price: str
    version: int
    currency: str
    items: list[MoveView]
    next: str | None


def _show(found: Moves) -> MovesView:
    return MovesView(
        price=found.price.id,
        version=found.price.version,
        currency=found.price.currency,
        items=[_show_move(each) for each in found.items],
        next=found.next,
    )


def _show_move(one: Move) -> MoveView:
    note = one.note
    return MoveView(
        subscription=one.subscription,
        customer=one.customer,
        from_version=one.from_version,
        moved=one.reason is None,
        reason=one.reason,
        fee_before=one.fee_before,
        fee_after=one.fee_after,
        effective_at=show_time(one.effective_at),
        invoice=None if one.invoice is None else show_invoice(one.invoice),
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


@post(
    PATH, operation_id="moveSubscribersOfPrice", opt={**BILLING, **MOVES_VALUE}, tags=TAGS,
    status_code=200, sync_to_thread=True,
)  # fmt: skip
def move(
    price: FromPath[str], data: JSONBody[AskMoves], command: NamedDependency[Command]
) -> MovesView:
    """Let subscribers of older versions go on with the newest, now or with their next period."""
    return command.answer(
        MovesView,
        lambda tx: _show(
            move_subscribers(
                tx, command.actor, price, at=data.at, after=data.after, limit=data.limit
            )
        ),
    )


@post(
    PATH + "/preview", operation_id="previewMovesOfPrice", opt=BILLING, tags=TAGS,
    status_code=200, sync_to_thread=True,
)  # fmt: skip
def preview(
    price: FromPath[str], data: JSONBody[AskMoves], desk: NamedDependency[Desk]
) -> MovesView:
    """Show what a move would cost or give back, by doing it and taking it back."""
    return _show(
        preview_moves(desk.database, SYSTEM, price, at=data.at, after=data.after, limit=data.limit)
    )


HANDLERS = (move, preview)
