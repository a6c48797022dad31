"""Signing in and out: with an address and a password, or at an identity provider."""

from typing import Any, Final

import structlog
from anyio import CapacityLimiter, to_thread
from litestar import Response, get, post
from litestar.response import Redirect

from farebox.access.consumers.model import LocalAccount, SignInRefused
from farebox.access.consumers.service_accounts import sign_in
from farebox.web.errors import explained
from farebox.web.pages import LANGUAGE_COOKIE, SIGN_IN, AnyRequest, Page, local_address, opened
from farebox.web.provider import CALLBACK, COOKIE_S, SignInFailed
from farebox.web.provider import COOKIE as ATTEMPT
from farebox.web.sessions import COOKIE, LIFE_S

_log: Final = structlog.get_logger("farebox.web")
_YEAR_S: Final = 365 * 86_400
# A try takes a tenth of a second and 64 MiB: whoever sends thousands must not stop all else.
TRIES_AT_ONCE: Final = 2
_tries: Final = CapacityLimiter(TRIES_AT_ONCE)


@get("/", sync_to_thread=False)
def go_home() -> Redirect:
    """Lead whoever knows the host only to the store."""
    return Redirect("/store/", status_code=302)


@get("/store/sign-in")
@explained
async def show_sign_in(request: AnyRequest) -> Response[Any]:
    """Ask who somebody is."""
    page = await opened(request)
    after = local_address(request.query_params.get("next"))
    if page.visitor is not None:
        return page.go(after)
    return page.show("sign_in.html", after=after, refused=False, email="")


@post("/store/sign-in", status_code=200)
@explained
async def begin_session(request: AnyRequest) -> Response[Any]:
    """Begin a session for whoever has given the right address and password."""
    page = await opened(request)
    form = await request.form()
    after = local_address(form.get("next"))
    # No address has this letter, and not every database takes it.
    email = str(form.get("email", "")).replace("\0", "")
    try:
        password = str(form.get("password", ""))
        account = await to_thread.run_sync(
            sign_in, page.site.database, email, password, limiter=_tries
        )
        return await signed_in(page, account.consumer, after, account)
    except SignInRefused:
        values = {"after": after, "refused": True, "email": email}
        return page.show("sign_in.html", status=403, **values)


async def signed_in(
    page: Page, consumer: str, after: str, account: LocalAccount | None = None
) -> Redirect:
    """Answer with a new session. An old one of this browser ends, so none is taken over.

    With an `account`, whose password was the proof, as `Sessions.begin` says.
    """
    if page.visitor is not None:
        await page.site.sessions.end(page.visitor)
    agent = page.request.headers.get("user-agent", "")
    key = await page.site.sessions.begin(consumer, agent, account)
    answer = page.go(after)
    answer.set_cookie(
        COOKIE,
        key,
        path="/",
        max_age=LIFE_S,
        httponly=True,
        secure=page.site.secure,
        samesite="lax",
    )
    return answer


@get("/store/sign-in/provider")
@explained
async def go_to_provider(request: AnyRequest) -> Response[Any]:
    """Send somebody to the identity provider."""
    page = await opened(request)
    provider = page.site.provider
    if provider is None:
        return page.go(SIGN_IN)
    try:
        address, kept = await provider.begin(local_address(request.query_params.get("next")))
    except SignInFailed:
        _log.warning("provider_failed", exc_info=True)
        return page.go(SIGN_IN, "provider_failed")
    answer = Redirect(address, status_code=303)
    _keep_attempt(page, answer, kept)
    return answer


@get(CALLBACK)
@explained
async def come_back(request: AnyRequest) -> Response[Any]:
    """Begin a session for whoever comes back from the identity provider."""
    page = await opened(request)
    provider = page.site.provider
    if provider is None:
        return page.go(SIGN_IN)
    try:
        kept = request.cookies.get(ATTEMPT)
        consumer, after = await provider.finish(kept, str(request.url))
    except SignInFailed:
        _log.warning("provider_failed", exc_info=True)
        return page.go(SIGN_IN, "provider_failed")
    answer = await signed_in(page, consumer, local_address(after))
    answer.delete_cookie(ATTEMPT, path=CALLBACK)
    return answer


def _keep_attempt(page: Page, answer: Redirect, kept: str) -> None:
    answer.set_cookie(
        ATTEMPT,
        kept,
        path=CALLBACK,
        max_age=COOKIE_S,
        httponly=True,
        secure=page.site.secure,
        samesite="lax",
    )


@post("/store/sign-out", status_code=303)
@explained
async def end_session(request: AnyRequest) -> Redirect:
    """End the session of this browser."""
    page = await opened(request)
    if page.visitor is not None:
        await page.site.sessions.end(page.visitor)
    answer = page.go("/store/", "signed_out")
    answer.delete_cookie(COOKIE, path="/")
    return answer


@post("/store/language", status_code=303)
@explained
async def choose_language(request: AnyRequest) -> Redirect:
    """Show pages in another language: at once, and for whoever is signed in for good."""
    page = await opened(request)
    form = await request.form()
    chosen = "en" if form.get("language") == "en" else "ru"
    if page.visitor is not None and page.customer:
        await page.patch(f"/v1/customers/{page.visitor.consumer}", {"locale": chosen})
    answer = page.go(local_address(form.get("next")))
    answer.set_cookie(
        LANGUAGE_COOKIE, chosen, path="/", max_age=_YEAR_S, secure=page.site.secure, samesite="lax"
    )
    return answer


HANDLERS: Final = (
    go_home,
    show_sign_in,
    begin_session,
    go_to_provider,
    come_back,
    end_session,
    choose_language,
)
