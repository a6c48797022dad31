"""Ids, amounts and the clock: what everything else stands on."""

import time
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farebox.kernel import ids
from farebox.kernel.amounts import (
    MAX_AMOUNT,
    checked_amount,
    is_amount,
    parse_amount,
    show_amount,
    split,
)
from farebox.kernel.clock import LAST_US, ManualClock, SystemClock, parse_time, show_time
from farebox.kernel.refusals import ClockJumped, ValueRefused
from tests.support.world import cases

FIXED = settings(derandomize=True, database=None, max_examples=300)
SECOND = 1_000_000


class Host:
    """A host's two clocks, set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall = 1_800_000_000 * 10**9
        self.monotonic = 5 * 10**9
        monkeypatch.setattr(time, "time_ns", lambda: self.wall)
        monkeypatch.setattr(time, "monotonic_ns", lambda: self.monotonic)

    def passes(self, seconds: float, *, set_by: float = 0) -> None:
        self.monotonic += int(seconds * 10**9)
        self.wall += int((seconds + set_by) * 10**9)


# -- ids -----------------------------------------------------------------------------------------


def test_ids_of_a_mint_only_grow_also_when_the_clock_steps_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    mint = ids.Mint(node=7)
    host = Host(monkeypatch)
    found = []
    for step in (0, 0, 0.001, -1000, 0, 0.005, 1000):
        host.passes(step)
        found += [mint.next() for _ in range(5000)]
    assert all(one < other for one, other in pairwise(found))
    assert all(0 < number <= ids.LAST_ID for number in found)


def test_ids_of_two_mints_differ() -> None:
    one, other = ids.Mint(node=1), ids.Mint(node=2)
    assert not {one.next() for _ in range(5000)} & {other.next() for _ in range(5000)}


def test_later_id_of_another_process_is_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    early, late = ids.Mint(node=1023), ids.Mint(node=0)
    host = Host(monkeypatch)
    first = early.next()
    host.passes(0.001)
    assert late.next() > first


@FIXED
@given(st.integers(1, 2**63 - 1))
def test_id_is_read_back_as_it_was_shown(number: int) -> None:
    text = ids.show("op", number)
    assert len(text) == 19
    assert ids.parse("op", text) == number
    assert ids.parse("hld", text) is None


# fmt: off
NOT_IDS = [
    ("nothing",            ""),
    ("only the prefix",    "op_"),
    ("too short",          "op_00000000000000f"),
    ("too long",           "op_00000000000000fff"),
    ("capitals",           "op_00000000000000FF"),
    ("no hex",             "op_00000000000000fg"),
    ("zero",               "op_0000000000000000"),
    ("negative",           "op_-0000000000000ff"),
    ("beyond 63 bits",     "op_8000000000000000"),
    ("with underscores",   "op_0000_0000_0000_f"),
    ("with spaces",        "op_ 0000000000000ff"),
    ("other digits",       "op_00000000000000٣٤"),
    ("another prefix",     "ops_00000000000000ff"),
    ("no separator",       "op00000000000000ff"),
]
# fmt: on


@pytest.mark.parametrize("text", cases(NOT_IDS))
def test_what_is_no_id_is_not_read(text: str) -> None:
    assert ids.parse("op", text) is None


def test_record_ids_of_a_process_increase_strictly() -> None:
    found = [ids.record_id("con") for _ in range(1000)]
    assert found == sorted(set(found))
    assert {len(text) for text in found} == {31}
    assert all(text.startswith("con_") for text in found)


def test_more_record_ids_than_a_millisecond_holds_run_on_into_the_next() -> None:
    names = ids.Names()
    found = [names.next() for _ in range(100_000)]
    assert found == sorted(set(found))
    assert found[-1].bit_length() <= 108


# -- amounts -------------------------------------------------------------------------------------

# fmt: off
AMOUNTS: list[tuple[str, Any, bool]] = [
    ("one",               1,                True),
    ("the largest",       2**53 - 1,        True),
    ("nothing",           0,                False),
    ("negative",          -1,               False),
    ("too large",         2**53,            False),
    ("64 bits",           2**63,            False),
    ("a float",           1.0,              False),
    ("infinity",          1e400,            False),
    ("no number",         float("nan"),     False),
    ("a text",            "1",              False),
    ("a decimal",         Decimal(1),       False),
    ("a truth",           True,             False),
    ("none",              None,             False),
]
# fmt: on


@pytest.mark.parametrize(("amount", "good"), cases(AMOUNTS))
def test_amount_is_a_whole_number_that_json_reads_exactly(amount: Any, *, good: bool) -> None:
    assert is_amount(amount) is good
    if good:
        assert checked_amount(amount) == amount
    else:
        with pytest.raises(ValueRefused):
            checked_amount(amount)


def test_least_amount_can_be_asked_for() -> None:
    assert checked_amount(0, least=0) == 0
    with pytest.raises(ValueRefused):
        checked_amount(-1, least=0)


@FIXED
@given(st.integers(-(2**62), 2**62), st.integers(0, 18))
def test_amount_is_read_back_as_it_was_shown(amount: int, scale: int) -> None:
    assert parse_amount(show_amount(amount, scale), scale) == amount


# fmt: off
WRITTEN: list[tuple[str, str, int, Any]] = [
    ("cents",               "1.50",   2, 150),
    ("fewer places",        "1.5",    2, 150),
    ("no places",           "7",      0, 7),
    ("a sign",              "-0.29",  2, -29),
    ("what floats get wrong", "0.29", 2, 29),
    ("an exponent",         "1e2",    2, 10_000),
    ("a place too many",    "1.505",  2, None),
    ("a fraction of one",   "0.5",    0, None),
    ("not a number",        "NaN",    2, None),
    ("infinite",            "Infinity", 2, None),
    ("huge",                "1e400",  2, None),
    ("words",               "ten",    2, None),
    ("nothing",             "",       2, None),
]
# fmt: on


@pytest.mark.parametrize(("text", "scale", "expected"), cases(WRITTEN))
def test_decimal_is_read_exactly_or_not_at_all(text: str, scale: int, expected: int | None) -> None:
    if expected is None:
        with pytest.raises(ValueRefused):
            parse_amount(text, scale)
    else:
        assert parse_amount(text, scale) == expected


@FIXED
@given(st.integers(0, MAX_AMOUNT), st.lists(st.integers(0, 10**6), min_size=1, max_size=20))
def test_split_loses_and_makes_no_unit(amount: int, weights: list[int]) -> None:
    total = sum(weights) or 1
    shares = [Fraction(weight, total) for weight in weights] if sum(weights) else [Fraction(1)]
    parts = split(amount, shares)
    assert sum(parts) == amount
    for part, share in zip(parts, shares, strict=True):
        # The first ones get what is left over, also where their own share came out even.
        assert amount * share - 1 < part <= amount * share + (1 if share else 0)


# -- the clock -----------------------------------------------------------------------------------


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(monkeypatch)


# fmt: off
JUMPS = [
    ("no jump",            0,      False),
    ("five seconds on",    5,      False),
    ("five seconds back",  -5,     False),
    ("a little more on",   5.001,  True),
    ("a little more back", -5.001, True),
    ("an hour on",         3600,   True),
    ("an hour back",       -3600,  True),
]
# fmt: on


@pytest.mark.parametrize(("set_by", "stops"), cases(JUMPS))
def test_clock_that_was_set_stops_until_somebody_confirms(
    host: Host, set_by: float, *, stops: bool
) -> None:
    clock = SystemClock()
    host.passes(100, set_by=set_by)
    if not stops:
        assert clock.now_us() == host.wall // 1000
        return
    for _ in range(3):
        with pytest.raises(ClockJumped):
            clock.now_us()
    assert clock.confirm() == int(set_by * SECOND)
    assert clock.now_us() == host.wall // 1000


def test_clock_that_is_slewed_all_year_never_jumps(host: Host) -> None:
    clock = SystemClock()
    for _ in range(365 * 24):
        host.passes(3600, set_by=1)
        assert clock.now_us() == host.wall // 1000


def test_machine_that_slept_has_not_jumped_if_both_clocks_went_on(host: Host) -> None:
    clock = SystemClock()
    host.passes(10**6)
    assert clock.now_us() == host.wall // 1000


def test_system_clock_shows_the_time_that_a_database_tells() -> None:
    assert SystemClock().shown_at(1000) == 1000


def test_manual_clock_stands_still_also_for_a_database() -> None:
    clock = ManualClock(1000)
    clock.move(-1)
    assert clock.now_us() == clock.shown_at(10**15) == 999
    clock.set(5)
    assert clock.now_us() == 5


@FIXED
@given(st.integers(-62_135_596_800 * SECOND, LAST_US))
def test_instant_is_read_back_as_it_was_shown(at_us: int) -> None:
    text = show_time(at_us)
    assert text.endswith("Z")
    assert len(text) == 27
    assert parse_time(text) == at_us


# fmt: off
TIMES: list[tuple[str, str, Any]] = [
    ("UTC",                 "1970-01-01T00:00:00Z",             0),
    ("microseconds",        "1970-01-01T00:00:00.000001Z",      1),
    ("an offset",           "1970-01-01T03:00:00+03:00",        0),
    ("before the epoch",    "1969-12-31T23:59:59Z",             -SECOND),
    ("no zone",             "1970-01-01T00:00:00",              None),
    ("a date",              "1970-01-01",                       None),
    ("no such day",         "2025-02-29T00:00:00Z",             None),
    ("words",               "yesterday",                        None),
    ("nothing",             "",                                 None),
]
# fmt: on


@pytest.mark.parametrize(("text", "expected"), cases(TIMES))
def test_time_needs_an_offset(text: str, expected: int | None) -> None:
    if expected is None:
        with pytest.raises(ValueRefused):
            parse_time(text)
    else:
        assert parse_time(text) == expected
