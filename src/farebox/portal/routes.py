"""The portal's pages: all routes."""

from typing import Any, Final

from litestar import Response, get
from litestar.handlers import HTTPRouteHandler

from farebox.web.errors import explained
from farebox.web.pages import AnyRequest, opened


@get("/portal/")
@explained
async def show_home(request: AnyRequest) -> Response[Any]:
    """Show a subscriber's plans and what is left of them."""
    page = await opened(request)
    return page.show("portal/home.html", consumer=page.own)


HANDLERS: Final[tuple[HTTPRouteHandler, ...]] = (show_home,)
