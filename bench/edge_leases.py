"""The lease at the edge: a decision in one's own process, timed call by call."""

import time
from statistics import median
from typing import Final

from bench.farebox import ADMIN_KEY
from bench.ledger_rows import PRODUCT
from bench.model import OURS, Row, Wrong, rounded_up
from bench.promises import measured, promised
from bench.rounds import interleave
from bench.stage import Stage
from farebox.edge import Farebox, Leases

_A_ROUND: Final = 100_000
_SLICE: Final = 500_000


def lease(stage: Stage) -> list[Row]:
    """Time takes of one unit, with the clock read around each; its own cost is not taken off."""
    served = stage.farebox()
    consumers = served.identities.consumers[:8]
    tails: list[float] = []
    with (
        Farebox(f"http://127.0.0.1:{served.port}", key=ADMIN_KEY) as farebox,
        Leases(farebox, product=PRODUCT, slice_=_SLICE, ttl_seconds=300) as leases,
    ):

        def take() -> float:
            times = []
            for number in range(_A_ROUND):
                consumer = consumers[number % len(consumers)]
                begun = time.perf_counter_ns()
                taken = leases.take(consumer=consumer)
                times.append(time.perf_counter_ns() - begun)
                if not taken.allowed:
                    raise Wrong(f"a take was denied: {taken.code}")
            times.sort()
            tails.append(times[int(len(times) * 0.99)] / 1_000)
            return median(times) / 1_000

        take()
        rounds = interleave({OURS: take}, rounds=stage.sizes.rounds, unit="us p50")
    [row] = promised("lease")
    note = f"p99 {rounded_up(median(tails), 2)} us; slices of {_SLICE:,}, 8 consumers in turn"
    return [measured(row, ours=median(rounds[OURS]), rounds=rounds, note=note)]
