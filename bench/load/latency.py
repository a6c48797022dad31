"""Latency at a fixed rate of arrivals, and on a single connection.

A closed loop sends the next request when the last one is answered. A server
that stops for a second then gets one late request instead of thousands: the
loop and the server leave out the pause together ("coordinated omission"). Here
every request has its time in a schedule that does not look at the server, and
its latency counts from that time, also when no connection was free and also
when this generator itself was late. Both make the figure worse, never better.
"""

import gc
import math
import select
import time
from collections import deque
from collections.abc import Sequence
from typing import Final

import msgspec

from bench.load.connections import Connection, with_key
from bench.load.requests import RequestSet
from bench.model import Wrong

_DRAIN_NS: Final = 10_000_000_000
_TICK: Final = 0.000_25


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Milliseconds from the scheduled time to the whole answer, and the rate that was kept."""

    answers: int
    per_second: float
    p50_ms: float
    p99_ms: float
    worst_ms: float
    generator_p99_ms: float = 0.0
    generator_busy: float = 0.0


def at_fixed_rate(
    requests: RequestSet, *, port: int, rate: float, seconds: float, connections: int
) -> Latency:
    """Send `rate` requests a second, evenly, for `seconds`, and time them from the schedule.

    `generator_p99_ms` is how late the generator itself was in looking at its
    schedule; it is part of the latencies. `generator_busy` is the share of one
    processor that it took from the server.
    """
    open_connections = [Connection(port) for _ in range(connections)]
    gc.collect()
    gc.disable()
    try:
        run = _OpenLoop(requests, open_connections, rate=rate, seconds=seconds)
        run.go()
    finally:
        gc.enable()
        for connection in open_connections:
            connection.close()
    return run.summary()


def on_one_connection(requests: RequestSet, *, port: int, seconds: float) -> Latency:
    """Send one request after the other on one connection, and time each from its sending."""
    connection = Connection(port)
    latencies: list[int] = []
    begun = time.perf_counter_ns()
    until = begun + int(seconds * 1e9)
    number = 0
    gc.disable()
    try:
        while time.perf_counter_ns() < until:
            raw = with_key(requests.requests[number % len(requests.requests)])
            sent = time.perf_counter_ns()
            connection.send(raw)
            while (answer := connection.receive()) is None:
                pass
            latencies.append(time.perf_counter_ns() - sent)
            _check(answer, requests.expected)
            number += 1
        ended = time.perf_counter_ns()
    finally:
        gc.enable()
        connection.close()
    return _summary(latencies, elapsed_ns=ended - begun, late=[0])


class _OpenLoop:
    """The schedule, who is free to send, and what is under way.

    It looks at both every quarter of a millisecond: woken for each arrival and each answer, it
    would itself take most of a processor from the server that it times.
    """

    def __init__(
        self, requests: RequestSet, connections: list[Connection], *, rate: float, seconds: float
    ) -> None:
        self._requests = requests
        self._interval_ns = 1e9 / rate
        self._total = int(rate * seconds)
        self._by_descriptor = {one.socket.fileno(): one for one in connections}
        self._idle = deque(self._by_descriptor)
        self._due: deque[int] = deque()
        self._sent_for: dict[int, int] = {}
        self._latencies: list[int] = []
        self._late: list[int] = []
        self._poll = select.epoll()
        for descriptor in self._by_descriptor:
            self._poll.register(descriptor, select.EPOLLIN)
        self._elapsed_ns = 0
        self._busy_ns = 0

    def go(self) -> None:
        busy = time.process_time_ns()
        begun = time.perf_counter_ns()
        last_due = begun + int(self._total * self._interval_ns)
        scheduled = 0
        try:
            while len(self._latencies) < self._total:
                now = time.perf_counter_ns()
                if now > last_due + _DRAIN_NS:
                    missing = self._total - len(self._latencies)
                    raise Wrong(f"{missing} of {self._total} requests had no answer in time")
                while scheduled < self._total:
                    due = begun + int(scheduled * self._interval_ns)
                    if due > now:
                        break
                    self._due.append(due)
                    self._late.append(now - due)
                    scheduled += 1
                self._send_due()
                spent = (time.perf_counter_ns() - now) / 1e9
                if spent < _TICK:
                    time.sleep(_TICK - spent)
                self._receive()
        finally:
            self._poll.close()
        self._elapsed_ns = time.perf_counter_ns() - begun
        self._busy_ns = time.process_time_ns() - busy

    def _send_due(self) -> None:
        requests = self._requests.requests
        while self._due and self._idle:
            descriptor = self._idle.popleft()
            number = len(self._latencies) + len(self._sent_for)
            self._sent_for[descriptor] = self._due.popleft()
            self._by_descriptor[descriptor].send(with_key(requests[number % len(requests)]))

    def _receive(self) -> None:
        for descriptor, _ in self._poll.poll(0):
            answer = self._by_descriptor[descriptor].receive()
            if answer is None:
                continue
            self._latencies.append(time.perf_counter_ns() - self._sent_for.pop(descriptor))
            self._idle.append(descriptor)
            _check(answer, self._requests.expected)

    def summary(self) -> Latency:
        return _summary(
            self._latencies, elapsed_ns=self._elapsed_ns, late=self._late, busy_ns=self._busy_ns
        )


def _check(answer: bytes, expected: bytes) -> None:
    if not answer.startswith(b"HTTP/1.1 200") or expected not in answer:
        raise Wrong(f"a wrong answer under load: {answer[:300]!r}")


def _summary(
    latencies: list[int], *, elapsed_ns: int, late: list[int], busy_ns: int = 0
) -> Latency:
    latencies.sort()
    late.sort()
    return Latency(
        answers=len(latencies),
        per_second=len(latencies) * 1e9 / elapsed_ns,
        p50_ms=percentile(latencies, 50) / 1e6,
        p99_ms=percentile(latencies, 99) / 1e6,
        worst_ms=latencies[-1] / 1e6,
        generator_p99_ms=percentile(late, 99) / 1e6,
        generator_busy=busy_ns / elapsed_ns,
    )


def percentile(ordered: Sequence[int], percent: int) -> int:
    """Return the smallest value that `percent` of the values do not exceed (nearest rank)."""
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
