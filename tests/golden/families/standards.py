"""Standards whose rules need no database: fields, keys, signatures, events, gateways, flags."""

import hashlib
import re
from typing import Any, Final

import msgspec

from farebox.access.catalog.model import Feature, FeatureKind
from farebox.access.flows.visit import Verdict
from farebox.access.usage.model import NotRecorded
from farebox.events.webhooks.rules import read_secret, signatures
from farebox.http.fields import structured_list
from farebox.http.gateways import Answer, _denied, _for_nginx, answer_of, problem_body
from farebox.http.hot import key_in
from farebox.http.problems import STATUS, status_at_gateway
from farebox.http.refusals import FieldsInvalid
from farebox.http.routes.cloudevents import (
    UsageEvent,
    attribute_of,
    mode_of,
    report_of_event,
)
from farebox.http.routes.ofrep import NotEvaluated, _flag
from farebox.http.wire import read_key
from farebox.platform.rules import checksum, hash_credential
from tests.golden.cases import Strange
from tests.golden.standards import Player, Standard

_OLD_STYLE: Final = "not parseable as -11; do not mix names"
_TOLERANCE_S: Final = 300
_PROBLEMS: Final = {
    "quota exceeded": "quota_exceeded",
    "temporary reduced capacity": "decision_unavailable",
}
_ATTRIBUTE: Final = re.compile(r"[a-z0-9]{1,20}")
_KINDS: Final[dict[str, FeatureKind]] = {
    "boolean": "switch", "string": "choice", "integer": "number", "float": "number",
}  # fmt: skip


# -- fields --------------------------------------------------------------------------------------


def _members(items: list[Any]) -> list[tuple[str, dict[str, Any]]]:
    read = []
    for name, parameters in items:
        known = dict(parameters)
        if "pk_utf8" in known:
            known["pk"] = known.pop("pk_utf8").encode()
        read.append((name, known))
    return read


def field_list(case: Standard) -> None:
    given = case.only(case.input, "field", "value")
    if isinstance(case.wanted, dict):
        case.same(case.only(case.wanted, "note")["note"], _OLD_STYLE, "note")
        case.ours("old_rate_limit_fields")
        return
    # What is expected of a reader, our writer writes: the same field but for spaces in the list.
    ours = structured_list(_members(case.wanted))
    case.same(ours, re.sub(r',\s*(?=")', ", ", given["value"]), given["field"])


def field_written(case: Standard) -> None:
    case.same(structured_list(_members(case.input)), case.wanted, "field")


def problem(case: Standard) -> None:
    about = case.only(case.input, "case")["case"]
    if about not in _PROBLEMS:
        raise Strange(f"a problem about {about!r}")
    code = _PROBLEMS[about]
    wanted = case.only(case.wanted, "status", "content-type", "body")
    status = status_at_gateway(code)
    case.same(status, wanted["status"], "status")
    made = _denied(code)
    case.same(dict(made.fields)["Content-Type"], wanted["content-type"], "content-type")
    violated = {name: each for name, each in wanted["body"].items() if name == "violated-policies"}
    body = msgspec.json.decode(problem_body(code, status, facts=violated))
    for name, value in wanted["body"].items():
        case.same(body.get(name), value, name)


def idempotency_key(case: Standard) -> None:
    wanted = case.only(case.wanted, "strict_sf_string", "sf_token", "lenient")
    meant = wanted.get("lenient") or wanted["strict_sf_string"]
    case.same(read_key(case.input), meant, "key")
    case.same(key_in(str(case.input).encode("latin-1")), meant, "key on the hot path")


# -- keys and signatures -------------------------------------------------------------------------


def key_checksum(case: Standard) -> None:
    given = case.only(case.input, "token", "payload")
    body = given.get("payload", given["token"][:-6])
    case.same(checksum(body), case.only(case.wanted, "checksum")["checksum"], "checksum")
    case.same(given["token"].endswith(checksum(body)), True, "token")


def key_hash(case: Standard) -> None:
    token = case.only(case.input, "token")["token"]
    for name, wanted in case.wanted.items():
        if name == "hmac_sha256_hex_pepper_00..1f":
            case.same(hash_credential(bytes(range(32)), token).hex(), wanted, name)
        elif name in {"sha256_hex", "sha256_b64_unkey_style"}:
            plain = hashlib.sha256(token.encode()).digest()
            case.same(hash_credential(bytes(range(32)), token) == plain, False, "a plain digest")
            case.ours("plain_digest")
        else:
            raise Strange(f"a digest {name!r}")


def _signature(given: dict[str, Any]) -> str:
    secret = read_secret(given["secret"])
    return signatures([secret], given["msg_id"], given["timestamp"], given["body"].encode())


def webhook_signed(case: Standard) -> None:
    given = case.only(case.input, "secret", "msg_id", "timestamp", "body")
    ours = {
        "webhook-id": given["msg_id"],
        "webhook-timestamp": str(given["timestamp"]),
        "webhook-signature": _signature(given),
    }
    case.same(ours, case.wanted, "headers")


def webhook_verified(case: Standard) -> None:
    given = case.only(
        case.input, "secret", "msg_id", "timestamp", "now", "body", "webhook-signature"
    )
    wanted = case.only(case.wanted, "valid", "why")
    signed = _signature(given) in given["webhook-signature"].split()
    fresh = abs(given.get("now", given["timestamp"]) - given["timestamp"]) <= _TOLERANCE_S
    case.same(signed and fresh, wanted["valid"], "valid")


def webhook_ed25519(case: Standard) -> None:
    case.only(case.input, "secret_seed_hex", "public", "msg_id", "timestamp", "body")
    case.same(case.wanted["webhook-signature"].startswith("v1a,"), True, "v1a")
    ours = signatures([b"k" * 32], case.input["msg_id"], case.input["timestamp"], b"{}")
    case.same(ours.startswith("v1,"), True, "ours signs as v1")
    case.ours("asymmetric_webhooks")


# -- CloudEvents ---------------------------------------------------------------------------------


def header_encoded(case: Standard) -> None:
    # We read binary events and send structured ones, so what is shown is the way back.
    case.same(attribute_of(case.wanted), case.input, "attribute")


def header_decoded(case: Standard) -> None:
    try:
        ours: str | None = attribute_of(case.input)
    except FieldsInvalid:
        ours = None
    refused = isinstance(case.wanted, dict) and bool(case.only(case.wanted, "error"))
    case.same(ours, None if refused else case.wanted, "attribute")


def event_mode(case: Standard) -> None:
    case.same(mode_of(case.input), case.wanted, "mode")


def _event(fields: dict[str, Any]) -> UsageEvent | None:
    if strange := [name for name in fields if not _ATTRIBUTE.fullmatch(name)]:
        raise Strange(f"{strange} are no names of attributes")
    try:
        return msgspec.convert({"data": {}, **fields}, UsageEvent)
    except msgspec.ValidationError:
        return None


def event_valid(case: Standard) -> None:
    wanted = case.only(case.wanted, "valid", "why", "trap")
    case.same(_event(case.input) is not None, wanted["valid"], "valid")


def event_key(case: Standard) -> None:
    data = {"consumer": "con_ada", "product": "films", "quantity": 1}
    event = _event({"specversion": "1.0", "type": "t", "data": data, **case.input})
    assert event is not None
    report = report_of_event(event, "opr_ada")
    assert not isinstance(report, NotRecorded)
    case.same([report.source, report.event], case.wanted, "key")


# -- gateways ------------------------------------------------------------------------------------


def _ours(status: int) -> Answer | None:
    """Return an answer of ours with this status, None where we never give one."""
    if status == 200:
        return answer_of(Verdict(code="allowed", at_us=0))
    codes = sorted(code for code in STATUS if status_at_gateway(code) == status)
    return _denied(codes[0]) if codes else None


def gateway(case: Standard) -> None:
    """Compare what the client sees, given our own answer and how the gateway carries it."""
    told = case.only(case.input, "auth_service_status")["auth_service_status"]
    source, wanted = case.case.content["source"], case.wanted
    if "grpc" in source:
        case.ours("no_grpc")
        return
    if told in {"timeout", "unreachable", "other"} or not str(told)[:3].isdigit():
        case.ours("gateway_alone")
        return
    status = int(str(told)[:3])
    if "nginx" in source:
        _nginx(case, str(told), status)
        return
    made = _ours(status)
    if made is None:
        case.same(status in {204, 302, 404, 500}, True, f"{status} is never ours")
        case.ours("gateway_alone")
        return
    if wanted == "allow":
        case.same((made.status, made.body), (200, b""), "allowed")
        return
    case.same(made.status, wanted["client"], "status")
    case.same(msgspec.json.decode(made.body)["status"], wanted["client"], "body")


def _nginx(case: Standard, told: str, status: int) -> None:
    """nginx passes 200, 401 and 403 on, and makes 500 of all else: ours never sends that."""
    wanted = case.wanted
    hidden = re.search(r"X-Decision-Status:(\d+)", told)
    if hidden is None:
        made = _ours(status)
        carried = None if made is None else _for_nginx(made)
        if wanted == "allow" or wanted["client"] == status:
            assert carried is not None
            case.same(carried.status, status, "status")
        else:
            case.same(wanted["client"], 500, "what nginx makes of others")
            case.same(carried is None or carried.status in {401, 403}, True, "ours for nginx")
        return
    made = _ours(int(hidden[1]))
    assert made is not None
    carried = _for_nginx(made)
    fields = dict(carried.fields)
    case.same(carried.status, status, "status")
    case.same(fields["X-Decision-Status"], str(wanted["client"]), "the true status")
    case.same(
        msgspec.json.decode(fields["X-Decision-Problem"])["status"], wanted["client"], "problem"
    )


# -- flags ---------------------------------------------------------------------------------------

_REASONS: Final = {"STATIC", "TARGETING_MATCH", "SPLIT", "DISABLED", "UNKNOWN"}


def flag_client(case: Standard) -> None:
    """Compare what a client makes of an answer that is ours, of the kind that is shown."""
    given = case.only(case.input, "type", "http", "body")
    wanted = case.only(case.wanted, "value", "reason", "error", "trap")
    body = given["body"]
    if given["http"] != 200:
        fault = NotEvaluated(body["errorCode"], "told", given["http"]).response(body["key"])
        ours = msgspec.json.decode(fault.content)
        case.same(ours["errorCode"], wanted["error"], "error")
        case.same(bool(ours["errorDetails"]), True, "details, without which the client fails")
        return
    kind = _KINDS[given["type"]]
    feature = Feature(code=body["key"], name="f", kind=kind, state="active", created_at=0)
    ours = _flag(feature, body["value"], "TARGETING_MATCH", "allowed")
    case.same(set(ours) - {"metadata"}, {"key", "value", "reason", "variant"}, "fields")
    if "error" not in wanted:
        case.same(ours["value"], wanted["value"], "value")
        case.same(wanted["reason"] in _REASONS, True, "reason")
        case.same(ours["reason"] in _REASONS, True, "our reason")
    elif wanted["error"] == "TYPE_MISMATCH":
        case.ours("whole_numbers_only")
    else:
        case.same(wanted["error"], "GENERAL", "what the client calls it")
        case.same(wanted["value"], "default", "what the client takes")
        case.same(body["reason"] not in _REASONS, True, "a reason that is no reason")
        case.same(ours["reason"] in _REASONS, True, "our reason")


def not_ours(case: Standard) -> None:
    case.ours("no_x402")


PURE: Final[dict[str, Player]] = {
    "structured_field_list": field_list,
    "structured_field_serialize": field_written,
    "problem": problem,
    "idempotency_key_parse": idempotency_key,
    "api_key_checksum": key_checksum,
    "api_key_hash": key_hash,
    "standard_webhooks_sign": webhook_signed,
    "standard_webhooks_verify": webhook_verified,
    "standard_webhooks_sign_ed25519": webhook_ed25519,
    "ce_header_encode": header_encoded,
    "ce_header_decode": header_decoded,
    "ce_mode": event_mode,
    "ce_validate": event_valid,
    "ce_dedup_key": event_key,
    "edge_status_map": gateway,
    "ofrep_client": flag_client,
    "x402_header": not_ours,
}
