"""Calls that are rated and debited, as CGRateS has them: shared groups, units before money.

Money, seconds and messages are assets; what pays first comes first in one request. Prices are
multiplied here: rating is not the ledger's.
"""

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from farebox.kernel.amounts import MAX_AMOUNT
from farebox.ledger.model import Applied, Denied, Look, Outcome, Source, Use
from farebox.ledger.service import request
from tests.golden.cases import Case, Strange, Wrong
from tests.golden.family import Family, denied, expects, op, scale_of, shape, units, whole
from tests.golden.stage import Stage

_PRICE: Final = re.compile(r"(?P<price>[\d.]+) per second(?:, (?P<step>\d+) s increments)?")
_BLOCK: Final = re.compile(r"(\d+) s blocks")


def _shown(stage: Stage, bucket: int, scale: int) -> Decimal:
    return Decimal(stage.balance(bucket)).scaleb(-scale)


class Group(Family):
    """The vocabulary debit, max_usage of members that share their money."""

    GIVEN = (shape("accounts price"),)

    def open(self, given: dict[str, Any]) -> None:
        accounts = given["accounts"]
        found = _PRICE.fullmatch(given["price"])
        if found is None:
            raise Strange(f"price {given['price']!r}")
        price = Decimal(found["price"])
        self.scale = scale_of(price, accounts)
        asset = self.stage.asset("money", self.scale)
        self.price, self.block = units(price, self.scale), int(found["step"] or 1)
        self.groups = {name: facts.get("group") for name, facts in accounts.items()}
        self.buckets = {
            name: self.stage.bucket(asset, units(facts["money"], self.scale))
            for name, facts in accounts.items()
        }
        self.increments = 0
        self.granted: list[int] = []
        self.stage.begin()

    def _sources(self, account: str) -> tuple[Source, ...]:
        """Return the member's own bucket, then those of its group."""
        group = self.groups[account]
        others = [name for name, of in self.groups.items() if of == group and name != account]
        names = [account, *(others if group is not None else [])]
        return tuple(Source(self.buckets[name]) for name in names)

    @op("debit", "account seconds")
    def debit(self, account: str, seconds: int) -> None:
        """Take each increment by a use of its own, all in one request: each names who pays."""
        count = -(-seconds // self.block)
        sources = self._sources(account)
        one = Use(sources=sources, amount=self.block * self.price, actor=account)
        outcomes = self.stage.send(*[one] * count)
        if all(isinstance(each, Applied) for each in outcomes):
            paid = [sum(part for _, _, part in each.drawn) for each in outcomes
                    if isinstance(each, Applied)]  # fmt: skip
            self.same(paid, [one.amount] * count, "what each increment names")
            self.increments += count

    @op("max_usage", "account asked_seconds")
    def max_usage(self, account: str, asked_seconds: int) -> None:
        look = Look(sources=self._sources(account), amount=0)
        found = self.stage.do(look)
        affordable = found.available // (self.price * self.block) * self.block
        granted = min(affordable, asked_seconds)
        if granted:
            self.stage.do(Look(sources=look.sources, amount=granted * self.price))
        if granted < asked_seconds:
            more = (granted + self.block) * self.price
            denied(self.stage.send(Look(sources=look.sources, amount=more))[0], "bucket_empty")
        self.granted.append(granted)

    @expects("balances")
    def judge_balances(self, wanted: dict[str, Any], key: str) -> None:
        for name, balance in wanted.items():
            self.same(_shown(self.stage, self.buckets[name], self.scale), balance, f"{key}: {name}")

    @expects("increments")
    def judge_increments(self, wanted: int, key: str) -> None:
        self.same(self.increments, wanted, key)

    @expects("granted_seconds")
    def judge_granted(self, wanted: int, key: str) -> None:
        self.same(self.granted, [wanted], key)


class Shares(Family):
    """The vocabulary max_debit: a shared balance first, then the default one, never below 0."""

    GIVEN = (shape("accounts"),)

    @classmethod
    def unread_values(cls, case: Case) -> str | None:
        accounts = case.given["accounts"]
        well = isinstance(accounts, dict) and len(accounts) == 1 and all(
            isinstance(each, dict) and set(each) == {"shared", "default"}
            for each in accounts.values()
        )  # fmt: skip
        return None if well else f"accounts {accounts}"

    def open(self, given: dict[str, Any]) -> None:
        self.scale = scale_of(given, self.case.steps, self.case.expected)
        ((self.account, balances),) = given["accounts"].items()
        asset = self.stage.asset("money", self.scale)
        self.opening = {name: Decimal(balances[name]) for name in ("shared", "default")}
        self.buckets = {
            name: self.stage.bucket(asset, units(value, self.scale))
            for name, value in self.opening.items()
        }
        self.outcomes: list[Outcome] = []
        self.asked = Decimal(0)
        self.stage.begin()

    @op("max_debit", "account cost")
    def max_debit(self, account: str, cost: Decimal) -> None:
        if account != self.account:
            raise Strange(f"account {account!r}")
        self.asked += Decimal(cost)
        sources = tuple(Source(each) for each in self.buckets.values())
        self.outcomes.append(
            self.stage.send(Use(sources=sources, amount=units(cost, self.scale)))[0]
        )

    @expects("balances")
    def judge_balances(self, wanted: dict[str, Any], key: str) -> None:
        ours = {name: _shown(self.stage, each, self.scale) for name, each in self.buckets.items()}
        if all(balance >= 0 for balance in wanted.values()):
            self.same(ours, {name: Decimal(each) for name, each in wanted.items()}, key)
            return
        # The counter-example: theirs owes what it has not. Ours denied that and moved nothing.
        self.ours("prepaid_below_zero")
        opening = sum(self.opening.values())
        self.same(opening - self.asked, sum(wanted.values()), f"{key}: theirs, everything debited")
        denied(self.outcomes[-1], "bucket_empty")
        paid = sum(each.amount for each in self.outcomes if isinstance(each, Applied))
        self.same(sum(ours.values()), opening - Decimal(paid).scaleb(-self.scale), key)
        self.same(min(ours.values()) >= 0, True, f"{key} not below 0")


class Postpaid(Family):
    """The vocabulary debit(cost) of an account without a floor."""

    GIVEN = (shape("accounts"),)

    @classmethod
    def unread_values(cls, case: Case) -> str | None:
        accounts = case.given["accounts"]
        well = isinstance(accounts, dict) and len(accounts) == 1 and all(
            isinstance(each, int | Decimal) for each in accounts.values()
        )  # fmt: skip
        return None if well else f"accounts {accounts}"

    def open(self, given: dict[str, Any]) -> None:
        self.scale = scale_of(given, self.case.steps, self.case.expected)
        ((self.account, balance),) = given["accounts"].items()
        opening = units(balance, self.scale)
        asset = self.stage.asset("money", self.scale)
        self.bucket = self.stage.bucket(asset, max(opening, 0), credit_limit=MAX_AMOUNT)
        if opening < 0:
            self.stage.do(Use(sources=(Source(self.bucket),), amount=-opening))
        self.stage.begin()

    @op("debit", "cost")
    def debit(self, cost: Decimal) -> None:
        self.stage.do(Use(sources=(Source(self.bucket),), amount=units(cost, self.scale)))

    @expects("balances")
    def judge_balances(self, wanted: dict[str, Any], key: str) -> None:
        ours = _shown(self.stage, self.bucket, self.scale)
        self.same({self.account: ours}, {name: Decimal(each) for name, each in wanted.items()}, key)


class Units(Family):
    """The vocabulary debit of seconds, messages or money: units pay first, money for the rest."""

    GIVEN = (shape("", "voice_seconds money sms data price_per_second unit"),)

    @classmethod
    def unread_values(cls, case: Case) -> str | None:
        if isinstance(case.given.get("money"), list):
            return "a list of balances of money"
        if set(case.given) <= {"price_per_second", "unit"}:
            return "nothing that could pay"
        return None

    def open(self, given: dict[str, Any]) -> None:
        self.price = given.get("price_per_second")
        self.scale = scale_of(given.get("money", 0), self.price or 0, self.case.steps)
        self.block = 1
        if "unit" in given:
            found = _BLOCK.fullmatch(given["unit"])
            if found is None:
                raise Strange(f"unit {given['unit']!r}")
            self.block = int(found[1])
        self.opening = {
            name: units(value, self._scale(name))
            for name, value in given.items()
            if name not in {"price_per_second", "unit"}
        }
        self.buckets = {
            name: self.stage.bucket(self.stage.asset(name, self._scale(name)), amount)
            for name, amount in self.opening.items()
        }
        self.error: str | None = None
        self.asked = 0
        self.kept = 0
        self.stage.begin()

    def _scale(self, name: str) -> int:
        return self.scale if name == "money" else 0

    def _use(self, name: str, amount: int) -> Use:
        return Use(sources=(Source(self.buckets[name]),), amount=amount)

    def _finish(self, outcomes: Sequence[Outcome]) -> None:
        if any(isinstance(each, Denied) for each in outcomes):
            self.error = "insufficient"
        elif not all(isinstance(each, Applied) for each in outcomes):
            raise Wrong(f"ours says {outcomes}")

    @op("debit", "", "seconds sms data cost increment")
    def debit(self, increment: int | None = None, **asked: Any) -> None:
        ((what, amount),) = asked.items()
        if what == "cost":
            self._finish(self.stage.send(self._use("money", units(amount, self.scale))))
        elif what != "seconds":
            self._finish(self.stage.send(self._use(what, amount)))
        else:
            self._call(amount, increment or self.block)

    def _call(self, seconds: int, block: int) -> None:
        """Let seconds pay in whole blocks, and money for what they do not, in one request."""
        self.asked += seconds
        need = -(-seconds // block) * block
        there = self.stage.view(self.buckets["voice_seconds"]).available
        by_units = min(need, there // block * block)
        rest = need - by_units
        if self.price is None and rest:
            by_units, rest = need, 0
        uses = [self._use("voice_seconds", by_units)] if by_units else []
        if rest:
            price = units(self.price, self.scale)
            uses.append(self._use("money", min(rest, seconds - by_units) * price))
        before = self.stage.view(self.buckets["voice_seconds"]).available
        self._finish(self.stage.send(*uses))
        if self.error is not None and "timespans_kept_seconds" in self.case.expected:
            self._keep_part(need, block, before)

    def _keep_part(self, need: int, block: int, before: int) -> None:
        """Show both that a denial took nothing, and what whoever asks for a part is given."""
        self.ours("applied_in_part")
        self.same(self.stage.view(self.buckets["voice_seconds"]).available, before, "after denial")
        there = min(before, need) // block * block
        if there:
            self.kept += self.stage.do(self._use("voice_seconds", there)).amount
        more = self._use("voice_seconds", block)
        denied(self.stage.send(more)[0], "bucket_empty")

    @op("concurrent", "n step")
    def concurrent(self, n: int, step: dict[str, Any]) -> None:
        if set(step) != {"op", "cost"}:
            raise Strange(f"at once: {step}")
        use = self._use("money", units(step["cost"], self.scale))
        for outcome in self.stage.together([request(use) for _ in range(n)]):
            self._finish(outcome)

    @expects("voice_seconds|sms|data")
    def judge_units(self, wanted: int, key: str) -> None:
        self.same(self.stage.view(self.buckets[key]).balance, wanted, key)

    @expects("money")
    def judge_money(self, wanted: Any, key: str) -> None:
        ours = _shown(self.stage, self.buckets["money"], self.scale)
        if ours != wanted and self.price is not None and self.asked:
            # Theirs may charge the whole call although seconds paid for a part of it.
            whole_call = self.asked * units(self.price, self.scale)
            theirs = Decimal(self.opening["money"] - whole_call).scaleb(-self.scale)
            self.same(theirs, wanted, f"{key}, the whole call charged")
            self.ours("units_charged_twice")
            return
        self.same(ours, wanted, key)

    @expects("error")
    def judge_error(self, wanted: str | None, key: str) -> None:
        self.same(self.error, wanted, key)

    @expects("timespans_kept_seconds")
    def judge_kept(self, wanted: int, key: str) -> None:
        self.same(self.kept, whole(wanted), key)
