"""Threads that let workers work: in one process at a time, woken by the bell, stopped cleanly.

Every process of a service starts its loops. One of them holds the lease and works; the others ask
for it now and then, and take over when it has ended or was given up.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, Self

import structlog

from farebox.events.bell import BELL
from farebox.events.lease import Lease
from farebox.events.rests import RowsFailed
from farebox.events.rules import pause_us
from farebox.kernel.clock import SECOND_US

IDLE_S: Final = 0.1
"""So often a worker looks for what other processes have committed."""
VAIN_S: Final = 0.02
"""So long a worker that has just looked in vain hears no bell.

While another one works through thousands of events, each of its commits rings.
"""
_log = structlog.get_logger("farebox.workers")


class Worker(Protocol):
    """A piece of work that is done again and again."""

    def step(self) -> int:
        """Do one piece of work that is due; returns 0 when there was none."""
        ...


@dataclass(frozen=True, kw_only=True)
class Loop:
    """A worker, how often it looks for work by itself, and whether the bell wakes it.

    A worker may say itself, as `rest_s`, how long it rests before it looks again.
    """

    worker: Worker
    idle_s: float = IDLE_S
    woken: bool = True

    @property
    def name(self) -> str:
        """Return the name for logs and threads."""
        return str(getattr(self.worker, "name", type(self.worker).__name__.lower()))

    @property
    def rest_s(self) -> float:
        """Return how long to rest before the worker looks again by itself."""
        return float(getattr(self.worker, "rest_s", self.idle_s))


class Loops:
    """Runs each worker in a thread of its own while this process holds the lease."""

    def __init__(self, lease: Lease, loops: Sequence[Loop]) -> None:
        self._lease = lease
        self._loops = [(loop, threading.Event()) for loop in loops]
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._keep, name="lease", daemon=True)]
        for loop, bell in self._loops:
            thread = threading.Thread(
                target=self._run, args=(loop, bell), name=loop.name, daemon=True
            )
            self._threads.append(thread)
        self._deaf = BELL.listen(self.wake)

    def start(self) -> Self:
        """Start the threads."""
        for thread in self._threads:
            thread.start()
        return self

    def wake(self) -> None:
        """Let every worker that listens to the bell look for work at once."""
        for loop, bell in self._loops:
            if loop.woken:
                bell.set()

    def close(self) -> None:
        """Let what is under way finish, end the threads, and give up the lease."""
        self._deaf()
        self._stop.set()
        for _, bell in self._loops:
            bell.set()
        for thread in self._threads:
            thread.join()
        try:
            self._lease.give_up()
        except Exception:  # noqa: BLE001 - it ends by itself
            _log.warning("lease_not_given_up", lease=self._lease.name, exc_info=True)

    def _keep(self) -> None:
        """Take the lease, and renew it long before it ends."""
        pause_s = self._lease.ttl_us / SECOND_US / 5
        while not self._stop.is_set():
            held = self._lease.is_held
            try:
                if self._lease.take() and not held:
                    _log.debug("lease_taken", lease=self._lease.name, holder=self._lease.holder)
                    self._begin()
            except Exception:  # noqa: BLE001 - the next round tries again
                _log.warning("lease_not_renewed", lease=self._lease.name, exc_info=True)
            self._stop.wait(pause_s)

    def _begin(self) -> None:
        """Let every worker look, those too that do so seldom: the last holder may be long gone."""
        for _, bell in self._loops:
            bell.set()

    def _run(self, loop: Loop, bell: threading.Event) -> None:
        failures = 0
        in_vain = float("-inf")
        while not self._stop.is_set():
            # Cleared before the work: a ring meanwhile lets it look once more.
            bell.clear()
            looked, worked = time.monotonic(), False
            try:
                while self._may_work() and _step(loop):
                    worked = True
            except Exception:  # noqa: BLE001 - the next round tries again, later and later
                failures += 1
                _log.warning("worker_failed", worker=loop.name, exc_info=True)
                self._stop.wait(pause_us(failures) / SECOND_US)
                continue
            failures = 0
            if not worked and looked - in_vain < VAIN_S:
                self._stop.wait(VAIN_S)
            in_vain = float("-inf") if worked else looked
            bell.wait(loop.rest_s)

    def _may_work(self) -> bool:
        return self._lease.is_held and not self._stop.is_set()


def _step(loop: Loop) -> int:
    """Let a worker do a piece of work; where only some rows failed, the others go on at once."""
    try:
        return loop.worker.step()
    except RowsFailed:
        _log.warning("rows_failed", worker=loop.name, exc_info=True)
        return 1
