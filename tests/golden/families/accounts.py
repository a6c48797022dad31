"""Accounts that send to each other: transfers one by one, at once and in batches; days and trees.

Prepaid accounts move what they have (`Move`). Where accounts may go below zero, a transfer is a use
and a grant, linked in one request.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from farebox.kernel import ids
from farebox.kernel.amounts import parse_amount, show_amount
from farebox.kernel.clock import SECOND_US, parse_time
from farebox.ledger.model import Applied, Command, Grant, Kind, Move, Source, Use
from farebox.ledger.service import request
from tests.golden.cases import Case, Wrong
from tests.golden.family import Family, code_of, expects, op, shape

DAY_US: Final = 86_400 * SECOND_US
_BATCH_CODES: Final = {None: 0, "bucket_empty": 1, "bucket_unknown": 2, "value_invalid": 3}


class Moves(Family):
    """The vocabulary transfer, concurrent, batch between prepaid accounts."""

    GIVEN = (shape("accounts"), shape("balances"))

    @classmethod
    def unread_values(cls, case: Case) -> str | None:
        accounts = case.given.get("accounts", case.given.get("balances"))
        if not isinstance(accounts, dict) or any(type(v) is not int for v in accounts.values()):
            return f"accounts {accounts}"
        return None

    def open(self, given: dict[str, Any]) -> None:
        accounts = given.get("accounts", given.get("balances"))
        assert accounts is not None
        asset = self.stage.asset()
        self.buckets = {name: self.stage.bucket(asset, value) for name, value in accounts.items()}
        self.stage.begin()

    def _move(self, source: object, target: object, amount: int) -> Move:
        found = [self.buckets.get(str(each)) or ids.mint() for each in (source, target)]
        return Move(source=found[0], target=found[1], amount=amount)

    @op("transfer", "from to amount")
    def transfer(self, **fields: Any) -> None:
        self.stage.do(self._move(fields["from"], fields["to"], fields["amount"]))

    @op("concurrent", "", "n step steps")
    def concurrent(
        self,
        n: int = 1,
        step: dict[str, Any] | None = None,
        steps: Sequence[dict[str, Any]] = (),
    ) -> None:
        each = [*([] if step is None else [step] * n), *steps]
        moves = [self._move(one["from"], one["to"], one["amount"]) for one in each]
        for outcome in self.stage.together([request(move) for move in moves]):
            self.same(code_of(outcome[0]), None, "a transfer at once with others")

    @op("batch", "transfers results")
    def batch(self, transfers: list[list[int]], results: list[int]) -> None:
        outcomes = self.stage.batch([request(self._move(*each)) for each in transfers])
        codes = [code_of(outcome[0]) for outcome in outcomes]
        if unknown := set(codes) - set(_BATCH_CODES):
            raise Wrong(f"ours says {unknown}, which none of their results is")
        self.same([_BATCH_CODES[code] for code in codes], results, f"results of {transfers}")

    @expects("balances")
    def judge_balances(self, wanted: dict[str, int], key: str) -> None:
        for name, balance in wanted.items():
            self.same(self.stage.balance(self.buckets[name]), balance, f"{key} of {name}")

    @expects("total")
    def judge_total(self, wanted: int, key: str) -> None:
        self.same(sum(self.stage.balance(each) for each in self.buckets.values()), wanted, key)

    @expects("transfers")
    def judge_transfers(self, wanted: int, key: str) -> None:
        sql = "SELECT count(DISTINCT operation) AS n FROM transfer WHERE kind = :kind"
        self.same(self.stage.rows(sql, kind=int(Kind.MOVE_OUT))[0].n, wanted, key)


class Histories(Family):
    """The vocabulary transfer of decimals between accounts without a floor, and their versions."""

    GIVEN = (shape("accounts"),)

    @classmethod
    def unread_values(cls, case: Case) -> str | None:
        accounts = case.given["accounts"]
        return None if isinstance(accounts, list) else f"accounts {accounts}"

    @classmethod
    def _judge(cls, key: str) -> str | None:
        return "judge_entries" if key == "entries" else "judge_account"

    def open(self, given: dict[str, Any]) -> None:
        amounts = [Decimal(step["amount"]) for step in self.case.steps]
        self.scale = max(-int(amount.as_tuple().exponent) for amount in amounts)
        self.asset = self.stage.asset(scale=self.scale)
        self.between = self.stage.sink(self.asset, "between accounts")
        self.buckets = {name: self.stage.unlimited(self.asset) for name in given["accounts"]}
        self.stage.begin()

    @op("transfer", "from to amount")
    def transfer(self, **fields: Any) -> None:
        amount = parse_amount(fields["amount"], self.scale)
        source = (Source(self.buckets[fields["from"]]),)
        target = self.buckets[fields["to"]]
        self.stage.do(
            Use(sources=source, amount=amount, sink=self.between),
            Grant(bucket=target, amount=amount, source=self.between),
        )

    def _versions(self, account: str) -> list[dict[str, Any]]:
        """Return an account's operations, oldest first, with the balance before and after."""
        versions: list[dict[str, Any]] = []
        last = None
        balance = 0
        for entry in reversed(self.stage.history(self.buckets[account])):
            before, balance = balance, balance + entry.change
            if entry.operation == last:
                versions[-1]["cur"] = show_amount(balance, self.scale)
            else:
                versions.append({
                    "version": len(versions) + 1,
                    "prev": show_amount(before, self.scale),
                    "cur": show_amount(balance, self.scale),
                })  # fmt: skip
            last = entry.operation
        return versions

    def judge_account(self, wanted: dict[str, Any], key: str) -> None:
        versions = self._versions(key)
        view = self.stage.view(self.buckets[key])
        ours = {"balance": show_amount(view.balance, self.scale), "version": len(versions)}
        self.same(versions[-1]["cur"] if versions else ours["balance"], ours["balance"], key)
        self.same({name: ours.get(name) for name in wanted}, wanted, key)

    def judge_entries(self, wanted: list[dict[str, Any]], key: str) -> None:
        """Entries are those of the account that the case names beside them."""
        (account,) = [each for each in self.case.expected if each != key]
        self.same(self._versions(account), wanted, f"{key} of {account}")


class Books(Family):
    """The vocabulary post, assert: balances at a day's start, and of a tree of accounts."""

    GIVEN = (shape(),)

    @classmethod
    def unread_values(cls, case: Case) -> str | None:
        return None if any(step["op"] == "post" for step in case.steps) else "a book without a post"

    def open(self, given: dict[str, Any]) -> None:
        self.buckets: dict[str, int] = {}
        self.errors: list[str] = []
        self.asserted: list[dict[str, Any]] = []

    def play(self, steps: Sequence[dict[str, Any]]) -> None:
        dated = [step for step in steps if "date" in step]
        first = min((self._day(step["date"]) for step in dated), default=self.stage.now)
        self.stage.begin(first - DAY_US)
        asset = self.stage.asset()
        self.between = self.stage.sink(asset, "between accounts")
        for step in steps:
            if step["op"] == "post" and step["account"] not in self.buckets:
                self.buckets[step["account"]] = self.stage.unlimited(asset)
        # What is posted on a day is posted at its noon, in the order of the case.
        for step in sorted(steps, key=lambda step: step.get("date", "")):
            if step["op"] == "post":
                if "date" in step:
                    self.stage.go(max(self.stage.now, self._day(step["date"]) + DAY_US // 2))
                self.step(step)
        for step in steps:
            if step["op"] == "assert":
                self.step(step)

    @staticmethod
    def _day(date: str) -> int:
        return parse_time(f"{date}T00:00:00Z")

    @op("post", "account amount", "date")
    def post(self, account: str, amount: int, date: str | None = None) -> None:
        bucket = self.buckets[account]
        command: Command = Grant(bucket=bucket, amount=max(amount, 1), source=self.between)
        if amount < 0:
            command = Use(sources=(Source(bucket),), amount=-amount, sink=self.between)
        if amount:
            self.stage.do(command)

    def _subtree(self, account: str | None) -> list[int]:
        return [
            bucket
            for name, bucket in self.buckets.items()
            if account is None or name == account or name.startswith(f"{account}:")
        ]

    @op("assert", "date amount", "account")
    def check(self, date: str, amount: int, account: str | None = None) -> None:
        """Compare what there was at the start of a day, the instant before anything of it."""
        start = self._day(date) - 1
        ours = 0
        for bucket in self._subtree(account):
            credit = self.stage.view(bucket).credit_limit
            ours += self.stage.as_of(bucket, start) - credit
        if ours != amount:
            self.errors.append(date)

    @expects("errors")
    def judge_errors(self, wanted: list[str], key: str) -> None:
        self.same(self.errors, wanted, key)

    @expects("assert")
    def judge_assert(self, wanted: dict[str, int], key: str) -> None:
        for account, balance in wanted.items():
            ours = sum(self.stage.balance(each) for each in self._subtree(account))
            self.same(ours, balance, f"{key} of {account}")


__all__ = ["Applied", "Books", "Histories", "Moves"]
