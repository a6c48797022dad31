"""Short ways to call services in tests: one transaction a call, many callers at once."""

import threading
from collections.abc import Callable, Iterable
from typing import Any, Final, TypeVar

from farebox.platform.model import Actor
from farebox.storage import Database

T = TypeVar("T")
ADA: Final = Actor(kind="operator", id="opr_ada", reason="asked for by phone")
PATIENCE_S: Final = 60.0


def run(database: Database, work: Callable[..., T], *arguments: object, **named: object) -> T:
    """Call a service in a transaction of its own."""
    return database.run(lambda tx: work(tx, *arguments, **named))


def now(database: Database) -> int:
    """Return the database's time, in microseconds."""
    with database.read() as tx:
        return tx.now_us


def at_once(works: Iterable[Callable[[], T]]) -> list[T | Exception]:
    """Run everything at the same time; returns each answer, or what was raised instead."""
    todo = list(works)
    answers: list[Any] = [None] * len(todo)
    start = threading.Barrier(len(todo))

    def do(place: int, work: Callable[[], T]) -> None:
        start.wait(PATIENCE_S)
        try:
            answers[place] = work()
        except Exception as error:  # noqa: BLE001 - the test looks at it
            answers[place] = error

    threads = [threading.Thread(target=do, args=(place, work)) for place, work in enumerate(todo)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
        assert not thread.is_alive(), "a call hangs"
    return answers
