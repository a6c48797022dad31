"""Paying for one premiere out of the prepaid account, as the premiere store asks for it.

The store's client names the premiere and says how much it is. The amount is never taken from there:
it is compared with what the line in the caller's cart comes to (`price_changed`), and what is
charged is the order's own total. The money moves when access has pinned the place, at once where it
has done so already.
"""

from farebox.billing.flows.buy import begin_order, confirm_order
from farebox.billing.orders.model import CartLineUnknown, NotForSale, Order
from farebox.billing.orders.model_carts import CartLine
from farebox.billing.orders.rules import OPEN
from farebox.billing.orders.service import Terms, lines_of, list_orders, open_order
from farebox.billing.orders.service_carts import (
    find_open_cart,
    locked_cart,
    remove_line,
    standing_of,
)
from farebox.billing.orders.service_carts import lines_of as cart_lines_of
from farebox.storage import Tx


def withdraw(tx: Tx, customer: str, item: str, summ: int) -> Order:
    """Buy the line of a customer's cart that is of an item, at the sum that they were shown.

    An order of it that waits to be paid is paid now instead, so a repeat buys nothing twice. A sum
    above the guaranteed price is charged at that price. Refuses `cart_line_unknown` where nothing
    of the item is to be paid, `price_changed` for another sum (with ours), `wallet_short`, and
    `not_for_sale`. Nothing is changed then.
    """
    cart = find_open_cart(tx, customer)
    if cart is not None:
        # Locked before anything is read: the second of two at once finds the first one's order.
        cart = locked_cart(tx, cart.id)
    waiting = _order_of(tx, customer, item)
    if waiting is not None:
        return confirm_order(tx, waiting.id, shown_total=summ)
    lines = () if cart is None or cart.order is not None else cart_lines_of(tx, cart.id)
    line = next((each for each in lines if _is_of(each, item)), None)
    if cart is None or line is None:
        raise CartLineUnknown
    standing = standing_of(tx, cart, line)
    if standing.bought is None:
        raise NotForSale
    order = open_order(
        tx,
        customer=customer,
        currency=cart.currency,
        lines=[standing.bought],
        key=f"withdraw:{line.id}",
        terms=Terms(pay_by="wallet", shown_total=summ),
        guaranteed=standing.guaranteed,
    )
    remove_line(tx, cart.id, line.id)
    return begin_order(tx, order, wait_for_funds=False)


def _is_of(line: CartLine, item: str) -> bool:
    return line.wish.kind == "item" and line.wish.code == item


def _order_of(tx: Tx, customer: str, item: str) -> Order | None:
    """Return the order of an item alone which is not paid yet, if there is one."""
    for state in sorted(OPEN):
        for order in list_orders(tx, customer=customer, state=state).items:
            lines = lines_of(tx, order.id)
            if len(lines) == 1 and lines[0].wish.kind == "item" and lines[0].wish.code == item:
                return order
    return None
