"""The portal's pages: all routes."""

from typing import Final

from litestar.handlers import HTTPRouteHandler

from farebox.portal import (
    group,
    invoices,
    keys,
    overview,
    payments,
    plans,
    subscriptions,
)

HANDLERS: Final[tuple[HTTPRouteHandler, ...]] = (
    *overview.HANDLERS,
    *plans.HANDLERS,
    *subscriptions.HANDLERS,
    *group.HANDLERS,
    *invoices.HANDLERS,
    *payments.HANDLERS,
    *keys.HANDLERS,
)
