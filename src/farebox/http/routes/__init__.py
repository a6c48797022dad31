"""The routes, one file per context."""

from typing import Final

from farebox.http.routes import (
    accounts,
    buckets,
    consumers,
    decisions,
    events,
    features,
    groups,
    keys,
    movements,
    operators,
    plans,
    plans_catalog,
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
    *features.HANDLERS,
    *plans_catalog.HANDLERS,
    *buckets.HANDLERS,
    *movements.HANDLERS,
    *plans.HANDLERS,
    *usages.HANDLERS,
    *accounts.HANDLERS,
    *operators.HANDLERS,
    *events.HANDLERS,
    *webhooks.HANDLERS,
)
