"""The processes of a server: kept alive, and ended from the outside in, whoever ends first."""

import json
import os
import select
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from farebox.wiring.family import RESPAWN_SECONDS
from tests.support.nursery import Child, Nursery

PATIENCE_S = 30
INNER = ("good ledger", "good loops")
OUTER = ("good worker 1", "good worker 2")
Told = dict[str, Any]


@pytest.fixture(scope="module")
def families() -> Iterator[Nursery]:
    made = Nursery("tests.support.family_role")
    yield made
    made.close()


class Watched:
    """A family that is running, and all that was told of it."""

    def __init__(
        self,
        families: Nursery,
        folder: Path,
        inner: Sequence[str] = INNER,
        outer: Sequence[str] = OUTER,
    ) -> None:
        path = folder / "told"
        os.mkfifo(path)
        # Open for writing too, until the watcher has it, so that there is no end before a start.
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        writer = os.open(path, os.O_WRONLY)
        self._reader = reader
        self._rest = b""
        self.told: list[Told] = []
        self.watcher: Child = families.start("watch", path=str(path), inner=inner, outer=outer)
        self.until("born", "watcher")
        os.close(writer)
        self.born = {name: self.until("born", name)["pid"] for name in (*inner, *outer)}

    def until(self, what: str, who: str, since: int = 0) -> Told:
        """Return the first such line that was, or will be, told after the first `since` ones."""
        place = since
        while True:
            while place < len(self.told):
                found = self.told[place]
                if (found["what"], found["who"]) == (what, who):
                    return found
                place += 1
            assert self._read(), f"nobody is left to tell of {who}: {what}"

    def all_ended(self) -> list[tuple[str, str]]:
        """Wait until no process of the family is left; return what was told of ends."""
        while self._read():
            pass
        return [(one["what"], one["who"]) for one in self.told if one["what"] != "born"]

    def _read(self) -> bool:
        assert select.select([self._reader], [], [], PATIENCE_S)[0], "nothing more is told"
        data = os.read(self._reader, 2**16)
        *lines, self._rest = (self._rest + data).split(b"\n")
        self.told += map(json.loads, lines)
        return data != b""

    def kill(self, name: str) -> int:
        """Kill a member where it stands; return how many lines there were by then."""
        count = len(self.told)
        os.kill(self.born[name], signal.SIGKILL)
        self.born[name] = self.until("born", name, count)["pid"]
        return count


def in_order(ends: list[tuple[str, str]], *, watcher: bool) -> bool:
    """Tell whether all outer ones ended before all inner ones, and these before the watcher."""
    assert Counter(ends) == Counter(
        ("over", name) for name in (*INNER, *OUTER, *(["watcher"] if watcher else []))
    )
    names = [name for _, name in ends]
    assert set(names[:2]) == set(OUTER)
    assert set(names[2:4]) == set(INNER)
    return True


@pytest.mark.parametrize("name", [*INNER, *OUTER])
def test_one_that_was_killed_is_started_anew(families, tmp_path, name):
    family = Watched(families, tmp_path)
    before = dict(family.born)
    for _ in range(2):
        family.kill(name)
    assert {who for who, pid in family.born.items() if before[who] != pid} == {name}
    family.watcher.signal(signal.SIGTERM)
    assert in_order(family.all_ended(), watcher=True)
    assert family.watcher.wait() == 0


def test_all_killed_at_once_are_all_started_anew(families, tmp_path):
    family = Watched(families, tmp_path)
    count = len(family.told)
    for pid in family.born.values():
        os.kill(pid, signal.SIGKILL)
    for name in family.born:
        family.until("born", name, count)
    family.watcher.signal(signal.SIGTERM)
    assert in_order(family.all_ended(), watcher=True)


@pytest.mark.parametrize("kind", ["weak", "returning"])
def test_one_that_cannot_live_is_started_again_and_again_after_a_pause(families, tmp_path, kind):
    family = Watched(families, tmp_path, outer=[f"{kind} worker", OUTER[0]])
    since = 0
    times = []
    for _ in range(4):
        found = family.until("born", f"{kind} worker", since)
        since = family.told.index(found) + 1
        times.append(found["forked_at"])
    gaps = [after - before for before, after in pairwise(times)]
    assert min(gaps) > RESPAWN_SECONDS * 0.9
    # While one is waited for, another one is looked after.
    family.kill(OUTER[0])
    family.watcher.signal(signal.SIGTERM)
    family.all_ended()
    assert family.watcher.wait() == 0


@pytest.mark.parametrize("order", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("killed", [(), ("good worker 1", "good ledger", "good worker 2")])
def test_an_order_ends_the_outer_ones_first_and_returns(families, tmp_path, order, killed):
    family = Watched(families, tmp_path)
    for name in killed:
        family.kill(name)
    family.watcher.signal(order)
    assert in_order(family.all_ended(), watcher=True)
    assert family.watcher.wait() == 0


@pytest.mark.parametrize("killed", [(), ("good worker 1", "good ledger", "good worker 2")])
def test_a_family_whose_watcher_was_killed_ends_in_the_same_order(families, tmp_path, killed):
    family = Watched(families, tmp_path)
    for name in killed:
        family.kill(name)
    family.watcher.kill()
    assert in_order(family.all_ended(), watcher=False)


@pytest.mark.parametrize("kind", ["stubborn", "deaf"])
@pytest.mark.parametrize("where", ["inner", "outer"])
def test_one_that_does_not_end_is_killed(families, tmp_path, kind, where):
    name = f"{kind} one"
    inner = [*INNER, name] if where == "inner" else INNER
    outer = [*OUTER, name] if where == "outer" else OUTER
    family = Watched(families, tmp_path, inner, outer)
    family.watcher.signal(signal.SIGTERM)
    ends = [end for end in family.all_ended() if end[1] != name]
    assert in_order(ends, watcher=True)
    assert family.watcher.wait() == 0


@pytest.mark.parametrize("where", ["inner", "outer"])
def test_one_that_does_not_end_without_a_watcher_ends_itself(families, tmp_path, where):
    name = "short one"
    inner = [*INNER, name] if where == "inner" else INNER
    outer = [*OUTER, name] if where == "outer" else OUTER
    family = Watched(families, tmp_path, inner, outer)
    family.watcher.kill()
    ends = [end for end in family.all_ended() if end[1] != name]
    assert in_order(ends, watcher=False)


@pytest.mark.parametrize("order", [signal.SIGTERM, signal.SIGINT])
def test_an_order_given_twice_is_obeyed_once(families, tmp_path, order):
    name = "held one"
    family = Watched(families, tmp_path, outer=[*OUTER, name])
    family.watcher.signal(order)
    family.until("told", name)
    family.watcher.signal(order)
    # Only now may the first order be done with.
    os.kill(family.born[name], signal.SIGKILL)
    ends = [end for end in family.all_ended() if end[1] != name]
    assert in_order(ends, watcher=True)
    assert family.watcher.wait() == 0


def test_one_that_is_told_to_end_by_itself_is_started_anew(families, tmp_path):
    family = Watched(families, tmp_path)
    count = len(family.told)
    os.kill(family.born[OUTER[0]], signal.SIGTERM)
    family.until("over", OUTER[0], count)
    family.until("born", OUTER[0], count)
    family.watcher.signal(signal.SIGTERM)
    family.all_ended()
    assert family.watcher.wait() == 0
