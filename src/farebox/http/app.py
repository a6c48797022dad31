"""The API's app: routes, guards, problems, and what surrounds every request."""

import re
import secrets
import time
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any, Final

import structlog
from litestar import Litestar, Response, Router, get
from litestar.datastructures import State
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.types import Message, Scope

from farebox.http import auth, errors, gate, gateways, openapi, upkeep, viewer
from farebox.http.deps import AnyRequest, Services, provide_command, provide_desk, provide_services
from farebox.http.roles import PUBLIC, ROLES
from farebox.http.routes import HANDLERS, test_clock

LARGEST_BODY: Final = 1024 * 1024
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_SAFE: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)
_UNLESS_SAID: Final = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)
_log: Final = structlog.get_logger("farebox.http")


class App(Litestar):
    """The framework's app with a request id, security headers and a count around each answer."""

    @cached_property
    def description(self) -> bytes:
        """Return the description of this API. Making it takes longer than all of the start."""
        return openapi.describe(self)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - the framework's unions
        """Answer one request."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        started = time.perf_counter()
        request_id = _request_id(scope)
        status = 500
        # HEAD is GET without the body (RFC 9110, section 9.3.2), for every route.
        method = scope["method"]
        if method == "HEAD":
            scope["method"] = "GET"

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _with_headers(list(message["headers"]), request_id)
            elif message["type"] == "http.response.body" and method == "HEAD":
                message["body"] = b""
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id.decode()):
            services: Services = self.state.services
            address = gateways.gate_of(scope["path"])
            try:
                if address is None:
                    await super().__call__(scope, receive, send_with_headers)
                else:
                    scope["path_template"] = address
                    keeper, metrics = services.gatekeeper, services.metrics
                    await gateways.answer_asgi(keeper, metrics, address, scope, send_with_headers)
            finally:
                services.metrics.answered(
                    method=method,
                    route=scope.get("path_template") or "unknown",
                    status=status,
                    seconds=time.perf_counter() - started,
                )


def _request_id(scope: Scope) -> bytes:
    """Return the id that the caller gave the request, if it is a decent one, or a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return value
    return secrets.token_hex(8).encode()


def _with_headers(
    headers: list[tuple[bytes, bytes]], request_id: bytes
) -> list[tuple[bytes, bytes]]:
    said = {name.lower() for name, _ in headers}
    headers += [pair for pair in _UNLESS_SAID if pair[0] not in said]
    return [*headers, *_SAFE, (b"x-request-id", request_id)]


@get("/openapi.json", opt=PUBLIC, include_in_schema=False, sync_to_thread=True)
def show_description(request: AnyRequest) -> Response[bytes]:
    """Return the description of this API."""
    app = request.app
    assert isinstance(app, App)
    return Response(app.description, media_type=openapi.JSON)


def _tell_methods(routes: Sequence[HTTPRouteHandler]) -> Iterator[HTTPRouteHandler]:
    """Yield what answers OPTIONS for each path; the framework's own knows one method of several."""
    methods: dict[str, set[str]] = {}
    for handler in routes:
        for path in handler.paths:
            methods.setdefault(path, {"OPTIONS"}).update(handler.http_methods)
    for path, found in methods.items():
        also = {"HEAD"} if "GET" in found else set()
        yield _tell(path, ", ".join(sorted(found | also)))


def _tell(path: str, allow: str) -> HTTPRouteHandler:
    def tell() -> Response[None]:
        return Response(None, status_code=204, headers={"Allow": allow})

    handler = HTTPRouteHandler(
        path,
        http_method="OPTIONS",
        status_code=204,
        opt=PUBLIC,
        include_in_schema=False,
        sync_to_thread=False,
    )
    return handler(tell)


def create_app(services: Services, handlers: Sequence[HTTPRouteHandler] = HANDLERS) -> App:
    """Return the API over these services. It owns none of them and closes nothing."""
    routes = [
        *handlers,
        *(test_clock.HANDLERS if services.test_clock else ()),
        upkeep.is_alive,
        upkeep.is_ready,
        upkeep.read_metrics,
        viewer.show_docs,
        viewer.show_file,
        show_description,
    ]
    app = App(
        # One router, because the app would register the handlers of a path again with each further
        # one, and each time put a sync handler into one thread more.
        [Router("/", route_handlers=[*_tell_methods(routes), *routes])],
        state=State({"services": services}),
        guards=[auth.admit],
        before_request=gate.check_request,
        dependencies={
            "desk": Provide(provide_desk, sync_to_thread=False),
            "command": Provide(provide_command, sync_to_thread=False),
            "services": Provide(provide_services, sync_to_thread=False),
        },
        exception_handlers=errors.HANDLERS,
        openapi_config=openapi.config(),
        request_max_body_size=LARGEST_BODY,
        logging_config=None,
    )
    for path, handler in openapi.handlers_of(app):
        named = handler.operation_id in ROLES or handler.opt.get("public")
        assert named, f"{path}: {handler.operation_id} has no line in ROLES"
    return app
