"""A server of the browser tests begins at the day of the example, whatever day it is.

A test clock only goes on, and the example's day may be over. Python reads this file at the start of
each process that has its folder on its path; nothing but the tests' own servers has.
"""

import os

from farebox.kernel.clock import SystemClock

_back_us = int(os.environ["BROWSER_TESTS_BACK_US"])
_now_us = SystemClock.now_us


def _earlier(self: SystemClock) -> int:
    return _now_us(self) - _back_us


def _earlier_shown(self: SystemClock, real_us: int) -> int:
    return real_us - _back_us


SystemClock.now_us = _earlier  # type: ignore[method-assign] # that is what this file is for
SystemClock.shown_at = _earlier_shown  # type: ignore[method-assign] # as above
