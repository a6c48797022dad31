"""The routes, one file per context."""

from typing import Final

from farebox.http.routes import (
    accounts,
    aggregations,
    authzen,
    billing_events,
    buckets,
    cloudevents,
    consumers,
    customers,
    dead_letters,
    decisions,
    entitlements,
    events,
    features,
    gateways,
    groups,
    items,
    keys,
    movements,
    ofrep,
    operators,
    plans,
    plans_catalog,
    prepaid,
    products,
    purchases,
    rate_limits,
    rentals,
    reports,
    reports_recurring,
    subscriptions,
    top_ups,
    usage,
    usage_reading,
    usages,
    wallets,
    webhooks,
)

OF_ACCESS: Final = (
    *decisions.HANDLERS,
    *consumers.HANDLERS,
    *groups.HANDLERS,
    *keys.HANDLERS,
    *rate_limits.HANDLERS,
    *gateways.HANDLERS,
    *authzen.HANDLERS,
    *ofrep.HANDLERS,
    *products.HANDLERS,
    *features.HANDLERS,
    *plans_catalog.HANDLERS,
    *items.HANDLERS,
    *purchases.HANDLERS,
    *rentals.HANDLERS,
    *buckets.HANDLERS,
    *movements.HANDLERS,
    *plans.HANDLERS,
    *usages.HANDLERS,
    *usage.HANDLERS,
    *cloudevents.HANDLERS,
    *usage_reading.HANDLERS,
    *aggregations.HANDLERS,
    *subscriptions.HANDLERS,
    *entitlements.HANDLERS,
    *billing_events.HANDLERS,
    *accounts.HANDLERS,
    *operators.HANDLERS,
    *events.HANDLERS,
    *dead_letters.HANDLERS,
    *webhooks.HANDLERS,
)
"""Access's."""
MONEY: Final = (
    *reports.HANDLERS,
    *reports_recurring.HANDLERS,
    *customers.HANDLERS,
    *wallets.HANDLERS,
    *top_ups.HANDLERS,
    *prepaid.HANDLERS,
)
"""What billing answers, from its own database, in whichever process it is served."""
OF_BILLING: Final = (*MONEY, *operators.HANDLERS, *events.HANDLERS, *dead_letters.HANDLERS)
"""Billing's, where it is served alone."""
HANDLERS: Final = (*OF_ACCESS, *MONEY)
"""Both services' together."""
