"""The routes, one file per context."""

from typing import Final

from farebox.http.routes import (
    accounts,
    buckets,
    consumers,
    decisions,
    events,
    groups,
    keys,
    movements,
    operators,
    plans,
    products,
    usages,
    webhooks,
)

HANDLERS: Final = (
    *decisions.HANDLERS,
    *consumers.HANDLERS,
    *groups.HANDLERS,
    *keys.HANDLERS,
    *products.HANDLERS,
    *buckets.HANDLERS,
    *movements.HANDLERS,
    *plans.HANDLERS,
    *usages.HANDLERS,
    *accounts.HANDLERS,
    *operators.HANDLERS,
    *events.HANDLERS,
    *webhooks.HANDLERS,
)
