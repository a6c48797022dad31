"""From what was asked to a command of the ledger, and from its outcome to an answer. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from farebox.access.decisions.model import SubjectState
from farebox.contracts.decisions import DecideRequest, Decision
from farebox.kernel import ids
from farebox.kernel.amounts import MAX_AMOUNT
from farebox.kernel.clock import SECOND_US
from farebox.kernel.refusals import Refusal
from farebox.ledger.model import (
    Applied,
    Command,
    Denied,
    Hold,
    Look,
    Outcome,
    Refused,
    Request,
    Source,
    Use,
)
from farebox.ledger.running import BucketFault
from farebox.ledger.service import digest_of, fingerprint_of

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_encode = msgspec.msgpack.Encoder().encode
_encode_json = msgspec.json.Encoder().encode


class NotAllowed(Refusal):
    """This credential's roles do not allow this."""

    code = "role_missing"


class ConsumerUnknown(Refusal):
    """There is no such consumer."""

    code = "consumer_unknown"


class DecisionRefused(Refusal):
    """The ledger refused the command."""

    code = "refused"

    def __init__(self, outcome: Refused) -> None:
        super().__init__(outcome.detail)
        self.code = outcome.code  # type: ignore[misc] # the ledger's code is the refusal's
        if outcome.detail is None:
            self.detail = outcome.code.replace("_", " ").capitalize()


class Subject(msgspec.Struct, frozen=True):
    """A consumer's state, prepared for deciding."""

    state: SubjectState
    guards: tuple[tuple[str, int], ...]
    sources: dict[str, tuple[Source, ...]]


def subject_of(state: SubjectState) -> Subject:
    """Prepare a consumer's state."""
    sources = {
        product: tuple(Source(each.bucket, each.cap) for each in drawn)
        for product, drawn in state.products.items()
    }
    return Subject(state, state.guards, sources)


def decision_of(subject: Subject, ask: DecideRequest, outcome: Outcome) -> Decision:
    """Shape the ledger's outcome; what it refused is raised."""
    if isinstance(outcome, Applied):
        check = ask.mode == "check"
        return Decision(
            allowed=True,
            code="allowed",
            operation=None if check else ids.show("op", outcome.operation),
            hold=None if outcome.hold is None else ids.show("hld", outcome.hold),
            consumer=subject.state.consumer,
            product=ask.product,
            bucket=ids.show("bkt", outcome.bucket),
            quantity=ask.quantity if check else outcome.amount,
            remaining=outcome.available,
            expires_at=None if outcome.expires_at is None else time_of(outcome.expires_at),
        )
    if isinstance(outcome, Denied):
        return Decision(
            allowed=False,
            code=outcome.code,
            consumer=subject.state.consumer,
            product=ask.product,
            bucket=None if outcome.bucket is None else ids.show("bkt", outcome.bucket),
            quantity=ask.quantity,
            remaining=outcome.available,
        )
    raise refusal_of(outcome)


def refusal_of(outcome: Denied | Refused) -> Refusal:
    """Turn the ledger's "no" into a refusal, for commands whose denial is no decision."""
    if outcome.code == "bucket_fault":
        return BucketFault()
    if isinstance(outcome, Denied):
        return DecisionRefused(Refused(code=outcome.code, detail=None))
    return DecisionRefused(outcome)


def denial_of(subject: Subject, ask: DecideRequest, sources: tuple[Source, ...]) -> Decision | None:
    """Return the denial that the consumer's state alone gives, before any bucket is looked at."""
    code = None
    if subject.state.state != "active":
        code = "consumer_suspended"
    elif not sources:
        code = "no_bucket"
    return None if code is None else no(ask, code, subject.state.consumer)


def no(ask: DecideRequest, code: str, consumer: str | None = None) -> Decision:
    """Say no."""
    return Decision(
        allowed=False,
        code=code,
        consumer=consumer,
        product=ask.product,
        quantity=ask.quantity,
        remaining=0,
    )


def command_of(subject: Subject, ask: DecideRequest, sources: tuple[Source, ...]) -> Command:
    """Return the command that carries out what was asked."""
    quantity = MAX_AMOUNT if ask.quantity is None else ask.quantity
    if ask.mode == "check":
        return Look(sources=sources, amount=1 if ask.quantity is None else quantity)
    meta = None if ask.metadata is None else _encode_json(ask.metadata).decode()
    if ask.mode == "consume":
        return Use(
            sources=sources,
            amount=quantity,
            at_most=ask.at_most,
            actor=subject.state.consumer,
            product=ask.product,
            meta=meta,
        )
    return Hold(
        sources=sources,
        amount=quantity,
        at_most=ask.at_most or ask.quantity is None,
        ttl_us=None if ask.ttl_seconds is None else ask.ttl_seconds * SECOND_US,
        on_expiry=ask.on_expiry,
        over_capture=ask.over_capture,
        actor=subject.state.consumer,
        product=ask.product,
        meta=meta,
    )


def request_of(
    caller: str,
    commands: tuple[Command, ...],
    ask: msgspec.Struct,
    idempotency_key: str | None,
    guards: tuple[tuple[str, int], ...],
) -> Request:
    """Return the request of these commands; a key belongs to the caller."""
    if idempotency_key is None:
        return Request(commands=commands, operations=(ids.mint(),), guards=guards)
    return Request(
        commands=commands,
        operations=(ids.mint(),),
        digest=digest_of(caller, idempotency_key),
        fingerprint=fingerprint_of(type(ask).__name__.encode() + _encode(ask)),
        guards=guards,
    )


def hold_id(text: str) -> int:
    """Read a hold's id; one that cannot be is unknown (`hold_unknown`)."""
    number = ids.parse("hld", text)
    if number is None:
        raise DecisionRefused(Refused(code="hold_unknown"))
    return number


def time_of(at_us: int) -> datetime:
    """Return an instant as a date and time."""
    return _EPOCH + timedelta(microseconds=at_us)
