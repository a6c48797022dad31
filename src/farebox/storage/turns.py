"""Whose turn it is to write a SQLite file, across threads and processes.

Writers queue on file locks beside the database and never on SQLite's busy handler, which sleeps
and starves. Two locks make the queue fair: whoever wants to write first takes `next`, then waits
for `writer`; a writer that comes back for more therefore stands behind the one already waiting.

The lock file also holds a counter that every process maps into its memory: odd while somebody
writes, another even number after each write. So a process knows without asking the database
whether anybody has written since it looked last.
"""

import fcntl
import mmap
import os
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_COUNTER: Final = struct.Struct("=Q")


class Turns:
    """The queue of those who write one file."""

    def __init__(self, path: Path) -> None:
        self._thread = threading.Lock()
        self._next = os.open(f"{path}.next", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        self._writer = os.open(f"{path}.writer", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._writer, fcntl.LOCK_EX)
        if os.fstat(self._writer).st_size < _COUNTER.size:
            os.ftruncate(self._writer, _COUNTER.size)
        fcntl.flock(self._writer, fcntl.LOCK_UN)
        self._memory = mmap.mmap(self._writer, _COUNTER.size)

    def counter(self) -> int:
        """Return the counter: even and unchanged means that nobody wrote in between."""
        return int(_COUNTER.unpack_from(self._memory)[0])

    @contextmanager
    def turn(self) -> Iterator[int]:
        """Wait for the turn to write; gives the counter as it stood before.

        An odd number there was left behind by a process that died while it wrote.
        """
        with self._thread:
            fcntl.flock(self._next, fcntl.LOCK_EX)
            try:
                fcntl.flock(self._writer, fcntl.LOCK_EX)
            finally:
                fcntl.flock(self._next, fcntl.LOCK_UN)
            try:
                before = self.counter()
                writing = before + 1 + before % 2
                _COUNTER.pack_into(self._memory, 0, writing)
                try:
                    yield before
                finally:
                    _COUNTER.pack_into(self._memory, 0, writing + 1)
            finally:
                fcntl.flock(self._writer, fcntl.LOCK_UN)

    def close(self) -> None:
        """Close the lock files once nobody of this process writes any more."""
        with self._thread:
            self._memory.close()
            os.close(self._next)
            os.close(self._writer)
