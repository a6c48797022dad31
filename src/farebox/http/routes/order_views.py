"""How orders and refunds look on the wire."""

from collections.abc import Sequence

from farebox.billing.orders.model import Order, OrderLine, RefundState, State
from farebox.billing.orders.model_refunds import Refund, RefundKind, RefundQuote
from farebox.http.routes.promotions import PromotedView, show_promoted
from farebox.http.wire import Time, View, show_end, show_time


class OrderLineView(View, frozen=True):
    """A line as it was bought; `list_fee` is without its promotion.

    `purchase` is the id under which access pins and grants an item.
    """

    id: str
    kind: str
    code: str
    offer: str | None
    quantity: int
    bucket: str | None
    title: dict[str, str]
    price: str
    price_version: int
    list_fee: int
    promotion: PromotedView | None
    fee: int
    discount: int
    net: int
    tax: int
    taxes: dict[str, int]
    gross: int
    owner: str | None
    refund_policy: str
    refund_policy_version: int
    state: str
    purchase: str | None
    rental: str | None
    starts_at: Time | None
    period_hours: int | None


class OrderView(View, frozen=True):
    """An order. Its total never changes; `net` is what was charged less what went back."""

    id: str
    customer: str
    currency: str
    state: State
    pay_by: str
    payment: str | None
    fees: int
    discount: int
    tax: int
    total: int
    charged: int
    refunded: int
    net: int
    refund_state: RefundState
    coupons: list[str]
    cart: str | None
    reason: str | None
    due_at: Time | None
    created_at: Time
    updated_at: Time
    lines: list[OrderLineView]


class RefundView(View, frozen=True):
    """Money that went back; `lines` tells how much for each."""

    id: str
    order: str
    currency: str
    kind: RefundKind
    reason: str
    amount: int
    note: str | None
    at: Time
    lines: dict[str, int]


class QuoteView(View, frozen=True):
    """What would go back for a line now."""

    line: str
    percent: str
    amount: int
    refund_policy: str
    refund_policy_version: int


class Quotes(View, frozen=True):
    """What would go back for lines now, and together."""

    items: list[QuoteView]
    amount: int


def show_order(order: Order, lines: Sequence[OrderLine]) -> OrderView:
    """Return an order as the API shows it."""
    return OrderView(
        id=order.id,
        customer=order.customer,
        currency=order.currency,
        state=order.state,
        pay_by=order.pay_by,
        payment=order.payment,
        fees=order.fees,
        discount=order.discount,
        tax=order.tax,
        total=order.total,
        charged=order.charged,
        refunded=order.refunded,
        net=order.net,
        refund_state=order.refund_state,
        coupons=list(order.coupons),
        cart=order.cart,
        reason=order.reason,
        due_at=show_end(order.due_at),
        created_at=show_time(order.created_at),
        updated_at=show_time(order.updated_at),
        lines=[_line(each) for each in lines],
    )


def _line(line: OrderLine) -> OrderLineView:
    return OrderLineView(
        id=line.id,
        kind=line.wish.kind,
        code=line.wish.code,
        offer=line.wish.offer,
        quantity=line.wish.quantity,
        bucket=line.wish.bucket,
        title=line.title,
        price=line.price,
        price_version=line.price_version,
        list_fee=line.list_fee,
        promotion=show_promoted(line.promotion),
        fee=line.fee,
        discount=line.discount,
        net=line.net,
        tax=line.tax,
        taxes=line.taxes,
        gross=line.gross,
        owner=line.owner,
        refund_policy=line.policy,
        refund_policy_version=line.policy_version,
        state=line.state,
        purchase=line.purchase,
        rental=line.rental,
        starts_at=show_end(line.starts_at),
        period_hours=line.period_hours,
    )


def show_refund(one: Refund) -> RefundView:
    """Return a refund as the API shows it."""
    lines: dict[str, int] = {}
    for part in one.parts:
        lines[part.line] = lines.get(part.line, 0) + part.gross
    return RefundView(
        id=one.id,
        order=one.order,
        currency=one.currency,
        kind=one.kind,
        reason=one.reason,
        amount=one.amount,
        note=one.note,
        at=show_time(one.at),
        lines=lines,
    )


def show_quotes(found: Sequence[RefundQuote]) -> Quotes:
    """Return quotes as the API shows them."""
    return Quotes(
        items=[
            QuoteView(
                line=one.line,
                percent=one.percent,
                amount=one.amount,
                refund_policy=one.policy,
                refund_policy_version=one.policy_version,
            )
            for one in found
        ],
        amount=sum(one.amount for one in found),
    )
