"""The pages over both services, without a server: a browser that keeps cookies and fills forms."""

from collections.abc import Iterator

import pytest

from farebox.access.consumers.service import create_consumer
from farebox.access.consumers.service_accounts import hash_password, set_account
from farebox.http.app import App
from farebox.http.deps import Services
from farebox.platform.model import SYSTEM
from farebox.storage import Database
from farebox.web.pages import Site
from tests.api.conftest import app, services, tell_billing  # noqa: F401 - fixtures are used by name
from tests.support.browser import Browser, browsing, site_over
from tests.support.services import run

PASSWORD = "correct horse"
_HASHED = hash_password(PASSWORD)


@pytest.fixture
def site(services: Services, app: App) -> Site:  # noqa: F811 - the fixtures of the API's tests
    """Return the pages' site over one process's services."""
    app.state.services = services
    return site_over(app, services.database)


@pytest.fixture
def browser(site: Site, app: App, billing: Database) -> Iterator[Browser]:  # noqa: F811 - billing must be there
    with browsing(app, site) as made:
        yield made


@pytest.fixture
def ada(database: Database) -> str:
    """Return a consumer who can sign in as `ada@example.org`."""
    made = run(database, create_consumer, SYSTEM, name="Ada").id
    run(database, set_account, SYSTEM, consumer=made, email="ada@example.org", password=_HASHED)
    return made
