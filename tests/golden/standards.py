"""Cases of standards and of gateways: what goes in, and what our own code must make of it.

A case is `{"id", "source", "kind", "input", "expected"}`, the input of any form. Each kind has one
player, which compares everything that is expected or cites the rule by which ours differs; a form
that it does not know is strange. Players in `families/standards.py` need no database, those in
`families/standards_api.py` ask the API over one.
"""

from collections.abc import Callable
from typing import Any, Final

from tests.golden.cases import Case, Strange
from tests.golden.family import Family
from tests.golden.stage import Stage

FIELDS: Final = frozenset({"id", "source", "kind", "input", "expected"})
Player = Callable[["Standard"], None]


class Standard(Family):
    """Plays one case by its kind's player."""

    def __init__(self, case: Case, stage: Stage | None, player: Player) -> None:
        super().__init__(case, stage)  # type: ignore[arg-type] # those that need none are given none
        self._player = player

    @property
    def input(self) -> Any:
        return self.case.content["input"]

    @property
    def wanted(self) -> Any:
        return self.case.content["expected"]

    def run(self) -> None:
        """Ask our own code and compare."""
        fields = set(self.case.content)
        if not FIELDS <= fields <= FIELDS | {"note"}:
            raise Strange(f"{self.case.name}: fields {sorted(fields)}")
        if self.wanted in ({}, [], None, ""):
            raise Strange(f"{self.case.name}: a case that expects nothing proves nothing")
        self._player(self)

    def only(self, value: Any, *names: str) -> dict[str, Any]:
        """Return an object of the case; fails where it has a field that is not among these."""
        if not isinstance(value, dict) or not set(value) <= set(names):
            raise Strange(f"{self.case.name}: {value!r} has not just {names}")
        return value
