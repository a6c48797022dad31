"""Receipts: the facts of an order that was paid, gathered for its receipt."""

from farebox.billing.customers.service import read_customer
from farebox.billing.invoices.model import LANGUAGES
from farebox.billing.invoices.rules_receipts import Receipt
from farebox.billing.invoices.service_settings import read_seller
from farebox.billing.orders.model import Order, OrderStateRefused
from farebox.billing.orders.service import lines_of
from farebox.billing.orders.service_changes import changes_of
from farebox.billing.orders.service_paying import charges_of
from farebox.billing.orders.service_refunds import refunds_of
from farebox.storage import Tx


def receipt_of(tx: Tx, order: Order) -> Receipt:
    """Return the facts of an order's receipt as they are now.

    Refuses (`order_state_refused`) an order that was not paid, and (`seller_missing`) while nobody
    has said who sells.
    """
    if order.ended_by != "order.completed":
        raise OrderStateRefused("only what was paid has a receipt")
    customer = read_customer(tx, order.customer)
    return Receipt(
        order=order,
        lines=lines_of(tx, order.id),
        charges=tuple(charges_of(tx, order.id)),
        refunds=tuple(refunds_of(tx, order.id)),
        changes=tuple(changes_of(tx, order.id)),
        buyer=customer.name,
        seller=read_seller(tx),
        zone=customer.zone,
        now=tx.now_us,
    )


def language_for(tx: Tx, order: Order, wanted: str | None) -> str:
    """Return the language of a receipt: the one asked for, else the customer's, else English."""
    locale = wanted or read_customer(tx, order.customer).locale
    short = locale.partition("-")[0]
    return short if short in LANGUAGES else LANGUAGES[0]
