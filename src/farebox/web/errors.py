"""What a visitor sees instead of a page: words, a code, a way on."""

import functools
from collections.abc import Awaitable, Callable
from typing import Any, Final, ParamSpec, cast

import structlog
from litestar import MediaType, Response
from litestar.exceptions import HTTPException, PermissionDeniedException
from litestar.response import Redirect

from farebox.web.api import Problem
from farebox.web.headers import harden
from farebox.web.languages import preferred
from farebox.web.pages import (
    LANGUAGE_COOKIE,
    AnyRequest,
    MustSignIn,
    Page,
    Site,
    opened,
    to_sign_in,
)
from farebox.web.sessions import COOKIE

Given = ParamSpec("Given")
Handler = Callable[Given, Awaitable[Response[Any]]]
_NOT_SIGNED_IN: Final = 401
_log: Final = structlog.get_logger("farebox.web")


def explained(handler: Handler[Given]) -> Handler[Given]:
    """Let a handler's refusals become pages. It takes `request` by that name."""

    @functools.wraps(handler)
    async def answer(*args: Given.args, **kwargs: Given.kwargs) -> Response[Any]:
        request = cast("AnyRequest", kwargs["request"])
        try:
            return await handler(*args, **kwargs)
        except MustSignIn as must:
            return to_sign_in(request, must.at)
        except Problem as problem:
            return await _explain(request, problem)

    return answer


async def _explain(request: AnyRequest, problem: Problem) -> Response[Any]:
    if problem.status == _NOT_SIGNED_IN:
        # The session has ended meanwhile, here or on another device.
        answer: Redirect = to_sign_in(request)
        answer.delete_cookie(COOKIE, path="/")
        return answer
    page = await opened(request)
    return _shown(page, problem.status, problem.code, problem.detail)


def refuse(request: AnyRequest, error: HTTPException) -> Response[str]:
    """Show what the framework refused: an unknown address, a form that is too old or too large."""
    code = "form_expired" if isinstance(error, PermissionDeniedException) else "page_refused"
    return _shown(_nobodys(request), error.status_code, code, "")


def apologise(request: AnyRequest, error: Exception) -> Response[str]:
    """Show that the fault is ours, and write it down."""
    _log.error("page_failed", path=request.url.path, exc_info=error)
    return _shown(_nobodys(request), 500, "internal_fault", "")


def _nobodys(request: AnyRequest) -> Page:
    """Return a page without asking who looks: whatever failed may fail again."""
    site: Site = request.app.state.site
    chosen = request.cookies.get(LANGUAGE_COOKIE) or request.headers.get("accept-language")
    return Page(site, request, visitor=None, customer={}, language=preferred(chosen), now_us=0)


def _shown(page: Page, status: int, code: str, detail: str) -> Response[str]:
    answer = page.show("error.html", status=status, code=code, detail=detail, number=status)
    answer.media_type = MediaType.HTML
    # What is refused before any handler does not pass where the other answers are hardened.
    harden(answer)
    return answer
