"""OpenID AuthZEN Authorization API 1.0: evaluation, evaluations, and where they are.

A subject of type `api_key` is a consumer's key; `user`, `customer`, `consumer` and `identity` are
a consumer's id, or what an issuer calls them. A resource is a `feature`, a `product` (the action's
property `quantity`), an `item`, or a `route` of the gateways' table, whose method the action is.
Of any other type a decision needs the feature `type:id:action`, so a plan or a right may say that
somebody may `read` the `record` 1. What a caller claims of somebody in `properties` decides
nothing. A denial is 200 with `decision: false`; what Farebox knows stands in `context.access`
(`context.obligations` is reserved).
"""

import re
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from msgspec import Meta

from farebox.access.gateways.model import Call
from farebox.contracts.decisions import LARGEST_QUANTITY, DecideRequest, Decision
from farebox.http.asking import consumer_meant, look, object_in
from farebox.http.deps import AnyRequest, Services
from farebox.http.refusals import RequestMalformed
from farebox.http.roles import PUBLIC
from farebox.http.wire import View

TAGS = ["Standards"]
EVALUATION: Final = "/access/v1/evaluation"
EVALUATIONS: Final = "/access/v1/evaluations"
MOST_EVALUATIONS: Final = 1_000
USES: Final = frozenset({"access", "call", "consume", "read", "use"})
PEOPLE: Final = frozenset({"consumer", "customer", "identity", "user"})
_CODE: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_QUANTITY: Final = re.compile(r"[1-9][0-9]{0,15}")
Filled = Annotated[str, Meta(min_length=1, max_length=2_048)]
Semantic = Literal["execute_all", "deny_on_first_deny", "permit_on_first_permit"]


class Entity(msgspec.Struct, frozen=True):
    """A subject or a resource."""

    type: Filled
    id: Filled
    properties: dict[str, Any] = msgspec.field(default_factory=dict)


class Action(msgspec.Struct, frozen=True):
    """What would be done."""

    name: Filled
    properties: dict[str, Any] = msgspec.field(default_factory=dict)


class Evaluation(msgspec.Struct, frozen=True):
    """One question; fields that the standard does not know are ignored, as it asks."""

    subject: Entity
    action: Action
    resource: Entity
    context: dict[str, Any] = msgspec.field(default_factory=dict)


class Options(msgspec.Struct, frozen=True):
    """How a batch is answered."""

    evaluations_semantic: Semantic = "execute_all"


class AuthzenConfiguration(View, frozen=True):
    """Where decisions are asked for."""

    policy_decision_point: str
    access_evaluation_endpoint: str
    access_evaluations_endpoint: str


class Asker:
    """Who asks, with what answers."""

    def __init__(self, request: AnyRequest, services: Services) -> None:
        self._principal = request.scope["user"]
        self._shown = str(request.auth)
        self._services = services

    async def answer(self, asked: Evaluation) -> dict[str, Any]:
        """Return the answer to one question."""
        decision = await self._decide(asked)
        known = msgspec.to_builtins(decision)
        access = {name: value for name, value in known.items() if value is not None}
        return {"decision": decision.allowed, "context": {"access": access}}

    async def _decide(self, asked: Evaluation) -> Decision:
        wanted = await self._wanted(asked)
        if isinstance(wanted, str):
            return Decision(allowed=False, code=wanted)
        credential, consumer = None, None
        if asked.subject.type == "api_key":
            credential = asked.subject.id
        elif asked.subject.type in PEOPLE:
            consumer = await consumer_meant(self._services, self._principal, asked.subject.id)
        if credential is None and consumer is None:
            return Decision(allowed=False, code="consumer_unknown")
        ask = msgspec.structs.replace(wanted, credential=credential, consumer=consumer)
        return await look(self._services, self._shown, ask)

    async def _wanted(self, asked: Evaluation) -> DecideRequest | str:
        """Return what is asked for, or the code of the denial where it is nothing of ours."""
        kind, code, action = asked.resource.type, asked.resource.id, asked.action.name
        if kind == "route":
            return await self._of_route(asked)
        if kind in {"feature", "product", "item"}:
            if action not in USES or not _CODE.fullmatch(code):
                return "not_entitled"
            if kind == "product":
                quantity = _quantity(asked.action.properties.get("quantity", 1))
                return DecideRequest(mode="check", product=code, quantity=quantity)
            if kind == "item":
                return DecideRequest(mode="check", item=code)
            return DecideRequest(mode="check", feature=code)
        feature = f"{kind}:{code}:{action}"
        if not _CODE.fullmatch(feature):
            return "not_entitled"
        return DecideRequest(mode="check", feature=feature)

    async def _of_route(self, asked: Evaluation) -> DecideRequest | str:
        host = asked.resource.properties.get("host", "")
        call = Call(host=str(host), method=asked.action.name, uri=asked.resource.id)
        route = (await self._services.gatekeeper.routes()).route_of(call)
        # An open route asks for nobody's rights, so there is nothing to decide about.
        if route is None or route.mode == "open":
            return "route_unknown"
        return DecideRequest(
            mode="check", product=route.product, feature=route.feature, quantity=route.quantity
        )


def _quantity(value: object) -> int:
    """Read a quantity: a whole number, or the same as a text, as the profile writes it."""
    text = str(value) if type(value) is int else value
    if not isinstance(text, str) or not _QUANTITY.fullmatch(text) or int(text) > LARGEST_QUANTITY:
        raise RequestMalformed("action.properties.quantity: is a whole number from 1 on")
    return int(text)


def read_evaluation(fields: dict[str, Any]) -> Evaluation:
    """Return a question; refuses (`request_malformed`) what is missing or of another type."""
    try:
        return msgspec.convert(fields, Evaluation)
    except msgspec.ValidationError as error:
        raise RequestMalformed(str(error)) from error


@post(
    EVALUATION,
    operation_id="evaluateAccess",
    tags=TAGS,
    status_code=200,
    include_in_schema=False,
)
async def evaluate(request: AnyRequest, services: NamedDependency[Services]) -> Response[bytes]:
    """Say whether a subject may do something with a resource (AuthZEN); takes nothing."""
    asked = read_evaluation(await object_in(request))
    return _json(await Asker(request, services).answer(asked))


@post(
    EVALUATIONS,
    operation_id="evaluateAccessEach",
    tags=TAGS,
    status_code=200,
    include_in_schema=False,
)
async def evaluate_each(
    request: AnyRequest, services: NamedDependency[Services]
) -> Response[bytes]:
    """Answer several such questions in their order; without any, the one that is asked outside."""
    fields = await object_in(request)
    asker = Asker(request, services)
    parts = fields.get("evaluations")
    if parts is None or parts == []:
        return _json(await asker.answer(read_evaluation(fields)))
    if not isinstance(parts, list) or len(parts) > MOST_EVALUATIONS:
        raise RequestMalformed(f"evaluations: is a list of at most {MOST_EVALUATIONS}")
    try:
        options = msgspec.convert(fields.get("options", {}), Options)
    except msgspec.ValidationError as error:
        raise RequestMalformed(f"options: {error}") from error
    stop = {"deny_on_first_deny": False, "permit_on_first_permit": True}.get(
        options.evaluations_semantic
    )
    answers = []
    for part in parts:
        answers.append(await _answer_part(asker, fields, part))
        if answers[-1]["decision"] is stop:
            break
    return _json({"evaluations": answers})


async def _answer_part(asker: Asker, outside: dict[str, Any], part: object) -> dict[str, Any]:
    """Answer one of several; what is wrong with it denies it and nobody else."""
    if not isinstance(part, dict):
        return _wrong("an evaluation is an object")
    names = ("subject", "action", "resource", "context")
    merged = {name: part.get(name, outside.get(name)) for name in names}
    try:
        asked = read_evaluation({name: one for name, one in merged.items() if one is not None})
        return await asker.answer(asked)
    except RequestMalformed as refusal:
        return _wrong(refusal.detail)


def _wrong(message: str) -> dict[str, Any]:
    return {"decision": False, "context": {"error": {"status": 400, "message": message}}}


def _json(answer: object) -> Response[bytes]:
    return Response(msgspec.json.encode(answer), media_type="application/json")


@get(
    "/.well-known/authzen-configuration",
    operation_id="readAuthzenConfiguration",
    tags=TAGS,
    opt=PUBLIC,
    sync_to_thread=False,
)
def read_configuration(services: NamedDependency[Services]) -> AuthzenConfiguration:
    """Tell where decisions are asked for (AuthZEN)."""
    base = services.issuer.rstrip("/")
    return AuthzenConfiguration(
        policy_decision_point=base,
        access_evaluation_endpoint=base + EVALUATION,
        access_evaluations_endpoint=base + EVALUATIONS,
    )


HANDLERS = (evaluate, evaluate_each, read_configuration)
