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
from litestar.params import FromPath

from farebox.web import errors, sign_in
from farebox.web.pages import CSRF_COOKIE, CSRF_FIELD, Site
from farebox.web.static_files import WHERE

PREFIXES: Final = ("/store", "/portal", "/console", "/web")
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "media-src 'self'; font-src 'self'; connect-src 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_SAFE: Final = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_LARGEST_FORM: Final = 64 * 1024


@get(WHERE + "{name:str}", sync_to_thread=False)
def show_file(name: FromPath[str], state: State) -> Response[bytes]:
    """Serve a file of the pages."""
    site: Site = state.site
    found = site.files.find(name)
    if found is None:
        raise HTTPException(status_code=404)
    return Response(
        found.content, media_type=found.media_type, headers={"Cache-Control": found.cache}
    )


def create_pages(site: Site, handlers: Sequence[HTTPRouteHandler], *, secret: bytes) -> Litestar:
    """Return the application that answers pages; forms are bound to the browser that got them."""
    csrf = CSRFConfig(
        secret=hmac.digest(secret, b"forms of pages", hashlib.sha256).hex(),
        cookie_name=CSRF_COOKIE,
        cookie_secure=site.secure,
        cookie_httponly=True,
        cookie_samesite="lax",
        header_name="x-form",
    )
    assert CSRF_FIELD == "_csrf_token", "the framework looks for this field"
    return Litestar(
        [Router("/", route_handlers=[*sign_in.HANDLERS, *handlers, show_file])],
        state=State({"site": site}),
        csrf_config=csrf,
        exception_handlers={HTTPException: errors.refuse, Exception: errors.apologise},
        after_request=_harden,
        request_max_body_size=_LARGEST_FORM,
        openapi_config=None,
        logging_config=None,
    )


def _harden(response: Any) -> Any:  # noqa: ANN401 - the framework's responses
    for name, value in _SAFE.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "private, no-store")
    return response


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
