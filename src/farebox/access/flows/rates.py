"""Rate limits, counted in one process by the generic cell rate algorithm.

GCRA (ITU-T I.371): each admitted call moves a theoretical arrival time on by one interval; a call
is early, and denied, when that time lies further ahead than the burst allows. One number a limit
is all that is kept.

Worked example, 10 in 10 seconds with a burst of 2, calls at 0 s, 0 s, 0 s, 1 s: the interval is
1 s, the first two are admitted (arrival time 2 s), the third waits 1 s, the fourth is admitted.
"""

import time
from collections.abc import Callable, Sequence
from typing import Final

from farebox.access.decisions.model import Rate
from farebox.kernel.clock import SECOND_US

MOST_COUNTED: Final = 200_000


def admitted(arrival: int, now: int, interval: int, burst: int) -> tuple[int, int]:
    """Return how long a call must wait (0: it is admitted) and the arrival time after it.

    All are microseconds; `arrival` is what the last admitted call left behind.
    """
    start = max(arrival, now)
    early = start - now - (burst - 1) * interval
    return (early, arrival) if early > 0 else (0, start + interval)


class RateCounter:
    """The arrival times of one process, which admits its share of each limit.

    `share` is how many processes divide a limit among them. A burst is divided as well, but never
    below one call a process.
    """

    def __init__(self, monotonic_us: Callable[[], int] | None = None) -> None:
        self._now = monotonic_us or (lambda: time.monotonic_ns() // 1000)
        self._arrivals: dict[str, int] = {}
        self.share = 1

    def wait(self, rates: Sequence[Rate], *, count: bool) -> int:
        """Return how many microseconds a call must wait; 0 admits it.

        One that is admitted by all its limits is counted on each of them, if `count` says so; a
        denied one is counted on none.
        """
        now, share, arrivals = self._now(), self.share, self._arrivals
        longest, passed = 0, []
        for rate in rates:
            interval = -(-rate.seconds * SECOND_US * share // rate.most)
            burst = rate.burst // share or 1
            wait, after = admitted(arrivals.get(rate.key, 0), now, interval, burst)
            longest = max(longest, wait)
            passed.append((rate.key, after))
        if count and not longest:
            if len(arrivals) >= MOST_COUNTED:
                self._drop_idle(now)
            self._arrivals.update(passed)
        return longest

    def left(self, rate: Rate) -> tuple[int, int]:
        """Return how many calls a limit admits at once now, and when (in microseconds) one or all.

        Where none is admitted it is the time until the next one is; otherwise the time until as
        many as ever are.
        """
        now = self._now()
        interval = -(-rate.seconds * SECOND_US * self.share // rate.most)
        burst = max(rate.burst // self.share, 1)
        ahead = max(self._arrivals.get(rate.key, 0) - now, 0)
        calls = max((burst * interval - ahead) // interval, 0)
        return calls, ahead if calls else ahead - (burst - 1) * interval

    def _drop_idle(self, now: int) -> None:
        """Forget who may call at once again: that is what an unknown one may."""
        self._arrivals = {key: at for key, at in self._arrivals.items() if at > now}
