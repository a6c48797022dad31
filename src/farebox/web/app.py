"""The pages' application, and the place where requests part between pages and API."""

import hashlib
import hmac
from collections.abc import Sequence
from typing import Any, Final

from litestar import Litestar, Response, Router, get
from litestar.config.csrf import CSRFConfig
from litestar.datastructures import State
from litestar.exceptions import HTTPException
from litestar.handlers import HTTPRouteHandler
from litestar.middleware import DefineMiddleware
from litestar.middleware.csrf import CSRFMiddleware
from litestar.params import FromPath

from farebox.web import errors, sign_in
from farebox.web.headers import harden
from farebox.web.pages import CSRF_COOKIE, CSRF_FIELD, Site
from farebox.web.static_files import WHERE

PREFIXES: Final = ("/store", "/portal", "/console", "/web")
_SHARED: Final = "exclude_from_csrf"
_LARGEST_FORM: Final = 64 * 1024


# Caches keep files for everybody: one visitor's cookie must not be kept with them.
@get(WHERE + "{name:str}", opt={_SHARED: True}, sync_to_thread=False)
def show_file(name: FromPath[str], state: State) -> Response[bytes]:
    """Serve a file of the pages."""
    site: Site = state.site
    found = site.files.find(name)
    if found is None:
        raise HTTPException(status_code=404)
    return Response(
        found.content, media_type=found.media_type, headers={"Cache-Control": found.cache}
    )


class BoundForms(CSRFMiddleware):
    """The framework's guard of forms, that also refuses tokens which it cannot compare."""

    # It raises on what is no text (a file sent in the field) and on letters outside ASCII.
    def _csrf_tokens_match(self, request_csrf_token: object, cookie_csrf_token: str) -> bool:
        sent, kept = request_csrf_token, cookie_csrf_token
        if not isinstance(sent, str) or not (sent.isascii() and kept.isascii()):
            return False
        return super()._csrf_tokens_match(sent, kept)


def create_pages(site: Site, handlers: Sequence[HTTPRouteHandler], *, secret: bytes) -> Litestar:
    """Return the application that answers pages; forms are bound to the browser that got them."""
    csrf = CSRFConfig(
        secret=hmac.digest(secret, b"forms of pages", hashlib.sha256).hex(),
        cookie_name=CSRF_COOKIE,
        cookie_secure=site.secure,
        cookie_httponly=True,
        cookie_samesite="lax",
        header_name="x-form",
        exclude_from_csrf_key=_SHARED,
    )
    assert CSRF_FIELD == "_csrf_token", "the framework looks for this field"
    return Litestar(
        [Router("/", route_handlers=[*sign_in.HANDLERS, *handlers, show_file])],
        state=State({"site": site}),
        middleware=[DefineMiddleware(BoundForms, config=csrf)],
        exception_handlers={HTTPException: errors.refuse, Exception: errors.apologise},
        after_request=harden,
        request_max_body_size=_LARGEST_FORM,
        openapi_config=None,
        logging_config=None,
    )


class PagesInFront:
    """An ASGI application: pages where a path is theirs, the API everywhere else."""

    def __init__(self, api: Any, pages: Any) -> None:  # noqa: ANN401 - ASGI applications
        self._api = api
        self._pages = pages

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        """Answer one request."""
        path = scope.get("path", "")
        ours = any(path == prefix or path.startswith(f"{prefix}/") for prefix in PREFIXES)
        if scope["type"] == "http" and (ours or path == "/"):
            await self._pages(scope, receive, send)
        else:
            await self._api(scope, receive, send)
