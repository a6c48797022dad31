"""Who works at the console: an operator, by their key.

The key stays in a cookie that scripts cannot read and that ends with the browser; every page shows
it to the API again, so what an operator's roles do not allow is refused there, and a revoked key
ends the session at once. Farebox keeps no session of operators.
"""

from typing import Any, Final

from anyio import to_thread
from litestar import Response, get, post
from litestar.response import Redirect

from farebox.platform.service_operators import read_operator
from farebox.web.errors import explained
from farebox.web.languages import preferred
from farebox.web.pages import (
    LANGUAGE_COOKIE,
    AnyRequest,
    MustSignIn,
    Page,
    Site,
    local_address,
)
from farebox.web.sessions import Visitor

COOKIE: Final = "farebox_console"
HOME: Final = "/console/"
SIGN_IN: Final = "/console/sign-in"


async def opened(request: AnyRequest) -> Page:
    """Return a page of the console; whoever shows no operator's key is asked for one."""
    page = await anybodys(request)
    if page.visitor is None:
        raise MustSignIn(SIGN_IN)
    return page


async def anybodys(request: AnyRequest) -> Page:
    """Return a page of the console as whoever looks sees it."""
    site: Site = request.app.state.site
    operator = await to_thread.run_sync(_operator, site, request.cookies.get(COOKIE))
    chosen = request.cookies.get(LANGUAGE_COOKIE) or request.headers.get("accept-language")
    now_us = await to_thread.run_sync(site.database.now_us)
    return Page(
        site, request, visitor=operator, customer={}, language=preferred(chosen), now_us=now_us
    )


def _operator(site: Site, key: str | None) -> Visitor | None:
    found = site.sessions.principal(key)
    if found is None or found.kind != "operator" or key is None:
        return None
    with site.database.read() as tx:
        name = read_operator(tx, found.id).name
    return Visitor(consumer=found.id, name=name, key=key, key_id=found.key_id or "")


@get(SIGN_IN)
@explained
async def show_sign_in(request: AnyRequest) -> Response[Any]:
    """Ask for an operator's key."""
    page = await anybodys(request)
    after = local_address(request.query_params.get("next"), HOME)
    if page.visitor is not None:
        return page.go(after)
    return page.show("console/sign_in.html", after=after, refused=False)


@post(SIGN_IN, status_code=200)
@explained
async def begin(request: AnyRequest) -> Response[Any]:
    """Begin to work with an operator's key."""
    form = await request.form()
    key = str(form.get("key", "")).strip()
    after = local_address(form.get("next"), HOME)
    page = await anybodys(request)
    if await to_thread.run_sync(_operator, page.site, key) is None:
        return page.show("console/sign_in.html", status=403, after=after, refused=True)
    answer = page.go(after)
    answer.set_cookie(
        COOKIE, key, path="/console", httponly=True, secure=page.site.secure, samesite="strict"
    )
    return answer


@post("/console/sign-out", status_code=303)
@explained
async def end(request: AnyRequest) -> Redirect:
    """Forget the key in this browser."""
    page = await anybodys(request)
    answer = page.go(SIGN_IN)
    answer.delete_cookie(COOKIE, path="/console")
    return answer


HANDLERS: Final = (show_sign_in, begin, end)
