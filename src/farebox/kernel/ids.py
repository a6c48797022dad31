"""Ids.

Two kinds. *Ledger ids* (operations, buckets, grants, holds) are 63-bit integers, time-ordered and
minted in the process, so that rows stay small and the journal grows at its right end; outside they
are text, `op_` + 16 hex digits. *Record ids* (consumers, groups, keys and the rest) are text with
a prefix from the start.

A ledger id is 41 bits of milliseconds since 2024, 10 bits that tell processes apart and a 12-bit
counter. Should two processes ever mint the same id, the primary key refuses the second and its
request is run again with a new one: the layout makes that rare, the database makes it harmless.
"""

import os
import secrets
import threading
import time
import zlib
from typing import Final, Literal

EPOCH_MS: Final = 1_704_067_200_000  # 2024-01-01T00:00:00Z
LAST_ID: Final = 2**63 - 1
_HEX: Final = frozenset("0123456789abcdef")  # int() would read every script's digits
_DIGITS: Final = 16
# Processes of one host have numbers that lie close together, so they never share the ten bits;
# hosts may, by chance.
_HOST: Final = zlib.crc32(os.uname().nodename.encode())
Prefix = Literal["op", "bkt", "grt", "hld", "sch", "snk", "use", "dlt"]


class Mint:
    """Mint ledger ids for one process: strictly increasing, 4,096 a millisecond.

    When the wall clock steps back or a millisecond's numbers are used up, the mint runs on from
    its last id; ids therefore order by minting, not by the clock.
    """

    def __init__(self, node: int | None = None) -> None:
        self._lock = threading.Lock()
        self._node = (_HOST + os.getpid() if node is None else node) % 1024
        self._last = 0

    def next(self) -> int:
        """Return a new id, larger than every id this mint gave before."""
        tick = time.time_ns() // 1_000_000 - EPOCH_MS
        with self._lock:
            if tick > self._last >> 12:
                self._last = tick << 12
            else:
                self._last += 1
            last = self._last
        return ((last >> 12) << 22) | (self._node << 12) | (last & 0xFFF)


class Names:
    """Draw the numbers of record ids for one process: strictly increasing, hard to guess."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def next(self) -> int:
        """Return a number of 108 bits, larger than every one before: milliseconds, then chance.

        Within a millisecond the next one lies a random step of up to 48 bits above the last, so
        that 32,768 find room in it; those after them run on into the next.
        """
        drawn = (time.time_ns() // 1_000_000 << 64) | secrets.randbits(63)
        step = 1 + secrets.randbits(48)
        with self._lock:
            if drawn >> 64 <= self._last >> 64:
                drawn = self._last + step
            self._last = drawn
        return drawn


_mint = Mint()
_names = Names()


def _remint() -> None:
    """Give a forked child its own node bits: two processes must not share a mint."""
    global _mint, _names  # noqa: PLW0603 - the process-wide two are replaced once, after a fork
    _mint = Mint()
    _names = Names()


os.register_at_fork(after_in_child=_remint)


def mint() -> int:
    """Return a new ledger id from the process's mint."""
    return _mint.next()


def show(prefix: Prefix, number: int) -> str:
    """Write a ledger id as text: `show("op", 255)` is `op_00000000000000ff`."""
    return f"{prefix}_{number:016x}"


def parse(prefix: Prefix, text: str) -> int | None:
    """Read a ledger id back; None when the text is not one of this prefix."""
    head, _, digits = text.partition("_")
    if head != prefix or len(digits) != _DIGITS or not _HEX.issuperset(digits):
        return None
    number = int(digits, 16)
    return number if 0 < number <= LAST_ID else None


def record_id(prefix: str) -> str:
    """Return a new record id: the prefix, time in milliseconds and 63 bits drawn at random.

    A process's ids increase strictly, so that what is listed by id is listed as it came to be.
    """
    return f"{prefix}_{_names.next():027x}"
