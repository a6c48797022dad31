"""Orders: read, confirmed, called off, given back; what another period of a rental would cost."""

from typing import Annotated, Literal

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from farebox.billing.flows import buy
from farebox.billing.orders import service, service_changes, service_refunds
from farebox.billing.orders.model import Order, OrderUnknown, State
from farebox.billing.orders.model_changes import RentalUnknown
from farebox.billing.orders.model_refunds import Reason
from farebox.billing.orders.rules_refunds import OWN_REASONS
from farebox.http.deps import BILLING, Command, Desk
from farebox.http.roles import MOVES_VALUE
from farebox.http.routes.carts import LARGEST_PERIOD_HOURS, Total
from farebox.http.routes.order_views import (
    OrderView,
    Quotes,
    RefundView,
    show_order,
    show_quotes,
    show_refund,
)
from farebox.http.waiting import eventually
from farebox.http.wire import Amount, Body, Id, IdFilter, Limit, Page, Text, TextCursor, View
from farebox.storage import Tx

TAGS = ["Orders"]
ORDER = "/v1/orders/{order:str}"
VALUE = {**BILLING, **MOVES_VALUE}
StateFilter = Annotated[
    State | None, QueryParameter(name="state", description="Only orders in this state")
]
Wait = Annotated[
    Literal["true", "false"], QueryParameter(description="Until it is settled, up to 2 s")
]
ReasonName = Literal["own_wish", "our_fault", "illness"]
ReasonFilter = Annotated[ReasonName, QueryParameter(description="Why it would go back")]
Lines = Annotated[list[Id], Meta(min_length=1, max_length=100)]


class ConfirmOrder(Body, frozen=True):
    """The total that was shown to whoever confirms."""

    shown_total: Total


class ReturnLines(Body, frozen=True):
    """Which lines go back (all without), why, and whether nothing going back is accepted.

    Whoever is no operator gives their own wish as the reason.
    """

    lines: Lines | None = None
    reason: ReasonName = "own_wish"
    accept_nothing: bool = False
    note: Text | None = None


class Allow(Body, frozen=True):
    """How much goes back while what was bought stays; of these lines, or of any."""

    amount: Amount
    lines: Lines | None = None
    note: Text | None = None


class Refunds(View, frozen=True):
    """The refunds of an order, oldest first."""

    items: list[RefundView]


class RentalQuoteView(View, frozen=True):
    """What another period would cost: above 0 is charged, below 0 goes back."""

    order: str
    line: str
    currency: str
    from_period_hours: int
    period_hours: int
    fee_before: int
    fee_after: int
    net: int
    tax: int
    amount: int


def own_order(tx: Tx, desk: Desk, order_id: str) -> Order:
    """Return an order if the caller may see it; a stranger's is not there."""
    order = service.read_order(tx, order_id)
    desk.must_own(order.customer, OrderUnknown)
    return order


def _reason(desk: Desk, reason: Reason) -> Reason:
    """Let only operators say that it was our fault, or that somebody was ill."""
    return reason if desk.principal.kind == "operator" or reason in OWN_REASONS else "own_wish"


def _show(tx: Tx, order: Order) -> OrderView:
    return show_order(order, service.lines_of(tx, order.id))


@get("/v1/orders", operation_id="listOrders", tags=TAGS, opt=BILLING, sync_to_thread=True)
def list_orders(
    desk: NamedDependency[Desk],
    customer: IdFilter = None,
    in_state: StateFilter = None,
    limit: Limit = 100,
    cursor: TextCursor = None,
) -> Page[OrderView]:
    """List orders in the order of their ids; consumers see their own."""
    whose = desk.principal.id if desk.principal.kind == "consumer" else customer

    def work(tx: Tx) -> Page[OrderView]:
        found = service.list_orders(tx, customer=whose, state=in_state, after=cursor, limit=limit)
        return Page(items=[_show(tx, one) for one in found.items], next=found.next)

    return desk.read(work)


@get(ORDER, operation_id="readOrder", tags=TAGS, opt=BILLING, sync_to_thread=True)
def read_order(
    order: FromPath[str], desk: NamedDependency[Desk], wait: Wait = "false"
) -> OrderView:
    """Read an order; with `wait` after up to 2 s in which what is under way may come to an end."""

    def look() -> OrderView:
        return desk.read(lambda tx: _show(tx, own_order(tx, desk, order)))

    return eventually(look, _is_settled) if wait == "true" else look()


def _is_settled(seen: OrderView) -> bool:
    """Tell whether nothing moves an order but its customer: it is paid and granted, or waits."""
    return seen.state not in {"created", "paid"}


@post(
    f"{ORDER}/confirm",
    operation_id="confirmOrder",
    tags=TAGS,
    opt=VALUE,
    status_code=200,
    sync_to_thread=True,
)
def confirm_order(
    order: FromPath[str], data: JSONBody[ConfirmOrder], command: NamedDependency[Command]
) -> OrderView:
    """Pay an order that has waited for its funds."""

    def work(tx: Tx) -> OrderView:
        own_order(tx, command, order)
        return _show(tx, buy.confirm_order(tx, order, shown_total=data.shown_total))

    return command.answer(OrderView, work)


@post(
    f"{ORDER}/cancel",
    operation_id="cancelOrder",
    tags=TAGS,
    opt=BILLING,
    status_code=200,
    sync_to_thread=True,
)
def cancel_order(order: FromPath[str], command: NamedDependency[Command]) -> OrderView:
    """Call off an order that is not paid."""

    def work(tx: Tx) -> OrderView:
        own_order(tx, command, order)
        return _show(tx, buy.cancel_order(tx, order, reason=command.principal.kind))

    return command.answer(OrderView, work)


@get(f"{ORDER}/refunds", operation_id="listRefunds", tags=TAGS, opt=BILLING, sync_to_thread=True)
def list_refunds(order: FromPath[str], desk: NamedDependency[Desk]) -> Refunds:
    """List what has gone back of an order, oldest first."""

    def work(tx: Tx) -> Refunds:
        own_order(tx, desk, order)
        return Refunds(items=[show_refund(one) for one in service_refunds.refunds_of(tx, order)])

    return desk.read(work)


@get(
    f"{ORDER}/return-quote",
    operation_id="quoteReturn",
    tags=TAGS,
    opt=BILLING,
    sync_to_thread=True,
)
def quote_return(
    order: FromPath[str],
    desk: NamedDependency[Desk],
    line: IdFilter = None,
    reason: ReasonFilter = "own_wish",
) -> Quotes:
    """Tell how much would go back for a line, or for all that are left, if it went back now."""
    why = _reason(desk, reason)

    def work(tx: Tx) -> Quotes:
        own_order(tx, desk, order)
        chosen = None if line is None else [line]
        return show_quotes(service_refunds.quote_returns(tx, order, chosen, why))

    return desk.read(work)


@post(f"{ORDER}/returns", operation_id="returnLines", tags=TAGS, opt=VALUE, sync_to_thread=True)
def return_lines(
    order: FromPath[str], data: JSONBody[ReturnLines], command: NamedDependency[Command]
) -> RefundView:
    """Take lines back, and give back what their policies say."""
    why = _reason(command, data.reason)

    def work(tx: Tx) -> RefundView:
        own_order(tx, command, order)
        made = service_refunds.return_lines(
            tx, command.actor, order, data.lines, reason=why,
            accept_nothing=data.accept_nothing, note=data.note,
        )  # fmt: skip
        return show_refund(made)

    return command.answer(RefundView, work)


@post(
    f"{ORDER}/allowances",
    operation_id="allowOnOrder",
    tags=TAGS,
    opt=VALUE,
    sync_to_thread=True,
)
def allow_on_order(
    order: FromPath[str], data: JSONBody[Allow], command: NamedDependency[Command]
) -> RefundView:
    """Give back an amount of an order, and leave what was bought."""

    def work(tx: Tx) -> RefundView:
        made = service_refunds.allow(
            tx, command.actor, order, data.amount, lines=data.lines, note=data.note
        )
        return show_refund(made)

    return command.answer(RefundView, work)


@get(
    "/v1/rental-quotes/{rental:str}",
    operation_id="quoteRental",
    tags=TAGS,
    opt=BILLING,
    sync_to_thread=True,
)
def quote_rental(
    rental: FromPath[str],
    desk: NamedDependency[Desk],
    period_hours: Annotated[int, QueryParameter(ge=1, le=LARGEST_PERIOD_HOURS)],
) -> RentalQuoteView:
    """Tell what another period of a rental would cost, by the prices of when it was bought."""

    def work(tx: Tx) -> RentalQuoteView:
        line = service.line_of_rental(tx, rental)
        if line is None:
            raise RentalUnknown
        desk.must_own(service.read_order(tx, line.order).customer, RentalUnknown)
        quote = service_changes.quote_change(tx, rental, period_hours)
        return RentalQuoteView(
            order=quote.order,
            line=quote.line,
            currency=quote.currency,
            from_period_hours=quote.from_hours,
            period_hours=quote.to_hours,
            fee_before=quote.fee_before,
            fee_after=quote.fee_after,
            net=quote.net,
            tax=quote.tax,
            amount=quote.amount,
        )

    return desk.read(work)


HANDLERS = (
    list_orders,
    read_order,
    confirm_order,
    cancel_order,
    list_refunds,
    quote_return,
    return_lines,
    allow_on_order,
    quote_rental,
)
