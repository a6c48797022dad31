"""The store's pages: all routes."""

from typing import Final

from litestar.handlers import HTTPRouteHandler

from farebox.shop import cart, checkout, orders, shelf, top_ups

HANDLERS: Final[tuple[HTTPRouteHandler, ...]] = (
    *shelf.HANDLERS,
    *cart.HANDLERS,
    *checkout.HANDLERS,
    *top_ups.HANDLERS,
    *orders.HANDLERS,
)
