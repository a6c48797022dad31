"""Asking lanes: one command at a time, or many that are sure to lie in one batch."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from farebox.ledger.batch import Lane
from farebox.ledger.model import Command, Request
from farebox.ledger.running import Answer
from farebox.ledger.service import request


def ask(lane: Lane, *commands: Command, **options: Any) -> Any:
    """Send linked commands; return the outcome of the last."""
    return lane.call(request(*commands, **options))[-1]


def one_batch(
    lane: Lane, requests: Sequence[Request], plant: Callable[[], None] = lambda: None
) -> list[Any]:
    """Send requests so that they are one batch; return each one's outcomes, or what it raised.

    The lane's thread is held up in a batch before; what is queued meanwhile is taken together.
    `plant` is called right before that batch is run, by the lane's thread.
    """
    busy, go = threading.Event(), threading.Event()
    runner = lane.runner
    run = runner.run
    sizes = []

    def held_up(batch: Sequence[Request]) -> Sequence[Answer | Exception]:
        sizes.append(len(batch))
        if len(sizes) == 1:
            busy.set()
            go.wait()
        else:
            plant()
        return run(batch)

    runner.run = held_up  # type: ignore[method-assign, assignment]
    futures: list[Future[Answer]] = [Future() for _ in range(len(requests) + 1)]
    lane._put((request(), futures[0]))
    busy.wait()
    for waiting in zip(requests, futures[1:], strict=True):
        lane._put(waiting)
    go.set()
    answers = [future.exception() or future.result() for future in futures]
    runner.run = run  # type: ignore[method-assign]
    assert sizes == [1, len(requests)], "they were not one batch"
    return answers[1:]
