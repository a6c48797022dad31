"""Time, injected.

All recorded time is whole microseconds since 1970 UTC. `SystemClock` watches the wall clock
against the monotonic one: if they part by more than `MAX_JUMP_US`, somebody set the clock, and
decisions about expiry would be guesses; it raises `ClockJumped` until an operator confirms.
"""

import threading
import time
from datetime import UTC, datetime
from typing import Final, Protocol

from farebox.kernel.refusals import ClockJumped, ValueRefused

SECOND_US: Final = 1_000_000
MAX_JUMP_US: Final = 5 * SECOND_US
LAST_US: Final = 253_402_300_799_999_999  # 9999-12-31T23:59:59.999999Z


class Clock(Protocol):
    """What tells the time, and what it makes of the time that a database tells."""

    def now_us(self) -> int:
        """Return the time in microseconds UTC; raises `ClockJumped` when it cannot be trusted."""
        ...

    def shown_at(self, real_us: int) -> int:
        """Return what this clock shows at an instant of real time."""
        ...


class SystemClock:
    """The host's clock. A test clock moves what databases make of it, never the clock itself."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._apart_us = self._wall_minus_monotonic()

    @staticmethod
    def _wall_minus_monotonic() -> int:
        return (time.time_ns() - time.monotonic_ns()) // 1000

    def now_us(self) -> int:
        """Return now in microseconds; raises `ClockJumped` after a jump nobody confirmed."""
        apart = self._wall_minus_monotonic()
        drift = apart - self._apart_us
        if drift > MAX_JUMP_US or drift < -MAX_JUMP_US:
            raise ClockJumped(drift_us=drift)
        if drift:
            # Slewing by NTP is honest time: follow it, so that a year of it is not a jump.
            self._apart_us = apart
        return time.time_ns() // 1000

    def shown_at(self, real_us: int) -> int:
        """Return the instant itself: the database told the real time."""
        return real_us

    def confirm(self) -> int:
        """Accept the wall clock as it is now; returns the jump in microseconds."""
        with self._lock:
            apart = self._wall_minus_monotonic()
            jump = apart - self._apart_us
            self._apart_us = apart
            return jump


class ManualClock:
    """A clock that stands still until moved, also backwards. For tests and simulations."""

    def __init__(self, now_us: int = 1_763_632_800_000_000) -> None:
        self._now_us = now_us

    def shown_at(self, real_us: int) -> int:  # noqa: ARG002 - it stands still
        """Return the time it was set to: it stands still whatever a database says."""
        return self._now_us

    def now_us(self) -> int:
        """Return the time it was set to."""
        return self._now_us

    def move(self, by_us: int) -> None:
        """Move by so many microseconds; negative steps back."""
        self._now_us += by_us

    def set(self, now_us: int) -> None:
        """Set to an instant."""
        self._now_us = now_us


def show_time(at_us: int) -> str:
    """Write an instant as RFC 3339 UTC with microseconds: `2026-11-20T09:00:00.000000Z`."""
    moment = datetime.fromtimestamp(at_us // SECOND_US, UTC).replace(microsecond=at_us % SECOND_US)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_time(text: str) -> int:
    """Read an RFC 3339 instant with an offset; refuses (`value_invalid`) anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueRefused(f"{text!r} is not an RFC 3339 time") from error
    if moment.tzinfo is None:
        raise ValueRefused(f"{text!r} has no time zone offset")
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * SECOND_US + since.microseconds
