"""Worked numbers: what goes in and what must come out, by kind, as billing systems show them.

A case is `{"id", "system", "source", "kind", "input", "expected", "note"}`. A kind has one player:
it reads the input, calls the real rules, and returns what ours says under the names of `expected`.
Numbers stand as strings. A field of the input that the player did not read, and a name in
`expected` that it does not answer, fail.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, cast

from tests.golden.cases import Case, Strange, Wrong
from tests.golden.family import Family
from tests.golden.stage import Stage

FIELDS: Final = frozenset({"id", "system", "source", "kind", "input", "expected"})
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?")
Said = Mapping[str, Any]


class Sheet:
    """The fields of an object of the input, by name; remembers which of them were read."""

    def __init__(self, fields: Mapping[str, Any], place: str = "input") -> None:
        self._fields = fields
        self._place = place
        self._read: set[str] = set()
        self._inner: dict[str, list[Sheet]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def raw(self, name: str) -> Any:
        """Return a field as it stands in the file."""
        if name not in self._fields:
            raise Strange(f"{self._place} has no {name!r}")
        self._read.add(name)
        return self._fields[name]

    def text(self, name: str, *meant: str) -> str:
        """Return a text; where the meanings are listed it must be one of them."""
        value = self.raw(name)
        if not isinstance(value, str) or (meant and value not in meant):
            raise Strange(f"{self._place}: {name} is {value!r}")
        return value

    def number(self, name: str) -> Decimal:
        return number(self.raw(name), f"{self._place}: {name}")

    def numbers(self, name: str) -> list[Decimal]:
        value = self.raw(name)
        if not isinstance(value, list):
            raise Strange(f"{self._place}: {name} is {value!r}")
        return [number(each, f"{self._place}: {name}") for each in value]

    def whole(self, name: str) -> int:
        value = self.number(name)
        if value != int(value):
            raise Strange(f"{self._place}: {name} is {value}")
        return int(value)

    def day(self, name: str) -> date:
        return day(self.raw(name))

    def flag(self, name: str) -> bool:
        value = self.raw(name)
        if not isinstance(value, bool):
            raise Strange(f"{self._place}: {name} is {value!r}")
        return value

    def inner(self, name: str) -> "Sheet":
        """Return an object inside."""
        return self._sheets(name, [self.raw(name)])[0]

    def each(self, name: str) -> "list[Sheet]":
        """Return the objects of a list inside."""
        value = self.raw(name)
        if not isinstance(value, list):
            raise Strange(f"{self._place}: {name} is {value!r}")
        return self._sheets(name, value)

    def _sheets(self, name: str, values: list[Any]) -> "list[Sheet]":
        if name not in self._inner:
            if not all(isinstance(value, dict) for value in values):
                raise Strange(f"{self._place}: {name} is {values!r}")
            self._inner[name] = [Sheet(value, f"{self._place}.{name}") for value in values]
        return self._inner[name]

    def agrees(self, name: str, ours: object) -> None:
        """Read a field that only repeats what follows from others, where the case has it."""
        if name in self:
            same(ours, self.raw(name), f"{self._place}: {name}")

    def unread(self) -> list[str]:
        """Return the fields that nobody read, those inside included."""
        missed = [f"{self._place}.{name}" for name in self._fields if name not in self._read]
        for sheets in self._inner.values():
            missed += [name for sheet in sheets for name in sheet.unread()]
        return missed


Player = Callable[[Sheet, "Worked"], Said]


def number(value: object, what: str) -> Decimal:
    """Read a number that stands as a string."""
    if not isinstance(value, str) or not _NUMBER.fullmatch(value):
        raise Strange(f"{what} is {value!r}")
    return Decimal(value)


def day(value: object) -> date:
    """Read a day, also of an instant at UTC or with a remark behind it."""
    found = re.match(r"\d{4}-\d\d-\d\d", value) if isinstance(value, str) else None
    if found is None:
        raise Strange(f"{value!r} is not a day")
    return date.fromisoformat(found[0])


def same(ours: object, wanted: object, what: str) -> None:
    """Fail unless ours says what is wanted, number for number and name for name."""
    if isinstance(wanted, dict):
        if not isinstance(ours, Mapping) or set(ours) != set(wanted):
            raise Wrong(f"{what}: ours is {ours!r}, expected {wanted!r}")
        for name, each in wanted.items():
            same(ours[name], each, f"{what}.{name}")
    elif isinstance(wanted, list):
        if not isinstance(ours, list | tuple) or len(ours) != len(wanted):
            raise Wrong(f"{what}: ours is {ours!r}, expected {wanted!r}")
        for place, each in enumerate(wanted):
            same(ours[place], each, f"{what}[{place}]")
    elif not _alike(ours, wanted):
        raise Wrong(f"{what}: ours is {ours!r}, expected {wanted!r}")


def _alike(ours: object, wanted: object) -> bool:
    if isinstance(ours, bool) or isinstance(wanted, bool):
        return ours is wanted
    if isinstance(ours, int | Decimal | Fraction):
        return (
            isinstance(wanted, str)
            and bool(_NUMBER.fullmatch(wanted))
            and (Fraction(ours) == Fraction(wanted))
        )
    return ours == wanted


class Worked(Family):
    """Plays one case by its kind's player."""

    def __init__(self, case: Case, stage: Stage | None, player: Player) -> None:
        # What needs no ledger is played without one: it would ask for a stage that is not there.
        super().__init__(case, cast("Stage", stage))
        self._player = player

    def run(self) -> None:
        """Ask the real rules and compare everything that the case expects."""
        fields = set(self.case.content)
        if not FIELDS <= fields <= FIELDS | {"note"} or not self.case.expected:
            raise Strange(f"{self.case.name}: fields {sorted(fields)}")
        sheet = Sheet(self.case.content["input"])
        said = self._player(sheet, self)
        if missed := sheet.unread():
            raise Strange(f"{self.case.name}: nobody reads {missed}")
        for name, wanted in self.case.expected.items():
            if name not in said:
                raise Strange(f"{self.case.name}: expected {name!r} is not what ours answers")
            same(said[name], wanted, name)
