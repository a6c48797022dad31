"""Quota pools, numbers on the wire and tariff changes, as Diameter credit control has them."""

import re
from decimal import Decimal
from typing import Any, Final

from farebox.kernel.amounts import show_amount
from farebox.ledger.model import Applied, Denied, Grant, Hold, Look, Source
from tests.golden.cases import Case, Strange
from tests.golden.family import Family, denied, expects, op, scale_of, shape, units

POOLED: Final = shape("service multiplier reserved_usd price")
_PRICE: Final = re.compile(r"\$([\d.]+)/(\w+)")


class Pools(Family):
    """The vocabulary pool_total, exhausted?: a pool is a bucket of abstract units."""

    GIVEN = (shape("pool grants"),)

    @classmethod
    def unread_values(cls, case: Case) -> str | None:
        for grant in case.given["grants"]:
            plain = {name for name in grant if not name.startswith("units_")}
            if len(grant) - len(plain) != 1 or not POOLED.fits(plain):
                return f"grant {grant}"
        return None

    def open(self, given: dict[str, Any]) -> None:
        self.grants = given["grants"]
        self.scale = scale_of(self.grants, *(self._price(each)[0] for each in self.grants))
        money = self.stage.asset("USD", self.scale)
        reserved = [units(each["reserved_usd"], self.scale) for each in self.grants]
        self.money = self.stage.bucket(money, sum(reserved))
        self.pool = self.stage.bucket(self.stage.asset(f"pool {given['pool']}"))
        self.exhausted: list[bool] = []
        self.stage.begin()
        for each, amount in zip(self.grants, reserved, strict=True):
            unit = self._unit(each)
            price, per = self._price(each)
            self.same(per, unit, f"what {each['service']} is priced by")
            self.same(each[f"units_{unit}"] * price, each["reserved_usd"], f"{each['service']}")
            self.stage.do(Hold(sources=(Source(self.money),), amount=amount))
            total = each[f"units_{unit}"] * each["multiplier"]
            self.stage.do(Grant(bucket=self.pool, amount=total))

    @staticmethod
    def _unit(grant: dict[str, Any]) -> str:
        return next(name for name in grant if name.startswith("units_")).removeprefix("units_")

    @staticmethod
    def _price(grant: dict[str, Any]) -> tuple[Decimal, str]:
        found = _PRICE.fullmatch(grant["price"])
        if found is None:
            raise Strange(f"price {grant['price']!r}")
        return Decimal(found[1]), found[2]

    def _of(self, name: str) -> dict[str, Any]:
        """Return the grant that `rg1_min` means: by its unit, and where that is not enough by name.

        `rg1` stands for `rating-group 1`: the first letters of its words, and its number.
        """
        service, _, unit = name.rpartition("_")
        found = [each for each in self.grants if self._unit(each) == unit]
        if len(found) > 1:
            found = [each for each in found if service in {each["service"], _short(each)}]
        if len(found) != 1:
            raise Strange(f"{name!r} means {len(found)} grants")
        return dict(found[0])

    @op("pool_total")
    def pool_total(self) -> None:
        self.total = self.stage.view(self.pool).available

    @op("exhausted?", "used")
    def exhausted_(self, used: dict[str, int]) -> None:
        """Ask whether one more unit than was used would be refused."""
        weighed = sum(count * self._of(name)["multiplier"] for name, count in used.items())
        look = Look(sources=(Source(self.pool),), amount=weighed + 1)
        self.exhausted.append(isinstance(self.stage.send(look)[0], Denied))

    @expects("S")
    def judge_total(self, wanted: int, key: str) -> None:
        self.same(self.stage.view(self.pool).available, wanted, key)

    @expects("reserved_usd")
    def judge_reserved(self, wanted: Any, key: str) -> None:
        held = self.stage.view(self.money).held
        self.same(Decimal(held).scaleb(-self.scale), wanted, key)

    @expects("exhausted")
    def judge_exhausted(self, wanted: list[bool], key: str) -> None:
        self.same(self.exhausted, wanted, key)


def _short(grant: dict[str, Any]) -> str:
    words = re.findall(r"[a-z]+|\d+", grant["service"].lower())
    return "".join(word if word.isdigit() else word[0] for word in words)


class Wire(Family):
    """The vocabulary decode: digits and an exponent become an amount of an asset with a scale."""

    GIVEN = (shape(),)

    def open(self, given: dict[str, Any]) -> None:
        self.values: list[str] = []
        self.stage.begin()

    @op("decode", "digits exponent")
    def decode(self, digits: int, exponent: int) -> None:
        scale = max(-exponent, 0)
        amount = digits * 10 ** max(exponent, 0)
        if amount > 0:
            bucket = self.stage.bucket(self.stage.asset(f"scale {scale}", scale), amount)
            amount = self.stage.view(bucket).available
        self.values.append(show_amount(amount, scale))

    @expects("values")
    def judge_values(self, wanted: list[str], key: str) -> None:
        self.same(self.values, wanted, key)


class Tariffs(Family):
    """The vocabulary grant_across_tariff_change: a quota is paid for at the worst of its prices."""

    GIVEN = (shape("balance rate_before rate_after"),)

    def open(self, given: dict[str, Any]) -> None:
        self.scale = scale_of(given)
        asset = self.stage.asset("money", self.scale)
        self.bucket = self.stage.bucket(asset, units(given["balance"], self.scale))
        rates = [units(given[name], self.scale) for name in ("rate_before", "rate_after")]
        self.worst = max(rates)
        self.stage.begin()

    @op("grant_across_tariff_change")
    def grant_across_tariff_change(self) -> None:
        """Hold what the worst price asks for; one unit more must be denied."""
        sources = (Source(self.bucket),)
        found = self.stage.do(Look(sources=sources, amount=0))
        self.granted = found.available // self.worst
        if self.granted:
            self.stage.do(Hold(sources=sources, amount=self.granted * self.worst))
        denied(self.stage.send(Hold(sources=sources, amount=self.worst))[0], "bucket_empty")

    @expects("granted_units")
    def judge_granted(self, wanted: int, key: str) -> None:
        self.same(self.granted, wanted, key)


__all__ = ["Applied", "Pools", "Tariffs", "Wire"]
