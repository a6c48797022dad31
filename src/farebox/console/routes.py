"""The console's pages: all routes."""

from typing import Final

from litestar.handlers import HTTPRouteHandler

from farebox.console import overview, people, session

HANDLERS: Final[tuple[HTTPRouteHandler, ...]] = (
    *session.HANDLERS,
    *overview.HANDLERS,
    *people.HANDLERS,
)
