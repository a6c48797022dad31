"""What Prometheus reads: a registry of our own, so that two apps in one process stay apart.

Labels are routes, methods, statuses and codes; never ids of customers or keys.
"""

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The counters of one process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "farebox_http_requests",
            "Requests answered, by route and status.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "farebox_http_request_duration_seconds",
            "Time from a request's head to the end of its answer.",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=self._registry,
        )

    def answered(self, *, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answer. `route` is a template such as `/v1/consumers/{consumer}`."""
        kind = method if method in _METHODS else "OTHER"
        self._requests.labels(kind, route, str(status)).inc()
        self._seconds.labels(kind, route).observe(seconds)

    def watch(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        """Show a number that something else counts; it is read at each scrape."""
        Gauge(name, documentation, registry=self._registry).set_function(read)

    def render(self) -> bytes:
        """Return everything in Prometheus' text format."""
        return generate_latest(self._registry)
