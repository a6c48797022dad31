"""The portal's pages: all routes."""

from typing import Final

from litestar.handlers import HTTPRouteHandler

from farebox.portal import overview

HANDLERS: Final[tuple[HTTPRouteHandler, ...]] = (*overview.HANDLERS,)
