"""From what was asked to a command of the ledger, and from its outcome to an answer. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from farebox.access.decisions.model import ProductSource, Rate, SubjectState
from farebox.access.decisions.rules import empty_code, source_of
from farebox.access.flows.callers import Caller
from farebox.contracts.decisions import DecideRequest, Decision
from farebox.kernel import ids
from farebox.kernel.amounts import MAX_AMOUNT
from farebox.kernel.clock import SECOND_US
from farebox.kernel.refusals import Refusal
from farebox.ledger.model import (
    FOREVER,
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

_NO_LIMIT: Final = (None, None)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_encode = msgspec.msgpack.Encoder().encode
_encode_json = msgspec.json.Encoder().encode


class NotAllowed(Refusal):
    """This credential's roles do not allow this."""

    code = "role_missing"


class ConsumerUnknown(Refusal):
    """There is no such consumer."""

    code = "consumer_unknown"


class AskRefused(Refusal):
    """What is asked for does not go together."""

    code = "ask_refused"


class DecisionRefused(Refusal):
    """The ledger refused the command."""

    code = "refused"

    def __init__(self, outcome: Refused) -> None:
        super().__init__(outcome.detail)
        self.code = outcome.code  # type: ignore[misc] # the ledger's code is the refusal's
        if outcome.detail is None:
            self.detail = outcome.code.replace("_", " ").capitalize()


class Subject(msgspec.Struct, frozen=True):
    """A consumer's state, prepared for deciding; `limits` are what quotas bring, by bucket."""

    state: SubjectState
    guards: tuple[tuple[str, int], ...]
    sources: dict[str, tuple[Source, ...]]
    limits: dict[int, tuple[int, datetime | None]]


class Standing(msgspec.Struct, frozen=True):
    """A consumer beside a decision: state, the id of the key shown, and each limit of its rate.

    A rate comes with the calls that it admits now, and the microseconds until the next one is
    admitted or, where some are, until as many as ever are.
    """

    state: SubjectState
    key_id: str | None
    rates: tuple[tuple[Rate, int, int], ...]


def subject_of(state: SubjectState) -> Subject:
    """Prepare a consumer's state."""
    sources = {
        product: tuple(source_of(each) for each in drawn)
        for product, drawn in state.products.items()
    }
    limits = {
        each.bucket: (each.limit, None if each.resets_at is None else time_of(each.resets_at))
        for each in state.allowances
    }
    return Subject(state, state.guards, sources, limits)


def drawn_by(subject: Subject, ask: DecideRequest) -> tuple[ProductSource, ...]:
    """Return where a request may draw: all of the consumer's, or the group or bucket it names."""
    if ask.product is None:
        return ()
    found = subject.state.products.get(ask.product, ())
    if ask.group is None and ask.bucket is None:
        return found
    wanted = None if ask.bucket is None else ids.parse("bkt", ask.bucket)
    return tuple(
        each
        for each in found
        if (ask.group is None or each.group == ask.group)
        and (ask.bucket is None or each.bucket == wanted)
    )


def decision_of(
    subject: Subject, ask: DecideRequest, sources: tuple[Source, ...], outcome: Outcome
) -> Decision:
    """Shape the ledger's outcome; what it refused is raised."""
    limit, resets_at = subject.limits.get(sources[0].bucket, _NO_LIMIT) if sources else _NO_LIMIT
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
            # What only counts overage has no end to tell.
            remaining=None if sources and sources[0].spare else outcome.available,
            expires_at=None if outcome.expires_at is None else time_of(outcome.expires_at),
            limit=limit,
            resets_at=resets_at,
            feature=ask.feature,
            value=None if ask.feature is None else subject.state.features.get(ask.feature),
            item=ask.item,
        )
    if isinstance(outcome, Denied):
        empty = outcome.code == "bucket_empty" and limit is not None
        return Decision(
            allowed=False,
            code=empty_code(drawn_by(subject, ask)) if empty else outcome.code,
            consumer=subject.state.consumer,
            product=ask.product,
            bucket=None if outcome.bucket is None else ids.show("bkt", outcome.bucket),
            quantity=ask.quantity,
            remaining=outcome.available,
            limit=limit,
            resets_at=resets_at,
            feature=ask.feature,
            item=ask.item,
        )
    raise refusal_of(outcome)


def refusal_of(outcome: Denied | Refused) -> Refusal:
    """Turn the ledger's "no" into a refusal, for commands whose denial is no decision."""
    if outcome.code == "bucket_fault":
        return BucketFault()
    if isinstance(outcome, Denied):
        return DecisionRefused(Refused(code=outcome.code, detail=None))
    return DecisionRefused(outcome)


def settled_by_state(
    subject: Subject, holder: Caller | None, ask: DecideRequest, sources: tuple[Source, ...]
) -> Decision | None:
    """Return the decision that the consumer's state alone gives, before any bucket is looked at.

    `holder` is the credential that the consumer shows, None where an operator speaks for it. None
    means that the ledger decides.
    """
    state = subject.state
    code = _denied_by(state, holder, ask, sources)
    if code is not None:
        return no(ask, code, state.consumer)
    if ask.product is not None:
        return None
    return Decision(
        allowed=True,
        code="allowed",
        consumer=state.consumer,
        feature=ask.feature,
        value=None if ask.feature is None else state.features.get(ask.feature),
        item=ask.item,
    )


def _denied_by(
    state: SubjectState, holder: Caller | None, ask: DecideRequest, sources: tuple[Source, ...]
) -> str | None:
    """Return the code of the first check that fails, in the order that the design gives."""
    if state.state != "active":
        return "consumer_suspended"
    if ask.product is not None and not sources:
        return state.closed.get(ask.product, "no_bucket")
    if ask.feature is not None and not state.features.get(ask.feature):
        return state.closed.get(ask.feature, "feature_not_in_plan")
    if ask.item is not None and ask.item not in state.items:
        return "not_entitled"
    if holder is not None and holder.scopes is not None:
        asked = {ask.product, ask.feature, ask.item} - {None}
        if not asked <= holder.scopes:
            return "scope_missing"
    return None


def checked_ask(ask: DecideRequest) -> None:
    """Refuse what asks for nothing, or would take what cannot be drawn (`ask_refused`)."""
    if ask.product is not None:
        return
    if ask.feature is None and ask.item is None:
        raise AskRefused("name a product, a feature or an item")
    if ask.mode != "check":
        raise AskRefused("only a product can be consumed or reserved")


def rates_for(subject: Subject, holder: Caller | None, product: str | None) -> tuple[Rate, ...]:
    """Return the rate limits that count a decision about this product."""
    found = subject.state.rates if holder is None else subject.state.rates + holder.rates
    for each in found:
        if each.product is not None and each.product != product:
            return tuple(one for one in found if one.product is None or one.product == product)
    return found


def limited(ask: DecideRequest, consumer: str, wait_us: int) -> Decision:
    """Say no for so long."""
    denied = no(ask, "rate_limited", consumer)
    return msgspec.structs.replace(denied, retry_after=-(-wait_us // SECOND_US))


def no(ask: DecideRequest, code: str, consumer: str | None = None) -> Decision:
    """Say no."""
    return Decision(
        allowed=False,
        code=code,
        consumer=consumer,
        product=ask.product,
        quantity=None if ask.product is None else ask.quantity,
        remaining=None if ask.product is None else 0,
        feature=ask.feature,
        item=ask.item,
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
    *,
    until: int = FOREVER,
) -> Request:
    """Return the request of these commands; a key belongs to the caller."""
    if idempotency_key is None:
        return Request(commands=commands, operations=(ids.mint(),), guards=guards, until=until)
    return Request(
        commands=commands,
        operations=(ids.mint(),),
        digest=digest_of(caller, idempotency_key),
        fingerprint=fingerprint_of(type(ask).__name__.encode() + _encode(ask)),
        guards=guards,
        until=until,
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
