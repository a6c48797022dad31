"""Real processes for tests, started in milliseconds and killed at will.

One clean process imports everything once, opens nothing and starts no thread; each child is forked
from it. So a child costs no start-up, and inherits no connection, lock or thread of the test's own
process. A child runs one role, a function of `tests.support.roles` or of another module that the
nursery was made with, and talks in lines of JSON.

    python -m tests.support.nursery FD ROLES    # how the test's process starts it
"""

import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, Final

ROLES: Final = "tests.support.roles"
_ROOT: Final = Path(__file__).resolve().parents[2]
_MOST: Final = 1 << 20


class Link:
    """One end of the line between a test and a child."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._lines = end.makefile("rb")

    def say(self, said: Any) -> None:
        """Send something that JSON can carry."""
        self._end.sendall(json.dumps(said).encode() + b"\n")

    def hear(self) -> Any:
        """Return what the other side says next; None once it is gone."""
        try:
            line = self._lines.readline()
        except ConnectionResetError:
            return None
        return json.loads(line) if line.endswith(b"\n") else None

    def close(self) -> None:
        """Hang up."""
        self._lines.close()
        self._end.close()


class Child(Link):
    """A child as the test sees it."""

    def __init__(self, nursery: "Nursery", end: socket.socket, pid: int) -> None:
        super().__init__(end)
        self._nursery = nursery
        self.pid = pid
        self.status: int | None = None

    def signal(self, number: int) -> None:
        """Send a signal. The pid is the child's until `wait` has buried it."""
        assert self.status is None
        os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it where it stands, as `kill -9` does, and bury it."""
        self.signal(signal.SIGKILL)
        self.wait()

    def wait(self) -> int:
        """Wait for its end and return how it ended: an exit code, or minus a signal."""
        if self.status is None:
            # Whoever waits for a child that still works waits here, not in everybody's nursery.
            while self.hear() is not None:
                pass
            self.status = self._nursery.bury(self)
        return self.status


class Nursery:
    """Where children come from. Every child that is left is killed with it."""

    def __init__(self, roles: str = ROLES) -> None:
        self._turn = threading.Lock()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.nursery", str(theirs.fileno()), roles],
            pass_fds=[theirs.fileno()],
            cwd=_ROOT,
        )
        theirs.close()
        self._lines: set[Child] = set()

    def start(self, role: str, **arguments: Any) -> Child:
        """Start a child in a role."""
        mine, theirs = socket.socketpair()
        order = json.dumps({"role": role, "arguments": arguments}).encode()
        with self._turn:
            socket.send_fds(self._control, [order], [theirs.fileno()])
            pid = int(self._control.recv(_MOST))
        theirs.close()
        child = Child(self, mine, pid)
        self._lines.add(child)
        return child

    def bury(self, child: Child) -> int:
        """Wait for a child's end, and hang up."""
        with self._turn:
            self._control.send(json.dumps({"bury": child.pid}).encode())
            status = int(self._control.recv(_MOST))
        self._lines.discard(child)
        child.close()
        return status

    def close(self) -> None:
        """End it, with all that is left: the children of a test that failed too."""
        for child in self._lines:
            child.close()
        self._control.close()
        self._process.wait()


def _live(link: Link, roles: str, role: str, arguments: dict[str, Any]) -> int:
    try:
        getattr(importlib.import_module(roles), role)(link, **arguments)
    except BaseException:  # noqa: BLE001 - whatever it was, the test is to see it
        with contextlib.suppress(OSError):
            link.say({"error": traceback.format_exc()})
        return 1
    return 0


def _serve(control: socket.socket, roles: str) -> None:
    importlib.import_module(roles)
    alive: set[int] = set()
    while True:
        message, fds, _, _ = socket.recv_fds(control, _MOST, 1)
        if not message:
            break
        order = json.loads(message)
        if "bury" in order:
            _, status = os.waitpid(order["bury"], 0)
            alive.discard(order["bury"])
            control.send(str(os.waitstatus_to_exitcode(status)).encode())
            continue
        child = os.fork()
        if child == 0:
            control.close()
            # Not exit(): a child must not run what the parent registered for its own end.
            link = Link(socket.socket(fileno=fds[0]))
            os._exit(_live(link, roles, order["role"], order["arguments"]))
        os.close(fds[0])
        alive.add(child)
        control.send(str(child).encode())
    for child in alive:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])), sys.argv[2])
