"""Search over 100,000 items, on both engines: how long a visitor waits for a page of hits."""

import time
from statistics import quantiles

from bench.model import Row
from bench.postgres_server import serving
from bench.promises import measured, promised
from bench.rounds import say
from bench.shelf import ITEMS, Shelf, fill
from bench.stage import Stage
from farebox.access.marketplace.model import Sight, Wanted
from farebox.access.marketplace.service_search import find_items
from farebox.kernel.clock import SystemClock
from farebox.storage import Database, migrate, open_database

_COMPONENTS = ("events", "ledger", "platform", "access")
_QUERIES = 100  # of each kind
_HITS = 20
_QUICK_ITEMS = 10_000


def search(stage: Stage) -> list[Row]:
    """Measure p50 and p99 of all kinds of queries together, one caller, without HTTP."""
    count = _QUICK_ITEMS if stage.sizes.name == "quick" else ITEMS
    sqlite = _times(f"sqlite:///{stage.folder('search') / 'access.db'}", count)
    with serving(stage.folder("search-postgres")) as server:
        postgres = _times(server.url, count)
    note = f"{count:,} items; " + "; ".join(
        f"{kind}: p50 {_at(times, 50):.1f} / {_at(postgres[kind], 50):.1f}"
        for kind, times in sqlite.items()
    )
    figures = [_at(_all(times), mark) for times in (sqlite, postgres) for mark in (50, 99)]
    return [
        measured(row, ours=figure, note=note)
        for row, figure in zip(promised("search"), figures, strict=True)
    ]


def _times(url: str, count: int) -> dict[str, list[float]]:
    """Return the milliseconds of each query, by kind; every answer was looked at."""
    database = open_database("access", url, SystemClock())
    try:
        migrate(database, _COMPONENTS)
        shelf = Shelf()
        fill(database, shelf.items(count))
        found = {}
        for kind, queries in shelf.queries(_QUERIES).items():
            _ask(database, queries[0])
            found[kind] = [_ask(database, query) for query in queries]
            say(f"  {database.name} {kind:<26} p50 {_at(found[kind], 50):8.1f} ms")
        return found
    finally:
        database.close()


def _ask(database: Database, query: str) -> float:
    begun = time.perf_counter()
    with database.read() as tx:
        find_items(tx, Sight(on_sale=True), Wanted(query=query), limit=_HITS)
    return (time.perf_counter() - begun) * 1_000


def _all(times: dict[str, list[float]]) -> list[float]:
    return [each for kind in times.values() for each in kind]


def _at(times: list[float], mark: int) -> float:
    return quantiles(times, n=100)[mark - 1]
