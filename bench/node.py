"""One node of several on a database: a process of its own that uses buckets when told to.

    python -m bench.node URL FIRST COUNT BATCH SEED

It works on COUNT buckets from number FIRST on. For each line "SECONDS" on its
standard input it uses one unit a command, BATCH commands a transaction, until
the time is up, and then writes how many it used and how long it took.
"""

import sys
import time
from collections.abc import Sequence

from bench.ledger_rows import Node, Workload, buckets_of


def main(arguments: Sequence[str]) -> None:
    """Obey standard input until it ends."""
    url = arguments[0]
    first, count, batch, seed = (int(argument) for argument in arguments[1:])
    with Node(url) as node:
        workload = Workload(buckets_of(node)[first : first + count], seed=seed)
        node.use(*workload.batch(batch))
        print("ready", flush=True)
        for line in sys.stdin:
            used, elapsed = _use_for(float(line), node, workload, batch)
            print(used, elapsed, flush=True)


def _use_for(seconds: float, node: Node, workload: Workload, batch: int) -> tuple[int, float]:
    begun = time.perf_counter()
    used = 0
    while (elapsed := time.perf_counter() - begun) < seconds:
        node.use(*workload.batch(batch))
        used += batch
    return used, elapsed


if __name__ == "__main__":
    main(sys.argv[1:])
