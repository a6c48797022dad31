"""Remembered answers of POSTs that the ledger does not remember itself."""

from collections.abc import Callable
from typing import TypeVar

from farebox.platform.model import Once
from farebox.storage import Tx

T = TypeVar("T")


def answer_once(tx: Tx, once: Once | None, kind: type[T], work: Callable[[], T]) -> T:
    """Do `work` once under a key, and answer every repeat with its first answer."""
    raise NotImplementedError
