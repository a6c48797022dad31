"""The machine under the figures: without it, they say nothing."""

import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from bench import postgres_server
from bench.model import rounded_up

_WRITES = 500
_BLOCK = b"x" * 4096


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured on, with what. The disk's times are in microseconds."""

    date: str
    cores: int
    processor: str
    system: str
    python: str
    sqlite: str
    node: str
    postgresql: str
    commit: str
    fdatasync_p50_us: float
    fdatasync_p99_us: float


def describe(folder: Path) -> Machine:
    """Look at the machine; `folder` names the disk whose fdatasync is timed."""
    p50, p99 = fdatasync(folder)
    return Machine(
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        cores=len(os.sched_getaffinity(0)),
        processor=_processor(),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version() + (" of the distribution" if _is_distributed() else ""),
        sqlite=sqlite3.sqlite_version,
        node=_answer("node", "--version") or "none",
        postgresql=postgres_server.version() or "none",
        commit=_commit(),
        fdatasync_p50_us=p50,
        fdatasync_p99_us=p99,
    )


def fdatasync(folder: Path) -> tuple[float, float]:
    """Time 500 appended and synchronised blocks; return p50 and p99 in microseconds."""
    path = folder / "fdatasync.probe"
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    times = []
    try:
        for _ in range(_WRITES):
            os.write(descriptor, _BLOCK)
            begun = time.perf_counter()
            os.fdatasync(descriptor)
            times.append(time.perf_counter() - begun)
    finally:
        os.close(descriptor)
        path.unlink()
    times.sort()
    return times[_WRITES // 2] * 1e6, times[_WRITES * 99 // 100] * 1e6


def lines(machine: Machine) -> list[str]:
    """Say it in words, for the foot of the table."""
    p50, p99 = rounded_up(machine.fdatasync_p50_us, 0), rounded_up(machine.fdatasync_p99_us, 0)
    postgresql = f"PostgreSQL {machine.postgresql}"
    cores = f"{machine.cores} cores ({machine.processor})"
    return [
        f"{machine.date}, commit {machine.commit}, {cores}, {machine.system}",
        f"fdatasync of the disk: p50 {p50} us, p99 {p99} us",
        f"Python {machine.python}, SQLite {machine.sqlite}, {postgresql}, Node {machine.node}",
    ]


def _is_distributed() -> bool:
    """Tell whether this Python is the distribution's: one compiled by hand may be slower."""
    return sys.base_prefix == "/usr"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str:
    """Name the commit, and say when the tree differs from it."""
    commit = _answer("git", "rev-parse", "--short", "HEAD")
    changed = _answer("git", "status", "--porcelain", "--untracked-files=no", "--", "src", "bench")
    return f"{commit or 'unknown'}{' with changes' if changed else ''}"


def _answer(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=Path(__file__).parent.parent
    )
    return done.stdout.strip() if done.returncode == 0 else ""
