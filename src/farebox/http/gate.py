"""What every request passes before its handler: parameters it knows, its key, a strict body.

The framework converts bodies leniently ("5" would become 5), so bodies are decoded here first,
strictly, by the handler's own type; what the framework then converts has been proven to fit.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, get_args, get_origin
from urllib.parse import urlencode

import msgspec
from litestar.enums import RequestEncodingType
from litestar.handlers import HTTPRouteHandler
from litestar.params import BodyKwarg, QueryParameter

from farebox.http.deps import AnyRequest
from farebox.http.refusals import (
    BodyMalformed,
    ContentTypeRefused,
    FieldsInvalid,
    KeyMissing,
    RouteUnknown,
)

KEY_HEADER: Final = "idempotency-key"
_IN_PATH: Final = re.compile(r"[!-~]{1,128}")
# The framework would read "1e3" and "5.0" as well.
_WHOLE: Final = re.compile(r"-?[0-9]{1,19}")
_canonical: Final = msgspec.json.Encoder(order="deterministic").encode


class Form(msgspec.Struct, frozen=True):
    """What a handler's signature says of the requests that it takes."""

    parameters: Mapping[str, bool]  # each query parameter, and whether it is a whole number
    lists: frozenset[str] = frozenset()  # those that may be given more than once
    decoder: Any = None  # msgspec's decoder of the body's type
    body_optional: bool = False
    media_type: str = RequestEncodingType.JSON.value


@lru_cache(maxsize=512)
def _form_of(handler: HTTPRouteHandler) -> Form:
    fields = handler.parsed_fn_signature.parameters
    given = [fields]
    for name, provider in handler.resolve_dependencies().items():
        if name in fields:
            given.append(provider.parsed_fn_signature.parameters)
    kinds = {
        field.kwarg_definition.name or name: field.annotation
        for each in given
        for name, field in each.items()
        if isinstance(field.kwarg_definition, QueryParameter)
    }
    names = {name: kind is int for name, kind in kinds.items()}
    lists = frozenset(name for name, kind in kinds.items() if _is_list(kind))
    data = fields.get("data")
    if data is None:
        return Form(names, lists)
    kind = data.kwarg_definition
    assert isinstance(kind, BodyKwarg)
    return Form(
        names,
        lists,
        msgspec.json.Decoder(data.annotation),
        body_optional=not data.is_required,
        media_type=str(getattr(kind.media_type, "value", kind.media_type)),
    )


def _is_list(kind: Any) -> bool:  # noqa: ANN401 - any annotation
    return any(get_origin(each) is list for each in (kind, *get_args(kind)))


async def check_request(request: AnyRequest) -> None:
    """Refuse what the handler does not take, before anything of it is converted."""
    if request.method == "OPTIONS":
        return
    handler = request.route_handler
    form = _form_of(handler)
    for value in request.path_params.values():
        if not _IN_PATH.fullmatch(str(value)):
            raise RouteUnknown
    _check_query(request.query_params.dict(), form)
    if handler.opt.get("moves_value") and not request.headers.get(KEY_HEADER):
        raise KeyMissing
    body = b"" if form.decoder is None else await _check_body(request, form)
    request.state.payload = _payload(request, body)


def _check_query(values: Mapping[str, list[str]], form: Form) -> None:
    """Refuse unknown parameters, two values for one, and numbers that are not whole."""
    # A misspelt `limit` must not read as no limit, nor one of two values be chosen silently.
    for name, given in values.items():
        if name not in form.parameters:
            raise FieldsInvalid(f"{name}: there is no such parameter")
        if len(given) > 1 and name not in form.lists:
            raise FieldsInvalid(f"{name}: is given more than once")
        if form.parameters[name] and not _WHOLE.fullmatch(given[0]):
            raise FieldsInvalid(f"{name}: is not a whole number")


def _payload(request: AnyRequest, body: bytes) -> bytes:
    """Return what makes a request what it is; why it is sent does not."""
    query = sorted((k, v) for k, v in request.query_params.multi_items() if k != "reason")
    return f"{request.method} {request.scope['path']}?{urlencode(query)}\n".encode() + body


async def _check_body(request: AnyRequest, form: Form) -> bytes:
    """Refuse a body that does not fit, and return the canonical form of one that does."""
    body = await request.body()
    if not body and form.body_optional:
        return b""
    media_type, options = request.content_type
    if media_type.lower() != form.media_type:
        raise ContentTypeRefused(f"send {form.media_type}")
    if options.get("charset", "utf-8").lower().strip('"') not in {"utf-8", "utf8", "us-ascii"}:
        raise ContentTypeRefused("send UTF-8")
    if form.media_type != RequestEncodingType.JSON.value:
        return body
    return _canonical(decode_strictly(form.decoder, body))


def decode_strictly(decoder: Any, body: bytes) -> Any:  # noqa: ANN401 - a decoder of any type
    """Decode a JSON body; refuses other texts (`body_malformed`) and what does not fit."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise FieldsInvalid(_sentence(str(error))) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BodyMalformed(f"the body is not JSON: {error}") from error
    except RecursionError as error:
        raise BodyMalformed("the body is nested too deeply") from error


def _sentence(message: str) -> str:
    """Turn msgspec's "Expected `int` >= 1 - at `$.amount`" into "amount: expected `int` >= 1"."""
    what, _, place = message.rpartition(" - at `$")
    if not what:
        return message[:1].lower() + message[1:]
    return f"{place.strip('.`') or 'body'}: {what[:1].lower()}{what[1:]}"
