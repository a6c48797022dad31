"""What every family of cases shares: ops and expectations by name, strictly.

A family is one vocabulary of ops: it says which fields `given` and each op may have, and has a
method for every op and for every key of `expected`. A case is played by the one family that reads
all of it; a field, op or key that nobody reads is a failure before anything is run.
"""

import re
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import Any, ClassVar, Final, NoReturn

import msgspec

from farebox.ledger.model import Applied, Denied, Outcome
from tests.golden.cases import Case, Strange, Wrong
from tests.golden.not_applicable import RULES, Rule
from tests.golden.stage import Stage

Fields = frozenset[str]
NESTED: Final = {"repeat": ("n", "step"), "concurrent": (), "concurrent_at": ("at_s", "steps")}


class Left(Exception):
    """Ours refuses what the case builds on: asserted, and the rest of it cannot be played."""


class Shape(msgspec.Struct, frozen=True):
    """The fields of a JSON object: those it must have and those it may have."""

    must: Fields = frozenset()
    may: Fields = frozenset()

    def fits(self, fields: AbstractSet[str]) -> bool:
        """Tell whether an object with these fields is of this shape."""
        return self.must <= fields <= self.must | self.may


def shape(must: str = "", may: str = "") -> Shape:
    """Write a shape: the names apart by spaces."""
    return Shape(frozenset(must.split()), frozenset(may.split()))


def op(name: str, must: str = "", may: str = "") -> Callable[[Any], Any]:
    """Mark a method as playing an op with these fields."""

    def mark(method: Any) -> Any:
        method.op = (name, shape(must, may))
        return method

    return mark


def expects(pattern: str) -> Callable[[Any], Any]:
    """Mark a method as judging the keys of `expected` that match a pattern as a whole."""

    def mark(method: Any) -> Any:
        method.expects = re.compile(pattern)
        return method

    return mark


class Family:
    """One vocabulary, playing one case on one stage."""

    GIVEN: ClassVar[tuple[Shape, ...]] = ()
    OPS: ClassVar[dict[str, tuple[Shape, str]]]
    EXPECTS: ClassVar[list[tuple[re.Pattern[str], str]]]

    def __init_subclass__(cls) -> None:
        cls.OPS, cls.EXPECTS = {}, []
        for base in reversed(cls.__mro__):
            for name, member in vars(base).items():
                if hasattr(member, "op"):
                    cls.OPS[member.op[0]] = (member.op[1], name)
                if hasattr(member, "expects"):
                    cls.EXPECTS.append((member.expects, name))

    def __init__(self, case: Case, stage: Stage) -> None:
        self.case = case
        self.stage = stage
        self.cited: list[Rule] = []
        self.left = False

    # -- does this family read the case? ---------------------------------------------------------

    @classmethod
    def unread(cls, case: Case) -> str | None:
        """Return what of a case this family does not read, or None when it reads all of it."""
        if not any(each.fits(set(case.given)) for each in cls.GIVEN):
            return f"given {sorted(case.given)}"
        for step in case.steps:
            if (fault := cls._unread_step(step)) is not None:
                return fault
        for key in case.expected:
            if cls._judge(key) is None:
                return f"expected {key!r}"
        return cls.unread_values(case)

    @classmethod
    def unread_values(cls, case: Case) -> str | None:
        """Return what of the values is not this family's, where fields alone do not tell."""
        return None

    @classmethod
    def _unread_step(cls, step: dict[str, Any]) -> str | None:
        name = step.get("op")
        if name not in cls.OPS:
            return f"op {name!r}"
        found = cls.OPS[name][0]
        if not found.fits(set(step) - {"op"}):
            return f"op {name!r} with {sorted(set(step) - {'op'})}"
        inner = step.get("steps", [step["step"]] if "step" in step else [])
        for each in inner:
            if (fault := cls._unread_step(each)) is not None:
                return fault
        return None

    @classmethod
    def _judge(cls, key: str) -> str | None:
        return next((name for pattern, name in cls.EXPECTS if pattern.fullmatch(key)), None)

    # -- playing ---------------------------------------------------------------------------------

    def run(self) -> None:
        """Play the case and compare everything that it expects."""
        try:
            self.open(self.case.given)
            self.play(self.case.steps)
            self.finish()
        except Left:
            self.left = True
            return
        for key, wanted in self.case.expected.items():
            name = self._judge(key)
            assert name is not None
            getattr(self, name)(wanted, key)

    def open(self, given: dict[str, Any]) -> None:
        """Open what the case has at first."""
        raise NotImplementedError

    def play(self, steps: Sequence[dict[str, Any]]) -> None:
        """Play all steps."""
        for step in steps:
            self.step(step)

    def step(self, step: dict[str, Any]) -> Any:
        """Play one step."""
        fields = {name: value for name, value in step.items() if name != "op"}
        return getattr(self, self.OPS[step["op"]][1])(**fields)

    def finish(self) -> None:
        """Do what follows the last step."""

    # -- judging ---------------------------------------------------------------------------------

    def same(self, ours: object, wanted: object, what: str) -> None:
        """Fail unless ours is what is wanted."""
        # In Python 1 == True, in a case it is not.
        if ours != wanted or isinstance(ours, bool) != isinstance(wanted, bool):
            raise Wrong(f"{what}: ours is {ours!r}, expected {wanted!r}")

    def ours(self, feature: str) -> None:
        """Cite the rule by which our own answer stands in place of the expected one."""
        rule = RULES[feature]
        if rule.kinds is not None and self.case.kind not in rule.kinds:
            raise Strange(f"{feature} is no feature of a case of kind {self.case.kind}")
        if rule not in self.cited:
            self.cited.append(rule)

    def leave(self, feature: str) -> NoReturn:
        """Cite a rule by which the rest of the case cannot be played."""
        self.ours(feature)
        raise Left


def applied(outcome: Outcome) -> Applied:
    """Return an outcome that must have taken effect."""
    if not isinstance(outcome, Applied):
        raise Wrong(f"ours did not take effect: {outcome}")
    return outcome


def code_of(outcome: Outcome) -> str | None:
    """Return why an outcome did not take effect, None if it did."""
    return None if isinstance(outcome, Applied) else outcome.code


def denied(outcome: Outcome, *codes: str) -> Denied:
    """Return an outcome that must be a denial with one of these codes."""
    if not isinstance(outcome, Denied) or outcome.code not in codes:
        raise Wrong(f"ours should be denied ({', '.join(codes)}): {outcome}")
    return outcome


def whole(value: object) -> int:
    """Return a JSON number that must be whole."""
    if type(value) is int:
        return value
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    raise Strange(f"{value!r} is not a whole number")


def scale_of(*values: object) -> int:
    """Return how many decimal places the numbers in these JSON values need at most."""
    most = 0
    for value in values:
        if isinstance(value, Decimal):
            exponent = value.normalize().as_tuple().exponent
            assert isinstance(exponent, int)
            most = max(most, -exponent)
        elif isinstance(value, dict):
            most = max(most, scale_of(*value.values()))
        elif isinstance(value, list):
            most = max(most, scale_of(*value))
    return most


def units(value: object, scale: int) -> int:
    """Return a JSON number in the smallest units of a scale."""
    if type(value) is not int and not isinstance(value, Decimal):
        raise Strange(f"{value!r} is not a number")
    return whole(Decimal(value).scaleb(scale))
