"""What a worker cannot do rests, longer each time, and keeps nothing else from being done."""

from functools import partial
from itertools import pairwise

import pytest

from farebox.events.rests import Rests, RowsFailed


class Desk:
    """Rows that are due, of which some cannot be done, under a clock that is set by hand."""

    def __init__(self):
        self.now = 0.0
        self.rests = Rests(lambda: self.now)
        self.broken = set()
        self.done = []

    def do(self, row):
        self.done.append(row)
        if row in self.broken:
            raise LookupError(row)

    def step(self, *rows):
        """Return what was tried, and whether a failure was raised."""
        self.done = []
        try:
            count = self.rests.each({row: partial(self.do, row) for row in rows})
        except RowsFailed:
            return self.done, True
        assert count == len(self.done)
        return self.done, False


@pytest.fixture
def desk():
    return Desk()


def test_all_is_done_in_its_order(desk):
    assert desk.step("a", "b", "c") == (["a", "b", "c"], False)
    assert desk.step() == ([], False)


def test_what_fails_lets_the_others_be_done_and_is_told_at_the_end(desk):
    desk.broken = {"a", "c"}
    with pytest.raises(RowsFailed, match="2, first LookupError") as raised:
        desk.rests.each({row: partial(desk.do, row) for row in "abcd"})
    assert str(raised.value.__cause__) == "a"
    assert desk.done == ["a", "b", "c", "d"]


def test_what_fails_rests_while_the_others_go_on(desk):
    desk.broken = {"a"}
    assert desk.step("a", "b") == (["a", "b"], True)
    assert desk.step("a", "c") == (["c"], False)
    assert desk.step("a") == ([], False)
    assert len(desk.rests) == 1


def test_each_failure_makes_the_rest_longer_up_to_a_minute(desk):
    desk.broken = {"a"}
    tried: list[float] = []
    while len(tried) < 12:
        if desk.step("a")[0]:
            tried.append(desk.now)
        desk.now += 0.25
    pauses = [later - earlier for earlier, later in pairwise(tried)]
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60, 60]


def test_what_is_mended_is_done_and_begins_with_a_short_rest_when_it_fails_again(desk):
    desk.broken = {"a"}
    for _ in range(3):
        desk.step("a")
        desk.now += 10
    desk.broken = set()
    assert desk.step("a") == (["a"], False)
    assert len(desk.rests) == 0
    desk.broken = {"a"}
    desk.step("a")
    desk.now += 1
    assert desk.step("a") == (["a"], True)


def test_what_is_not_due_any_more_is_forgotten(desk):
    desk.broken = {"a"}
    desk.step("a")
    desk.step("b")
    assert len(desk.rests) == 0
    assert desk.step("a") == (["a"], True)
