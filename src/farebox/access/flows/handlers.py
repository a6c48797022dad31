"""Which events of others the access side acts on, by source and type.

A handler is given the transaction in which the inbox notes the event as done, so it happens once.
"""

from collections.abc import Callable, Mapping
from typing import Final

from farebox.access.flows.apply_billing import APPLIED, apply_billing
from farebox.access.flows.buy_credits import complete_credit_order, refund_credit_order
from farebox.access.flows.buy_item import complete_order, refund_order, release_order
from farebox.access.flows.buy_product import complete_product_order, refund_product_order
from farebox.access.flows.change_rental import apply_rental_change
from farebox.events.model import Event
from farebox.storage import Tx

Handler = Callable[[Tx, Event], None]
BILLING: Final = "/farebox/billing"


def in_turn(*handlers: Handler) -> Handler:
    """Return a handler that lets several act on one event, each on what concerns it."""

    def handle(tx: Tx, event: Event) -> None:
        for each in handlers:
            each(tx, event)

    return handle


HANDLERS: Final[Mapping[tuple[str, str], Handler]] = {
    **{(BILLING, type_): apply_billing for type_ in APPLIED},
    # An order is of items, of products, of credits, or of several; each handler knows its own.
    (BILLING, "order.completed"): in_turn(
        complete_order, complete_product_order, complete_credit_order
    ),
    (BILLING, "order.canceled"): release_order,
    (BILLING, "order.expired"): release_order,
    # A payment is for a subscription or for an order; each handler knows its own.
    (BILLING, "payment.failed"): in_turn(apply_billing, release_order),
    (BILLING, "refund.issued"): in_turn(refund_order, refund_product_order, refund_credit_order),
    (BILLING, "rental.change_paid"): apply_rental_change,
}
