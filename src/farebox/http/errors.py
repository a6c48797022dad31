"""Every exception becomes a problem here, and nowhere else."""

from typing import Any, Final

import sqlalchemy as sa
import structlog
from litestar import Response
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.exceptions.http_exceptions import RequestEntityTooLarge

from farebox.contracts.problems import PROBLEM_MEDIA_TYPE
from farebox.http.deps import AnyRequest
from farebox.http.problems import headers_of, problem
from farebox.http.refusals import (
    BodyTooLarge,
    FieldsInvalid,
    InternalFault,
    MethodRefused,
    RequestMalformed,
    RouteUnknown,
)
from farebox.kernel.refusals import Refusal, TryAgain, ValueRefused
from farebox.storage import Problem, problem_of

_log: Final = structlog.get_logger("farebox.http")
_CLIENTS_FAULT: Final = 500


def respond(refusal: Refusal, headers: dict[str, str] | None = None) -> Response[bytes]:
    """Return the problem that a refusal is."""
    status, body = problem(refusal)
    return Response(
        body,
        status_code=status,
        media_type=PROBLEM_MEDIA_TYPE,
        headers={**dict(headers_of(status)), **(headers or {})},
    )


def on_refusal(_request: AnyRequest, refusal: Refusal) -> Response[bytes]:
    """Answer what a rule rejected."""
    return respond(refusal)


def on_http_exception(request: AnyRequest, error: HTTPException) -> Response[bytes]:
    """Answer what the framework rejected."""
    if isinstance(error, ValidationException):
        return respond(FieldsInvalid(_sentence(error.extra, _names(request))))
    if isinstance(error, NotFoundException):
        return respond(RouteUnknown())
    if isinstance(error, MethodNotAllowedException):
        allow = (error.headers or {}).get("allow", "")
        return respond(MethodRefused(), {"Allow": allow})
    if isinstance(error, RequestEntityTooLarge):
        return respond(BodyTooLarge())
    if error.status_code < _CLIENTS_FAULT:
        return respond(RequestMalformed(error.detail))
    return on_fault(request, error)


def on_database_error(request: AnyRequest, error: sa.exc.DBAPIError) -> Response[bytes]:
    """Answer what the database rejected: a value it cannot hold, or a moment it cannot serve."""
    kind = problem_of(error)
    if kind is Problem.VALUE:
        return respond(ValueRefused("a value in this request cannot be stored"))
    if kind is Problem.TRANSIENT:
        return respond(TryAgain())
    return on_fault(request, error)


def on_fault(request: AnyRequest, error: Exception) -> Response[bytes]:
    """Answer our own fault without telling strangers about it; the log has it all."""
    _log.error("request_failed", method=request.method, path=request.url.path, exc_info=error)
    return respond(InternalFault())


def _names(request: AnyRequest) -> dict[str, str]:
    """Return what callers call a handler's parameters where we call them otherwise."""
    named: dict[str, str] = {}
    for ours, field in request.route_handler.parsed_fn_signature.parameters.items():
        theirs = getattr(field.kwarg_definition, "name", None)
        if theirs:
            named[ours] = theirs
    return named


def _sentence(extra: Any, names: dict[str, str]) -> str:  # noqa: ANN401 - whatever the framework puts there
    """Join the framework's list of what did not fit, under the names that callers know."""
    if not isinstance(extra, list):
        return FieldsInvalid.message()
    parts = []
    for one in extra:
        key = one.get("key", "request")
        parts.append(f"{names.get(key, key)}: {one.get('message', 'invalid')}")
    return "; ".join(parts) or FieldsInvalid.message()


HANDLERS: Final[dict[Any, Any]] = {
    Refusal: on_refusal,
    HTTPException: on_http_exception,
    sa.exc.DBAPIError: on_database_error,
    Exception: on_fault,
}
