"""Looking at what would come of something: it is done, read, and taken back."""

from collections.abc import Callable
from typing import TypeVar

from farebox.storage import Database, Tx

T = TypeVar("T")


class _Undone(Exception):
    """Takes a transaction back that was for looking only."""


def undone(database: Database, work: Callable[[Tx], T]) -> T:
    """Return what work finds, in a transaction that is taken back."""
    found: list[T] = []

    def look(tx: Tx) -> None:
        found.append(work(tx))
        raise _Undone

    try:
        database.run(look)
    except _Undone:
        return found[-1]
    raise AssertionError("a look is always taken back")
