"""One prepaid balance: debits, holds, top-ups, settlements, and all of them at once.

Balances are given as what is available, or as a balance with debits in flight (holds). A concurrent
step sends its commands from threads of their own, over two lanes as of two servers.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from farebox.kernel import ids
from farebox.kernel.amounts import MAX_AMOUNT, parse_amount
from farebox.kernel.clock import SECOND_US
from farebox.ledger.model import (
    Applied,
    Capture,
    Command,
    Denied,
    Grant,
    Hold,
    Kind,
    Look,
    Outcome,
    Request,
    Sink,
    Source,
    Use,
)
from farebox.ledger.service import request
from tests.golden.cases import Case, Strange, Wrong
from tests.golden.family import Family, applied, code_of, expects, op, shape, units

OVERDRAFT_EXCEEDED: Final = "transaction exceeds overdraft limit"
INSUFFICIENT: Final = "insufficient funds in source balance"
POLICIES: Final = frozenset({"allow_advance"})
MODES: Final = frozenset({"credit_then_invoice"})
CREATED: Final = (200, 201)
UNPROCESSABLE: Final = 422


class Balances(Family):
    """The vocabulary use, debit, charge, entry, hold, capture, settle_topup, and at once."""

    GIVEN = (
        shape("available"),
        shape("balance", "inflight_debit queued_debit overdraft_limit precision"),
    )

    @classmethod
    def unread_values(cls, case: Case) -> str | None:
        for step in case.steps:
            if step.get("policy", "allow_advance") not in POLICIES:
                return f"policy {step['policy']!r}"
            if step.get("mode", "credit_then_invoice") not in MODES:
                return f"mode {step['mode']!r}"
            if set(step.get("lock", ())) - {"available_gte"}:
                return f"lock {step['lock']}"
        return None

    # -- opening ---------------------------------------------------------------------------------

    def open(self, given: dict[str, Any]) -> None:
        precision = str(given.get("precision", 1))
        if precision.strip("0") != "1":
            raise Strange(f"a precision of {precision} is no power of ten")
        self.scale = len(precision) - 1
        self.asset = self.stage.asset(scale=self.scale)
        self.overdraft = given.get("overdraft_limit")
        self.limit = self._limit()
        opening = int(given["available"] if "available" in given else given["balance"])
        self.bucket = self.stage.bucket(self.asset, max(opening, 0), credit_limit=self.limit)
        if opening < 0:
            self.stage.do(Use(sources=self.sources, amount=-opening))
        for field in ("inflight_debit", "queued_debit"):
            if given.get(field):
                self.stage.do(Hold(sources=self.sources, amount=given[field]))
        self.results: list[str] = []
        self.outcomes: list[Outcome] = []
        self.held: list[int] = []
        self.facts: dict[str, int] = {}
        self.before = self.stage.own_sink(self.asset, Sink.USAGE)
        self.zero = self.stage.begin()

    def _limit(self) -> int:
        """Return the credit limit: a stated overdraft, or what entries with a lock may overdraw."""
        if self.overdraft is not None:
            return parse_amount(f"{self.overdraft}", self.scale)
        entries = [step for step in self.case.steps if step["op"] == "entry"]
        if any("lock" not in step for step in entries):
            return MAX_AMOUNT
        return max([0, *(-int(step["lock"]["available_gte"]) for step in entries)])

    @property
    def sources(self) -> tuple[Source, ...]:
        return (Source(self.bucket),)

    # -- one after the other ---------------------------------------------------------------------

    def _requested(self, step: dict[str, Any]) -> Request:
        """Return the request of a step that may also run at once with others."""
        name = step["op"]
        if name == "settle_topup":
            top_up = Grant(bucket=self.bucket, amount=step["amount"])
            return request(top_up, caller="payments", key=step["payment"])
        command: Command
        if name == "expire_sweep":
            command = Look(sources=self.sources, amount=0)
        elif name == "capture":
            command = Capture(hold=self.held[-1], amount=step["amount"])
        elif name == "hold":
            ttl = step.get("ttl_s")
            command = Hold(
                sources=self.sources, amount=step["amount"],
                ttl_us=None if ttl is None else ttl * SECOND_US,
            )  # fmt: skip
        elif name in {"use", "debit"} and "policy" not in step:
            command = Use(sources=self.sources, amount=self._amount(step))
        else:
            raise Strange(f"{name} at once with others")
        return request(command, caller="caller", key=step.get("key"))

    def _amount(self, step: dict[str, Any]) -> int:
        return int(step["amount_minor"]) if "amount_minor" in step else units(
            step["amount"], self.scale
        )  # fmt: skip

    def _send(self, **step: Any) -> Outcome:
        outcome = self.stage.batch([self._requested(step)])[0][0]
        self._saw(step["op"], outcome)
        return outcome

    def _saw(self, name: str, outcome: Outcome) -> None:
        """Keep what the case may ask for."""
        self.outcomes.append(outcome)
        if name in {"use", "debit"}:
            short = INSUFFICIENT if self.overdraft is None else OVERDRAFT_EXCEEDED
            if isinstance(outcome, Denied) and outcome.code != "bucket_empty":
                raise Wrong(f"ours is denied for another reason: {outcome}")
            self.results.append("ok" if isinstance(outcome, Applied) else short)
        if name == "hold" and isinstance(outcome, Applied) and outcome.hold is not None:
            self.held.append(outcome.hold)
        if name == "capture":
            self.facts["captured"] = outcome.amount if isinstance(outcome, Applied) else 0
            self.capture_error = (code_of(outcome) or "").removeprefix("hold_") or None

    @op("debit", "", "amount amount_minor")
    def debit(self, **fields: Any) -> None:
        self._send(op="debit", **fields)

    @op("hold", "amount", "key ttl_s")
    def hold(self, **fields: Any) -> None:
        self._send(op="hold", **fields)

    @op("capture", "amount")
    def capture(self, **fields: Any) -> None:
        self._send(op="capture", **fields)

    @op("settle_topup", "payment amount")
    def settle_topup(self, **fields: Any) -> None:
        self._send(op="settle_topup", **fields)

    @op("expire_sweep")
    def expire_sweep(self) -> None:
        self._send(op="expire_sweep")

    @op("use", "amount", "policy")
    def use(self, amount: int, policy: str | None = None) -> None:
        if policy is None:
            self._send(op="use", amount=amount)
            return
        # What is there is captured, what is missing becomes a receivable, in one request.
        first, second = ids.mint(), ids.mint()
        hold = Hold(sources=self.sources, amount=amount, at_most=True, over_capture="debt")
        capture = Capture(hold=first, amount=amount)
        done = self.stage.do(hold, capture, operations=(first, second))
        self.facts["from_credit"] = self.facts.get("from_credit", 0) + done.amount

    @op("charge", "amount mode")
    def charge(self, amount: int, mode: str) -> None:
        used = self.stage.do(Use(sources=self.sources, amount=amount, at_most=True))
        for name, part in (
            ("credits_consumed", used.amount),
            ("invoice_remainder", amount - used.amount),
        ):
            self.facts[name] = self.facts.get(name, 0) + part
        self.same(used.final, used.amount < amount, f"{mode}: the last there was")

    @op("entry", "debit", "lock")
    def entry(self, debit: int, lock: dict[str, int] | None = None) -> None:
        """Use, and look afterwards whether as much as the lock asks for is left: both or none."""
        commands: list[Command] = [Use(sources=self.sources, amount=debit)]
        if lock is not None and (least := self.limit + lock["available_gte"]) > 0:
            commands.append(Look(sources=self.sources, amount=least))
        outcomes = self.stage.send(*commands)
        done = all(isinstance(each, Applied) for each in outcomes)
        self.http = CREATED if done else (UNPROCESSABLE,)

    # -- at once ---------------------------------------------------------------------------------

    @op("concurrent", "", "n step steps")
    def concurrent(
        self,
        n: int = 1,
        step: dict[str, Any] | None = None,
        steps: Sequence[dict[str, Any]] = (),
    ) -> None:
        each = [*([] if step is None else [step] * n), *steps]
        answers = self.stage.together([self._requested(one) for one in each])
        for one, answer in zip(each, answers, strict=True):
            self._saw(one["op"], answer[0])

    @op("concurrent_at", "at_s steps")
    def concurrent_at(self, at_s: int, steps: Sequence[dict[str, Any]]) -> None:
        self.stage.go(self.zero + at_s * SECOND_US)
        self.concurrent(steps=steps)

    # -- judging ---------------------------------------------------------------------------------

    @expects("results")
    def judge_results(self, wanted: list[str], key: str) -> None:
        self.same(self.results, wanted, key)

    @expects("http")
    def judge_http(self, wanted: int, key: str) -> None:
        self.same(wanted in self.http, True, f"{key} {wanted}, ours means {self.http}")

    @expects("succeeded|denied")
    def judge_counts(self, wanted: int, key: str) -> None:
        kind = Applied if key == "succeeded" else Denied
        self.same(sum(isinstance(each, kind) for each in self.outcomes), wanted, key)

    @expects("available|balance|held|holds")
    def judge_view(self, wanted: Any, key: str) -> None:
        view = self.stage.view(self.bucket)
        scaled = wanted if key == "holds" else Decimal(wanted)
        ours = {
            "available": view.available,
            "balance": view.balance,
            "held": view.held,
            "holds": len({e.hold for e in self.stage.history(self.bucket) if e.kind == Kind.HOLD}),
        }
        self.same(ours[key], scaled, key)

    @expects("advance_receivable|accrued")
    def judge_sinks(self, wanted: int, key: str) -> None:
        owed = -self.stage.own_sink(self.asset, Sink.RECEIVABLE)
        usage = self.stage.own_sink(self.asset, Sink.USAGE) - self.before
        self.same(owed if key == "advance_receivable" else usage, wanted, key)

    @expects("from_credit|credits_consumed|invoice_remainder|captured")
    def judge_facts(self, wanted: int, key: str) -> None:
        self.same(self.facts.get(key), wanted, key)

    def _end(self) -> dict[str, Any]:
        end: dict[str, Any] = {"available": self.stage.view(self.bucket).available, **self.facts}
        if self.capture_error is not None:
            end["capture_error"] = self.capture_error
        return end

    @expects("one_of|never")
    def judge_ends(self, wanted: list[dict[str, Any]], key: str) -> None:
        end = self._end()
        known = {"available", "capture_error", *self.facts}
        for each in wanted:
            if unknown := set(each) - known:
                raise Strange(f"{key} knows {sorted(unknown)}")
        met = [each for each in wanted if all(end.get(name) == each[name] for name in each)]
        self.same(bool(met), key == "one_of", f"{key}: our end is {end}")


__all__ = ["Balances", "applied"]
