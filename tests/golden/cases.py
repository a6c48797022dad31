"""Reading golden cases: every JSON file in `data/` and in the folder FAREBOX_GOLDEN_DIR names.

A file is a list of cases: `{"id", "source", "kind", "given", "steps", "expected", "note"}`. Numbers
with a fraction are read as decimals. Nothing is left out quietly: a file that cannot be read is a
case of its own, which fails.
"""

import json
import os
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

OWN: Final = Path(__file__).parent / "data"
ELSEWHERE: Final = "FAREBOX_GOLDEN_DIR"


class Wrong(AssertionError):
    """Ours is not what a case expects."""


class Strange(AssertionError):
    """A case says something that nothing here understands: it must not pass as if it were true."""


@dataclass(frozen=True)
class Case:
    """One case as it stands in its file. `fault` says why its file could not be read."""

    stem: str
    id: str
    content: dict[str, Any] = field(default_factory=dict, hash=False)
    fault: str | None = None

    @property
    def name(self) -> str:
        """Return the id of the case's test: the file's stem first."""
        return f"{self.stem}-{self.id}"

    @property
    def kind(self) -> str:
        return str(self.content.get("kind"))

    @property
    def given(self) -> dict[str, Any]:
        return dict(self.content["given"])

    @property
    def steps(self) -> list[dict[str, Any]]:
        return list(self.content["steps"])

    @property
    def expected(self) -> dict[str, Any]:
        return dict(self.content["expected"])


def read(path: Path) -> list[Case]:
    """Return the cases of a file."""
    try:
        content = json.loads(path.read_text("utf-8"), parse_float=Decimal)
    except (OSError, ValueError) as error:
        return [Case(path.stem, "unreadable", fault=f"{path}: {error}")]
    if not isinstance(content, list) or not content:
        return [Case(path.stem, "empty", fault=f"{path}: not a list of cases")]
    cases = []
    for place, each in enumerate(content):
        if not isinstance(each, dict) or not isinstance(each.get("id"), str):
            fault = f"{path}: case {place} has no id"
            cases.append(Case(path.stem, f"number-{place}", fault=fault))
        else:
            cases.append(Case(path.stem, each["id"], each))
    return _told_apart(cases)


def _told_apart(cases: list[Case]) -> list[Case]:
    """Number the second case of an id: two of one name would hide each other."""
    seen: dict[str, int] = {}
    told = []
    for case in cases:
        count = seen[case.id] = seen.get(case.id, 0) + 1
        told.append(
            case if count == 1 else Case(case.stem, f"{case.id}-{count}", case.content, case.fault)
        )
    return told


def load() -> list[Case]:
    """Return all cases: those of the other folder first, then ours unless they are the same."""
    foreign = os.environ.get(ELSEWHERE)
    cases = _folder(Path(foreign)) if foreign else []
    known = {case.name: case for case in cases}
    for case in _folder(OWN):
        twin = known.get(case.name)
        if twin is None:
            cases.append(case)
        elif twin.content != case.content:
            cases.append(Case(case.stem, f"{case.id}-own", case.content, case.fault))
    return cases


def _folder(folder: Path) -> list[Case]:
    paths = sorted(folder.glob("*.json"))
    if not paths:
        return [Case("golden", folder.name, fault=f"there is no JSON file in {folder}")]
    return [case for path in paths for case in read(path)]
