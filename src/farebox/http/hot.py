"""The hot path: decide, capture and release, answered without the web framework.

Decode, look the caller up in memory, hand one command to the ledger's lane, write the answer. The
same `Decider` stands behind the framework's routes of the same paths, which exist for the OpenAPI
document, for servers without this front, and for what is not to be answered here (`http.front`).
"""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

import msgspec
import structlog

from farebox.access.flows.decide import Decider, Tell, when_done
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
    ContentTypeRefused,
    CredentialAmbiguous,
    CredentialMissing,
    FieldsInvalid,
    InternalFault,
)
from farebox.kernel.refusals import Refusal

LARGEST_BODY: Final = 2**20
_JSON: Final = b"content-type: application/json\r\ncache-control: no-store\r\n"
_PROBLEM: Final = b"content-type: application/problem+json\r\ncache-control: no-store\r\n"
_log = structlog.get_logger("farebox.http")
_encode = msgspec.json.Encoder(decimal_format="string").encode
Headers = Mapping[bytes, bytes]
Reply = Callable[[int, bytes, bytes], None]
"""Takes the status, header lines ready to be sent, and the body; never raises."""
Body = bytes | bytearray
HotRoute = Callable[[Headers, Body, Reply], None]
"""Takes the headers by their names in lower case, the body, and what carries the answer."""
_Work = Callable[[str, Any, str | None], Coroutine[Any, Any, msgspec.Struct]]
_AtOnce = Callable[[str, Any, str | None, Tell], bool]


def hot_routes(decider: Decider) -> dict[bytes, HotRoute]:
    """Return what answers POST at some paths in front of the framework."""
    return {
        DECIDE_PATH.encode(): _route(DecideRequest, decider.decide, decider.decide_at_once),
        CAPTURE_PATH.encode(): _route(CaptureRequest, decider.capture),
        RELEASE_PATH.encode(): _route(ReleaseRequest, decider.release),
    }


def _route(kind: type[msgspec.Struct], work: _Work, at_once: _AtOnce | None = None) -> HotRoute:
    decode = msgspec.json.Decoder(kind).decode

    def answer(headers: Headers, body: Body, reply: Reply) -> None:
        def tell(said: msgspec.Struct | Exception) -> None:
            if isinstance(said, Exception):
                refuse(said, reply)
            else:
                reply(200, _JSON, _encode(said))

        try:
            shown = credential_in(headers)
            ask = decode(json_in(headers, body))
            key = key_in(headers.get(b"idempotency-key"))
            if at_once is None or not at_once(shown, ask, key, tell):
                when_done(work(shown, ask, key), tell)
        except Exception as error:  # noqa: BLE001 - a fault of ours must not end the worker
            tell(error)

    return answer


def credential_in(headers: Headers) -> str:
    """Return the credential that a request shows; refuses none (`credential_missing`) and two."""
    bearer, key = headers.get(b"authorization"), headers.get(b"x-api-key")
    if bearer is not None and key is not None:
        raise CredentialAmbiguous
    if bearer is not None and bearer[:7].lower() == b"bearer ":
        return bearer[7:].strip().decode("latin-1")
    if key is not None:
        return key.decode("latin-1")
    raise CredentialMissing


def json_in(headers: Headers, body: Body) -> Body:
    """Return a body that says it is JSON; refuses others (`content_type_refused`)."""
    if not headers.get(b"content-type", b"").startswith(b"application/json"):
        raise ContentTypeRefused
    return body


def key_in(given: bytes | None) -> str | None:
    """Return an Idempotency-Key, quoted (a structured field) or bare, or None."""
    if given is None:
        return None
    key = given.decode("latin-1")
    return key[1:-1] if len(key) > 1 and key[0] == key[-1] == '"' else key


def refuse(error: Exception, reply: Reply) -> None:
    """Answer what was refused, or has failed, with its problem."""
    if isinstance(error, msgspec.ValidationError):
        error = FieldsInvalid(str(error))
    elif isinstance(error, (msgspec.DecodeError, UnicodeDecodeError, RecursionError)):
        error = BodyMalformed(str(error))
    elif not isinstance(error, Refusal):
        _log.error("request_failed", exc_info=error)
        error = InternalFault()
    status, body = problem(error)
    more = [f"{name.lower()}: {value}\r\n".encode() for name, value in headers_of(status)]
    reply(status, b"".join([_PROBLEM, *more]), body)
