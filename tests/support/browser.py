"""Pages without a server: a browser that keeps cookies and sends the forms that it was given."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from litestar.testing import TestClient

from farebox.console.routes import HANDLERS as CONSOLE
from farebox.http.app import App
from farebox.portal.routes import HANDLERS as PORTAL
from farebox.shop.routes import HANDLERS as SHOP
from farebox.storage import Database
from farebox.web.api import Api
from farebox.web.app import PagesInFront, create_pages
from farebox.web.pages import Site
from farebox.web.sessions import Sessions


class Browser:
    """Looks at pages, keeps cookies, sends the forms that it was given."""

    def __init__(self, client: TestClient[Any]) -> None:
        self.client = client
        self.client.follow_redirects = False

    def open(self, address: str, **headers: str) -> Any:
        return self.client.get(address, headers=headers)

    def send(self, address: str, *, form_of: str | None = None, **fields: str) -> Any:
        """Send a form; its token is read from the page that it stands on."""
        page = self.open(form_of or address).text
        found = re.search(r'name="_csrf_token" value="([^"]+)"', page)
        assert found is not None, page
        return self.client.post(address, data={"_csrf_token": found[1], **fields})

    def sign_in(self, email: str, password: str, after: str = "/store/") -> Any:
        return self.send("/store/sign-in", email=email, password=password, next=after)


def site_over(app: App, database: Database) -> Site:
    """Return the pages' site over an API and access's database."""
    return Site(
        api=Api(app),
        database=database,
        sessions=Sessions(database, app.state.services.authenticate),
        secure=False,
    )


@contextmanager
def browsing(app: App, site: Site) -> Iterator[Browser]:
    """Return a browser before the pages and the API."""
    pages = create_pages(site, (*SHOP, *PORTAL, *CONSOLE), secret=b"tests")
    front: Any = _Running(PagesInFront(app, pages))
    with TestClient(front) as client:
        yield Browser(client)


class _Running:
    """An application whose start and end are somebody else's business."""

    def __init__(self, app: Any) -> None:
        self._app = app
        # The client asks for it, as it would of the framework's own.
        self.state = app._api.state

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await self._app(scope, receive, send)
            return
        for word in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{word}.complete"})
