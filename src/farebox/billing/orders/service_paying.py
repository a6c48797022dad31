"""The money of orders: taken from a wallet or by a gateway, and put where it belongs in the books.

What was taken lies in suspense for the length of a transaction: each line then takes its part from
there, for its taxes, for its seller and for us. The key of every entry is the line's or order's id
and what happened, so twice is once.
"""

from collections.abc import Sequence
from typing import Final, Literal

import sqlalchemy as sa

from farebox.billing.books.model import COMMISSION, REVENUE, SUSPENSE, About, Line
from farebox.billing.books.service import post
from farebox.billing.orders import store
from farebox.billing.orders.model import MINUTE_US, Charge, Order, OrderLine
from farebox.billing.orders.rules import OPEN, commission_of
from farebox.billing.orders.service import keep_order, lines_of, orders_waiting, step_order
from farebox.billing.orders.service_carts import convert_cart, read_cart
from farebox.billing.orders.service_times import minutes_for
from farebox.billing.payments.model import GatewayUnknown, MethodUnknown
from farebox.billing.payments.service import open_intent
from farebox.billing.pricing.service_coupons import free_discounts
from farebox.billing.wallets import service as wallets
from farebox.billing.wallets.model import Paid, Short
from farebox.kernel.ids import record_id
from farebox.storage import Tx

SALE: Final = "sale"
Ending = Literal["payment_failed", "canceled", "expired"]


def pay_order(tx: Tx, order: Order) -> Order:
    """Pay a locked order as far as it can be paid now.

    Nothing happens before access has pinned the place of every item. A wallet that is short lets
    the order wait for its funds; a gateway is asked by the worker of payments, after the commit.
    Repeating is safe.
    """
    if order.state not in OPEN or any(line.state == "open" for line in lines_of(tx, order.id)):
        return order
    if order.total == 0:
        return complete_order(tx, order)
    if order.pay_by == "gateway":
        return _by_gateway(tx, order)
    available = wallets.balance_of(tx, order.customer, order.currency).available
    if available < order.total:
        return step_order(tx, order, "short")
    paid = wallets.pay(
        tx,
        order.customer,
        order.currency,
        order.total,
        about=About(kind="order", customer=order.customer, order=order.id),
        key=f"{order.id}:paid",
    )
    if isinstance(paid, Short):
        return step_order(tx, order, "short")
    return complete_order(tx, order, operation=paid.operation)


def orders_to_pay(tx: Tx, limit: int) -> list[str]:
    """Return orders that have waited for their funds, buy at once, and whose wallet has enough.

    Every waiting order is looked at: those of empty wallets must not keep a later one from it.
    """
    ready: list[str] = []
    waiting = orders_waiting(tx, limit)
    while waiting and len(ready) < limit:
        ready += [
            order.id
            for order in waiting
            if wallets.balance_of(tx, order.customer, order.currency).available >= order.total
        ]
        waiting = orders_waiting(tx, limit, after=waiting[-1].id)
    return ready[:limit]


def _by_gateway(tx: Tx, order: Order) -> Order:
    if order.payment is not None:
        return order
    try:
        payment = open_intent(
            tx,
            customer=order.customer,
            amount=order.total,
            currency=order.currency,
            purpose="order",
            reference=order.id,
            method=order.method,
            gateway=order.gateway,
            key=f"{order.id}:paid",
        )
    except (GatewayUnknown, MethodUnknown) as refused:
        # What was there when the order was made is gone, or never was: a card, a gateway.
        return end_order(tx, order, "payment_failed", refused.code)
    waits_us = minutes_for(tx, payment.gateway) * MINUTE_US
    due_at = max(order.due_at or 0, tx.now_us + waits_us)
    return keep_order(tx, order, payment=payment.id, due_at=due_at)


def complete_order(
    tx: Tx, order: Order, *, operation: int | None = None, payment: str | None = None
) -> Order:
    """Write that a locked order's total was paid, and share it out; publish `order.completed`.

    The money lies in suspense: a wallet's `operation` or a gateway's `payment` has put it there.
    """
    for line in lines_of(tx, order.id):
        charge_line(
            tx, order, line, gross=line.gross, taxes=line.taxes, operation=operation,
            payment=payment,
        )  # fmt: skip
    return step_order(tx, order, "paid", charged=order.total, payment=payment)


def charge_line(
    tx: Tx,
    order: Order,
    line: OrderLine,
    *,
    gross: int,
    taxes: dict[str, int],
    operation: int | None,
    payment: str | None,
) -> Charge | None:
    """Write what was taken for a line, and post it out of suspense; None where it is nothing."""
    if gross == 0:
        return None
    net = gross - sum(taxes.values())
    charge = Charge(
        id=record_id("chg"),
        order=order.id,
        line=line.id,
        gross=gross,
        taxes=taxes,
        commission=commission_of(net, line.commission_percent),
        owner=line.owner,
        operation=operation,
        payment=payment,
        refunded=0,
        at=tx.now_us,
    )
    tx.run(store.charge.insert(), store.row_of(charge, store.charge))
    about = about_line(order, line, SALE, payment=payment)
    lines = [Line(SUSPENSE, account, amount) for account, amount in split_of(charge)]
    post(tx, order.currency, lines, about, key=f"{charge.id}:{SALE}")
    return charge


def split_of(charge: Charge) -> list[tuple[str, int]]:
    """Return whose a charge is: taxes, then the seller's and ours; of what is ours, revenue."""
    net = charge.gross - sum(charge.taxes.values())
    taxes = [(f"tax:{code}", tax) for code, tax in charge.taxes.items()]
    if charge.owner is None:
        return [*taxes, (REVENUE, net)]
    ours = charge.commission
    return [*taxes, (COMMISSION, ours), (f"payable:{charge.owner}", net - ours)]


def about_line(
    order: Order,
    line: OrderLine,
    kind: str,
    *,
    payment: str | None = None,
    refund: str | None = None,
) -> About:
    """Return what an entry about a line says."""
    item = line.wish.code if line.wish.kind == "item" else None
    return About(
        kind=kind,
        customer=order.customer,
        order=order.id,
        payment=payment,
        refund=refund,
        product=None if item is not None else line.wish.code,
        item=item,
        owner=line.owner,
    )


def charges_of(tx: Tx, order_id: str, lines: Sequence[str] | None = None) -> list[Charge]:
    """Return what was charged for an order, or for some of its lines, oldest first."""
    table = store.charge
    statement = sa.select(table).where(table.c.order_id == order_id).order_by(table.c.id)
    if lines is not None:
        statement = statement.where(table.c.line.in_(lines))
    return [store.charge_of(row) for row in tx.run(statement)]


def left_of(tx: Tx, line: OrderLine) -> int:
    """Return how much of what was charged for a line has not gone back."""
    return sum(each.gross - each.refunded for each in charges_of(tx, line.order, [line.id]))


def charge_more(
    tx: Tx, order: Order, line: OrderLine, *, gross: int, taxes: dict[str, int], key: str
) -> Paid | Short:
    """Take more for a line of a locked order from its customer's wallet: a longer rental."""
    paid = wallets.pay(
        tx,
        order.customer,
        order.currency,
        gross,
        about=about_line(order, line, "rental_change"),
        key=key,
    )
    if isinstance(paid, Paid):
        charge_line(
            tx, order, line, gross=gross, taxes=taxes, operation=paid.operation, payment=None
        )
        keep_order(tx, order, charged=order.charged + gross)
    return paid


def end_order(tx: Tx, order: Order, fact: Ending, reason: str | None = None) -> Order:
    """End a locked order that was not paid; what was in its cart is in the cart again.

    The coupons that made it cheaper are free for another order.
    """
    if order.state not in OPEN:
        return order
    ended = step_order(tx, order, fact, reason=reason)
    free_discounts(tx, bill=order.id)
    if order.cart is not None:
        convert_cart(tx, read_cart(tx, order.cart), None)
    return ended
