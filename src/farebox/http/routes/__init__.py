"""The routes, one file per context."""

from typing import Final

from farebox.http.routes import (
    accounts,
    buckets,
    consumers,
    dead_letters,
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
    rate_limits,
    usages,
    webhooks,
)

HANDLERS: Final = (
    *decisions.HANDLERS,
    *consumers.HANDLERS,
    *groups.HANDLERS,
    *keys.HANDLERS,
    *rate_limits.HANDLERS,
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
    *dead_letters.HANDLERS,
    *webhooks.HANDLERS,
)
