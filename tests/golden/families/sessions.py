"""Charging sessions, as Diameter credit control has them (RFC 8506).

A session's quota is a hold. INITIAL holds at most what is asked, UPDATE captures what was used and
holds anew in the same request, TERMINATION captures and lets the rest go; a request's key is its
session and number. A hold lasts twice the validity that the gateway is told. What was used beyond
the quota is taken from what is there; what even that has not becomes a receivable.
"""

from typing import Any, Final

from farebox.kernel import ids
from farebox.kernel.amounts import MAX_AMOUNT
from farebox.kernel.clock import SECOND_US
from farebox.ledger.model import (
    Applied,
    Capture,
    Command,
    Denied,
    Grant,
    Hold,
    Look,
    Outcome,
    Refused,
    Release,
    Reverse,
    Source,
    Use,
)
from tests.golden.cases import Case, Strange, Wrong
from tests.golden.family import Family, expects, op, shape

LIMIT_REACHED: Final = 4012
NAMES: Final = {LIMIT_REACHED: "DIAMETER_CREDIT_LIMIT_REACHED", 2001: "DIAMETER_SUCCESS"}
SUCCESS: Final = 2001
TYPES: Final = frozenset({"INITIAL", "UPDATE", "TERMINATION", "EVENT"})
ACTIONS: Final = frozenset({"DIRECT_DEBITING", "REFUND_ACCOUNT", "CHECK_BALANCE"})
NOT_FOUND: Final = (404, "CONTEXT_NOT_FOUND")


class Sessions(Family):
    """The vocabulary CCR, check, chargingdata_update."""

    GIVEN = (shape("", "balance validity_s sessions"),)

    @classmethod
    def unread_values(cls, case: Case) -> str | None:
        for step in case.steps:
            if step["op"] == "CCR":
                if step.get("type", "UPDATE") not in TYPES:
                    return f"type {step['type']!r}"
                if step.get("action", "CHECK_BALANCE") not in ACTIONS:
                    return f"action {step['action']!r}"
                if (step.get("type") == "EVENT") != ("action" in step):
                    return f"an event without action, or the other way round: {step}"
        return None

    # -- opening ---------------------------------------------------------------------------------

    def open(self, given: dict[str, Any]) -> None:
        asset = self.stage.asset("quota")
        balance = given.get("balance")
        # Without a balance the subscriber pays afterwards: there is no floor.
        limit = MAX_AMOUNT if balance is None else 0
        self.bucket = self.stage.bucket(asset, balance or 0, credit_limit=limit)
        self.validity = given.get("validity_s")
        self.holds: dict[str, int] = {}
        self.debits: list[Applied] = []
        self.answers: list[dict[str, Any]] = []
        self.after: list[dict[str, int]] = []
        self.status: tuple[int, str | None] = (200, None)
        self.zero = self.stage.begin()
        for name in given.get("sessions", ()):
            self.ccr(type="INITIAL", session=name, n=0, requested=1)
        self.answers.clear()
        self.after.clear()

    @property
    def sources(self) -> tuple[Source, ...]:
        return (Source(self.bucket),)

    # -- playing ---------------------------------------------------------------------------------

    def _go(self, at: int | None) -> None:
        if at is not None:
            self.stage.go(self.zero + at * SECOND_US)

    @op("check", "at")
    def check(self, at: int) -> None:
        self._go(at)
        self._note()

    @op("CCR", "", "type n at session requested used action amount T_flag")
    def ccr(
        self,
        *,
        type: str = "UPDATE",  # noqa: A002 - the field's name
        n: int | None = None,
        at: int | None = None,
        session: str = "session",
        action: str | None = None,
        T_flag: bool = False,  # noqa: N803 - sent again, perhaps: the key knows
        **amounts: int,
    ) -> None:
        self._go(at)
        if type == "EVENT":
            assert action is not None
            self._event(action, amounts.get("amount", 0))
        else:
            used = amounts.get("used", 0)
            wanted = 0 if type == "TERMINATION" else amounts.get("requested", 0)
            key = None if n is None else f"{session}/{n}"
            self._session(session, used, wanted, key=key)
        self._note()

    def _session(self, session: str, used: int, wanted: int, *, key: str | None) -> None:
        """Settle what was used and hold what is wanted, in one request under the CCR's key."""
        held = self._held(session)
        payload = repr((session, used, wanted)).encode()
        commands: list[Command] = []
        if session in self.holds and used <= held:
            capture = Capture(
                hold=self.holds[session], amount=used, hold_on=wanted or None, ttl_us=self._ttl()
            )
            commands.append(capture if used or wanted else Release(hold=self.holds[session]))
            wanted = 0 if used or wanted else wanted
        else:
            if session in self.holds:
                commands.append(Capture(hold=self.holds[session], amount=held))
            if excess := used - held:
                commands += self._beyond(excess)
        if wanted:
            commands.append(
                Hold(sources=self.sources, amount=wanted, at_most=True, ttl_us=self._ttl())
            )
        # A request that moves nothing still is a request, and is remembered as one.
        commands = commands or [Look(sources=self.sources, amount=0)]
        operations = self._operations(commands)
        outcomes = self.stage.send(*commands, operations=operations, key=key, payload=payload)
        self._settle(session, outcomes, operations)

    def _ttl(self) -> int | None:
        return None if self.validity is None else 2 * self.validity * SECOND_US

    def _beyond(self, excess: int) -> list[Command]:
        """Take what is there; the rest is owed."""
        hold = Hold(sources=self.sources, amount=excess, at_most=True, over_capture="debt")
        return [hold, Capture(hold=0, amount=excess)]

    @staticmethod
    def _operations(commands: list[Command]) -> tuple[int, ...]:
        """Mint operations, and let a capture of hold 0 capture the hold before it."""
        operations = tuple(ids.mint() for _ in commands)
        for place, command in enumerate(commands):
            if isinstance(command, Capture) and command.hold == 0:
                commands[place] = Capture(hold=operations[place - 1], amount=command.amount)
        return operations

    def _settle(
        self, session: str, outcomes: tuple[Outcome, ...], operations: tuple[int, ...]
    ) -> None:
        for outcome in outcomes:
            if not isinstance(outcome, Applied):
                raise Wrong(f"ours is not an answer: {outcome}")
        last = outcomes[-1]
        assert isinstance(last, Applied)
        answer: dict[str, Any] = {"result_code": SUCCESS}
        # A duplicate is answered as before; the session's hold is the one it has by now.
        first_time = last.operation in operations
        if first_time:
            self.holds.pop(session, None)
        if last.hold is not None:
            granted = last.drawn[0][2] if last.drawn else last.amount
            if first_time:
                self.holds[session] = last.hold
            answer["granted"] = granted
            if not granted:
                answer["result_code"] = LIMIT_REACHED
            elif last.final:
                answer["final_unit"] = "TERMINATE"
        self.answers.append(answer)

    def _held(self, session: str) -> int:
        """Return what a session's hold still has; a session without one, or a lapsed one, none."""
        if session not in self.holds:
            return 0
        sql = "SELECT amount, expires_at FROM hold WHERE id = :hold AND state = 1"
        found = self.stage.rows(sql, hold=self.holds[session])
        if not found or found[0].expires_at <= self.stage.clock.now_us():
            del self.holds[session]
            return 0
        return int(found[0].amount)

    def _event(self, action: str, amount: int) -> None:
        answer: dict[str, Any] = {"result_code": SUCCESS}
        if action == "REFUND_ACCOUNT":
            self._refund(amount)
        else:
            command: Command = Look(sources=self.sources, amount=amount)
            if action == "DIRECT_DEBITING":
                command = Use(sources=self.sources, amount=amount)
            outcome = self.stage.send(command)[0]
            if isinstance(outcome, Denied):
                answer["result_code"] = LIMIT_REACHED
            elif isinstance(outcome, Applied) and action == "DIRECT_DEBITING":
                self.debits.append(outcome)
        self.answers.append(answer)

    def _refund(self, amount: int) -> None:
        """Give back to the grants that the last debit took from; grant what it did not take."""
        if self.debits and amount <= self.debits[-1].amount:
            self.stage.do(Reverse(operation=self.debits[-1].operation, amount=amount))
        else:
            self.stage.do(Grant(bucket=self.bucket, amount=amount, reason="refund"))

    @op("chargingdata_update", "ref")
    def chargingdata_update(self, ref: str) -> None:
        hold = self.holds.get(ref, ids.mint())
        outcome = self.stage.send(Capture(hold=hold, amount=0, hold_on=1))[0]
        if isinstance(outcome, Refused) and outcome.code == "hold_unknown":
            self.status = NOT_FOUND
        elif isinstance(outcome, Applied):
            self.status = (200, None)
        else:
            raise Strange(f"ours says {outcome}")

    # -- judging ---------------------------------------------------------------------------------

    def _note(self) -> None:
        view = self.stage.view(self.bucket)
        self.after.append({
            "reserved": view.held, "debited": view.spent, "available": view.available,
        })  # fmt: skip

    @expects("after")
    def judge_after(self, wanted: list[dict[str, int]], key: str) -> None:
        self.same(len(self.after), len(wanted), key)
        for place, (ours, each) in enumerate(zip(self.after, wanted, strict=True)):
            self.same({name: ours.get(name) for name in each}, each, f"{key} step {place}")

    @expects("answers")
    def judge_answers(self, wanted: list[dict[str, Any]], key: str) -> None:
        """Compare answers; one without a final unit says that there was enough."""
        self.same(len(self.answers), len(wanted), key)
        for place, (ours, each) in enumerate(zip(self.answers, wanted, strict=True)):
            names = {*each, "final_unit"}
            theirs = {name: each.get(name) for name in names}
            self.same({name: ours.get(name) for name in names}, theirs, f"{key} {place}")

    @expects("available")
    def judge_available(self, wanted: list[int], key: str) -> None:
        self.same([each["available"] for each in self.after], wanted, key)

    @expects("result_code")
    def judge_code(self, wanted: int, key: str) -> None:
        self.same(self.answers[-1]["result_code"], wanted, key)

    @expects("name")
    def judge_name(self, wanted: str, key: str) -> None:
        self.same(NAMES[self.answers[-1]["result_code"]], wanted, key)

    @expects("both_answered")
    def judge_answered(self, wanted: bool, key: str) -> None:  # noqa: FBT001 - as it is expected
        self.same(len(self.answers) == len(self.case.steps), wanted, key)

    @expects("debited|reserved|balance")
    def judge_view(self, wanted: int, key: str) -> None:
        view = self.stage.view(self.bucket)
        ours = {"debited": view.spent, "reserved": view.held, "balance": view.balance}
        self.same(ours[key], wanted, key)

    @expects("status|cause")
    def judge_status(self, wanted: Any, key: str) -> None:
        self.same(self.status[0] if key == "status" else self.status[1], wanted, key)
