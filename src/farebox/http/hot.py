"""The hot path: decide, capture and release, answered without the web framework.

Decode, look the caller up in memory, hand one command to the ledger's lane, write the answer. The
same `Decider` stands behind the framework's routes of the same paths, which exist for the OpenAPI
document and for servers without this front.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
import structlog

from farebox.access.flows.decide import Decider
from farebox.contracts.decisions import (
    CAPTURE_PATH,
    DECIDE_PATH,
    RELEASE_PATH,
    CaptureRequest,
    DecideRequest,
    ReleaseRequest,
)
from farebox.http.problems import headers_of, problem
from farebox.http.refusals import (
    BodyMalformed,
    BodyTooLarge,
    ContentTypeRefused,
    CredentialAmbiguous,
    CredentialMissing,
    FieldsInvalid,
    InternalFault,
)
from farebox.http.rsgi import Exchange, Headers, HotRoute
from farebox.kernel.refusals import Refusal

LARGEST_BODY: Final = 2**20
_JSON: Final[Headers] = [("content-type", "application/json"), ("cache-control", "no-store")]
_PROBLEM: Final[Headers] = [
    ("content-type", "application/problem+json"),
    ("cache-control", "no-store"),
]
_log = structlog.get_logger("farebox.http")
_encode = msgspec.json.Encoder(decimal_format="string").encode
_Work = Callable[[str, Any, str | None], Awaitable[msgspec.Struct]]


def hot_routes(decider: Decider) -> dict[tuple[str, str], HotRoute]:
    """Return the routes that answer in front of the framework."""
    routes: dict[tuple[str, str], HotRoute] = {}
    for path, kind, work in (
        (DECIDE_PATH, DecideRequest, decider.decide),
        (CAPTURE_PATH, CaptureRequest, decider.capture),
        (RELEASE_PATH, ReleaseRequest, decider.release),
    ):
        routes["POST", path] = _route(kind, work)
    return routes


def _route(kind: type[msgspec.Struct], work: _Work) -> HotRoute:
    decode = msgspec.json.Decoder(kind).decode

    async def answer(scope: Any, exchange: Exchange) -> None:  # noqa: ANN401 - Granian's scope
        headers = scope.headers
        try:
            shown = credential_in(headers)
            body = await _body(headers, exchange)
            result = await work(shown, decode(body), key_in(headers))
        except Refusal as refusal:
            _send(exchange, refusal)
        except msgspec.ValidationError as error:
            _send(exchange, FieldsInvalid(str(error)))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            _send(exchange, BodyMalformed(str(error)))
        except Exception:  # noqa: BLE001 - a fault of ours must not end the worker
            _log.exception("request_failed", path=scope.path)
            _send(exchange, InternalFault())
        else:
            exchange.response_bytes(200, _JSON, _encode(result))

    return answer


async def _body(headers: Any, exchange: Exchange) -> bytes:  # noqa: ANN401 - Granian's headers
    """Return the body.

    Refuses one that is larger than any request of ours (`body_too_large`) and one that does not
    say it is JSON (`content_type_refused`).
    """
    if not headers.get("content-type", "").startswith("application/json"):
        raise ContentTypeRefused
    length = headers.get("content-length")
    if length is not None:
        if int(length) > LARGEST_BODY:
            raise BodyTooLarge
        return await exchange()
    chunks = bytearray()
    async for chunk in exchange:
        chunks += chunk
        if len(chunks) > LARGEST_BODY:
            raise BodyTooLarge
    return bytes(chunks)


def credential_in(headers: Any) -> str:  # noqa: ANN401 - any mapping of lower-case names
    """Return the credential that a request shows; refuses none (`credential_missing`) and two."""
    bearer, key = headers.get("authorization"), headers.get("x-api-key")
    if bearer is not None and key is not None:
        raise CredentialAmbiguous
    if bearer is not None and bearer[:7].lower() == "bearer ":
        return str(bearer[7:].strip())
    if key is not None:
        return str(key)
    raise CredentialMissing


def key_in(headers: Any) -> str | None:  # noqa: ANN401 - as above
    """Return the Idempotency-Key, quoted (a structured field) or bare, or None."""
    key = headers.get("idempotency-key")
    if key is not None and len(key) > 1 and key[0] == key[-1] == '"':
        return str(key[1:-1])
    return None if key is None else str(key)


def _send(exchange: Exchange, refusal: Refusal) -> None:
    status, body = problem(refusal)
    more = [(name.lower(), value) for name, value in headers_of(status)]
    exchange.response_bytes(status, [*_PROBLEM, *more], body)
