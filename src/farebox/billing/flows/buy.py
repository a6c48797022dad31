"""Buying: a cart is completed, an order is confirmed or called off, its payment ends.

    complete_cart   locks the cart, opens the order              order.created
    pay_order       once access has pinned every item's place    order.completed
    settle_order    what a gateway says                          order.completed, payment.failed
    cancel_order    before it was paid                           order.canceled

A payment that succeeds after its order has ended goes back in full: nobody pays for nothing.
"""

from typing import Any

from farebox.billing.books.model import CHARGEBACKS, SUSPENSE, About, Line
from farebox.billing.books.service import post
from farebox.billing.flows.settle_payment import (
    CHARGEBACK_SETTLERS,
    REFUND_SETTLERS,
    SETTLERS,
)
from farebox.billing.orders.model import (
    CartConverted,
    CartEmpty,
    NotForSale,
    Order,
    OrderStateRefused,
)
from farebox.billing.orders.rules import OPEN
from farebox.billing.orders.rules_carts import check_shown
from farebox.billing.orders.service import (
    Terms,
    keep_line,
    lines_of,
    lock_order,
    open_order,
    order_of_key,
    step_order,
)
from farebox.billing.orders.service_carts import (
    convert_cart,
    locked_cart,
    standing_of,
)
from farebox.billing.orders.service_carts import lines_of as cart_lines_of
from farebox.billing.orders.service_paying import complete_order, end_order, pay_order
from farebox.billing.orders.service_refunds import take_back
from farebox.billing.orders.service_waiting import drop_waiting, waiting_for
from farebox.billing.payments.model import UNDER_WAY, Chargeback, Payment
from farebox.billing.payments.model import Refund as GatewayRefund
from farebox.billing.payments.service import call_off, find_payment, payments_of
from farebox.billing.payments.service_chargebacks import lost_of_refunds
from farebox.billing.payments.service_refunds import request_refund
from farebox.billing.wallets.model import WalletShort
from farebox.billing.wallets.service import balance_of
from farebox.storage import Tx


def complete_cart(
    tx: Tx,
    cart_id: str,
    *,
    key: str,
    terms: Terms,
    wait_for_funds: bool = False,
    order_id: str | None = None,
) -> Order:
    """Make a cart an order and pay it as far as it can be paid now; once under its key.

    The cart is locked before it is read, so the second of two at once finds the first one's order.
    Refuses `cart_unknown`, `cart_empty`, a line that cannot be bought any more (`not_for_sale`), a
    total that was not shown (`price_changed`), a cart that has become an order under another key
    (`cart_converted`), and a wallet that is short (`wallet_short`) unless the order may wait.
    Nothing is charged then and the cart stays as it is.
    """
    cart = locked_cart(tx, cart_id)
    known = order_of_key(tx, cart.customer, key)
    if cart.order is not None and (known is None or known.id != cart.order):
        raise CartConverted(order=cart.order)
    lines = cart_lines_of(tx, cart.id)
    standings = [standing_of(tx, cart, line) for line in lines]
    if known is None:
        if not lines:
            raise CartEmpty
        for line, each in zip(lines, standings, strict=True):
            if each.bought is None:
                raise NotForSale(line=line.id)
    order = open_order(
        tx,
        customer=cart.customer,
        currency=cart.currency,
        lines=[each.bought for each in standings if each.bought is not None],
        key=key,
        terms=terms,
        guaranteed=all(each.guaranteed for each in standings),
        cart=cart.id,
        coupons=cart.coupons,
        order_id=order_id,
    )
    if known is not None:
        return order
    convert_cart(tx, cart, order.id)
    return begin_order(tx, order, wait_for_funds=wait_for_funds)


def begin_order(tx: Tx, order: Order, *, wait_for_funds: bool) -> Order:
    """Let an order that was just opened take up what access has pinned for it, and be paid."""
    if order.pay_by == "wallet" and not wait_for_funds:
        available = balance_of(tx, order.customer, order.currency).available
        if available < order.total:
            raise WalletShort(available=available, missing=order.total - available)
    for facts in waiting_for(tx, order.id):
        if pin_line(tx, order, facts):
            drop_waiting(tx, facts["purchaseId"])
    return pay_order(tx, lock_order(tx, order.id))


def pin_line(tx: Tx, order: Order, facts: dict[str, Any]) -> bool:
    """Note that access has pinned the place of a line; tells whether the order has such a line."""
    if facts.get("consumerId") != order.customer:
        return False
    lines = [line for line in lines_of(tx, order.id) if line.wish.kind == "item"]
    meant = [line for line in lines if line.purchase == facts["purchaseId"]]
    if not meant:
        meant = [line for line in lines if line.state == "open" and _is_of(line.wish, facts)]
    if not meant:
        return False
    line = meant[0]
    if line.state == "open":
        keep_line(tx, line, state="pinned", purchase=facts["purchaseId"])
    return True


def _is_of(wish: Any, facts: dict[str, Any]) -> bool:  # noqa: ANN401 - a wish
    wanted = (facts.get("itemId"), facts.get("offer"), facts.get("periodHours"))
    return wanted == (wish.code, wish.offer, wish.period_hours)


def confirm_order(tx: Tx, order_id: str, *, shown_total: int | None = None) -> Order:
    """Pay an order that waits for its funds; refuses `wallet_short` while they are not there.

    An order that was paid already is answered as it is. Refuses `price_changed` for another total
    and `order_state_refused` for one that has ended.
    """
    order = lock_order(tx, order_id)
    if order.state in {"paid", "fulfilled"}:
        return order
    if order.state not in OPEN:
        raise OrderStateRefused(f"the order is {order.state}")
    check_shown(shown_total, order.total, guaranteed=False)
    paid = pay_order(tx, order)
    if paid.state == "awaiting_funds":
        available = balance_of(tx, order.customer, order.currency).available
        raise WalletShort(available=available, missing=order.total - available)
    return paid


def cancel_order(tx: Tx, order_id: str, *, reason: str = "customer") -> Order:
    """Call off an order that is not paid; repeating changes nothing.

    Refuses (`order_state_refused`) one that was paid: that is returned. Refuses
    (`payment_state_refused`) while its payment may be taking the money.
    """
    order = lock_order(tx, order_id)
    if order.state == "canceled":
        return order
    if order.state not in OPEN:
        raise OrderStateRefused(f"the order is {order.state}")
    payment = None if order.payment is None else find_payment(tx, order.payment)
    if payment is not None and payment.state in UNDER_WAY:
        call_off(tx, payment.id)
    return end_order(tx, order, "canceled", reason)


def settle_order(tx: Tx, payment: Payment) -> None:
    """Act on what became of an order's payment; an unknown outcome keeps everything as it is."""
    order = lock_order(tx, payment.reference)
    if payment.state == "succeeded":
        if order.state in OPEN:
            complete_order(tx, order, payment=payment.id)
        elif order.payment != payment.id or order.ended_by != "order.completed":
            request_refund(tx, payment.id, payment.amount, key=f"{payment.id}:late")
    elif payment.state == "failed" and order.payment == payment.id:
        end_order(tx, order, "payment_failed", payment.reason)


def expire_order(tx: Tx, order_id: str, *, later_us: int) -> bool:
    """End an order whose time is over; one whose payment may still take the money waits on.

    A payment that waits for the customer is called off first.
    """
    order = lock_order(tx, order_id)
    if order.state not in OPEN or order.due_at is None or order.due_at > tx.now_us:
        return False
    under_way = [one for one in payments_of(tx, "order", order.id) if one.state in UNDER_WAY]
    for payment in under_way:
        if payment.state in {"created", "action_required"}:
            call_off(tx, payment.id)
    if any(one.state in UNDER_WAY for one in payments_of(tx, "order", order.id)):
        step_order(tx, order, "confirmed", due_at=tx.now_us + later_us)
        return True
    end_order(tx, order, "expired", "too_late")
    return True


def settle_refund(tx: Tx, payment: Payment, refund: GatewayRefund) -> None:
    """Do nothing: what goes back was put into suspense when the order's refund was issued."""


def settle_chargeback(tx: Tx, payment: Payment, chargeback: Chargeback) -> None:
    """Take back what an order sold, once a bank has taken back all that was paid for it.

    A part that is disputed, and a dispute that is won, change nothing: a person looks at the
    payment, and may give what was taken.
    """
    if chargeback.state == "opened":
        _settle_canceled(tx, payment)
    gone = payment.charged_back + payment.refunded >= payment.amount
    if chargeback.state == "won" or not gone:
        return
    order = lock_order(tx, payment.reference)
    if order.ended_by == "order.completed" and order.payment == payment.id:
        take_back(tx, order, amount=chargeback.amount, why="charged_back")


def _settle_canceled(tx: Tx, payment: Payment) -> None:
    """Let what a canceled refund leaves in suspense settle the loss of its chargeback."""
    for refund, lost in lost_of_refunds(tx, payment.id):
        about = About(kind="refund", order=payment.reference, payment=payment.id, refund=refund.id)
        line = Line(SUSPENSE, CHARGEBACKS, lost)
        post(tx, payment.currency, [line], about, key=f"{refund.id}:charged_back")


SETTLERS["order"] = settle_order
CHARGEBACK_SETTLERS["order"] = settle_chargeback
REFUND_SETTLERS["order"] = settle_refund
