"""Sides of one comparison, measured in turn.

A machine that slows down for a minute would favour whoever ran before. So the
sides run A B A B A B, and the median of each side's rounds is its figure.
"""

import sys
from collections.abc import Callable, Mapping

from bench.model import middle, rounded_down

Side = Callable[[], float]


def interleave(sides: Mapping[str, Side], *, rounds: int, unit: str) -> dict[str, list[float]]:
    """Run every side once per round, in the given order, and return what each one gave."""
    figures: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(1, rounds + 1):
        for name, side in sides.items():
            figure = side()
            figures[name].append(figure)
            say(f"  round {number}/{rounds}  {name:<44} {rounded_down(figure, 2):>14} {unit}")
    return figures


def fastest(figures: Mapping[str, list[float]], names: list[str]) -> str:
    """Return the side with the highest median: a peer is taken at its best."""
    return max(names, key=lambda name: middle(figures[name]))


def say(line: str) -> None:
    """Tell the person who waits; the table itself goes to standard output."""
    print(line, file=sys.stderr, flush=True)
