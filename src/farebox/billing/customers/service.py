"""Customers: made at first need from the copy of a consumer or a group."""

import sqlalchemy as sa

from farebox.billing.copies.service import find_consumer, find_group
from farebox.billing.customers import store
from farebox.billing.customers.model import Customer, CustomerKind, CustomerUnknown
from farebox.storage import Tx


def ensure_customer(tx: Tx, holder_kind: CustomerKind, holder: str) -> Customer:
    """Return the customer that a consumer or a group is, made at first need.

    A device pays as its owner does. Refuses (`customer_unknown`) whom access has not told of.
    """
    found = find_customer(tx, holder)
    if found is not None and found.kind == holder_kind:
        return found
    if holder_kind == "group":
        group = find_group(tx, holder)
        if group is None:
            raise CustomerUnknown
        return _made(tx, "group", group.group_id, group.name)
    consumer = find_consumer(tx, holder)
    if consumer is None:
        raise CustomerUnknown
    if consumer.owner is not None:
        return ensure_customer(tx, "consumer", consumer.owner)
    return _made(tx, "consumer", consumer.consumer_id, consumer.name)


def _made(tx: Tx, kind: CustomerKind, holder: str, name: str) -> Customer:
    now = tx.now_us
    made = Customer(id=holder, kind=kind, name=name, created_at=now, changed_at=now)
    # Somebody else may make them at the same time: whoever comes second finds the first.
    tx.insert_once(store.customer, store.row_of(made), key=("id",))
    return read_customer(tx, holder)


def find_customer(tx: Tx, customer_id: str) -> Customer | None:
    """Return a customer or None."""
    row = tx.one(sa.select(store.customer).where(store.customer.c.id == customer_id))
    return None if row is None else store.customer_of(row)


def read_customer(tx: Tx, customer_id: str) -> Customer:
    """Return a customer; refuses an unknown one (`customer_unknown`)."""
    found = find_customer(tx, customer_id)
    if found is None:
        raise CustomerUnknown
    return found
