"""The store's pages: all routes."""

from typing import Final

from litestar.handlers import HTTPRouteHandler

from farebox.shop import account, cart, checkout, mine, orders, settings, shelf, top_ups, watch

HANDLERS: Final[tuple[HTTPRouteHandler, ...]] = (
    *shelf.HANDLERS,
    *cart.HANDLERS,
    *checkout.HANDLERS,
    *top_ups.HANDLERS,
    *orders.HANDLERS,
    *mine.HANDLERS,
    *watch.HANDLERS,
    *account.HANDLERS,
    *settings.HANDLERS,
)
