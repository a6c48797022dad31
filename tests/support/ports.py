"""Ports for servers that are told theirs before they start.

A port that the system chose and that was closed again may be given to anybody until the server has
started. These lie below those that it gives by itself, and each process of a run has its own.
"""

import itertools
import os
import socket
from contextlib import suppress
from typing import Final

_FIRST: Final = 12_000
_EACH: Final = 1_250
_PROCESSES: Final = 16
_process: Final = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_begin: Final = _FIRST + _process % _PROCESSES * _EACH
# Two runs at once begin at different places.
_ports: Final = itertools.cycle(
    [_begin + (os.getpid() + number) % _EACH for number in range(_EACH)]
)


def free_port() -> int:
    """Return a port that nobody listens on, and that no other test is given."""
    for port in itertools.islice(_ports, _EACH):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")
