"""OpenFeature Remote Evaluation Protocol (OFREP) 0.3: features as flags. Takes nothing.

A flag is a feature. A switch that somebody does not have is off; a number or a choice that they
do not have has no value, which tells the client to use its own. `variant` and `errorDetails` are
always there, because clients fail without them.
"""

import hashlib
from collections.abc import Iterable
from typing import Annotated, Any, Final

import msgspec
from anyio import to_thread
from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from farebox.access.catalog.model import Feature, FeatureUnknown
from farebox.access.catalog.service_features import list_features, read_feature
from farebox.contracts.decisions import DecideRequest
from farebox.http.asking import consumer_meant, look, object_in
from farebox.http.deps import AnyRequest, Services
from farebox.http.refusals import RequestMalformed
from farebox.platform.model import LARGEST_PAGE

TAGS = ["Standards"]
FLAGS: Final = "/ofrep/v1/evaluate/flags"
Etag = Annotated[str | None, QueryParameter(name="flagConfigEtag", max_length=256)]
Modified = Annotated[str | None, QueryParameter(name="flagConfigLastModified", max_length=256)]


class NotEvaluated(Exception):
    """The question cannot be answered; says how, in the protocol's words."""

    def __init__(self, code: str, details: str, status: int = 400) -> None:
        super().__init__(details)
        self.code, self.details, self.status = code, details, status

    def response(self, key: str | None) -> Response[bytes]:
        """Return it as the protocol has it."""
        named = {} if key is None else {"key": key}
        return _json({**named, "errorCode": self.code, "errorDetails": self.details}, self.status)


async def _consumer(request: AnyRequest, services: Services) -> str | None:
    """Return who is asked about; None for nobody. Consumers need not say that it is them."""
    try:
        body = await object_in(request)
    except RequestMalformed as refusal:
        raise NotEvaluated("PARSE_ERROR", refusal.detail) from refusal
    context = body.get("context", {})
    if not isinstance(context, dict):
        raise NotEvaluated("INVALID_CONTEXT", "context is an object")
    principal = request.scope["user"]
    name = context.get("targetingKey", principal.id if principal.kind == "consumer" else None)
    if name is None or name == "":
        raise NotEvaluated("TARGETING_KEY_MISSING", "context.targetingKey names the consumer")
    if not isinstance(name, str):
        raise NotEvaluated("INVALID_CONTEXT", "context.targetingKey is a string")
    return await consumer_meant(services, principal, name)


async def _evaluated(
    request: AnyRequest, services: Services, consumer: str | None, features: Iterable[Feature]
) -> list[dict[str, Any]]:
    """Return the flags of one consumer, all as of one decision."""
    found = list(features)
    if consumer is None:
        return [_flag(one, None, "UNKNOWN", "consumer_unknown") for one in found]
    if not found:
        return []
    ask = DecideRequest(mode="check", feature=found[0].code, consumer=consumer)
    made = await look(services, str(request.auth), ask)
    standing = await services.decisions.standing(consumer, None, None)
    if standing is None or made.code == "consumer_unknown":
        return [_flag(one, None, "UNKNOWN", "consumer_unknown") for one in found]
    state = standing.state
    if state.state != "active":
        return [_flag(one, None, "DISABLED", "consumer_suspended") for one in found]
    flags = []
    scopes = request.scope["user"].scopes
    for one in found:
        value = state.features.get(one.code)
        code = "allowed" if value else state.closed.get(one.code, "feature_not_in_plan")
        if value and scopes is not None and one.code not in scopes:
            value, code = None, "scope_missing"
        flags.append(_flag(one, value, "TARGETING_MATCH", code))
    return flags


def _flag(feature: Feature, value: Any, reason: str, code: str) -> dict[str, Any]:  # noqa: ANN401 - a feature's value
    flag = {"key": feature.code, "reason": reason, "metadata": {"code": code, "kind": feature.kind}}
    if feature.kind == "switch":
        on = bool(value)
        return {**flag, "value": on, "variant": "on" if on else "off"}
    if value is None:
        return {**flag, "variant": "none"}
    return {**flag, "value": value, "variant": str(value)}


@post(
    f"{FLAGS}/{{key:str}}",
    operation_id="evaluateFlag",
    tags=TAGS,
    status_code=200,
    include_in_schema=False,
)
async def evaluate_flag(
    key: FromPath[str], request: AnyRequest, services: NamedDependency[Services]
) -> Response[bytes]:
    """Say what a feature is for a consumer (OFREP)."""

    def find() -> Feature:
        with services.database.read() as tx:
            return read_feature(tx, key)

    try:
        consumer = await _consumer(request, services)
        feature = await to_thread.run_sync(find)
    except NotEvaluated as fault:
        return fault.response(key)
    except FeatureUnknown as refusal:
        return NotEvaluated("FLAG_NOT_FOUND", refusal.detail, 404).response(key)
    (flag,) = await _evaluated(request, services, consumer, [feature])
    return _json(flag)


@post(
    FLAGS,
    operation_id="evaluateFlags",
    tags=TAGS,
    status_code=200,
    include_in_schema=False,
)
async def evaluate_flags(
    request: AnyRequest,
    services: NamedDependency[Services],
    etag: Etag = None,  # noqa: ARG001 - clients say what they were told of; the answer is as of now
    modified: Modified = None,  # noqa: ARG001 - as above
) -> Response[bytes]:
    """Say what every feature is for a consumer (OFREP); 304 where nothing has changed."""

    def find() -> list[Feature]:
        found: list[Feature] = []
        cursor: str | None = None
        with services.database.read() as tx:
            while True:
                page = list_features(tx, state="active", after=cursor, limit=LARGEST_PAGE)
                found += page.items
                cursor = page.next
                if cursor is None:
                    return found

    try:
        consumer = await _consumer(request, services)
    except NotEvaluated as fault:
        return fault.response(None)
    features = await to_thread.run_sync(find)
    flags = await _evaluated(request, services, consumer, features)
    made = _json({"flags": flags})
    tag = f'"{hashlib.sha256(made.content).hexdigest()[:32]}"'
    if tag in {each.strip() for each in request.headers.get("if-none-match", "").split(",")}:
        return Response(b"", status_code=304, headers={"ETag": tag})
    made.headers["ETag"] = tag
    return made


def _json(answer: object, status: int = 200) -> Response[bytes]:
    body = msgspec.json.encode(answer)
    return Response(body, status_code=status, media_type="application/json")


HANDLERS = (evaluate_flag, evaluate_flags)
