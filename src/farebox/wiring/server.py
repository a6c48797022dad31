"""Serving: workers that answer behind one address, a ledger and loops behind them.

Whoever imports this imports all that they need, once, before they are forked.
"""

import gc
import socket
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Final

from farebox.wiring.family import Family, Life, Member
from farebox.wiring.ledger_process import keep_ledger
from farebox.wiring.loops_process import run_loops
from farebox.wiring.settings import Settings
from farebox.wiring.worker import serve

_BACKLOG: Final = 2048


def run_server(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM. The schema must be up to date: see `services.prepare`."""
    with ExitStack() as closing:
        listeners = [closing.enter_context(_listener(settings)) for _ in range(settings.workers)]
        inner: list[Member] = []
        ledger_socket: Path | None = None
        if "access" in settings.served:
            folder = closing.enter_context(tempfile.TemporaryDirectory(prefix="farebox-"))
            ledger_socket = Path(folder) / "ledger.sock"
            inner.append(Member("ledger", partial(keep_ledger, settings, ledger_socket)))
        inner.append(Member("loops", partial(run_loops, settings)))
        outer: list[Member] = []
        for number, listener in enumerate(listeners, 1):

            def work(life: Life, mine: socket.socket = listener) -> None:
                for other in listeners:
                    if other is not mine:
                        other.close()
                serve(settings, mine, life, ledger_socket=ledger_socket)

            outer.append(Member(f"worker {number}", work))
        # What is here is shared by all who are forked, as long as no collector touches it.
        gc.collect()
        gc.freeze()
        Family(inner=inner, outer=outer).run()


def _listener(settings: Settings) -> socket.socket:
    """Return a socket that listens.

    Each worker has its own, so that the kernel deals connections out; what waits at one whose
    worker dies is answered by the next worker.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(
        settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(address)
    listener.listen(_BACKLOG)
    return listener
