"""Usage events through the batch route, beside a raw insert of the records that they became.

The events come in batches of 10,000 over HTTP, one request after another, out of order and with
repeats among them. Afterwards every one must be counted, none twice, and the server must not have
grown with them.
"""

import http.client
import random
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import psutil  # type: ignore[import-untyped] # it has no stubs

from bench import farebox, ledger_rows
from bench.farebox import ADMIN_KEY, Farebox
from bench.model import Row, Wrong
from bench.peers.raw_sqlite import Manner, RawSqlite
from bench.promises import measured, promised
from bench.rounds import say
from bench.stage import Stage
from farebox.kernel.clock import SystemClock
from farebox.storage import migrate, open_database
from farebox.wiring.services import COMPONENTS

_BATCH: Final = 10_000
_EVENTS: Final = {"full": 1_000_000, "quick": 100_000}
_REPEATED: Final = 20  # one in so many events is sent again
_PORTION: Final = 1_000
_PATIENCE_S: Final = 600.0
_DATABASE: Final = "access.db"


def usage(stage: Stage) -> list[Row]:
    """Measure events a second, and hold what was counted against what was sent."""
    count = _EVENTS[stage.sizes.name]
    path = stage.folder("usage")
    farebox.prepare(path, consumers=stage.sizes.consumers)
    with farebox.serving(path) as served:
        sent, seconds, grown = _send(served, count)
        added = _await_sums(served, count)
    ledger_rows.settle(path / _DATABASE)
    rows = _records(path / _DATABASE)
    if len(rows) != count:
        raise Wrong(f"{len(rows):,} records of {count:,} events")
    raw = max(
        _raw(stage.folder(f"usage-raw-{manner.name}") / _DATABASE, rows, manner)
        for manner in Manner
    )
    [row] = promised("usage")
    note = (
        f"{count:,} events of {stage.sizes.consumers:,} consumers, shuffled, one in {_REPEATED}"
        f" sent twice, {_BATCH:,} a request on one connection, each drawn from a bucket;"
        f" all counted {added:.1f} s after the last; the server's memory grew by"
        f" {grown / 2**20:.0f} MiB in the second half; the peer inserts the records alone,"
        f" {_PORTION:,} a commit"
    )
    return [measured(row, ours=sent / seconds, peer=raw, note=note)]


def _send(served: Farebox, count: int) -> tuple[int, float, int]:
    """Send all events; return how many, the seconds, and the growth of the second half."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=_PATIENCE_S)
    sent, seconds, half_way = 0, 0.0, 0
    batches = list(_batches(served, count))
    for number, body in enumerate(batches):
        begun = time.perf_counter()
        answer = _post(connection, body)
        seconds += time.perf_counter() - begun
        sent += len(answer["results"])
        if answer["refused"]:
            raise Wrong(f"refused: {answer['results'][0]}")
        if number == len(batches) // 2:
            half_way = _memory()
    say(f"  {sent:,} events in {seconds:.1f} s")
    return sent, seconds, _memory() - half_way


def _batches(served: Farebox, count: int) -> Iterator[bytes]:
    chance = random.Random(11)
    places = list(range(count))
    places += chance.sample(places, count // _REPEATED)
    chance.shuffle(places)
    consumers = served.identities.consumers
    for start in range(0, len(places), _BATCH):
        yield msgspec.json.encode(
            [
                {
                    "id": f"event-{place:09}",
                    "source": "/bench",
                    "consumer": consumers[place % len(consumers)],
                    "product": ledger_rows.PRODUCT,
                    "quantity": 1 + place % 3,
                }
                for place in places[start : start + _BATCH]
            ]
        )


def _post(connection: http.client.HTTPConnection, body: bytes) -> Any:  # noqa: ANN401 - JSON
    headers = {"Authorization": f"Bearer {ADMIN_KEY}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/usage/batch", body=body, headers=headers)
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 200:
        raise Wrong(text[:500].decode())
    return msgspec.json.decode(text)


def _memory() -> int:
    """Return the resident memory of all processes that we started."""
    return sum(one.memory_info().rss for one in psutil.Process().children(recursive=True))


def _await_sums(served: Farebox, count: int) -> float:
    """Wait until the rollups have every event, and return how long it took."""
    expected = (count, sum(1 + place % 3 for place in range(count)))
    begun = time.perf_counter()
    found: tuple[int, int] = (0, 0)
    with sqlite3.connect(served.data / _DATABASE) as connection:
        while found != expected:
            if time.perf_counter() > begun + _PATIENCE_S or found[0] > count:
                raise Wrong(f"counted {found}, sent {expected}")
            time.sleep(0.2)
            sums = "SELECT coalesce(sum(uses), 0), coalesce(sum(quantity), 0) FROM usage_rollup"
            found = connection.execute(sums).fetchone()
    return time.perf_counter() - begun


def _columns(path: Path) -> list[str]:
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT name FROM pragma_table_info('usage_record')")
        return [name for (name,) in rows if name not in {"seq", "txid"}]


def _records(path: Path) -> list[tuple[Any, ...]]:
    """Return the records that were written, in their order."""
    names = ", ".join(_columns(path))
    with sqlite3.connect(path) as connection:
        return connection.execute(f"SELECT {names} FROM usage_record ORDER BY seq").fetchall()  # noqa: S608 - our own columns


def _raw(path: Path, rows: list[tuple[Any, ...]], manner: Manner) -> float:
    """Insert the records into an empty database of the same form; return records a second."""
    database = open_database("access", f"sqlite:///{path}", SystemClock())
    migrate(database, COMPONENTS["access"])
    database.close()
    columns = {"usage_record": _columns(path)}
    sqlite = RawSqlite(path, pragmas=ledger_rows.pragmas(), columns=columns)
    portions = [
        {"usage_record": rows[start : start + _PORTION]} for start in range(0, len(rows), _PORTION)
    ]
    try:
        return len(rows) / sqlite.insert(portions, manner)
    finally:
        sqlite.close()
