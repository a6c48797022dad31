"""Scripts that send and save, as Numscript has them. All steps of a case are one script.

An account is a bucket; its credit limit is the largest overdraft that the script allows it, and
`world` has no limit. A script is one request of linked commands, tried first in a transaction that
is rolled back, because shares of "everything" depend on what is there. Within a `send`

- a source is a source of a use, and what it may give at most (`max`, or a smaller overdraft than
  another mention of the account has) is a second bucket that caps it;
- credit that this send does not allow, and what is saved, is held while the script runs.
"""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any, Final

import msgspec

from farebox.kernel import ids
from farebox.kernel.amounts import MAX_AMOUNT, split
from farebox.kernel.refusals import ValueRefused
from farebox.ledger.model import (
    Applied,
    Command,
    Denied,
    Grant,
    Hold,
    Outcome,
    Release,
    Reverse,
    Source,
    Use,
)
from tests.golden.cases import Case, Strange, Wrong
from tests.golden.family import Family, expects, op, shape
from tests.golden.stage import Trial

WORLD: Final = "world"
KEPT: Final = "kept"
ALL: Final = "*"
MISSING: Final = "missing_funds"


class Mention(msgspec.Struct):
    """An account as a source, what it gives at most, how far below 0 it may go, and its cap."""

    account: str
    most: int | None
    overdraft: int
    cap: int


class Script(msgspec.Struct):
    """The commands so far, and which account each use was sent to."""

    commands: list[Command] = msgspec.field(default_factory=list)
    operations: list[int] = msgspec.field(default_factory=list)
    sent_to: dict[int, str] = msgspec.field(default_factory=dict)
    saved: list[int] = msgspec.field(default_factory=list)
    done: int = 0

    def tried(self, trial: Trial) -> Outcome | None:
        """Try what was added since the last trial; return why it failed, if it did."""
        start, self.done = self.done, len(self.commands)
        if start == self.done:
            return None
        outcomes = trial.send(self.commands[start:], self.operations[start:])
        failed = [each for each in outcomes if not isinstance(each, Applied)]
        return next((each for each in failed if each.code != "linked_failed"), None)

    def add(self, command: Command) -> int:
        """Take a command in and return its operation."""
        self.commands.append(command)
        self.operations.append(ids.mint())
        return self.operations[-1]


def amount_of(value: object) -> int:
    """Read an amount that may be too long for a JSON number."""
    if type(value) is int:
        return value
    if isinstance(value, str) and value.lstrip("-").isdigit():
        return int(value)
    raise Strange(f"{value!r} is not an amount")


def overdraft_of(value: object) -> int:
    """Read an overdraft; `unbounded` goes as far as the ledger counts."""
    return MAX_AMOUNT if value == "unbounded" else amount_of(value)


def share_of(text: str) -> Fraction:
    """Read a share: `12.5%` or `1/3`."""
    return Fraction(text[:-1]) / 100 if text.endswith("%") else Fraction(text)


def shares_of(shares: Sequence[str]) -> list[Fraction]:
    """Read shares that sum to 1; `remaining` is what the others leave."""
    known = sum((share_of(each) for each in shares if each != "remaining"), Fraction(0))
    if shares.count("remaining") > 1:
        raise Strange(f"the rest is given twice: {shares}")
    return [1 - known if each == "remaining" else share_of(each) for each in shares]


class Scripts(Family):
    """The vocabulary send, save."""

    GIVEN = (shape("balances"),)

    @classmethod
    def unread_values(cls, case: Case) -> str | None:
        for step in case.steps:
            for source in step.get("sources", ()):
                fields = set(source) if isinstance(source, dict) else {"account"}
                if not isinstance(source, str | dict) or not shape("account", "max overdraft").fits(
                    fields
                ):
                    return f"source {source!r}"
            dest = step.get("dest", "")
            if not isinstance(dest, str) and set(dest) != {"split"}:
                return f"dest {dest!r}"
        return None

    # -- opening ---------------------------------------------------------------------------------

    def open(self, given: dict[str, Any]) -> None:
        sends = [step for step in self.case.steps if step["op"] == "send"]
        codes = {step["asset"] for step in sends}
        if len(codes) != 1:
            raise Strange(f"a script of one asset, not of {sorted(codes)}")
        code = codes.pop()
        self.asset = self.stage.asset(code, int(code.partition("/")[2] or 0))
        self.between = self.stage.sink(self.asset, "between accounts")
        self.mentions = {id(step): [self._mention(each) for each in step["sources"]]
                         for step in sends}  # fmt: skip
        self.limits: dict[str, int] = {WORLD: MAX_AMOUNT}
        for mention in (each for mentions in self.mentions.values() for each in mentions):
            limit = self.limits.get(mention.account, 0)
            self.limits[mention.account] = max(limit, mention.overdraft)
        self.balances = {name: amount_of(value) for name, value in given["balances"].items()}
        names = {*self.balances, *self.limits}
        names |= {step["account"] for step in self.case.steps if "account" in step}
        names |= {name for step in sends for _, name in self._parts(step["dest"])} - {KEPT}
        self.buckets = {name: self._open(name, self.balances.get(name, 0)) for name in names}
        self.stage.begin()

    def _mention(self, source: str | dict[str, Any]) -> Mention:
        if isinstance(source, str):
            source = {"account": source}
        overdraft = overdraft_of(source.get("overdraft", 0))
        if overdraft < 0:
            self._no_positive_floor(overdraft)
        most = None if "max" not in source else amount_of(source["max"])
        cap = self.stage.bucket(self.asset)
        return Mention(source["account"], most, max(overdraft, 0), cap)

    def _no_positive_floor(self, overdraft: int) -> None:
        self.ours("no_positive_floor")
        try:
            self.stage.bucket(self.asset, credit_limit=overdraft)
        except ValueRefused:
            return
        raise Wrong(f"ours opened a bucket with a credit limit of {overdraft}")

    def _open(self, name: str, balance: int) -> int:
        limit = self.limits[name] = max(self.limits.get(name, 0), -balance)
        if max(limit, balance) > MAX_AMOUNT:
            self._too_much(self.stage.bucket(self.asset), max(limit, balance))
        bucket = self.stage.bucket(self.asset, max(balance, 0), credit_limit=limit)
        if balance < 0:
            self.stage.do(Use(sources=(Source(bucket),), amount=-balance, sink=self.between))
        return bucket

    def _too_much(self, bucket: int, amount: int) -> None:
        found = self.stage.send(Grant(bucket=bucket, amount=amount))[0]
        self.same(getattr(found, "code", None), "value_invalid", f"{amount} of anything")
        self.leave("amount_above_2_53")

    # -- playing ---------------------------------------------------------------------------------

    def play(self, steps: Sequence[dict[str, Any]]) -> None:
        script, failed = Script(), None
        with self.stage.trial() as trial:
            for step in steps:
                failed = self._write(step, script, trial)
                self.same(self._error(failed, step), step.get("error"), f"error of {step}")
                if failed is not None:
                    break
        for saved in script.saved:
            script.add(Release(hold=saved))
        outcomes = self.stage.send(*script.commands, operations=tuple(script.operations))
        self.same(all(isinstance(each, Applied) for each in outcomes), failed is None, "the script")
        self.error = None if failed is None else MISSING
        self.postings: list[list[Any]] = []
        if failed is None:
            self._post(script, outcomes)
        else:
            for name, bucket in self.buckets.items():
                self.same(self.stage.balance(bucket), self.balances.get(name, 0), f"{name} after")

    def _error(self, failed: Outcome | None, step: dict[str, Any]) -> str | None:
        """Return what theirs calls a failure; leave where ours refuses the amount itself."""
        if failed is None:
            return None
        if isinstance(failed, Denied) and failed.code in {"bucket_empty", "member_cap_reached"}:
            return MISSING
        if getattr(failed, "code", None) == "value_invalid":
            self.same(amount_of(step["amount"]) > MAX_AMOUNT, True, f"{step} is above 2^53 - 1")
            self.leave("amount_above_2_53")
        raise Wrong(f"ours says {failed}, which none of their errors is")

    @op("save", "account amount", "asset")
    def save(self, **_: Any) -> None:
        """Is written into the script."""

    @op("send", "amount asset sources dest", "error")
    def send(self, **_: Any) -> None:
        """Is written into the script."""

    def _write(self, step: dict[str, Any], script: Script, trial: Trial) -> Outcome | None:
        """Write a step into the script and try it; return why it failed, if it did."""
        if step["op"] == "save":
            self._save(step, script, trial)
        else:
            self._send(step, script, trial)
        return script.tried(trial)

    def _save(self, step: dict[str, Any], script: Script, trial: Trial) -> None:
        """Hold what is saved: it is there for nobody while the script runs; credit is not saved."""
        if step.get("asset", self.asset.code) != self.asset.code:
            return
        bucket = self.buckets[step["account"]]
        left = max(trial.balance(bucket), 0)
        amount = left if step["amount"] == ALL else min(amount_of(step["amount"]), left)
        if amount:
            script.saved.append(script.add(Hold(sources=(Source(bucket),), amount=amount)))

    def _send(self, step: dict[str, Any], script: Script, trial: Trial) -> None:
        mentions = self.mentions[id(step)]
        everything = step["amount"] == ALL
        sources = tuple(self._sources(mentions, script, trial))
        shields = self._shield(mentions, script)
        if everything:
            assert script.tried(trial) is None
            amount = trial.available(sources)
        else:
            amount = amount_of(step["amount"])
        kept: list[int] = []
        arrivals: list[Grant] = []
        parts = self._parts(step["dest"])
        shares = split(amount, shares_of([share for share, _ in parts]))
        for (_, dest), part in zip(parts, shares, strict=True):
            if not part:
                continue
            used = script.add(
                Use(sources=sources, amount=part, at_most=everything, sink=self.between)
            )
            if dest == KEPT:
                kept.append(used)
            else:
                script.sent_to[used] = dest
                target = self.buckets[dest]
                arrivals.append(Grant(bucket=target, amount=part, source=self.between))
        # Theirs collect everything before anything arrives: nobody pays with what is just coming.
        for arrival in arrivals:
            script.add(arrival)
        for used in kept:
            script.add(Reverse(operation=used))
        for shield in shields:
            script.add(Release(hold=shield))

    @staticmethod
    def _parts(dest: str | dict[str, Any]) -> list[tuple[str, str]]:
        if isinstance(dest, str):
            return [("100%", dest)]
        return [(share, name) for share, name in dest["split"]]

    def _shield(self, mentions: list[Mention], script: Script) -> list[int]:
        """Hold the credit that an account has elsewhere in the script, but not in this send."""
        shields = []
        for name in dict.fromkeys(mention.account for mention in mentions):
            if name == WORLD:
                continue
            most = max(each.overdraft for each in mentions if each.account == name)
            if (hidden := self.limits[name] - most) > 0:
                sources = (Source(self.buckets[name]),)
                shields.append(script.add(Hold(sources=sources, amount=hidden, at_most=True)))
        return shields

    def _sources(self, mentions: list[Mention], script: Script, trial: Trial) -> Iterator[Source]:
        """Yield the sources; cap a mention that may give less than its account has."""
        given: dict[str, int] = {}
        for mention in mentions:
            name, bucket = mention.account, self.buckets[mention.account]
            allowed = max(trial.balance(bucket) + mention.overdraft - given.get(name, 0), 0)
            if name == WORLD:
                allowed = MAX_AMOUNT
            gives = allowed if mention.most is None else min(mention.most, allowed)
            widest = max(each.overdraft for each in mentions if each.account == name)
            if mention.most is None and (mention.overdraft == widest or name == WORLD):
                yield Source(bucket)
            else:
                if gives:
                    script.add(Grant(bucket=mention.cap, amount=gives))
                yield Source(bucket, cap=mention.cap)
            given[name] = given.get(name, 0) + gives

    # -- judging ---------------------------------------------------------------------------------

    def _post(self, script: Script, outcomes: tuple[Outcome, ...]) -> None:
        names = {bucket: name for name, bucket in self.buckets.items()}
        for operation, outcome in zip(script.operations, outcomes, strict=True):
            if operation not in script.sent_to:
                continue
            assert isinstance(outcome, Applied)
            dest = script.sent_to[operation]
            posted: list[list[Any]] = []
            for bucket, _, amount in outcome.drawn:
                if posted and posted[-1][0] == names[bucket]:
                    posted[-1][2] += amount
                else:
                    posted.append([names[bucket], dest, amount])
            self.postings += posted

    @expects("postings")
    def judge_postings(self, wanted: list[list[Any]], key: str) -> None:
        expected = [[source, dest, amount_of(amount)] for source, dest, amount in wanted]
        self.same(self.postings, expected, key)

    @expects("error")
    def judge_error(self, wanted: str | None, key: str) -> None:
        self.same(self.error, wanted, key)

    @expects("balances")
    def judge_balances(self, wanted: dict[str, Any], key: str) -> None:
        for name, balance in wanted.items():
            self.same(self.stage.balance(self.buckets[name]), amount_of(balance), f"{key}: {name}")
