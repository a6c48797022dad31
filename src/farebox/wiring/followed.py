"""The other service's log: behind its URL, or in its database where that is here."""

from contextlib import ExitStack
from typing import Final, NamedTuple

from farebox.access.flows.snapshots import PROVIDERS
from farebox.billing.flows.snapshots import PROVIDERS as OF_BILLING
from farebox.events.service_snapshots import Providers
from farebox.events.transports import Log
from farebox.events.transports.in_process import DatabaseLog
from farebox.events.transports.over_http import HttpLog
from farebox.kernel.clock import SystemClock
from farebox.platform.service_test_clock import follow_test_clock
from farebox.storage import open_database
from farebox.wiring.settings import Service, Settings
from farebox.workers.look import Look

_PROVIDERS: Final[dict[Service, Providers]] = {"access": PROVIDERS, "billing": OF_BILLING}


class Followed(NamedTuple):
    """A log, and what looks for news in it, where that is cheaper than reading."""

    log: Log
    look: Look | None


def log_of(
    settings: Settings, service: Service, closing: ExitStack, *, reader: Service
) -> Followed | None:
    """Return a service's log for another one, or None where a broker brings its events."""
    if settings.nats_url is not None:
        return None
    away = {
        "access": (settings.access_url, settings.access_key),
        "billing": (settings.billing_url, settings.billing_key),
    }
    url, key = away[service]
    if url is not None and key is not None and service not in settings.served:
        log = HttpLog(url, key, name=service, reader=reader)
        closing.callback(log.close)
        return Followed(log, None)
    database = open_database(service, settings.url_of(service), SystemClock())
    closing.callback(database.close)
    follow_test_clock(database)
    log_here = DatabaseLog(database, name=service, reader=reader, providers=_PROVIDERS[service])
    return Followed(log_here, Look(database, log_only=True))
