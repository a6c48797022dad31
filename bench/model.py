"""What a figure is, and how it is judged and shown.

Nothing is rounded in our favour: a figure is judged before it is rounded, what
should be high is rounded down and what should be low is rounded up.
"""

import enum
import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final

import msgspec

OURS: Final = "Farebox"


class NotMeasured(Exception):
    """A figure could not be measured here; the message says what is missing."""


class Wrong(Exception):
    """A side under load answered wrongly, so its speed means nothing."""


class Judged(enum.Enum):
    """What the floor and the aim are compared with."""

    RATIO = "ratio"  # ours / peer, as high as possible
    RATIO_AT_MOST = "ratio at most"  # ours / peer, as low as possible
    TIME = "time"  # ours alone, in the row's unit, as low as possible
    NOTHING = "nothing"  # shown for comparison, promised by nobody


class Sizes(msgspec.Struct, frozen=True, kw_only=True):
    """How much is measured: the full run, or the quick one."""

    name: str
    rounds: int
    seconds: float
    warm_up_seconds: float
    journal_small: int
    journal_large: int
    connections: int = 128
    consumers: int = 1_000
    batch: int = 1_000
    batches_a_round: int


FULL = Sizes(
    name="full",
    rounds=5,
    seconds=6,
    warm_up_seconds=2,
    journal_small=1_000_000,
    journal_large=10_000_000,
    batches_a_round=200,
)
QUICK = Sizes(
    name="quick",
    rounds=3,
    seconds=2,
    warm_up_seconds=1,
    journal_small=100_000,
    journal_large=1_000_000,
    batches_a_round=50,
)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table. `ours` and `peer` are in `unit`; None was not measured."""

    figure: str
    what: str
    unit: str
    ours: float | None = None
    peer_name: str = ""
    peer: float | None = None
    judged: Judged = Judged.RATIO
    floor: float | None = None
    aim: float | None = None
    note: str = ""
    run: str = ""
    rounds: Mapping[str, Sequence[float]] = msgspec.field(default_factory=dict)


def middle(figures: Sequence[float]) -> float:
    """Return the median; a figure is never the best round."""
    return float(median(figures))


def ratio(row: Row) -> float | None:
    """Return ours over the peer's, when both were measured."""
    if row.ours is None or not row.peer:
        return None
    return row.ours / row.peer


def judged_value(row: Row) -> float | None:
    """Return the number that floor and aim are about."""
    if row.judged is Judged.TIME:
        return row.ours
    return ratio(row)


def verdict(row: Row) -> str:
    """Say how the row stands: against its aim first, then against its floor."""
    value = judged_value(row)
    if row.ours is None:
        return "not measured"
    if row.judged is Judged.NOTHING or (row.floor is None and row.aim is None):
        return "-"
    if value is None:
        return "not measured"
    if row.aim is not None and _reached(row.judged, value, row.aim):
        return "aim met"
    if row.floor is None:
        return "below aim"
    return "floor met" if _reached(row.judged, value, row.floor) else "BELOW FLOOR"


def _reached(judged: Judged, value: float, bound: float) -> bool:
    """Compare; the bounds of times are "under", the others include the bound."""
    if judged is Judged.RATIO:
        return value >= bound
    return value < bound if judged is Judged.TIME else value <= bound


def rounded_down(value: float, digits: int) -> str:
    """Write `value` with `digits` decimals, never more than it is."""
    return f"{math.floor(value * 10**digits) / 10**digits:,.{digits}f}"


def rounded_up(value: float, digits: int) -> str:
    """Write `value` with `digits` decimals, never less than it is."""
    return f"{math.ceil(value * 10**digits) / 10**digits:,.{digits}f}"
