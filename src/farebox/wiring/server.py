"""Serving: Granian's workers, each with its own services, behind one address."""

import errno
import importlib
import os
import socket
from contextlib import ExitStack
from typing import Final

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.log import LogLevels

from farebox.kernel.refusals import SettingsRefused
from farebox.wiring.child_process import ChildProcess
from farebox.wiring.ledger_process import LedgerProcess
from farebox.wiring.settings import LEDGER_SOCKET, Settings, as_environment

STOP_SECONDS: Final = 10
_APPLICATION: Final = "farebox.wiring.application"
# What Granian tells at its level info is of use to its own developers.
_TALK: Final = {
    "debug": LogLevels.debug,
    "info": LogLevels.warning,
    "warning": LogLevels.warning,
    "error": LogLevels.error,
}


def port_to_listen_on(host: str, port: int) -> int:
    """Return the port if nobody listens on it, or one that is free now for 0.

    Refuses (`settings_invalid`) one that is taken. Granian's sockets share a port with whoever
    allows it, so a second Farebox would get half of the first one's requests.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return int(probe.getsockname()[1])
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "something else listens there" if taken else error.strerror
        raise SettingsRefused(f"cannot listen on port {port} of {host}: {why}") from error


def run_server(settings: Settings) -> None:
    """Serve until SIGINT or SIGTERM. The schema must be up to date: see `services.prepare`."""
    os.environ.update(as_environment(settings))
    with ExitStack() as children:
        if "access" in settings.served:
            ledger = children.enter_context(LedgerProcess())
            os.environ[LEDGER_SOCKET] = str(ledger.socket)
        children.enter_context(ChildProcess("farebox.wiring.loops_process"))
        # Granian forks its workers, so this is imported once for all of them, while the others
        # start on another core.
        importlib.import_module(_APPLICATION)
        Granian(
            f"{_APPLICATION}:application",
            address=settings.host,
            port=settings.port,
            interface=Interfaces.RSGI,
            workers=settings.workers,
            loop=Loops.uvloop,
            http=HTTPModes.auto,
            websockets=False,
            factory=True,
            log_level=_TALK[settings.log_level],
            log_access=False,
            respawn_failed_workers=True,
            workers_kill_timeout=STOP_SECONDS,
        ).serve()
