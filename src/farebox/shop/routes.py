"""The store's pages: all routes."""

from typing import Any, Final

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from farebox.web.errors import explained
from farebox.web.pages import AnyRequest, opened


@get("/store/")
@explained
async def show_home(request: AnyRequest) -> Response[Any]:
    """Show what is on."""
    page = await opened(request)
    return page.show("store/home.html")


HANDLERS: Final[tuple[HTTPRouteHandler, ...]] = (show_home,)
