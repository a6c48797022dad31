"""`farebox` as a user starts it: a process of its own, told by its environment alone."""

import contextlib
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Final

import httpx2
import psutil  # type: ignore[import-untyped]

from tests.support.forked import Forked, piped
from tests.support.nursery import Nursery

PATIENCE_S: Final = 60.0
TICK_S: Final = 0.05
Process = subprocess.Popen[str] | Forked


def environment_of(**settings: str) -> dict[str, str]:
    """Return this environment with these settings of Farebox and no others."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("FAREBOX_")}
    return kept | settings | {"COLUMNS": "100", "PYTHONUNBUFFERED": "1"}


class Farebox:
    """The command, in one folder, with one set of settings."""

    def __init__(self, nursery: Nursery, folder: Path, **settings: str) -> None:
        self._nursery = nursery
        self.folder = folder
        self.environment = environment_of(**settings)

    def __call__(
        self, *arguments: str, stdin: bytes = b"", **settings: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, in a process of its own."""
        with tempfile.TemporaryDirectory() as folder:
            streams = [Path(folder) / name for name in ("in", "out", "err")]
            streams[0].write_bytes(stdin)
            child = self._nursery.start(
                "command",
                arguments=arguments,
                folder=str(self.folder),
                environment=self.environment | settings,
                streams=[str(path) for path in streams],
            )
            code = child.wait()
            out, err = (path.read_text() for path in streams[1:])
        return subprocess.CompletedProcess(arguments, code, out, err)

    def done(self, *arguments: str, stdin: bytes = b"", **settings: str) -> str:
        """Run a command that must succeed, and return what it printed."""
        done = self(*arguments, stdin=stdin, **settings)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def refused(self, *arguments: str, stdin: bytes = b"", **settings: str) -> str:
        """Run a command that must be refused, and return the one line that says why."""
        done = self(*arguments, stdin=stdin, **settings)
        assert done.returncode == 2, (done.returncode, done.stdout, done.stderr)
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        assert line.startswith("farebox: "), line
        return line.removeprefix("farebox: ")

    @contextmanager
    def started(self, *arguments: str, back_us: int = 0, **settings: str) -> Iterator[Forked]:
        """Start a command for as long as a block lasts; what is left of it is killed.

        It is forked from a process that has imported all of it, as its own processes are from it.
        Its clock is turned back by so much.
        """
        with tempfile.TemporaryDirectory() as folder:
            streams, out, err = piped(Path(folder))
            child = self._nursery.start(
                "command",
                arguments=arguments,
                folder=str(self.folder),
                environment=self.environment | settings,
                streams=streams,
                back_us=back_us,
                stays=True,
            )
            assert child.hear() == "begun"
            process = Forked(child, out, err)
        try:
            yield process
        finally:
            process.close()

    @contextmanager
    def executed(
        self, *arguments: str, stdin: int | IO[Any] = subprocess.DEVNULL
    ) -> Iterator[subprocess.Popen[str]]:
        """Start a command as a shell does, for as long as a block lasts; what is left is killed."""
        with subprocess.Popen(
            [sys.executable, "-m", "farebox", *arguments],
            cwd=self.folder,
            env=self.environment,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()


def until(is_true: Callable[[], bool], process: Process, *, patience_s: float = PATIENCE_S) -> None:
    """Ask again until something is true; a process that ends meanwhile is a failure."""
    deadline = time.monotonic() + patience_s
    while not is_true():
        assert time.monotonic() < deadline, "it did not become true"
        try:
            process.wait(TICK_S)
        except subprocess.TimeoutExpired:
            continue
        assert process.stderr is not None
        raise AssertionError(process.stderr.read())


def line_of(process: Process, pattern: str) -> re.Match[str]:
    """Return the first line on standard output that has this pattern."""
    assert process.stdout is not None
    assert process.stderr is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if match := re.search(pattern, line):
            return match
    raise AssertionError("".join(said) + process.stderr.read())


def stop(process: Process, number: int) -> tuple[int, str]:
    """Send a signal and wait for the end; returns the exit code and the rest of standard error."""
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE_S)
    return process.wait(), err


def kill_family(process: Process) -> None:
    """End every process of a service at once, as a power cut would, and wait for all of them."""
    first = psutil.Process(process.pid)
    family = first.children(recursive=True)
    for one in (first, *family):
        # Who sees the first one end may be gone already.
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    process.wait()
    # Who dies last still listens where the next one is to.
    _, alive = psutil.wait_procs(family, PATIENCE_S)
    assert alive == []


def answers(url: str) -> bool:
    """Tell whether a server answers this with success."""
    try:
        return httpx2.get(url, timeout=5, trust_env=False, verify=False).is_success
    except httpx2.TransportError:
        return False


def send_curl(client: httpx2.Client, line: str) -> httpx2.Response:
    """Send the request that a `curl` line for a shell is.

    Knows the options and the one expansion that the demo prints, and fails on any other option.
    """
    words = iter(shlex.split(line.replace("$(date +%s%N)", str(time.time_ns()))))
    assert next(words) == "curl"
    method, url, body = "", "", None
    headers: list[tuple[str, str]] = []
    for word in words:
        if word == "-H":
            name, _, text = next(words).partition(": ")
            headers.append((name, text))
        elif word == "-X":
            method = next(words)
        elif word == "-d":
            body = next(words)
        elif word == "-w":
            assert next(words) == "\\n"
        elif word in {"-sS", "-i", "-N"}:
            continue
        else:
            assert not url, f"{word!r} is neither an option that we know nor the only URL"
            url = word
    return client.request(
        method or ("GET" if body is None else "POST"), url, headers=headers, content=body
    )
