"""A worker process: it answers HTTP on a socket that the server listens on."""

import socket
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import uvloop
from uvicorn import Server

from farebox.billing.flows.snapshots import PROVIDERS as SNAPSHOTS
from farebox.http.app import create_app
from farebox.http.auth import Lookup
from farebox.http.deps import Services as HttpServices
from farebox.http.front import configuration
from farebox.http.hot import HotRoute, hot_routes
from farebox.http.metrics import Metrics
from farebox.http.routes import HANDLERS, OF_ACCESS, OF_BILLING, OF_NOTIFICATIONS
from farebox.kernel.clock import SECOND_US, SystemClock
from farebox.platform.service_pepper import tell_peppers
from farebox.platform.service_test_clock import follow_test_clock
from farebox.storage import open_database
from farebox.wiring.family import STOP_SECONDS, Life
from farebox.wiring.gateways import gateways_of
from farebox.wiring.logs import configure_logs
from farebox.wiring.memory import settle_memory
from farebox.wiring.pages import pages_in_front
from farebox.wiring.services import COMPONENTS, Services
from farebox.wiring.settings import Service, Settings
from farebox.wiring.upkeep import Upkeep


class Served(NamedTuple):
    """An ASGI application, and the routes that answer in front of it."""

    app: Any
    hot: dict[bytes, HotRoute]


def serve(
    settings: Settings, listener: socket.socket, life: Life, *, ledger_socket: Path | None = None
) -> None:
    """Answer what comes in by the listener until the life ends; what was begun is answered.

    With a `ledger_socket` the ledger is in a process of its own, otherwise in this one.
    """
    configure_logs(settings.log_level)
    with ExitStack() as closing:
        if "access" in settings.served:
            served = _with_access(settings, closing, ledger_socket)
        else:
            served = _alone(settings, settings.served[0], closing)
        settle_memory()
        server = Server(configuration(served.app, served.hot, stop_seconds=STOP_SECONDS - 2))

        def end() -> None:
            server.should_exit = True

        async def answer() -> None:
            await server.serve([listener])
            # Here, because the queue to the ledger lives on this loop.
            closing.close()

        life.when_over(end)
        uvloop.run(answer())


def _with_access(settings: Settings, closing: ExitStack, ledger_socket: Path | None) -> Served:
    services = Services(settings, ledger_socket=ledger_socket)
    closing.callback(services.close)
    over = HttpServices(
        database=services.database,
        components=COMPONENTS["access"],
        clock=services.clock,
        decisions=services.decider,
        authenticate=Lookup(services.database, services.verifier),
        issuer=settings.issuer,
        metrics=Metrics(),
        private_webhooks=settings.private_webhooks,
        usage_grace_us=settings.usage_grace_seconds * SECOND_US,
        test_clock=settings.test_clock,
        billing=services.billing,
        billing_components=COMPONENTS["billing"],
        notifications=services.notifications,
        notifications_components=COMPONENTS["notifications"],
        payment_gateways={} if services.billing is None else gateways_of(settings),
    )
    api = create_app(over, HANDLERS if services.billing is not None else OF_ACCESS)
    return Served(pages_in_front(api, over, settings), hot_routes(services.decider))


def _alone(settings: Settings, service: Service, closing: ExitStack) -> Served:
    """Return what serves billing or notifications alone: none of their routes decides."""
    clock = SystemClock()
    database = open_database(service, settings.url_of(service), clock)
    closing.callback(database.close)
    follow_test_clock(database)
    tell_peppers(database, settings.pepper, settings.pepper_old)
    closing.callback(Upkeep(database, clock, books=False).close)
    nobody: Any = None
    over = HttpServices(
        database=database,
        components=COMPONENTS[service],
        clock=clock,
        decisions=nobody,
        authenticate=Lookup(database, None),
        issuer=settings.issuer,
        metrics=Metrics(),
        snapshots=SNAPSHOTS if service == "billing" else {},
        payment_gateways=gateways_of(settings) if service == "billing" else {},
    )
    handlers = OF_BILLING if service == "billing" else OF_NOTIFICATIONS
    return Served(create_app(over, handlers), {})
