"""What Prometheus reads: a registry of our own, so that two apps in one process stay apart.

Labels are routes, methods, statuses and codes; never ids of customers or keys. Several worker
processes count together when `PROMETHEUS_MULTIPROC_DIR` names a folder before they start: each
writes its numbers there, and whichever is asked adds them up.
"""

import os
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})

# The time at which each series began is of no use here and doubles their number.
disable_created_metrics()  # type: ignore[no-untyped-call] # the library's


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
        self._decisions = Counter(
            "farebox_decisions",
            "Decisions, by what was asked and the code of the answer.",
            ("mode", "code"),
            registry=self._registry,
        )
        self._decided: dict[tuple[str, str], Counter] = {}
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

    def decided(self, *, mode: str, code: str) -> None:
        """Count a decision."""
        counter = self._decided.get((mode, code))
        if counter is None:
            counter = self._decided[mode, code] = self._decisions.labels(mode, code)
        counter.inc()

    def render(self) -> bytes:
        """Return everything in Prometheus' text format."""
        if FOLDER not in os.environ:
            return generate_latest(self._registry)
        together = CollectorRegistry()
        MultiProcessCollector(together)  # type: ignore[no-untyped-call] # the library's
        return generate_latest(together)
