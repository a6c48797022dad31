"""Waiting a moment, and no longer, for what another service is about to do."""

import threading
from collections.abc import Callable
from typing import Final, TypeVar

T = TypeVar("T")
PATIENCE_S: Final = 2
_LOOKS_A_SECOND: Final = 20


def eventually(look: Callable[[], T], good: Callable[[T], bool]) -> T:
    """Return what is seen once it is good, or what is seen last when 2 s have passed.

    Each look has a transaction of its own: none is open while we wait.
    """
    pause = threading.Event()
    for _ in range(PATIENCE_S * _LOOKS_A_SECOND):
        seen = look()
        if good(seen):
            return seen
        pause.wait(1 / _LOOKS_A_SECOND)
    return look()
