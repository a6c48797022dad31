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
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from farebox.access.decisions.model import Rate, SubjectState
from farebox.access.decisions.service_subjects import load_subject
from farebox.access.flows.asks import (
    ConsumerUnknown,
    Drawn,
    NotAllowed,
    Standing,
    Subject,
    checked_ask,
    command_of,
    decision_of,
    drawn_by,
    hold_id,
    limited,
    no,
    rates_for,
    refusal_of,
    request_of,
    settled_by_state,
    subject_of,
)
from farebox.access.flows.callers import Caller, Callers, CredentialInvalid, make_room
from farebox.access.flows.rates import RateCounter
from farebox.contracts.decisions import (
    CaptureRequest,
    CaptureResult,
    DecideRequest,
    Decision,
    ReleaseRequest,
    ReleaseResult,
)
from farebox.kernel import ids
from farebox.kernel.clock import SECOND_US
from farebox.kernel.refusals import TryAgain
from farebox.ledger.batch import Queue
from farebox.ledger.model import (
    Applied,
    Capture,
    Command,
    Outcome,
    Recall,
    Refused,
    Release,
    Request,
)
from farebox.storage import Database

_ROUNDS: Final = 8
_RECALL: Final = (Recall(),)
Tell = Callable[[msgspec.Struct | Exception], None]
_tasks: set["asyncio.Task[Any]"] = set()


class _Step(NamedTuple):
    """One try of a decision: what was asked, of whom it is, and what the ledger shall do."""

    ask: DecideRequest
    subject: Subject
    drawn: Drawn
    settled: Decision | None
    request: Request
    queue: Queue


class Decider:
    """Decisions of one process: its memory of callers and consumers, and its two lanes."""

    def __init__(self, database: Database, lane: Queue, looks: Queue, callers: Callers) -> None:
        self._database = database
        self._lane = lane
        self._looks = looks
        self.callers = callers
        self.rates = RateCounter()
        self._subjects: dict[str, Subject] = {}
        self.allowed = 0
        self.denied = 0
        self.stale = 0

    async def decide(
        self, shown: str, ask: DecideRequest, idempotency_key: str | None = None
    ) -> Decision:
        """Decide for whoever showed this credential. A denial is an answer, not a refusal.

        Refuses a bad credential (`credential_invalid`), a role that may not decide
        (`role_missing`), somebody else's consumer (`consumer_unknown`), another payload under a
        used key (`idempotency_key_reused`).
        """
        checked_ask(ask)
        return await self._decide(shown, ask, idempotency_key, set())

    def decide_at_once(
        self, shown: str, ask: DecideRequest, idempotency_key: str | None, tell: Tell
    ) -> bool:
        """Decide as `decide` does, without a task, where all that it takes is in memory.

        `tell`, which never raises, hears the decision or what refused it. Where something must be
        read first, nothing is done, and False is returned.
        """
        checked_ask(ask)
        caller = self.callers.known(shown)
        if caller is None:
            return False
        holder: Caller | None = None
        consumer = ask.consumer
        if consumer is None or ask.credential is not None or not caller.speaks:
            holder = self._holder_known(caller, ask)
            if holder is None:
                return False
            consumer = holder.guard[0]
        subject = self._subjects.get(consumer)
        if subject is None:
            return False
        counted: set[str] = set()
        step = self._step((caller, holder), subject, ask, idempotency_key, counted)

        def hear(answer: tuple[Outcome, ...] | Exception) -> None:
            try:
                if isinstance(answer, Exception):
                    tell(answer)
                elif (made := self._made(shown, step, answer[0])) is not None:
                    tell(made)
                else:
                    again = self._decide(shown, ask, idempotency_key, counted)
                    when_done(again, tell)
            except Exception as error:  # noqa: BLE001 - whoever asked is to hear of it
                tell(error)

        step.queue.ask(step.request, hear)
        return True

    async def _decide(
        self, shown: str, ask: DecideRequest, idempotency_key: str | None, counted: set[str]
    ) -> Decision:
        for _ in range(_ROUNDS):
            caller = self.callers.known(shown) or await self.callers.find(shown)
            consumer, holder = ask.consumer, None
            if consumer is None or ask.credential is not None or not caller.speaks:
                holder = await self._holder_of(caller, ask)
                consumer = "" if holder is None else holder.guard[0]
            subject = self._subjects.get(consumer) or await self._load_subject(consumer)
            if subject is None:
                self.denied += 1
                return no(ask, "account_unknown" if ask.credential else "consumer_unknown")
            step = self._step((caller, holder), subject, ask, idempotency_key, counted)
            outcomes = await step.queue.submit(step.request)
            made = self._made(shown, step, outcomes[0])
            if made is not None:
                return made
        raise TryAgain

    def _step(
        self,
        shown_by: tuple[Caller, Caller | None],
        subject: Subject,
        ask: DecideRequest,
        idempotency_key: str | None,
        counted: set[str],
    ) -> "_Step":
        """Return what the ledger is asked: what is settled is only looked up under its key."""
        caller, holder = shown_by
        drawn = drawn_by(subject, ask)
        settled = settled_by_state(subject, holder, ask, drawn)
        if settled is None and (wait := self._wait(subject, holder, ask, counted)):
            settled = limited(ask, subject.consumer, wait)
        commands = _RECALL if settled is not None else (command_of(subject, ask, drawn.sources),)
        guards = (caller.guard, *subject.guards)
        if holder is not None and holder is not caller:
            # The state may have been loaded anew since the credential was.
            guards = (holder.guard, *guards)
        request = request_of(
            caller.guard[0], commands, ask, idempotency_key, guards, until=subject.until
        )
        reads = settled is not None or ask.mode == "check"
        queue = self._looks if reads else self._lane
        return _Step(ask, subject, drawn, settled, request, queue)

    def _made(self, shown: str, step: "_Step", outcome: Outcome) -> Decision | None:
        """Return the decision that an outcome gives; None where the state was old."""
        if not isinstance(outcome, Applied):
            if outcome.code == "stale":
                self._forget(shown, step.subject, step.ask)
                return None
            if step.settled is not None and outcome.code == "key_unknown":
                return self._counted(step.settled)
        return self._counted(decision_of(step.subject, step.ask, step.drawn, outcome))

    def _counted(self, decision: Decision) -> Decision:
        if decision.allowed:
            self.allowed += 1
        else:
            self.denied += 1
        return decision

    def _wait(
        self, subject: Subject, holder: Caller | None, ask: DecideRequest, counted: set[str]
    ) -> int:
        """Return how long the rate limits make this call wait.

        One that is admitted is counted, and once only, though its state may have to be loaded
        anew: `counted` are the limits that have counted it.
        """
        if not subject.rates and (holder is None or not holder.rates):
            return 0
        rates: Sequence[Rate] = rates_for(subject, holder, ask.product)
        if counted:
            rates = [rate for rate in rates if rate.key not in counted]
        counts = ask.mode != "check"
        wait = self.rates.wait(rates, count=counts)
        if counts and not wait:
            for rate in rates:
                counted.add(rate.key)
        return wait

    async def _holder_of(self, caller: Caller, ask: DecideRequest) -> Caller | None:
        """Return the consumer's credential that a request is about; None for an unknown one."""
        if caller.kind == "consumer":
            if ask.credential is not None or ask.consumer not in {None, caller.guard[0]}:
                raise ConsumerUnknown
            return caller
        if not caller.decides:
            raise NotAllowed
        if ask.credential is None or ask.consumer is not None:
            raise ConsumerUnknown("name the consumer or its credential, one of the two")
        try:
            holder = self.callers.known(ask.credential) or await self.callers.find(ask.credential)
        except CredentialInvalid:
            return None
        return holder if holder.kind == "consumer" else None

    def _holder_known(self, caller: Caller, ask: DecideRequest) -> Caller | None:
        """Return what `_holder_of` does if it is in memory; None where that one must tell."""
        if caller.kind == "consumer":
            own = ask.credential is None and ask.consumer in {None, caller.guard[0]}
            return caller if own else None
        if not caller.decides or ask.credential is None or ask.consumer is not None:
            return None
        holder = self.callers.known(ask.credential)
        return holder if holder is not None and holder.kind == "consumer" else None

    async def caller(self, shown: str) -> Caller:
        """Return whose credential this is; refuses (`credential_invalid`) what is not known."""
        return self.callers.known(shown) or await self.callers.find(shown)

    async def standing(
        self, consumer: str, credential: str | None, product: str | None
    ) -> Standing | None:
        """Return what is known of a consumer besides a decision; None for an unknown one.

        It is told, never decided from: it may be older than the next decision.
        """
        subject = self._subjects.get(consumer) or await self._load_subject(consumer)
        if subject is None:
            return None
        holder = None if credential is None else await self.caller(credential)
        rates = tuple(
            (rate, *self.rates.left(rate)) for rate in rates_for(subject, holder, product)
        )
        return Standing(subject.state, None if holder is None else holder.key_id, rates)

    async def _load_subject(self, consumer: str) -> Subject | None:
        state = await asyncio.to_thread(self._read_subject, consumer) if consumer else None
        if state is None:
            return None
        make_room(self._subjects)
        made = self._subjects[consumer] = subject_of(state)
        return made

    def _read_subject(self, consumer: str) -> SubjectState | None:
        with self._database.read() as tx:
            return load_subject(tx, consumer)

    def _forget(self, shown: str, subject: Subject, ask: DecideRequest) -> None:
        """Drop what has turned out to be old: the consumer's state and the credentials shown."""
        self.stale += 1
        self._subjects.pop(subject.consumer, None)
        self.callers.forget(shown)
        if ask.credential is not None:
            self.callers.forget(ask.credential)

    async def capture(
        self, shown: str, ask: CaptureRequest, idempotency_key: str | None = None
    ) -> CaptureResult:
        """Capture a hold.

        Refuses unknown and resolved holds (`hold_unknown`, `hold_captured` ...) and more than was
        held where the hold says `deny` (`over_capture`).
        """
        ttl = None if ask.ttl_seconds is None else ask.ttl_seconds * SECOND_US
        command = Capture(
            hold=hold_id(ask.hold), amount=ask.quantity, hold_on=ask.hold_on, ttl_us=ttl
        )
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
        done = await self._resolve(shown, Release(hold=hold_id(ask.hold)), ask, idempotency_key)
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
            caller = self.callers.known(shown) or await self.callers.find(shown)
            if not caller.resolves:
                raise NotAllowed
            guard = caller.guard
            request = request_of(guard[0], (command,), ask, idempotency_key, (guard,))
            outcome = (await self._lane.submit(request))[0]
            if isinstance(outcome, Applied):
                return outcome
            if isinstance(outcome, Refused) and outcome.code == "stale":
                self.stale += 1
                self.callers.forget(shown)
                continue
            raise refusal_of(outcome)
        raise TryAgain


def when_done(work: Coroutine[Any, Any, msgspec.Struct], tell: Tell) -> None:
    """Do work in a task; `tell` hears what came of it."""

    def done(task: "asyncio.Task[msgspec.Struct]") -> None:
        _tasks.discard(task)
        tell(TryAgain() if task.cancelled() else task.exception() or task.result())  # type: ignore[arg-type]

    task = asyncio.get_running_loop().create_task(work)
    # The loop alone would let it be collected while it waits.
    _tasks.add(task)
    task.add_done_callback(done)
