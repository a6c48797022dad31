"""The bell of a process: rung when events were committed, so that nobody who waits must poll."""

import threading
from collections.abc import Callable
from typing import Final


class Bell:
    """Calls everybody who listens. A call must be short: the committing thread makes it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: tuple[Callable[[], None], ...] = ()

    def listen(self, call: Callable[[], None]) -> Callable[[], None]:
        """Call this at every ring from now on; returns what ends it."""
        with self._lock:
            self._listeners = (*self._listeners, call)

        def end() -> None:
            with self._lock:
                self._listeners = tuple(one for one in self._listeners if one is not call)

        return end

    def ring(self) -> None:
        """Tell all listeners that something was committed, in whichever database."""
        for call in self._listeners:
            call()


BELL: Final = Bell()
