"""The most that a server takes, by Debian's `wrk`: one thread, many connections, closed loop."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import msgspec

from bench.load.requests import RequestSet, write
from bench.model import NotMeasured, Wrong
from bench.rounds import say

_SCRIPT = Path(__file__).with_name("replay.lua")


class Load(msgspec.Struct, frozen=True):
    """What `wrk` saw, as `replay.lua` prints it."""

    requests: int
    microseconds: int
    connect: int
    read: int
    write: int
    status: int
    timeout: int

    @property
    def per_second(self) -> float:
        """Return the answers a second."""
        return self.requests * 1e6 / self.microseconds


def command() -> str:
    """Return the path of `wrk`, installing Debian's package where that is allowed."""
    found = shutil.which("wrk")
    if found is None and shutil.which("apt-get") and os.geteuid() == 0:
        say("wrk is not installed; running apt-get install wrk")
        subprocess.run(["apt-get", "install", "-y", "-q", "wrk"], check=False, capture_output=True)
        found = shutil.which("wrk")
    if found is None:
        raise NotMeasured("wrk is not installed (Debian and Ubuntu: apt-get install wrk)")
    return found


def run(requests: RequestSet, *, port: int, connections: int, seconds: float) -> Load:
    """Load the server; refuse the figure if a single answer was an error.

    `wrk` counts an HTTP status above 399 as an error. A denial with status 200
    is found by the caller, who compares what was used with what was answered.
    """
    with tempfile.NamedTemporaryFile(suffix=".requests") as file:
        write(requests, Path(file.name))
        done = subprocess.run(
            [
                command(),
                "-t1",
                f"-c{connections}",
                f"-d{max(1, round(seconds))}s",
                "--timeout=10s",
                f"-s{_SCRIPT}",
                f"http://127.0.0.1:{port}",
                "--",
                file.name,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    return _parsed(done.stdout, done.stderr)


def _parsed(output: str, errors: str) -> Load:
    for line in output.splitlines():
        if line.startswith("bench "):
            load = msgspec.json.decode(line.removeprefix("bench "), type=Load)
            if load.connect or load.read or load.write or load.status or load.timeout:
                raise Wrong(f"wrk saw errors: {line.removeprefix('bench ')}")
            if load.requests == 0:
                raise Wrong("wrk got no answer at all")
            return load
    raise Wrong(f"wrk said nothing: {(errors or output).strip()[-300:]}")
