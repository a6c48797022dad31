"""A family of small processes, whose every birth and end is written to a pipe that the test reads.

What a member writes is shorter than a pipe's atom, so that lines of several are never mixed.
"""

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

import psutil  # type: ignore[import-untyped]
import structlog

from farebox.wiring import family
from farebox.wiring.family import Family, Life, Member
from tests.support.nursery import Link

# Longer than any test waits: nobody is ended because the host was slow.
STOP_S: Final = 600
# Those for whom the watcher's patience is over once all others of their group have ended.
ENDLESS: Final = ("stubborn", "deaf")


def watch(link: Link, path: str, *, inner: list[str], outer: list[str]) -> None:
    """Run a family; a member's kind is the first word of its name. Says "over" at its end."""
    family.STOP_SECONDS = STOP_S  # type: ignore[misc]
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    told = os.open(path, os.O_WRONLY)

    def tell(name: str, what: str) -> None:
        said: dict[str, Any] = {
            "who": name,
            "what": what,
            "pid": os.getpid(),
            # Not the time of this line: how long a new process waits for a processor is the host's.
            "forked_at": psutil.Process().create_time(),
        }
        os.write(told, json.dumps(said).encode() + b"\n")

    def member(name: str) -> Member:
        return Member(
            name, lambda life: KINDS[name.split(maxsplit=1)[0]](life, lambda what: tell(name, what))
        )

    tell("watcher", "born")
    kin = Family(inner=[member(name) for name in inner], outer=[member(name) for name in outer])
    clock = SimpleNamespace(monotonic=lambda: _leaping(kin), sleep=time.sleep)
    family.time = clock  # type: ignore[assignment, attr-defined]
    kin.run()
    tell("watcher", "over")
    link.say("over")


def _leaping(kin: Family) -> float:
    """Return the time, which leaps over all patience once only the endless of a group are left."""
    for group in (kin._inner, kin._outer):
        left = [member for member in kin._alive.values() if member in group]
        if left and all(member.name.startswith(ENDLESS) for member in left):
            return time.monotonic() + STOP_S
    return time.monotonic()


def _good(life: Life, tell: Callable[[str], None]) -> None:
    """Live until told to end."""
    over = threading.Event()
    life.when_over(over.set)
    tell("born")
    over.wait()
    tell("over")


def _stubborn(life: Life, tell: Callable[[str], None]) -> None:
    """Do not end when told to."""
    life.when_over(lambda: tell("told"))
    tell("born")
    threading.Event().wait()


def _short(life: Life, tell: Callable[[str], None]) -> None:
    """Do not end when told to, and have no patience with oneself."""
    family.STOP_SECONDS = 0  # type: ignore[misc]
    _stubborn(life, tell)


def _deaf(life: Life, tell: Callable[[str], None]) -> None:
    """Do not even listen."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    tell("born")
    threading.Event().wait()


def _weak(life: Life, tell: Callable[[str], None]) -> None:
    """Do not live at all."""
    tell("born")
    raise SystemExit(7)


def _returning(life: Life, tell: Callable[[str], None]) -> None:
    """Think that the work is done."""
    tell("born")


KINDS: dict[str, Callable[[Life, Callable[[str], None]], None]] = {
    "good": _good,
    "stubborn": _stubborn,
    "held": _stubborn,  # until the test lets go of it
    "short": _short,
    "deaf": _deaf,
    "weak": _weak,
    "returning": _returning,
}
