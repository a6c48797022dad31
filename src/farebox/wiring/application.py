"""What a worker process serves: Granian calls `application` in each of its workers.

Apart from `server`, which imports it beside the starting of other processes, once for all workers.
"""

import asyncio
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from farebox.billing.flows.snapshots import PROVIDERS as SNAPSHOTS
from farebox.http.app import create_app
from farebox.http.auth import Lookup
from farebox.http.deps import Services as HttpServices
from farebox.http.gateways import gateways_in_front
from farebox.http.hot import hot_routes
from farebox.http.metrics import Metrics
from farebox.http.routes import HANDLERS, OF_ACCESS, OF_BILLING, OF_NOTIFICATIONS
from farebox.http.rsgi import Application
from farebox.kernel.clock import SECOND_US, SystemClock
from farebox.platform.service_pepper import tell_peppers
from farebox.platform.service_test_clock import follow_test_clock
from farebox.storage import open_database
from farebox.wiring.child_process import end_with_parent
from farebox.wiring.gateways import gateways_of
from farebox.wiring.ledger_process import settle_memory
from farebox.wiring.logs import configure_logs
from farebox.wiring.pages import pages_in_front
from farebox.wiring.services import COMPONENTS, Services
from farebox.wiring.settings import LEDGER_SOCKET, Service, Settings, load_settings
from farebox.wiring.upkeep import Upkeep


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
            notifications=services.notifications,
            notifications_components=COMPONENTS["notifications"],
            payment_gateways={} if services.billing is None else gateways_of(services.settings),
        )
        handlers = HANDLERS if services.billing is not None else OF_ACCESS
        front = gateways_in_front(over.gatekeeper, over.metrics)
        api = create_app(over, handlers)
        served = pages_in_front(api, over, services.settings)
        super().__init__(served, hot_routes(services.decider), front)
        self._services = services

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__rsgi_del__(loop)
        self._services.close()


class _LoneWorker(Application):
    """One worker process's application where billing or notifications is served alone."""

    def __init__(self, settings: Settings, service: Service) -> None:
        clock = SystemClock()
        self._closing = ExitStack()
        database = open_database(service, settings.url_of(service), clock)
        self._closing.callback(database.close)
        follow_test_clock(database)
        tell_peppers(database, settings.pepper, settings.pepper_old)
        self._closing.callback(Upkeep(database, clock, books=False).close)
        nobody: Any = None  # None of these routes decides.
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
        super().__init__(create_app(over, handlers), {})

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__rsgi_del__(loop)
        self._closing.close()


def application() -> Any:  # noqa: ANN401 - Granian takes any RSGI application
    """Make a worker's application from the environment; Granian calls it in each worker."""
    settings = load_settings()
    configure_logs(settings.log_level)
    end_with_parent()
    worker: Application
    if "access" in settings.served:
        path = os.environ.get(LEDGER_SOCKET)
        worker = _Worker(Services(settings, ledger_socket=None if path is None else Path(path)))
    else:
        worker = _LoneWorker(settings, settings.served[0])
    settle_memory()
    return worker
