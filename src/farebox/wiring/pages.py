"""The pages before the API: put together where access and billing are both served."""

from typing import Any

from farebox.console.routes import HANDLERS as CONSOLE
from farebox.http.deps import Services
from farebox.platform.service_secrets import ensure_pepper
from farebox.portal.routes import HANDLERS as PORTAL
from farebox.shop.routes import HANDLERS as SHOP
from farebox.web.api import Api
from farebox.web.app import PagesInFront, create_pages
from farebox.web.pages import Site
from farebox.web.provider import Provider
from farebox.web.sessions import Sessions
from farebox.wiring.settings import Settings


def pages_in_front(api: Any, services: Services, settings: Settings) -> Any:  # noqa: ANN401 - ASGI applications
    """Return the API with the pages before it; the API alone where billing is served elsewhere."""
    if services.billing is None:
        return api
    provider = None
    if settings.sign_in_issuer and settings.sign_in_client:
        provider = Provider(
            issuer=settings.sign_in_issuer,
            client=settings.sign_in_client,
            secret=settings.sign_in_secret,
            name=settings.sign_in_name or settings.sign_in_issuer,
            home=settings.issuer,
            authenticate=services.authenticate,
        )
    site = Site(
        api=Api(api),
        database=services.database,
        sessions=Sessions(services.database, services.authenticate),
        secure=settings.issuer.startswith("https://"),
        provider=provider,
        demo=settings.test_clock,
    )
    secret = services.database.run(ensure_pepper)
    return PagesInFront(api, create_pages(site, (*SHOP, *PORTAL, *CONSOLE), secret=secret))
