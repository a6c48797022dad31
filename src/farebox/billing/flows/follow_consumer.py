"""A customer's record follows the consumer at access (source 002: `consumer.updated`).

A new name is taken over. What the metadata tells of email, country and currency is taken where
billing has nothing, so that what was entered here is never overwritten. What was issued stays, and
what subscriptions have agreed (currency, zone, price) stays with them.
"""

from contextlib import suppress
from typing import Any, Final

import msgspec

from farebox.billing.customers.service import find_customer, update_customer
from farebox.events.model import Event
from farebox.kernel.refusals import Refusal
from farebox.platform.model import SYSTEM
from farebox.storage import Tx

FILLED: Final = ("email", "country", "currency")


class ConsumerUpdated(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What access tells of a consumer: how it stands, and what of it is new."""

    consumer_id: str
    name: str
    metadata: dict[str, Any]
    changes: dict[str, Any] = {}


def follow_consumer(tx: Tx, event: Event) -> None:
    """Let a customer's record follow; whoever is no customer yet is read when they become one."""
    told = msgspec.convert(event.data, ConsumerUpdated)
    customer = find_customer(tx, told.consumer_id)
    if customer is None:
        return
    if "name" in told.changes and told.name != customer.name:
        update_customer(tx, SYSTEM, customer.id, name=told.name)
    for field in FILLED:
        value = told.metadata.get(field)
        if isinstance(value, str) and getattr(customer, field) is None:
            # Metadata is free text: what does not fit is passed over, as when they were made.
            with suppress(Refusal):
                update_customer(tx, SYSTEM, customer.id, **{field: value})
