"""Serving: Granian's workers, each with its own services, behind one address."""

import asyncio
import errno
import os
import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.log import LogLevels

from farebox.http.app import create_app
from farebox.http.auth import Lookup
from farebox.http.deps import Services as HttpServices
from farebox.http.gateways import gateways_in_front
from farebox.http.hot import hot_routes
from farebox.http.metrics import Metrics
from farebox.http.routes import HANDLERS, OF_ACCESS, OF_BILLING
from farebox.http.rsgi import Application
from farebox.kernel.clock import SECOND_US, SystemClock
from farebox.kernel.refusals import SettingsRefused
from farebox.platform.service_pepper import tell_peppers
from farebox.platform.service_test_clock import follow_test_clock
from farebox.storage import open_database
from farebox.wiring.child_process import ChildProcess
from farebox.wiring.ledger_process import LedgerProcess, settle_memory
from farebox.wiring.logs import configure_logs
from farebox.wiring.services import COMPONENTS, Services, Upkeep
from farebox.wiring.settings import LEDGER_SOCKET, Settings, as_environment, load_settings

STOP_SECONDS: Final = 10
# What Granian tells at its level info is of use to its own developers.
_TALK: Final = {
    "debug": LogLevels.debug,
    "info": LogLevels.warning,
    "warning": LogLevels.warning,
    "error": LogLevels.error,
}


class _Worker(Application):
    """One worker process's application and the services behind it."""

    def __init__(self, services: Services) -> None:
        over = HttpServices(
            database=services.database,
            components=COMPONENTS["access"],
            clock=services.clock,
            decisions=services.decider,
            authenticate=Lookup(services.database, services.verifier),
            issuer=services.settings.issuer,
            metrics=Metrics(),
            private_webhooks=services.settings.private_webhooks,
            usage_grace_us=services.settings.usage_grace_seconds * SECOND_US,
            test_clock=services.settings.test_clock,
            billing=services.billing,
            billing_components=COMPONENTS["billing"],
        )
        handlers = HANDLERS if services.billing is not None else OF_ACCESS
        front = gateways_in_front(over.gatekeeper, over.metrics)
        super().__init__(create_app(over, handlers), hot_routes(services.decider), front)
        self._services = services

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__rsgi_del__(loop)
        self._services.close()


class _BillingWorker(Application):
    """One worker process's application where billing is served alone: its log and dead letters."""

    def __init__(self, settings: Settings) -> None:
        clock = SystemClock()
        self._closing = ExitStack()
        database = open_database("billing", settings.url_of("billing"), clock)
        self._closing.callback(database.close)
        follow_test_clock(database)
        tell_peppers(database, settings.pepper, settings.pepper_old)
        self._closing.callback(Upkeep(database, clock, books=False).close)
        nobody: Any = None  # None of these routes decides.
        over = HttpServices(
            database=database,
            components=COMPONENTS["billing"],
            clock=clock,
            decisions=nobody,
            authenticate=Lookup(database, None),
            issuer=settings.issuer,
            metrics=Metrics(),
            snapshots={},
        )
        super().__init__(create_app(over, OF_BILLING), {})

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__rsgi_del__(loop)
        self._closing.close()


def application() -> Any:  # noqa: ANN401 - Granian takes any RSGI application
    """Make a worker's application from the environment; Granian calls it in each worker."""
    settings = load_settings()
    configure_logs(settings.log_level)
    worker: Application
    if "access" in settings.served:
        path = os.environ.get(LEDGER_SOCKET)
        worker = _Worker(Services(settings, ledger_socket=None if path is None else Path(path)))
    else:
        worker = _BillingWorker(settings)
    settle_memory()
    return worker


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
        Granian(
            "farebox.wiring.server:application",
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
