"""Deciding: who asks, what they may draw on, one command to the ledger, the answer.

The event loop never waits for a database. Credentials and consumers' states are kept in memory;
each decision carries the revisions it was made from, and the ledger compares them inside its own
transaction. If one has changed, the answer is "stale": the state is loaded anew and asked again.
So a suspension, a revoked key or a new membership counts for the very next command, on every
process, and no cache can let anything through or keep anything out.

A denial that follows from the state alone (suspended, nothing to draw on) is checked in the same
way, with a request that only recalls: a known key is answered with its first outcome before any
other rule.
"""

import asyncio
import hmac
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec

from farebox.access.decisions.model import Principal, SubjectState
from farebox.access.decisions.service import find_credential, load_subject
from farebox.contracts.decisions import (
    CaptureRequest,
    CaptureResult,
    DecideRequest,
    Decision,
    ReleaseRequest,
    ReleaseResult,
)
from farebox.kernel import ids
from farebox.kernel.amounts import MAX_AMOUNT
from farebox.kernel.clock import SECOND_US
from farebox.kernel.refusals import Refusal, TryAgain, ValueRefused
from farebox.ledger.batch import BucketFault, Lane
from farebox.ledger.model import (
    Applied,
    Capture,
    Command,
    Denied,
    Hold,
    Look,
    Outcome,
    Recall,
    Refused,
    Release,
    Request,
    Source,
    Use,
)
from farebox.ledger.service import digest_of, fingerprint_of
from farebox.platform.model import Permission
from farebox.platform.rules import checksum_ok, may
from farebox.storage import Database, Tx

T = TypeVar("T")
MOST_REMEMBERED: Final = 100_000
UNKNOWN_KEY_SECONDS: Final = 1.0
_ROUNDS: Final = 8
_DOTS: Final = 2  # a JWT has three parts
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_encode = msgspec.msgpack.Encoder().encode
_encode_json = msgspec.json.Encoder().encode
_RECALL: Final = (Recall(),)


class CredentialMissing(Refusal):
    """This needs a credential: send `Authorization: Bearer <key>`."""

    code = "credential_missing"


class CredentialInvalid(Refusal):
    """The credential is unknown, expired or revoked."""

    code = "credential_invalid"


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


class _Subject(msgspec.Struct, frozen=True):
    """A consumer's state, prepared for deciding."""

    state: SubjectState
    sources: dict[str, tuple[Source, ...]]


class Decider:
    """Decisions of one process: its memory of credentials and consumers, and its two lanes."""

    def __init__(
        self,
        database: Database,
        lane: Lane,
        looks: Lane,
        pepper: bytes,
        principal_of_token: Callable[[str], Principal | None] | None = None,
    ) -> None:
        self._database = database
        self._lane = lane
        self._looks = looks
        self._pepper = pepper
        self._principal_of_token = principal_of_token
        self._principals: dict[bytes, Principal] = {}
        self._unknown: dict[bytes, float] = {}
        self._subjects: dict[str, _Subject] = {}
        self.allowed = 0
        self.denied = 0
        self.stale = 0

    # -- who asks --------------------------------------------------------------------------------

    async def principal(self, key: str) -> Principal:
        """Return whose credential this is; refuses (`credential_invalid`) what is not known."""
        digest = self._digest(key)
        found = self._principals.get(digest)
        if found is None or (found.expires_at is not None and found.expires_at <= self._now()):
            found = await self._find_principal(key, digest)
        if found is None:
            raise CredentialInvalid
        return found

    def _digest(self, key: str) -> bytes:
        return hmac.digest(self._pepper, key.encode("utf-8", "surrogatepass"), "sha256")

    def _now(self) -> int:
        return self._database.clock.now_us()

    async def _find_principal(self, key: str, digest: bytes) -> Principal | None:
        self._principals.pop(digest, None)
        if not checksum_ok(key):
            return None
        if self._unknown.get(digest, 0.0) > time.monotonic():
            return None
        found = await asyncio.to_thread(self._load_principal, key, digest)
        if found is None:
            _make_room(self._unknown)
            self._unknown[digest] = time.monotonic() + UNKNOWN_KEY_SECONDS
            return None
        _make_room(self._principals)
        self._principals[digest] = found
        return found

    def _load_principal(self, key: str, digest: bytes) -> Principal | None:
        found = self._read(lambda tx: find_credential(tx, digest))
        if found is None and self._principal_of_token is not None and key.count(".") == _DOTS:
            return self._principal_of_token(key)
        return found

    def _read(self, work: Callable[[Tx], T]) -> T:
        with self._database.read() as tx:
            return work(tx)

    # -- about whom ------------------------------------------------------------------------------

    async def _subject_of(self, principal: Principal, ask: DecideRequest) -> _Subject | Decision:
        """Return the consumer's state, or the denial where there is none to find."""
        if principal.kind == "consumer":
            if ask.credential is not None or ask.consumer not in {None, principal.id}:
                raise ConsumerUnknown
            consumer = principal.id
        elif not may(principal, Permission.DECIDE):
            raise NotAllowed
        elif ask.credential is not None:
            try:
                shown = await self.principal(ask.credential)
            except CredentialInvalid:
                return _no(ask, "account_unknown")
            if shown.kind != "consumer":
                return _no(ask, "account_unknown")
            consumer = shown.id
        elif ask.consumer is not None:
            consumer = ask.consumer
        else:
            raise ValueRefused("name the consumer, or its credential")
        found = self._subjects.get(consumer) or await self._load_subject(consumer)
        return found or _no(ask, "consumer_unknown")

    async def _load_subject(self, consumer: str) -> _Subject | None:
        state = await asyncio.to_thread(self._read, lambda tx: load_subject(tx, consumer))
        if state is None:
            return None
        sources = {
            product: tuple(Source(each.bucket, each.cap) for each in each_product)
            for product, each_product in state.products.items()
        }
        _make_room(self._subjects)
        made = self._subjects[consumer] = _Subject(state, sources)
        return made

    def _sources(self, subject: _Subject, ask: DecideRequest) -> tuple[Source, ...]:
        """Return where this request may draw: all of the consumer's, or the one it names."""
        if ask.group is None and ask.bucket is None:
            return subject.sources.get(ask.product, ())
        wanted = None if ask.bucket is None else ids.parse("bkt", ask.bucket)
        return tuple(
            Source(each.bucket, each.cap)
            for each in subject.state.products.get(ask.product, ())
            if (ask.group is None or each.group == ask.group)
            and (ask.bucket is None or each.bucket == wanted)
        )

    # -- decide ----------------------------------------------------------------------------------

    async def decide(
        self, shown: str, ask: DecideRequest, idempotency_key: str | None = None
    ) -> Decision:
        """Decide for whoever showed this credential. A denial is an answer, not a refusal.

        Refuses a bad credential (`credential_invalid`), a role that may not decide
        (`role_missing`), somebody else's consumer (`consumer_unknown`), another payload under a
        used key (`idempotency_key_reused`).
        """
        for _ in range(_ROUNDS):
            principal = await self.principal(shown)
            subject = await self._subject_of(principal, ask)
            if isinstance(subject, Decision):
                self.denied += 1
                return subject
            guards = ((principal.id, principal.revision), *subject.state.guards)
            sources = self._sources(subject, ask)
            no = _denial_of(subject, ask, sources)
            commands = _RECALL if no is not None else (_command(subject, ask, sources),)
            request = _request(principal, commands, ask, idempotency_key, guards)
            lane = self._looks if no is not None or ask.mode == "check" else self._lane
            outcome = (await lane.submit(request))[0]
            if isinstance(outcome, Refused) and outcome.code == "stale":
                self._forget(principal, subject, ask)
                continue
            if no is not None and isinstance(outcome, Refused) and outcome.code == "key_unknown":
                self.denied += 1
                return no
            return self._answer(subject, ask, outcome)
        raise TryAgain

    def _forget(self, principal: Principal, subject: _Subject, ask: DecideRequest) -> None:
        """Drop what has turned out to be old: the two credentials' owners and the consumer."""
        self.stale += 1
        self._subjects.pop(subject.state.consumer, None)
        gone = {principal.id, subject.state.consumer}
        for digest in [key for key, kept in self._principals.items() if kept.id in gone]:
            del self._principals[digest]
        if ask.credential is not None:
            self._principals.pop(self._digest(ask.credential), None)

    def _answer(self, subject: _Subject, ask: DecideRequest, outcome: Outcome) -> Decision:
        if isinstance(outcome, Applied):
            self.allowed += 1
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
                expires_at=None if outcome.expires_at is None else _time(outcome.expires_at),
            )
        if isinstance(outcome, Denied):
            self.denied += 1
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

    # -- holds -----------------------------------------------------------------------------------

    async def capture(
        self, shown: str, ask: CaptureRequest, idempotency_key: str | None = None
    ) -> CaptureResult:
        """Capture a hold.

        Refuses unknown and resolved holds (`hold_unknown`, `hold_captured` ...) and more than was
        held where the hold says `deny` (`over_capture`).
        """
        hold = _hold_id(ask.hold)
        ttl = None if ask.ttl_seconds is None else ask.ttl_seconds * SECOND_US
        command = Capture(hold=hold, amount=ask.quantity, hold_on=ask.hold_on, ttl_us=ttl)
        done = await self._resolve(shown, command, ask, idempotency_key)
        return CaptureResult(
            hold=ask.hold,
            operation=ids.show("op", done.operation),
            captured=done.amount,
            released=done.released,
            debt=done.debt,
            remaining=done.available,
            next_hold=None if done.hold is None else ids.show("hld", done.hold),
        )

    async def release(
        self, shown: str, ask: ReleaseRequest, idempotency_key: str | None = None
    ) -> ReleaseResult:
        """Give a hold back. Refuses unknown and resolved holds."""
        command = Release(hold=_hold_id(ask.hold))
        done = await self._resolve(shown, command, ask, idempotency_key)
        return ReleaseResult(
            hold=ask.hold,
            operation=ids.show("op", done.operation),
            released=done.released,
            remaining=done.available,
        )

    async def _resolve(
        self,
        shown: str,
        command: Command,
        ask: CaptureRequest | ReleaseRequest,
        idempotency_key: str | None,
    ) -> Applied:
        for _ in range(_ROUNDS):
            principal = await self.principal(shown)
            if not may(principal, Permission.RESOLVE):
                raise NotAllowed
            guards = ((principal.id, principal.revision),)
            request = _request(principal, (command,), ask, idempotency_key, guards)
            outcome = (await self._lane.submit(request))[0]
            if isinstance(outcome, Applied):
                return outcome
            if isinstance(outcome, Refused) and outcome.code == "stale":
                self.stale += 1
                self._principals.pop(self._digest(shown), None)
                continue
            raise refusal_of(outcome)
        raise TryAgain


def refusal_of(outcome: Denied | Refused) -> Refusal:
    """Turn the ledger's "no" into a refusal, for commands whose denial is no decision."""
    if outcome.code == "bucket_fault":
        return BucketFault()
    if isinstance(outcome, Denied):
        return DecisionRefused(Refused(code=outcome.code, detail=None))
    return DecisionRefused(outcome)


def _denial_of(
    subject: _Subject, ask: DecideRequest, sources: tuple[Source, ...]
) -> Decision | None:
    """Return the denial that the consumer's state alone gives, before any bucket is looked at."""
    code = None
    if subject.state.state != "active":
        code = "consumer_suspended"
    elif not sources:
        code = "no_bucket"
    return None if code is None else _no(ask, code, subject.state.consumer)


def _no(ask: DecideRequest, code: str, consumer: str | None = None) -> Decision:
    return Decision(
        allowed=False,
        code=code,
        consumer=consumer,
        product=ask.product,
        quantity=ask.quantity,
        remaining=0,
    )


def _command(subject: _Subject, ask: DecideRequest, sources: tuple[Source, ...]) -> Command:
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


def _request(
    principal: Principal,
    commands: tuple[Command, ...],
    ask: msgspec.Struct,
    idempotency_key: str | None,
    guards: tuple[tuple[str, int], ...],
) -> Request:
    if idempotency_key is None:
        return Request(commands=commands, operations=(ids.mint(),), guards=guards)
    return Request(
        commands=commands,
        operations=(ids.mint(),),
        digest=digest_of(principal.id, idempotency_key),
        fingerprint=fingerprint_of(type(ask).__name__.encode() + _encode(ask)),
        guards=guards,
    )


def _hold_id(text: str) -> int:
    number = ids.parse("hld", text)
    if number is None:
        raise DecisionRefused(Refused(code="hold_unknown"))
    return number


def _time(at_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=at_us)


def _make_room(kept: dict[Any, Any]) -> None:
    """Keep a memory bounded: forget the oldest half when it is full."""
    if len(kept) >= MOST_REMEMBERED:
        for key in list(kept)[: MOST_REMEMBERED // 2]:
            del kept[key]
