"""What access tells of purchases: begun, granted, impossible.

    marketplace.purchase.initiated   the place is pinned: an order, and its payment
    marketplace.purchase.completed   granted: the order is fulfilled when all of its lines are
    order.fulfilment_completed       the same, of products and credits
    order.fulfilment_failed          cannot be granted: paid back in full

A purchase that names an order is a line of it; one whose order is not here waits for it. One that
names none is an order of its own. Whatever cannot become an order is told so that access gives the
place back. An order has one closing event; what is let go without one is told by its purchase.
"""

from typing import Any

from farebox.billing.customers.service import ensure_customer
from farebox.billing.flows.buy import begin_order, pin_line
from farebox.billing.orders.model import Bought, OrderLine, Wish
from farebox.billing.orders.rules import OPEN, after_grants
from farebox.billing.orders.service import (
    Terms,
    facts_of,
    find_order,
    keep_line,
    line_of_purchase,
    lines_of,
    lock_order,
    open_order,
    step_order,
)
from farebox.billing.orders.service_carts import (
    find_open_cart,
    locked_cart,
    remove_line,
    standing_of,
)
from farebox.billing.orders.service_carts import lines_of as cart_lines_of
from farebox.billing.orders.service_lines import bought_of, currency_for
from farebox.billing.orders.service_paying import left_of, pay_order
from farebox.billing.orders.service_refunds import undo_lines
from farebox.billing.orders.service_waiting import keep_waiting
from farebox.billing.payments.service_methods import methods_of
from farebox.billing.pricing.service_coupons import free_discounts
from farebox.billing.wallets.service import balance_of
from farebox.events.model import Event
from farebox.events.service import publish
from farebox.kernel.clock import parse_time
from farebox.kernel.refusals import Refusal, TryAgain
from farebox.storage import Tx


class PurchaseEventRefused(Refusal):
    """The event lacks what its type needs."""

    code = "order_event_refused"


def take_purchase(tx: Tx, event: Event) -> None:
    """Take up a purchase that access has pinned, and let it be paid; once for each purchase."""
    facts = event.data
    if not isinstance(facts.get("purchaseId"), str) or not isinstance(facts.get("itemId"), str):
        raise PurchaseEventRefused("a purchase names its purchaseId and itemId")
    known = line_of_purchase(tx, facts["purchaseId"])
    order_id = facts.get("orderId") if known is None else known.order
    if order_id is None:
        _order_of_its_own(tx, facts)
        return
    if find_order(tx, order_id) is None:
        keep_waiting(tx, facts["purchaseId"], order_id, facts)
        return
    order = lock_order(tx, order_id)
    if order.state not in OPEN or not pin_line(tx, order, facts):
        if known is None or order.ended_by != "order.completed":
            let_go(tx, facts, "order.canceled", "order_over")
        return
    pay_order(tx, order)


def _order_of_its_own(tx: Tx, facts: dict[str, Any]) -> None:
    """Open an order of one line for a purchase that named none, and let it be paid."""
    try:
        customer = ensure_customer(tx, "consumer", facts["consumerId"]).id
        bought = _bought(tx, customer, facts)
        currency = currency_for(tx, customer, bought.wish)
        terms = _terms(tx, customer, currency)
        order = open_order(
            tx,
            customer=customer,
            currency=currency,
            lines=[bought],
            key=f"purchase:{facts['purchaseId']}",
            terms=terms,
            purchases=[facts["purchaseId"]],
        )
    except TryAgain:
        raise
    except Refusal as refusal:
        # Whatever stands in the way: a place must not stay pinned for what cannot be sold.
        let_go(tx, facts, "order.canceled", refusal.code)
        return
    begin_order(tx, order, wait_for_funds=True)


def _bought(tx: Tx, customer: str, facts: dict[str, Any]) -> Bought:
    """Return what a purchase is of: at the price that is guaranteed in the buyer's cart, if any.

    What is bought leaves the cart.
    """
    start = facts.get("startsAt")
    wish = Wish(
        kind="item",
        code=facts["itemId"],
        offer=facts.get("offer"),
        period_hours=facts.get("periodHours"),
        starts_at=None if start is None else parse_time(start),
    )
    currency = currency_for(tx, customer, wish)
    found = find_open_cart(tx, customer)
    if found is not None and found.currency == currency:
        cart = locked_cart(tx, found.id)
        for line in cart_lines_of(tx, cart.id) if cart.order is None else ():
            held = (line.wish.code, line.wish.offer, line.wish.period_hours)
            standing = standing_of(tx, cart, line)
            if held == (wish.code, wish.offer, wish.period_hours) and standing.bought is not None:
                remove_line(tx, cart.id, line.id)
                return standing.bought
    return bought_of(tx, wish, currency)


def _terms(tx: Tx, customer: str, currency: str) -> Terms:
    """Return how a purchase is paid that came without a word on it: wallet, else card on file."""
    has = balance_of(tx, customer, currency).available
    usual = [each for each in methods_of(tx, customer).items if each.standard]
    if usual and not has:
        return Terms(pay_by="gateway", method=usual[0].id)
    return Terms(pay_by="wallet", buy_at_once=True)


def let_go(tx: Tx, facts: dict[str, Any], type_: str, reason: str) -> None:
    """Tell access to give back the place of a purchase that has no open order."""
    told = {
        "purchaseId": facts["purchaseId"],
        "itemId": facts.get("itemId"),
        "consumerId": facts.get("consumerId"),
        "reason": reason,
    }
    publish(tx, type=type_, subject=facts["purchaseId"], data=told)


def note_granted(tx: Tx, event: Event) -> None:
    """Note that access has granted what was bought."""
    for line in _lines(tx, event):
        if line.state != "pinned":
            continue
        start = event.data.get("startsAt") or event.time
        facts: dict[str, Any] = {}
        if line.period_hours is not None:
            facts = {"rental": event.data.get("rentalId"), "starts_at": parse_time(start)}
        keep_line(tx, line, state="granted", **facts)
    _fulfil(tx, event)


def undo_ungrantable(tx: Tx, event: Event) -> None:
    """Pay back in full what access cannot grant; what was paid back already changes nothing."""
    # What was returned before access could say so had never been there: its rest goes back too.
    lines = [
        line
        for line in _lines(tx, event)
        if line.state == "pinned" or (line.state == "returned" and left_of(tx, line))
    ]
    if lines:
        order = lock_order(tx, lines[0].order)
        undo_lines(tx, order, lines, str(event.data.get("reason")))
    _fulfil(tx, event)


def _fulfil(tx: Tx, event: Event) -> None:
    """Let an order be fulfilled, or failed, when each of its lines is granted or not."""
    for order_id in {line.order for line in _lines(tx, event)}:
        order = lock_order(tx, order_id)
        fact = after_grants(lines_of(tx, order_id))
        if fact is not None and order.state == "paid":
            after = step_order(tx, order, fact, reason=event.data.get("reason"))
            if after.state == "failed":
                free_discounts(tx, bill=order_id)
            if after.state == "fulfilled":
                publish(tx, type="order.fulfilled", subject=order_id, data=facts_of(tx, after))


def _lines(tx: Tx, event: Event) -> list[OrderLine]:
    """Return the lines that an event is about, of an order that is locked and was paid."""
    said = event.data
    known = line_of_purchase(tx, said["purchaseId"]) if said.get("purchaseId") else None
    order_id = said.get("orderId") if known is None else known.order
    if order_id is None or find_order(tx, order_id) is None:
        return []
    order = lock_order(tx, order_id)
    if order.ended_by != "order.completed":
        return []
    every = lines_of(tx, order_id)
    if known is not None:
        return [line for line in every if line.id == known.id]
    ids, products = said.get("lineIds") or (), said.get("productIds") or ()
    return [
        line
        for line in every
        if line.id in ids or (line.wish.kind == "product" and line.wish.code in products)
    ]


def follow_rental(tx: Tx, event: Event) -> None:
    """Keep what an order's line knows of its rental: start, period, first play."""
    said = event.data
    order_id = said.get("orderId")
    if order_id is None or find_order(tx, order_id) is None:
        return
    lock_order(tx, order_id)
    for line in lines_of(tx, order_id):
        of_it = (line.wish.code, line.wish.offer) == (said.get("itemId"), said.get("offer"))
        if line.rental != said["rentalId"] and not (of_it and line.rental is None):
            continue
        played = said.get("firstPlayedAt")
        keep_line(
            tx,
            line,
            rental=said["rentalId"],
            starts_at=parse_time(said["startsAt"]),
            period_hours=said["periodHours"],
            played_at=None if played is None else parse_time(played),
        )
