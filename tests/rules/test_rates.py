"""Rate limits: when a call is early, and how processes share a limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farebox.access.decisions.model import Rate
from farebox.access.flows import rates
from farebox.access.flows.rates import RateCounter

SECOND = 1_000_000

# Limit, seconds, burst, the instants of calls in milliseconds, and which of them are admitted.
# fmt: off
CALLS = [
    ("one a second",                1, 1,  1, [0, 500, 999, 1000],        [0, 3]),
    ("a burst, then one a second", 10, 10, 2, [0, 0, 0, 1000, 1000],      [0, 1, 3]),
    ("a denied call costs nothing", 1, 1,  1, [0, 900, 950, 1000, 1500],  [0, 3]),
    ("rest is kept up to the burst", 10, 10, 3, [0, 60_000, 60_000, 60_000, 60_000], [0, 1, 2, 3]),
    ("three a second are never four", 3, 1, 1, [0, 334, 667, 999, 1001],  [0, 1, 3]),
    ("a third of a second rounds up", 3, 1, 3, [0, 0, 0, 333, 334],       [0, 1, 2, 4]),
]
# fmt: on


@pytest.mark.parametrize(
    ("most", "seconds", "burst", "calls", "admitted"),
    [c[1:] for c in CALLS],
    ids=[c[0] for c in CALLS],
)
def test_calls_are_admitted_as_the_cell_rate_says(
    most: int, seconds: int, burst: int, calls: list[int], admitted: list[int]
) -> None:
    now = [0]
    counter = RateCounter(lambda: now[0])
    rate = Rate(key="k", most=most, seconds=seconds, burst=burst)
    seen = []
    for place, at in enumerate(calls):
        now[0] = at * 1000
        if not counter.wait((rate,), count=True):
            seen.append(place)
    assert seen == admitted


def test_wait_is_told_and_is_enough() -> None:
    now = [0]
    counter = RateCounter(lambda: now[0])
    rate = Rate(key="k", most=3, seconds=10, burst=1)
    counter.wait((rate,), count=True)
    now[0] = SECOND
    wait = counter.wait((rate,), count=True)
    assert wait == 2_333_334
    now[0] += wait - 1
    assert counter.wait((rate,), count=True) == 1
    now[0] += 1
    assert counter.wait((rate,), count=True) == 0


def test_looking_counts_nothing() -> None:
    counter = RateCounter(lambda: 0)
    rate = Rate(key="k", most=1, seconds=1, burst=1)
    assert [counter.wait((rate,), count=False) for _ in range(3)] == [0, 0, 0]
    assert counter.wait((rate,), count=True) == 0
    assert counter.wait((rate,), count=False) > 0


def test_one_that_is_denied_by_one_limit_is_counted_on_no_other() -> None:
    now = [0]
    counter = RateCounter(lambda: now[0])
    tight = Rate(key="tight", most=1, seconds=1, burst=1)
    wide = Rate(key="wide", most=2, seconds=100, burst=2)
    assert counter.wait((tight, wide), count=True) == 0
    assert counter.wait((wide, tight), count=True) > 0
    now[0] = SECOND
    assert counter.wait((tight, wide), count=True) == 0


@given(
    calls=st.lists(st.tuples(st.integers(0, 400_000), st.integers(0, 3)), max_size=200),
    most=st.integers(1, 20),
    burst=st.integers(4, 20),
    share=st.integers(1, 4),
)
def test_processes_together_never_admit_more_than_the_limit(
    calls: list[tuple[int, int]], most: int, burst: int, share: int
) -> None:
    now = [0]
    counters = [RateCounter(lambda: now[0]) for _ in range(share)]
    for counter in counters:
        counter.share = share
    rate = Rate(key="k", most=most, seconds=1, burst=burst)
    admitted: list[int] = []
    for later, who in calls:
        now[0] += later
        if not counters[who % share].wait((rate,), count=True):
            admitted.append(now[0])
    for first, start in enumerate(admitted):
        for place, end in enumerate(admitted[first:], 1):
            assert place <= burst + (end - start) * most // SECOND + share


def test_memory_of_idle_callers_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "MOST_COUNTED", 10)
    now = [0]
    counter = RateCounter(lambda: now[0])
    for number in range(10):
        counter.wait((Rate(key=f"k{number}", most=1, seconds=1, burst=1),), count=True)
    now[0] = SECOND
    busy = Rate(key="busy", most=1, seconds=10, burst=1)
    counter.wait((busy,), count=True)
    now[0] = 2 * SECOND
    for number in range(10):
        counter.wait((Rate(key=f"n{number}", most=1, seconds=1, burst=1),), count=True)
        now[0] += SECOND // 2
    assert counter.wait((busy,), count=True) > 0
