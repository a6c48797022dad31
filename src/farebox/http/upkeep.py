"""Routes for whoever runs the process: is it alive, can it work, what does it count."""

from typing import Final

import structlog
from litestar import Response, get
from litestar.di import NamedDependency

from farebox.http.deps import Services
from farebox.http.metrics import CONTENT_TYPE
from farebox.http.roles import PUBLIC
from farebox.http.wire import View
from farebox.kernel.refusals import ClockJumped
from farebox.storage import Database, MigrationRefused, pending

_log: Final = structlog.get_logger("farebox.http")


class Health(View, frozen=True):
    """The process answers."""

    alive: bool


class Readiness(View, frozen=True):
    """Whether the process can do its work, and what stands in the way."""

    ready: bool
    checks: dict[str, str]


@get("/healthz", operation_id="isAlive", opt=PUBLIC, tags=["Upkeep"], sync_to_thread=False)
def is_alive() -> Health:
    """Tell that the process runs."""
    return Health(alive=True)


@get(
    "/readyz",
    operation_id="isReady",
    opt={**PUBLIC, "also": {503: Readiness}},
    tags=["Upkeep"],
    sync_to_thread=True,
)
def is_ready(services: NamedDependency[Services]) -> Response[Readiness]:
    """Tell whether database, schema and clock let this process work; 503 while they do not."""
    checks = {
        f"database {services.database.name}": _database(services.database, services.components),
        "clock": _clock(services),
    }
    if services.billing is not None:
        checks["database billing"] = _database(services.billing, services.billing_components)
    if services.notifications is not None:
        components = services.notifications_components
        checks["database notifications"] = _database(services.notifications, components)
    ready = all(word == "ok" for word in checks.values())
    return Response(Readiness(ready=ready, checks=checks), status_code=200 if ready else 503)


@get(
    "/metrics",
    operation_id="readMetrics",
    opt={**PUBLIC, "answers": "text/plain"},
    media_type="text/plain",
    tags=["Upkeep"],
    sync_to_thread=True,
)
def read_metrics(services: NamedDependency[Services]) -> Response[bytes]:
    """Return the process's counters in Prometheus' text format."""
    return Response(services.metrics.render(), headers={"Content-Type": CONTENT_TYPE})


def _database(database: Database, components: tuple[str, ...]) -> str:
    try:
        missing = pending(database, components)
    except MigrationRefused:
        return "made by a newer Farebox"
    except Exception:  # noqa: BLE001 - whatever it is, this process cannot work
        _log.warning("not_ready", exc_info=True)
        return "unreachable"
    return f"{len(missing)} migrations to do" if missing else "ok"


def _clock(services: Services) -> str:
    try:
        services.clock.now_us()
    except ClockJumped:
        return "jumped"
    return "ok"
