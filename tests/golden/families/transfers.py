"""Transfers between accounts with four counters, as TigerBeetle has them.

An account is two buckets that mirror each other: `debits`, on which a debit is a use and a credit
a grant, and `credits`, the other way round. A limit `debits<=credits` is a `debits` bucket that
never goes below 0, `credits<=debits` a `credits` bucket; an unlimited side may go as far below as
the ledger counts. A transfer is one request of linked commands: use both sides, grant both mirrors;
a pending one holds both sides, posting captures them, voiding releases. A chain of linked transfers
is one request too. An id is the request's key.

Amounts that depend on what is there ("balancing") are found by trying the chain in a transaction
that is rolled back; the request then says at-most where the ledger itself can tell.
"""

import json
from collections.abc import Sequence
from typing import Any, Final, get_args

from farebox.kernel.amounts import MAX_AMOUNT, Asset
from farebox.kernel.clock import SECOND_US
from farebox.ledger.model import (
    Applied,
    Command,
    Denied,
    Freeze,
    Grant,
    Hold,
    Recall,
    Refused,
    Source,
    Use,
)
from tests.golden.cases import Case, Strange, Wrong
from tests.golden.families.transfer_drafts import Drafts, balancing, closes, empty_asked
from tests.golden.families.transfer_model import (
    CREDITS_LIMITED,
    DEBITS_LIMITED,
    LIMITS,
    Account,
    Draft,
    Moved,
    Sent,
    Step,
    amount_of,
    flags_of,
    payload_of,
)
from tests.golden.families.transfer_results import EXCEEDS_PENDING, again, names
from tests.golden.family import Family, expects, op, shape

UNTIMELY: Final = frozenset({
    "imported_event_expected", "imported_event_not_expected", "imported_event_timeout_must_be_zero",
    "imported_event_timestamp_must_not_advance", "imported_event_timestamp_must_not_regress",
    "imported_event_timestamp_must_postdate_credit_account",
    "imported_event_timestamp_must_postdate_debit_account",
    "imported_event_timestamp_out_of_range",
})  # fmt: skip
TIMES: Final = frozenset({"at", "ts", "timestamp", "now", "effective_at", "recorded_at"})


class Transfers(Family):
    """The vocabulary transfer, check, tick, repeat."""

    GIVEN = (shape("accounts", "note limit_amount"),)

    @classmethod
    def unread_values(cls, case: Case) -> str | None:
        for name, account in case.given["accounts"].items():
            if not isinstance(account, dict) or not {"balance", "limit"} <= set(account):
                return f"account {name!r}"
            if set(account) - {"balance", "limit", "ledger"} or account["limit"] not in LIMITS:
                return f"account {name!r} {account}"
        return None

    # -- opening ---------------------------------------------------------------------------------

    def open(self, given: dict[str, Any]) -> None:
        self.moved: dict[str, Moved] = {}
        self.by_id: dict[str, tuple[Sent, int]] = {}
        self.refused: dict[str, str] = {}
        self.spent: dict[str, list[str]] = {}
        self.minted: dict[str, list[int]] = {}
        self.closing: list[tuple[int, str]] = []
        self.seen: set[str] = set()
        self.imported = 0
        ledgers = {facts.get("ledger", 1) for facts in given["accounts"].values()}
        self.between = {
            ledger: self.stage.sink(self._asset(ledger), "between accounts") for ledger in ledgers
        }
        self.accounts = {name: self._open(name, facts) for name, facts in given["accounts"].items()}
        empty = self.stage.bucket(self._asset(min(ledgers)))
        self.drafts = Drafts(self.accounts, self.moved, empty, self.between)
        self.stage.begin()

    def _asset(self, ledger: int) -> Asset:
        return self.stage.asset(f"ledger-{ledger}")

    def _open(self, name: str, facts: dict[str, Any]) -> Account:
        ledger, limit = facts.get("ledger", 1), facts["limit"]
        asset, stage, between = self._asset(ledger), self.stage, self.between[ledger]
        debits = stage.bucket(asset) if limit == DEBITS_LIMITED else stage.unlimited(asset)
        mirror = stage.bucket(asset) if limit == CREDITS_LIMITED else stage.unlimited(asset)
        dp, dpo, cp, cpo = (amount_of(each) for each in facts["balance"])
        if (most := max(dp, dpo, cp, cpo)) > MAX_AMOUNT:
            refused = stage.send(Grant(bucket=debits, amount=most))[0]
            self.same(getattr(refused, "code", None), "value_invalid", f"{name} above 2^53 - 1")
            self.leave("amount_above_2_53")
        for bucket, amount in ((debits, cpo), (mirror, dpo)):
            if amount:
                stage.do(Grant(bucket=bucket, amount=amount, source=between))
        for bucket, amount in ((debits, dpo), (mirror, cpo)):
            if amount:
                stage.do(Use(sources=(Source(bucket),), amount=amount, sink=between))
        for bucket, amount in ((debits, dp), (mirror, cp)):
            if amount:
                stage.do(Hold(sources=(Source(bucket),), amount=amount, sink=between))
        return Account(name, ledger, limit, debits, mirror)

    # -- playing ---------------------------------------------------------------------------------

    def play(self, steps: Sequence[Step]) -> None:
        chain: list[Step] = []
        for step in self._spread(steps):
            if step["op"] == "transfer":
                chain.append(step)
                if "linked" not in flags_of(step):
                    self._chain(chain)
                    chain = []
            elif chain:
                raise Strange(f"{step['op']} inside a chain of linked transfers")
            else:
                self.step(step)
        if chain:
            raise Strange("the last chain of linked transfers stays open")

    @staticmethod
    def _spread(steps: Sequence[Step]) -> list[Step]:
        spread: list[Step] = []
        for step in steps:
            if step["op"] == "repeat":
                text = json.dumps(step["step"])
                numbers = range(1, step["n"] + 1)
                spread += [json.loads(text.replace("{i}", str(number))) for number in numbers]
            else:
                spread.append(step)
        return spread

    @op("transfer", "id amount", "dr cr result flags timeout_s pending ledger ts")
    def transfer(self, **_: Any) -> None:
        """Is played as part of a chain."""

    @op("repeat", "n step")
    def repeat(self, **_: Any) -> None:
        """Is spread before it is played."""

    @op("tick", "seconds")
    def tick(self, seconds: int) -> None:
        until = self.stage.now + seconds * SECOND_US
        # Our freezing has no end of its own: whoever froze for a time lifts it when that is over.
        for due, name in sorted(each for each in self.closing if each[0] <= until):
            self.stage.go(due)
            if self.moved[name].resolved is None:
                self._reopen(self.moved[name].step)
        self.closing = [each for each in self.closing if each[0] > until]
        self.stage.go(until)

    def _reopen(self, step: Step) -> None:
        for side in closes(step):
            account = self.accounts[step[side]]
            for bucket in (account.debits, account.credits):
                self.stage.do(Freeze(bucket=bucket, frozen=False))

    @op("check", "balances")
    def check(self, balances: dict[str, Any]) -> None:
        self.balances(balances, "check")

    # -- one chain -------------------------------------------------------------------------------

    def _chain(self, steps: list[Step]) -> None:
        untimely = any(step.get("result") in UNTIMELY for step in steps)
        if untimely or any("imported" in flags_of(step) for step in steps):
            self._import(steps)
        if untimely:
            return
        if len({step["id"] for step in steps}) != len(steps):
            raise Strange(f"the same id twice in a chain: {steps}")
        self.seen |= {step["id"] for step in steps}
        known = [step for step in steps if step["id"] in self.by_id]
        if known == steps:
            for step in steps:
                self._repeat(step)
        elif known:
            # A chain with an id that is known fails as a whole: only the known id is asked for.
            for step in steps:
                if step is known[0]:
                    self._repeat(step)
                else:
                    self._result(step, frozenset({"linked_event_failed"}))
        elif steps[0].get("result") == "id_already_failed" and steps[0]["id"] in self.refused:
            self._unremembered(steps[0])
        else:
            self._first(steps)

    def _import(self, steps: list[Step]) -> None:
        """Let the clock show the caller's time, which is all that it can be told.

        What theirs refuses for its time cannot be sent: no command of ours has one.
        """
        self.ours("time_of_the_caller")
        for command in get_args(Command):
            self.same(TIMES & set(command.__struct_fields__), set(), f"a time in {command}")
        if any(step.get("result") in UNTIMELY for step in steps):
            others = {"linked_event_failed"} if len(steps) > 1 else set()
            for step in steps:
                self._result(step, UNTIMELY | others)
                if step.get("result", "").endswith("regress"):
                    self.same(step["ts"] <= self.imported, True, f"{step['id']} lies behind")
            return
        self.imported = max([self.imported, *(step.get("ts", 0) for step in steps)])
        self.stage.clock.set(self.stage.now + steps[0].get("ts", 0))

    def _unremembered(self, step: Step) -> None:
        """Show that a refused id left nothing behind; theirs could never be used again."""
        self.ours("refusal_not_remembered")
        found = self.stage.send(Recall(), key=self.refused[step["id"]], payload=b"")[0]
        self.same(getattr(found, "code", None), "key_unknown", f"what {step['id']} left behind")

    def _first(self, steps: list[Step]) -> None:
        for step in steps:
            self._before(step)
        drafts = self._drafts(steps)
        commands = tuple(each for draft in drafts for each in draft.commands)
        operations = tuple(each for draft in drafts for each in draft.operations)
        tries = sum(len(self.spent.get(step["id"], ())) for step in steps)
        key = "+".join(step["id"] for step in steps) + (f"~{tries}" if tries else "")
        payload = json.dumps([payload_of(step) for step in steps]).encode()
        outcomes = self.stage.send(*commands, operations=operations, key=key, payload=payload)
        ranges, start = [], 0
        for draft in drafts:
            self.minted.setdefault(draft.step["id"], []).extend(draft.operations)
            ranges.append(range(start, start + len(draft.commands)))
            start = ranges[-1].stop
        sent = Sent(key, steps, commands, outcomes, ranges)
        for place, draft in enumerate(drafts):
            self._keep(sent, place, draft)

    def _before(self, step: Step) -> None:
        """Show what a transfer cannot be with us, before it is sent in the way that it can."""
        if empty_asked(step):
            self.ours("nothing_to_move")
            account = self.accounts[step["dr"]]
            found = self.stage.send(Use(sources=(Source(account.debits),), amount=0))[0]
            self.same(getattr(found, "code", None), "value_invalid", f"{step['id']} of amount 0")
        for key in self.spent.get(step["id"], ()):
            self.ours("denied_key_is_spent")
            found = self.stage.send(Recall(), key=key, payload=b"another")[0]
            code = getattr(found, "code", None)
            self.same(code, "idempotency_key_reused", f"{step['id']} under its denied key")

    def _drafts(self, steps: list[Step]) -> list[Draft]:
        """Turn a chain into commands, trying it first where they depend on what is there."""
        drafts: dict[str, Draft] = {}
        if len(steps) == 1 and not balancing(steps[0]):
            return [self.drafts.draft(steps[0], drafts, self.stage)]
        going = True
        with self.stage.trial() as trial:
            for step in steps:
                draft = drafts[step["id"]] = self.drafts.draft(step, drafts, trial)
                if going:
                    found = trial.send(draft.commands, draft.operations)
                    going = all(isinstance(each, Applied) for each in found)
        return list(drafts.values())

    # -- what became of it -----------------------------------------------------------------------

    def _keep(self, sent: Sent, place: int, draft: Draft) -> None:
        """Judge one transfer of a request and remember what it became."""
        step, name = draft.step, draft.step["id"]
        failed = [
            outcome
            for outcome in (sent.outcomes[index] for index in sent.ranges[place])
            if not isinstance(outcome, Applied)
        ]
        own = next((each for each in failed if each.code != "linked_failed"), None)
        found = names(own, draft, failed=bool(failed))
        if own is not None and draft.asked > MAX_AMOUNT and step.get("result") == "created":
            self.same(own.code, "value_invalid", f"{name} above 2^53 - 1")
            self.leave("amount_above_2_53")
        self._result(step, found)
        if not failed:
            self._created(sent, place, draft)
        elif isinstance(own, Denied) and EXCEEDS_PENDING in found:
            self.spent.setdefault(name, []).append(sent.key)
        elif isinstance(own, Denied):
            self.by_id[name] = (sent, place)
        elif isinstance(own, Refused):
            self.refused[name] = sent.key

    def _created(self, sent: Sent, place: int, draft: Draft) -> None:
        step, name = draft.step, draft.step["id"]
        for index, command in zip(sent.ranges[place], draft.commands, strict=True):
            outcome = sent.outcomes[index]
            if isinstance(command, Use | Hold) and isinstance(outcome, Applied):
                self.same(outcome.amount, draft.amount, f"{name} on each side")
        self.by_id[name] = (sent, place)
        self.moved[name] = Moved(step, draft.amount, tuple(draft.operations), draft.holds)
        if draft.pending is not None:
            posted = "post" if draft.amount else "empty"
            resolved = "void" if "void" in flags_of(step) else posted
            self.moved[step["pending"]].resolved = resolved
        if step.get("timeout_s") and closes(step):
            self.closing.append((self.stage.now + step["timeout_s"] * SECOND_US, name))

    def _result(self, step: Step, found: frozenset[str]) -> None:
        wanted = step.get("result", "created")
        if wanted not in found:
            raise Wrong(f"{step['id']}: ours means {sorted(found)}, expected {wanted!r}")

    def _repeat(self, step: Step) -> None:
        """Send a known id again: the first answer, or a refusal of another payload."""
        sent, place = self.by_id[step["id"]]
        asked = [payload_of(each) for each in sent.steps]
        was, asked[place] = asked[place], payload_of(step)
        outcomes = self.stage.send(*sent.commands, key=sent.key, payload=json.dumps(asked).encode())
        if asked[place] == was:
            self.same(outcomes, sent.outcomes, f"{step['id']} again")
        else:
            codes = {getattr(each, "code", None) for each in outcomes}
            self.same(codes, {"idempotency_key_reused"}, f"{step['id']} with another payload")
        moved = self.moved.get(step["id"])
        found, looser = again(was, asked[place], None if moved is None else moved.amount)
        if step.get("result") == "exists" and "exists" not in found and looser:
            self.ours("asked_not_recorded")
        else:
            self._result(step, found)

    # -- judging ---------------------------------------------------------------------------------

    def quadruple(self, account: Account) -> list[int]:
        """Return debits pending and posted, credits pending and posted."""
        debits, mirror = self.stage.view(account.debits), self.stage.view(account.credits)
        self.same(debits.granted, mirror.spent, f"{account.name}: credits in its mirror")
        self.same(mirror.granted, debits.spent, f"{account.name}: debits in its mirror")
        return [debits.held, debits.spent, mirror.held, mirror.spent]

    @expects("balances")
    def balances(self, wanted: dict[str, Any], key: str) -> None:
        for name, quadruple in wanted.items():
            expected = [amount_of(each) for each in quadruple]
            self.same(self.quadruple(self.accounts[name]), expected, f"{key} of {name}")

    @expects("transfers")
    def transfers(self, wanted: dict[str, Any], key: str) -> None:
        for name, amount in wanted.items():
            self.same(name in self.moved, True, f"{key}: {name} exists")
            self.same(self.moved[name].amount, amount_of(amount), f"{key}: amount of {name}")

    @expects("absent")
    def absent(self, wanted: list[str], key: str) -> None:
        for name in wanted:
            self.same(name in self.seen, True, f"{key}: {name} was asked for")
            self.same(name in self.moved, False, f"{key}: {name} exists")
            for operation in self.minted.get(name, ()):
                sql = "SELECT count(*) AS n FROM transfer WHERE operation = :operation"
                found = self.stage.rows(sql, operation=operation)[0].n
                self.same(found, 0, f"{key}: entries of {name}")

    def finish(self) -> None:
        for ledger, between in self.between.items():
            balance = self.stage.sink_balance(between)
            self.same(balance, 0, f"what is between the accounts of ledger {ledger}")
