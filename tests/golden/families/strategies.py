"""In which order several balances pay: a group's strategies, weights, a balance that blocks."""

from decimal import Decimal
from typing import Any, Final

from farebox.ledger.model import Look, Source, Use
from tests.golden.cases import Case, Strange
from tests.golden.family import Family, expects, op, scale_of, shape, units

MINE: Final = "mine"
STRATEGIES: Final = frozenset({"*highest", "*lowest", "*mine_highest", "*mine_lowest"})


class Sharing(Family):
    """The vocabulary order: who of a group pays first.

    The strategy orders the sources; that they pay in this order is the ledger's.
    """

    GIVEN = (shape("balances"),)

    @classmethod
    def unread_values(cls, case: Case) -> str | None:
        for step in case.steps:
            if step["strategy"] not in STRATEGIES:
                return f"strategy {step['strategy']!r}"
        return None

    def open(self, given: dict[str, Any]) -> None:
        self.scale = scale_of(given)
        self.balances = {name: units(each, self.scale) for name, each in given["balances"].items()}
        self.orders: list[list[str]] = []
        self.stage.begin()

    @op("order", "strategy")
    def order(self, strategy: str) -> None:
        asset = self.stage.asset("money", self.scale)
        buckets = {name: self.stage.bucket(asset, each) for name, each in self.balances.items()}
        sign = -1 if strategy.endswith("highest") else 1
        names = sorted(
            buckets,
            key=lambda name: (
                strategy.startswith("*mine") and name != MINE,
                sign * self.stage.view(buckets[name]).available,
            ),
        )
        sources = tuple(Source(buckets[name]) for name in names)
        used = self.stage.do(Use(sources=sources, amount=sum(self.balances.values())))
        of = {bucket: name for name, bucket in buckets.items()}
        self.orders.append([of[bucket] for bucket, _, _ in used.drawn])

    @expects("orders")
    def judge_orders(self, wanted: list[list[str]], key: str) -> None:
        self.same(self.orders, wanted, key)


class Blocking(Family):
    """The vocabulary debit_dry_run: balances by weight; behind one that blocks nobody pays."""

    GIVEN = (shape("money", "connect_fee"),)

    @classmethod
    def unread_values(cls, case: Case) -> str | None:
        money = case.given["money"]
        if not isinstance(money, list):
            return f"money {money}"
        wanted = shape("id value weight", "blocker")
        wrong = [each for each in money if not wanted.fits(set(each))]
        return f"balance {wrong[0]}" if wrong else None

    def open(self, given: dict[str, Any]) -> None:
        self.fee = given.get("connect_fee", 0)
        self.scale = scale_of(given, self.case.steps)
        asset = self.stage.asset("money", self.scale)
        self.money = sorted(given["money"], key=lambda each: -each["weight"])
        self.buckets = {
            each["id"]: self.stage.bucket(asset, units(each["value"], self.scale))
            for each in self.money
        }
        self.stage.begin()

    @op("debit_dry_run", "seconds price_per_second")
    def debit_dry_run(self, seconds: int, price_per_second: Decimal) -> None:
        cost = units(self.fee, self.scale) + seconds * units(price_per_second, self.scale)
        sources, there = [], 0
        for each in self.money:
            sources.append(Source(self.buckets[each["id"]]))
            there += units(each["value"], self.scale)
            if each.get("blocker"):
                break
        outcome = self.stage.send(Look(sources=tuple(sources), amount=cost))[0]
        code = getattr(outcome, "code", None)
        if code not in {None, "bucket_empty"}:
            raise Strange(f"ours says {outcome}")
        self.same(code is None, cost <= there, "whether the chain up to the blocker can pay")

    @expects("balances")
    def judge_balances(self, wanted: dict[str, Any], key: str) -> None:
        for name, balance in wanted.items():
            ours = Decimal(self.stage.balance(self.buckets[name])).scaleb(-self.scale)
            self.same(ours, balance, f"{key} of {name}")
