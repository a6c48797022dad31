"""The API's description (OpenAPI 3.1), made from the handlers and the types they use.

The framework finds routes and parameters. The schemas of bodies and answers are msgspec's own,
because the framework leaves out that unknown fields are refused, and rounds bounds. Problems are
added by what a route is: its parameters, its body, its method, and what its `opt` names beside.
"""

from collections.abc import Iterator
from http import HTTPStatus
from importlib.metadata import version
from inspect import cleandoc, getdoc
from typing import Any, Final, get_args, get_origin

import msgspec
from litestar import Litestar, Response, Router
from litestar.enums import OpenAPIMediaType
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.openapi.spec import Components, Reference, SecurityScheme
from litestar.params import QueryParameter
from litestar.routes import HTTPRoute

from farebox.contracts.problems import PROBLEM_MEDIA_TYPE, Problem
from farebox.http.deps import AnyRequest
from farebox.http.roles import PUBLIC

JSON: Final = "application/json"
_REF: Final = "#/components/schemas/{name}"
_ABOUT: Final = (
    "Decides who may use what, and keeps what is left. Amounts are whole numbers of the smallest "
    "unit, times are RFC 3339 in UTC. A problem (RFC 9457) carries a stable `code`."
)
_SECURITY: Final[list[dict[str, list[str]]]] = [{"bearer": []}, {"apiKey": []}]
_OBJECTS: Final = {"type": "array", "items": {"type": "object"}, "maxItems": 10_000}
_PARTS: Final[dict[str, dict[str, Any]]] = {
    JSON: _OBJECTS,
    "application/cloudevents-batch+json": _OBJECTS,
    "application/x-ndjson": {"type": "string"},
    "text/csv": {"type": "string"},
}
_CHANGES: Final = frozenset({"post", "put", "patch", "delete"})


class Description(OpenAPIRenderPlugin):
    """Serves the finished description where the framework would serve its unfinished one."""

    def render(self, request: AnyRequest, openapi_schema: dict[str, Any]) -> bytes:  # noqa: ARG002 - the framework's signature
        """Return the finished description."""
        made: bytes = request.app.description  # type: ignore[attr-defined] # our App's own
        return made


def config() -> OpenAPIConfig:
    """Return what the framework is to make the description from."""
    schemes: dict[str, SecurityScheme | Reference] = {
        "bearer": SecurityScheme(
            type="http", scheme="bearer", description="An API key, or a token of an issuer"
        ),
        "apiKey": SecurityScheme(type="apiKey", name="X-API-Key", security_scheme_in="header"),
    }
    return OpenAPIConfig(
        title="Farebox",
        version=version("farebox"),
        description=_ABOUT,
        openapi_router=Router("/openapi", route_handlers=[], opt=PUBLIC, include_in_schema=False),
        render_plugins=[
            Description(path="/openapi.json", media_type=OpenAPIMediaType.OPENAPI_JSON)
        ],
        components=Components(security_schemes=schemes),
    )


def handlers_of(app: Litestar) -> Iterator[tuple[str, HTTPRouteHandler]]:
    """Return the paths of the app with the handlers that are written for them."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                if "OPTIONS" not in handler.http_methods:
                    yield route.path_format, handler


def describe(app: Litestar) -> bytes:
    """Return the description of an app as JSON."""
    document = app.openapi_schema.to_schema()
    found = {
        str(handler.operation_id): handler
        for _, handler in handlers_of(app)
        if handler.resolve_include_in_schema()
    }
    kinds = [kind for handler in found.values() for kind in _kinds_of(handler)]
    unique = list({str(kind): kind for kind in [*kinds, Problem]}.values())
    schemas, components = msgspec.json.schema_components(unique, ref_template=_REF)
    references = {str(kind): schema for kind, schema in zip(unique, schemas, strict=True)}
    for item in document["paths"].values():
        for method, operation in item.items():
            _complete(method, operation, found[operation["operationId"]], references)
    for component in components.values():
        component["description"] = cleandoc(component.get("description", ""))
    document["components"]["schemas"] = components
    return msgspec.json.encode(document)


def _kinds_of(handler: HTTPRouteHandler) -> list[Any]:
    """Return the types that a handler reads and answers."""
    data = handler.parsed_fn_signature.parameters.get("data")
    kinds = [] if data is None else [_bare(data.annotation)]
    kinds += [kind for kind in handler.opt.get("reads", {}).values() if kind is not None]
    answer = _answer_of(handler)
    return kinds if answer is None else [*kinds, answer]


def _bare(annotation: Any) -> Any:  # noqa: ANN401 - any type
    """Return the type of a body that may be left out."""
    kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
    optional = type(None) in get_args(annotation)
    return kinds[0] if optional and len(kinds) == 1 else annotation


def _answer_of(handler: HTTPRouteHandler) -> Any:  # noqa: ANN401 - any type
    """Return the type of a handler's answer; None where it is empty or no JSON."""
    annotation = handler.parsed_fn_signature.return_type.annotation
    if get_origin(annotation) is Response:
        annotation = get_args(annotation)[0]
    return None if annotation in {None, type(None), bytes} else annotation


def _complete(
    method: str, operation: dict[str, Any], handler: HTTPRouteHandler, references: dict[str, Any]
) -> None:
    """Put an operation's body, answers, problems and security in."""
    data = handler.parsed_fn_signature.parameters.get("data")
    if data is not None:
        media_type = next(iter(operation["requestBody"]["content"]))
        schema = references[str(_bare(data.annotation))]
        operation["requestBody"] = {
            "required": data.is_required,
            "content": {media_type: {"schema": schema}},
        }
    if (media_types := handler.opt.get("reads")) is not None:
        # Read by the handler itself. A batch is said loosely, because each part is judged alone.
        content = {
            media_type: {"schema": _PARTS[media_type] if kind is None else references[str(kind)]}
            for media_type, kind in media_types.items()
        }
        operation["requestBody"] = {"required": True, "content": content}
    for parameter in operation.get("parameters", []):
        _complete_parameter(parameter)
        field = _field_of(handler, parameter["name"])
        if parameter["schema"].get("type") == "array":
            parameter["schema"]["items"] = _items_of(field)
        elif field is not None and field.kwarg_definition.ge == 0:
            # The framework leaves this bound out, though it holds requests to it.
            parameter["schema"]["minimum"] = 0
        if parameter["name"] == "Idempotency-Key" and handler.opt.get("moves_value"):
            parameter["required"] = True
    said = getdoc(getattr(handler.fn, "func", handler.fn)) or ""
    summary, _, description = said.partition("\n")
    operation["summary"] = summary.rstrip(".")
    operation["description"] = description.strip() or summary
    operation["responses"] = _responses(method, operation, handler, references)
    operation["security"] = [] if handler.opt.get("public") else _SECURITY


def _complete_parameter(parameter: dict[str, Any]) -> None:
    """Say a parameter's form; one that may be left out is not one that may be null."""
    if parameter["in"] == "path":
        parameter["schema"] = {"type": "string", "pattern": "^[!-~]{1,128}$"}
    schema = parameter["schema"]
    for kind in schema.pop("oneOf", ()):
        if kind["type"] != "null":
            schema.update(kind)


def _field_of(handler: HTTPRouteHandler, name: str) -> Any:  # noqa: ANN401 - the framework's field
    """Return what a handler's signature says of a query parameter; None of one that it has not."""
    fields = handler.parsed_fn_signature.parameters.items()
    found = (
        field
        for place, field in fields
        if isinstance(field.kwarg_definition, QueryParameter)
        and (field.kwarg_definition.name or place) == name
    )
    return next(found, None)


def _items_of(field: Any) -> dict[str, Any]:  # noqa: ANN401 - the framework's field
    """Return the schema of a list parameter's items, of which the framework says the type alone."""
    [item] = get_args(_bare(field.annotation))
    return msgspec.json.schema(item)


def _responses(
    method: str, operation: dict[str, Any], handler: HTTPRouteHandler, references: dict[str, Any]
) -> dict[str, Any]:
    status = handler.status_code
    good: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    answer = _answer_of(handler)
    if answer is not None:
        good["content"] = {JSON: {"schema": references[str(answer)]}}
    elif media_type := handler.opt.get("answers"):
        good["content"] = {media_type: {"schema": {"type": "string"}}}
    responses = {str(status): good}
    for other, kind in handler.opt.get("also", {}).items():
        content = {JSON: {"schema": references[str(kind)]}}
        responses[str(other)] = {"description": HTTPStatus(other).phrase, "content": content}
    problem = {PROBLEM_MEDIA_TYPE: {"schema": references[str(Problem)]}}
    for code in sorted(_problems(method, operation, handler)):
        description = HTTPStatus(code).phrase
        responses.setdefault(str(code), {"description": description, "content": problem})
    return responses


def _problems(method: str, operation: dict[str, Any], handler: HTTPRouteHandler) -> set[int]:
    """Return the statuses of the problems that such a route can answer."""
    places = {parameter["in"] for parameter in operation.get("parameters", [])}
    statuses: set[int] = set(handler.opt.get("problems", ()))
    statuses |= {422} if places & {"query", "header"} else set()
    statuses |= {404} if "path" in places else set()
    if handler.opt.get("public"):
        return statuses
    statuses |= {401, 403, 503}
    statuses |= {400} if handler.opt.get("moves_value") else set()
    statuses |= {404, 409} if method in _CHANGES else set()
    statuses |= {400, 413, 415, 422} if "requestBody" in operation else set()
    return statuses
