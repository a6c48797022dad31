"""From what was asked to a command of the ledger, and from its outcome to an answer. Pure."""

import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final

import msgspec

from farebox.access.catalog.model import FeatureValue
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


class Drawn(msgspec.Struct, frozen=True):
    """Where a decision may draw, and what the quota that is drawn first brings in its period."""

    sources: tuple[Source, ...]
    limit: int | None = None
    resets_at: datetime | None = None


class Subject(msgspec.Struct, frozen=True):
    """A consumer's state, prepared for deciding.

    What nearly every decision reads lies together here, and what is alike for many is one object
    for all: with thousands of consumers a decision waits for memory more than for anything else.
    """

    consumer: str
    active: bool
    guards: tuple[tuple[str, int], ...]
    until: int
    drawn: dict[str, Drawn]
    features: dict[str, FeatureValue]
    rates: tuple[Rate, ...]
    state: SubjectState


_NOTHING: Final = Drawn(())


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
    features = tuple((sys.intern(key), type(value), value) for key, value in state.features.items())
    return Subject(
        consumer=state.consumer,
        active=state.state == "active",
        guards=state.guards,
        until=state.until,
        drawn={
            sys.intern(product): _drawn(state, sources)
            for product, sources in state.products.items()
        },
        features=_one_for_all(features),
        rates=state.rates,
        state=state,
    )


# With their types, because True is 1 to Python.
@lru_cache(maxsize=1024)
def _one_for_all(
    features: tuple[tuple[str, type, FeatureValue], ...],
) -> dict[str, FeatureValue]:
    return {key: value for key, _, value in features}


def _drawn(state: SubjectState, sources: Iterable[ProductSource]) -> Drawn:
    found = tuple(source_of(each) for each in sources)
    first = found[0].bucket if found else None
    quota = next((one for one in state.allowances if one.bucket == first), None)
    if quota is None:
        return Drawn(found)
    return Drawn(found, quota.limit, None if quota.resets_at is None else time_of(quota.resets_at))


def drawn_by(subject: Subject, ask: DecideRequest) -> Drawn:
    """Return where a request may draw: all of the consumer's, or the one it names."""
    if ask.product is None:
        return _NOTHING
    if ask.group is None and ask.bucket is None:
        return subject.drawn.get(ask.product, _NOTHING)
    return _drawn(subject.state, _named(subject, ask))


def _named(subject: Subject, ask: DecideRequest) -> tuple[ProductSource, ...]:
    """Return the consumer's sources of a product that are the group's or the bucket's it names."""
    found = () if ask.product is None else subject.state.products.get(ask.product, ())
    if ask.group is None and ask.bucket is None:
        return found
    wanted = None if ask.bucket is None else ids.parse("bkt", ask.bucket)
    return tuple(
        each
        for each in found
        if (ask.group is None or each.group == ask.group)
        and (ask.bucket is None or each.bucket == wanted)
    )


def decision_of(subject: Subject, ask: DecideRequest, drawn: Drawn, outcome: Outcome) -> Decision:
    """Shape the ledger's outcome; what it refused is raised."""
    if isinstance(outcome, Applied):
        check = ask.mode == "check"
        return Decision(
            allowed=True,
            code="allowed",
            operation=None if check else ids.show("op", outcome.operation),
            hold=None if outcome.hold is None else ids.show("hld", outcome.hold),
            consumer=subject.consumer,
            product=ask.product,
            bucket=ids.show("bkt", outcome.bucket),
            quantity=ask.quantity if check else outcome.amount,
            # What only counts overage has no end to tell.
            remaining=None if drawn.sources and drawn.sources[0].spare else outcome.available,
            expires_at=None if outcome.expires_at is None else time_of(outcome.expires_at),
            limit=drawn.limit,
            resets_at=drawn.resets_at,
            feature=ask.feature,
            value=None if ask.feature is None else subject.features.get(ask.feature),
            item=ask.item,
        )
    if isinstance(outcome, Denied):
        empty = outcome.code == "bucket_empty" and drawn.limit is not None
        return Decision(
            allowed=False,
            code=empty_code(_named(subject, ask)) if empty else outcome.code,
            consumer=subject.consumer,
            product=ask.product,
            bucket=None if outcome.bucket is None else ids.show("bkt", outcome.bucket),
            quantity=ask.quantity,
            remaining=outcome.available,
            limit=drawn.limit,
            resets_at=drawn.resets_at,
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
    subject: Subject, holder: Caller | None, ask: DecideRequest, drawn: Drawn
) -> Decision | None:
    """Return the decision that the consumer's state alone gives, before any bucket is looked at.

    `holder` is the credential that the consumer shows, None where an operator speaks for it. None
    means that the ledger decides.
    """
    code = _denied_by(subject, holder, ask, drawn)
    if code is not None:
        return no(ask, code, subject.consumer)
    if ask.product is not None:
        return None
    return Decision(
        allowed=True,
        code="allowed",
        consumer=subject.consumer,
        feature=ask.feature,
        value=None if ask.feature is None else subject.features.get(ask.feature),
        item=ask.item,
    )


def _denied_by(
    subject: Subject, holder: Caller | None, ask: DecideRequest, drawn: Drawn
) -> str | None:
    """Return the code of the first check that fails, in the order that the design gives."""
    if not subject.active:
        return "consumer_suspended"
    if ask.product is not None and not drawn.sources:
        return subject.state.closed.get(ask.product, "no_bucket")
    if ask.feature is not None and not subject.features.get(ask.feature):
        return subject.state.closed.get(ask.feature, "feature_not_in_plan")
    if ask.item is not None and ask.item not in subject.state.items:
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
    found = subject.rates if holder is None else subject.rates + holder.rates
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
            actor=subject.consumer,
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
        actor=subject.consumer,
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
