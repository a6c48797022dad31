"""The pages over both services, without a server: a browser that keeps cookies and fills forms."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from farebox.access.consumers.service import create_consumer
from farebox.access.consumers.service_accounts import hash_password, set_account
from farebox.http.app import App
from farebox.http.deps import Services
from farebox.platform.model import SYSTEM
from farebox.portal.routes import HANDLERS as PORTAL
from farebox.shop.routes import HANDLERS as SHOP
from farebox.storage import Database
from farebox.web.api import Api
from farebox.web.app import PagesInFront, create_pages
from farebox.web.pages import Site
from farebox.web.sessions import Sessions
from tests.api.conftest import app, services, tell_billing  # noqa: F401 - fixtures are used by name
from tests.support.services import run

PASSWORD = "correct horse"
_HASHED = hash_password(PASSWORD)


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

    def sign_in(self, email: str, password: str = PASSWORD, after: str = "/store/") -> Any:
        return self.send("/store/sign-in", email=email, password=password, next=after)


@pytest.fixture
def site(services: Services, app: App) -> Site:  # noqa: F811 - the fixtures of the API's tests
    """Return the pages' site over one process's services."""
    app.state.services = services
    return Site(
        api=Api(app),
        database=services.database,
        sessions=Sessions(services.database, services.authenticate),
        secure=False,
    )


@pytest.fixture
def pages(site: Site) -> Litestar:
    return create_pages(site, (*SHOP, *PORTAL), secret=b"tests")


@pytest.fixture
def browser(pages: Litestar, app: App, billing: Database) -> Iterator[Browser]:  # noqa: F811 - billing must be there
    front: Any = PagesInFront(app, pages)
    with TestClient(front) as client:
        yield Browser(client)


@pytest.fixture
def ada(database: Database) -> str:
    """Return a consumer who can sign in as `ada@example.org`."""
    made = run(database, create_consumer, SYSTEM, name="Ada").id
    run(database, set_account, SYSTEM, consumer=made, email="ada@example.org", password=_HASHED)
    return made
