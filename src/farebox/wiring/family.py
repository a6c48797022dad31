"""The processes of a server, forked from it, watched, and stopped from the outside in.

What all of them import is imported once, before the first is born. The server itself only watches:
it starts a process anew that has ended, and has no thread, so that a fork copies no lock.

A process learns of its end by a pipe whose other end is held by whoever must end before it. For the
*outer* ones, which answer, that is the server; for the *inner* ones, the ledger and the loops, it
is the server and all outer ones. So whoever kills the server alone ends the family in order as
well: the outer ones answer what they have begun, and only then the inner ones stop.
"""

import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection, Sequence
from typing import Final, NamedTuple, NoReturn

import structlog

STOP_SECONDS: Final = 10
RESPAWN_SECONDS: Final = 0.5
_ORDERS: Final = frozenset({signal.SIGINT, signal.SIGTERM})
_HEARD: Final = _ORDERS | {signal.SIGCHLD}
_log = structlog.get_logger("farebox")


class Life:
    """How long a process shall live, as it is told itself."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe

    def when_over(self, end: Callable[[], None]) -> None:
        """Call `end` when life is over or SIGTERM comes; what then takes too long is cut short."""

        def wait() -> None:
            os.read(self._pipe, 1)
            end()
            time.sleep(STOP_SECONDS)
            # Whatever it still waits for, nobody else would end it now.
            os._exit(1)

        signal.signal(signal.SIGTERM, lambda *_: end())
        threading.Thread(target=wait, name="end", daemon=True).start()


class Member(NamedTuple):
    """A process of the family: its name, and its work, which ends when its life is over."""

    name: str
    work: Callable[[Life], None]


class _Pipe(NamedTuple):
    """A line on which nothing is said; who reads learns when the last who could write is gone."""

    read: int
    write: int


class Family:
    """Keeps processes running until SIGINT or SIGTERM comes. The caller has no other children."""

    def __init__(self, *, inner: Sequence[Member], outer: Sequence[Member]) -> None:
        self._inner = tuple(inner)
        self._outer = tuple(outer)
        self._life_of_inner = _Pipe(*os.pipe())
        self._life_of_outer = _Pipe(*os.pipe())
        self._alive: dict[int, Member] = {}
        self._born: dict[int, float] = {}
        self._due: list[tuple[float, Member]] = []

    def run(self) -> None:
        """Start all, watch them, and stop them when told to."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)
        try:
            for member in (*self._inner, *self._outer):
                self._start(member)
            while self._next_signal() not in _ORDERS:
                for child, code in self._bury():
                    _log.error("process_ended", process=child.name, code=code)
                self._start_due()
            self._stop()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _next_signal(self) -> int | None:
        """Return the next signal; None when a process is due to be started first."""
        if not self._due:
            return signal.sigwait(_HEARD)
        left = max(0.0, min(at for at, _ in self._due) - time.monotonic())
        heard = signal.sigtimedwait(_HEARD, left)
        return None if heard is None else heard.si_signo

    def _start(self, member: Member) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            child = os.fork()
        except OSError as error:
            # No room for another process now; there may be, once another has ended.
            _log.error("process_not_started", process=member.name, error=str(error))
            self._due.append((time.monotonic() + RESPAWN_SECONDS, member))
            return
        if child == 0:
            self._live(member)
        self._alive[child] = member
        self._born[child] = time.monotonic()

    def _live(self, member: Member) -> NoReturn:
        code = 1
        try:
            os.setsid()
            os.close(self._life_of_outer.write)
            life = self._life_of_outer if member in self._outer else self._life_of_inner
            if life is self._life_of_inner:
                os.close(life.write)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            # Ctrl-C is for the server, which tells its family.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _HEARD)
            member.work(Life(life.read))
            code = 0
        except BaseException:  # noqa: BLE001 - an interpreter would print it as well
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        # Not exit(): a child must not run what its parent registered for its own end.
        os._exit(code)

    def _bury(self) -> list[tuple[Member, int]]:
        """Return who has ended, and how; each is due to be started anew, after a pause at most."""
        ended = []
        while self._alive:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            member = self._alive.pop(pid)
            ended.append((member, os.waitstatus_to_exitcode(status)))
            # One that cannot live must not keep a processor busy with its births.
            self._due.append((self._born.pop(pid) + RESPAWN_SECONDS, member))
        return ended

    def _start_due(self) -> None:
        now = time.monotonic()
        due = [each for each in self._due if each[0] <= now]
        self._due = [each for each in self._due if each[0] > now]
        for _, member in due:
            self._start(member)

    def _stop(self) -> None:
        """Stop the outer ones, which answer what they have begun, and then the inner ones."""
        os.close(self._life_of_outer.write)
        self._await_end_of(self._outer)
        os.close(self._life_of_inner.write)
        self._await_end_of(self._inner)
        os.close(self._life_of_outer.read)
        os.close(self._life_of_inner.read)
        # Whoever was impatient has given the order again; it must not hit what comes after us.
        while signal.sigtimedwait(_HEARD, 0) is not None:
            pass

    def _await_end_of(self, members: Collection[Member]) -> None:
        deadline = time.monotonic() + STOP_SECONDS
        while left := [pid for pid, member in self._alive.items() if member in members]:
            if signal.sigtimedwait({signal.SIGCHLD}, max(0.0, deadline - time.monotonic())) is None:
                for pid in left:
                    os.kill(pid, signal.SIGKILL)
                deadline += STOP_SECONDS
            self._bury()
