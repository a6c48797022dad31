"""Answers to other people's gateways: Traefik, Caddy, APISIX, HAProxy, nginx, Envoy.

Each address reads one family of headers and no other, because gateways send on whatever a client
made up. Allowed is 200 without a body, and nothing else (Envoy hands any other 2xx to the client);
every identity header is on it, since a gateway that misses one lets the client's own through. A
denial is 401, 402, 403 or 429; 5xx says "I do not know". nginx knows only 401 and 403, so it
gets the true status and the problem in headers as well.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import msgspec
import structlog

from farebox.access.flows.asks import NotAllowed
from farebox.access.flows.visit import Gatekeeper, GatewayUnknown, Verdict
from farebox.access.gateways.model import Call
from farebox.contracts.problems import PROBLEM_MEDIA_TYPE
from farebox.http.fields import (
    Fields,
    Policy,
    ascii_value,
    challenge,
    rate_limit_fields,
)
from farebox.http.metrics import Metrics
from farebox.http.problems import sentence_of, status_at_gateway
from farebox.http.wire import read_time
from farebox.kernel.clock import SECOND_US
from farebox.kernel.ids import record_id
from farebox.kernel.refusals import Refusal

GATEWAY_KEY: Final = "x-gateway-key"
ANONYMOUS: Final = "anonymous"
FORWARD_AUTH: Final = "/v1/edge/forward-auth"
NGINX: Final = "/v1/edge/nginx"
ENVOY: Final = "/v1/edge/envoy"
# The problem types that the draft about RateLimit registers, by the status they come with.
_IANA: Final = "https://iana.org/assignments/http-problem-types"
_TYPES: Final = {
    429: (
        f"{_IANA}#quota-exceeded",
        "Request cannot be satisfied as assigned quota has been exceeded",
    ),
    503: (
        f"{_IANA}#temporary-reduced-capacity",
        "Request cannot be satisfied due to temporary server capacity constraints",
    ),
}
_UNAVAILABLE: Final = "decision_unavailable"
_NO_STORE: Final = ("Cache-Control", "no-store")
_log = structlog.get_logger("farebox.http")
Many = Mapping[str, list[str]]


class Answer(msgspec.Struct, frozen=True):
    """A status, fields and a body."""

    status: int
    fields: Fields
    body: bytes = b""


class Asked(msgspec.Struct, frozen=True):
    """A request of a gateway: its own method and path, and its headers by lower-case name."""

    method: str
    path: str
    headers: Many

    def one(self, name: str) -> str | None:
        """Return a header; None where it is missing or stands twice, so that nobody may choose."""
        found = self.headers.get(name, [])
        return found[0] if len(found) == 1 else None


def _forwarded(asked: Asked) -> Call | None:
    return _call(
        asked, asked.one("x-forwarded-host") or "", asked.one("x-forwarded-method"),
        asked.one("x-forwarded-uri"),
    )  # fmt: skip


def _original(asked: Asked) -> Call | None:
    # nginx always sets Host itself; X-Original-Host it sends on as the client made it up.
    return _call(
        asked, asked.one("host") or "", asked.one("x-original-method"), asked.one("x-original-uri")
    )


def _own(asked: Asked) -> Call | None:
    return _call(asked, asked.one("host") or "", asked.method, asked.path.removeprefix(ENVOY))


def _call(asked: Asked, host: str, method: str | None, uri: str | None) -> Call | None:
    if method is None or uri is None:
        return None
    asks_before = method == "OPTIONS" and "access-control-request-method" in asked.headers
    return Call(host=host, method=method, uri=uri, preflight=asks_before)


_READERS: Final[Mapping[str, Callable[[Asked], Call | None]]] = {
    FORWARD_AUTH: _forwarded,
    NGINX: _original,
    ENVOY: _own,
}


def gate_of(path: str) -> str | None:
    """Return which of the gateways' addresses a path is, or None."""
    if path in {FORWARD_AUTH, NGINX, ENVOY}:
        return path
    return ENVOY if path.startswith(f"{ENVOY}/") else None


async def answer(keeper: Gatekeeper, metrics: Metrics, gate: str, asked: Asked) -> Answer:
    """Answer a gateway. A fault of ours is no denial: 503, and the gateway does as it was told."""
    call = _READERS[gate](asked) or Call(host="", method="", uri="")
    try:
        verdict = await keeper.judge(asked.one(GATEWAY_KEY), call, credentials_in(asked.headers))
    except (GatewayUnknown, NotAllowed) as refusal:
        made = _denied(refusal.code, detail=refusal.detail)
    except Refusal as refusal:
        _log.warning("gateway_not_answered", code=refusal.code)
        made = _denied(_UNAVAILABLE)
    except Exception:  # noqa: BLE001 - a fault of ours is an answer to a gateway too
        _log.exception("gateway_failed", gate=gate)
        made = _denied(_UNAVAILABLE)
    else:
        mode = "check" if verdict.route is None else verdict.route.mode
        metrics.decided(mode=mode, code=verdict.code)
        made = answer_of(verdict)
    return _for_nginx(made) if gate == NGINX else made


def credentials_in(headers: Many) -> list[str]:
    """Return the credentials that a call shows; a scheme that is not Bearer is shown as it is."""
    found = []
    for value in headers.get("authorization", []):
        scheme, _, rest = value.strip().partition(" ")
        found.append(rest.strip() if scheme.lower() == "bearer" else value.strip())
    found += [value.strip() for value in headers.get("x-api-key", [])]
    return [each for each in found if each]


def answer_of(verdict: Verdict) -> Answer:
    """Return what a verdict is on the wire."""
    policies = policies_of(verdict)
    cost = None if verdict.route is None or not verdict.route.product else verdict.route.quantity
    told = rate_limit_fields(policies, cost=cost, now_s=verdict.at_us // SECOND_US)
    if verdict.allowed:
        return Answer(200, [_NO_STORE, *_identity(verdict), *told])
    return _denied(verdict.code, verdict=verdict, policies=policies, told=told)


def policies_of(verdict: Verdict) -> list[Policy]:
    """Return the limits that counted: the quota or the bucket, and each limit of a rate."""
    found: list[Policy] = []
    decision = verdict.decision
    if decision is not None and decision.remaining is not None:
        if decision.limit is not None:
            resets = _seconds_until(decision.resets_at, verdict.at_us)
            found.append(
                Policy(name="quota", left=decision.remaining, quota=decision.limit, resets=resets)
            )
        elif decision.code in {"allowed", "bucket_empty"} and decision.product is not None:
            found.append(Policy(name="bucket", left=decision.remaining))
    names: dict[str, int] = {}
    for rate, calls, ahead_us in () if verdict.standing is None else verdict.standing.rates:
        name = f"{rate.product or 'calls'}-{rate.seconds}s"
        count = names[name] = names.get(name, 0) + 1
        found.append(
            Policy(
                name=name if count == 1 else f"{name}-{count}",
                left=calls,
                quota=rate.most,
                window=rate.seconds,
                resets=-(-ahead_us // SECOND_US),
            )
        )
    return found


def _seconds_until(moment: datetime | None, now_us: int) -> int | None:
    return None if moment is None else max(-(-(read_time(moment) - now_us) // SECOND_US), 1)


def _identity(verdict: Verdict) -> Fields:
    """Return who calls, in the names that Kong gave; every one of them, each time."""
    decision, standing = verdict.decision, verdict.standing
    state = None if standing is None else standing.state
    consumer = None if decision is None else decision.consumer
    operation = None if decision is None else decision.operation
    groups = "" if state is None else ",".join(ascii_value(one) for one in state.groups)
    values = {
        "X-Consumer-ID": consumer,
        "X-Consumer-Custom-ID": None if state is None else state.subject,
        "X-Consumer-Username": None if state is None else state.name,
        "X-Credential-Identifier": None if standing is None else standing.key_id,
    }
    fields = [(name, ascii_value(value or ANONYMOUS)) for name, value in values.items()]
    fields += [
        ("X-Consumer-Groups", groups or ANONYMOUS),
        ("X-Anonymous-Consumer", "true" if consumer is None else "false"),
        ("X-Decision-ID", operation or record_id("dec")),
    ]
    if decision is not None and decision.hold is not None:
        fields.append(("X-Reservation-ID", decision.hold))
    return fields


def _denied(
    code: str,
    *,
    detail: str | None = None,
    verdict: Verdict | None = None,
    policies: list[Policy] | None = None,
    told: Fields | None = None,
) -> Answer:
    """Return a denial: its status, a problem, and when or how another try can help."""
    status = status_at_gateway(code)
    if code == "bucket_empty" and verdict is not None and verdict.route is not None:
        status = verdict.route.empty_status
    facts = _facts(code, verdict, policies or [])
    fields = [_NO_STORE, ("Content-Type", PROBLEM_MEDIA_TYPE), *(told or [])]
    if status == HTTPStatus.UNAUTHORIZED:
        missing = code == "credential_missing"
        fields.append(("WWW-Authenticate", challenge(None if missing else "invalid_token")))
    elif code == "scope_missing":
        fields.append(("WWW-Authenticate", challenge("insufficient_scope")))
    wait = 1 if code == _UNAVAILABLE else _wait(verdict, policies or [])
    if wait is not None:
        fields.append(("Retry-After", str(wait)))
    return Answer(status, fields, problem_body(code, status, detail=detail, facts=facts))


def problem_body(
    code: str, status: int, *, detail: str | None = None, facts: Mapping[str, Any] | None = None
) -> bytes:
    """Return the problem of a denial (RFC 9457): one line of ASCII, for nginx to carry on."""
    kind, title = _TYPES.get(status, ("about:blank", HTTPStatus(status).phrase))
    body = {
        "type": kind,
        "title": title,
        "status": status,
        "code": code,
        "detail": detail or sentence_of(code),
        **(facts or {}),
    }
    return json.dumps(body, separators=(",", ":")).encode()


def _facts(code: str, verdict: Verdict | None, policies: list[Policy]) -> dict[str, Any]:
    """Return what a problem tells the customer: only of what is theirs."""
    decision = None if verdict is None else verdict.decision
    if decision is None:
        return {}
    assert verdict is not None
    asked: dict[str, Any] = {"product": decision.product, "feature": decision.feature}
    if decision.product is not None:
        asked |= {"cost": decision.quantity, "remaining": decision.remaining}
    if code == "quota_exceeded" and decision.resets_at is not None:
        asked["resets_at"] = msgspec.to_builtins(decision.resets_at)
    found = {name: value for name, value in asked.items() if value is not None}
    if violated := _violated(code, policies):
        found["violated-policies"] = violated
    return found


def _violated(code: str, policies: list[Policy]) -> list[str]:
    if code == "quota_exceeded":
        return [one.name for one in policies if one.name == "quota"]
    if code == "rate_limited":
        return [one.name for one in policies if one.window is not None and not one.left]
    return []


def _wait(verdict: Verdict | None, policies: list[Policy]) -> int | None:
    """Return the seconds after which the same call may be allowed, where that is known."""
    if verdict is None or verdict.decision is None:
        return None
    if verdict.code == "rate_limited":
        told = [one.resets or 0 for one in policies if one.window is not None and not one.left]
        return max(verdict.decision.retry_after or 1, *told, 1)
    if verdict.code == "quota_exceeded":
        return next((one.resets for one in policies if one.name == "quota"), None)
    return None


def _for_nginx(made: Answer) -> Answer:
    """Return an answer as nginx carries it: it turns everything but 200, 401 and 403 into 500."""
    if made.status == HTTPStatus.OK:
        return made
    more = [("X-Decision-Status", str(made.status)), ("X-Decision-Problem", made.body.decode())]
    status = 401 if made.status == HTTPStatus.UNAUTHORIZED else 403
    return Answer(status, [*made.fields, *more], made.body)


async def answer_asgi(
    keeper: Gatekeeper,
    metrics: Metrics,
    gate: str,
    scope: Any,  # noqa: ANN401 - ASGI's own
    send: Any,  # noqa: ANN401 - ASGI's own
) -> None:
    """Answer a gateway over ASGI."""
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    raw = scope.get("raw_path")
    path = quote(scope["path"]) if raw is None else raw.decode("latin-1")
    made = await answer(keeper, metrics, gate, Asked(scope["method"], path, headers))
    fields = [(name.lower().encode(), value.encode("latin-1")) for name, value in made.fields]
    fields.append((b"content-length", str(len(made.body)).encode()))
    await send({"type": "http.response.start", "status": made.status, "headers": fields})
    await send({"type": "http.response.body", "body": made.body})
