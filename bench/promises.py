"""What is promised, one row each: the floors and aims that every run is held against.

A run fills in what it measured; a row that it could not measure stays as it is
here and is shown as not measured.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from bench.model import Judged, Row

_HTTP = "consume over HTTP, fsync on every commit, {0}"
_SYNC_OFF, _SYNC_ON = "Fastify + LevelDB, sync off", "Fastify + LevelDB, sync on"


def _pair(figure: str, what: str, floors: Sequence[float], aims: Sequence[float]) -> list[Row]:
    return [
        Row(figure=figure, what=what, unit="/s", peer_name=peer, floor=floor, aim=aim)
        for peer, floor, aim in zip((_SYNC_OFF, _SYNC_ON), floors, aims, strict=True)
    ]


_ROWS: Final = (
    *_pair("consume", _HTTP.format("no key, 1,000 buckets"), (0.9, 1.5), (1.3, 2.2)),
    *_pair(
        "everything",
        _HTTP.format("subscription, quota, feature, rate limit and bucket"),
        (0.9, 1.5),
        (1.3, 2.2),
    ),
    *_pair("keys", _HTTP.format("random client keys"), (0.7, 1.2), (1.1, 2.0)),
    Row(
        figure="shared",
        what=_HTTP.format("one single shared bucket"),
        unit="/s",
        peer_name="Farebox, 1,000 buckets",
        floor=0.9,
        aim=1.0,
    ),
    Row(
        figure="latency",
        what="p99 at half of the maximum rate, fixed arrivals",
        unit="ms",
        peer_name=_SYNC_ON,
        judged=Judged.TIME,
        floor=10,
        aim=5,
    ),
    Row(
        figure="one-connection",
        what="p50 at one connection",
        unit="ms",
        peer_name=_SYNC_ON,
        judged=Judged.TIME,
        floor=1,
    ),
    Row(
        figure="one-connection",
        what="p99 at one connection",
        unit="ms",
        peer_name=_SYNC_ON,
        judged=Judged.TIME,
        aim=1,
    ),
    Row(
        figure="decisions",
        what="read-only decision about a subscriber, p99 at one connection",
        unit="ms",
        judged=Judged.TIME,
        floor=1,
    ),
    Row(
        figure="decisions",
        what="read-only decision about a subscriber, p99 at 128 connections, half of the maximum",
        unit="ms",
        judged=Judged.TIME,
        floor=10,
    ),
    Row(
        figure="check",
        what="read-only check over HTTP",
        unit="/s",
        peer_name="Farebox, consume",
        floor=1.0,
        aim=1.3,
    ),
    Row(
        figure="in-process",
        what="uses in process, batches of 1,000, two grants a bucket, keys, journal",
        unit="/s",
        peer_name="raw SQLite insert of the same rows",
        floor=0.4,
        aim=0.6,
    ),
    Row(
        figure="journal",
        what="uses in process, the large journal",
        unit="/s",
        peer_name="the small journal",
        floor=0.7,
        aim=0.9,
    ),
    Row(
        figure="postgres",
        what="PostgreSQL, two nodes, disjoint buckets",
        unit="/s",
        peer_name="one node",
        floor=1.6,
        aim=1.9,
    ),
    Row(
        figure="postgres",
        what="PostgreSQL, two nodes, one bucket",
        unit="/s",
        peer_name="one node",
        floor=0.9,
        aim=1.2,
    ),
    Row(
        figure="postgres",
        what="PostgreSQL, one node",
        unit="/s",
        peer_name="raw PostgreSQL, one statement a use",
        judged=Judged.NOTHING,
    ),
    Row(
        figure="two-workers",
        what="p99 of two workers on one SQLite file",
        unit="ms",
        peer_name="one worker",
        judged=Judged.RATIO_AT_MOST,
        floor=2,
    ),
    Row(
        figure="search",
        what="search over 100,000 items, SQLite, p50",
        unit="ms",
        judged=Judged.TIME,
        aim=25,
    ),
    Row(
        figure="search",
        what="search over 100,000 items, SQLite, p99",
        unit="ms",
        judged=Judged.TIME,
        aim=100,
    ),
    Row(
        figure="search",
        what="search over 100,000 items, PostgreSQL, p50",
        unit="ms",
        judged=Judged.TIME,
        aim=25,
    ),
    Row(
        figure="search",
        what="search over 100,000 items, PostgreSQL, p99",
        unit="ms",
        judged=Judged.TIME,
        aim=100,
    ),
    Row(
        figure="store",
        what="page of a search in the store, 100,000 items, SQLite, p50",
        unit="ms",
        judged=Judged.NOTHING,
    ),
    Row(
        figure="store",
        what="page of a search in the store, 100,000 items, SQLite, p99",
        unit="ms",
        judged=Judged.NOTHING,
    ),
    Row(
        figure="store",
        what="page of a search in the store, 100,000 items, PostgreSQL, p50",
        unit="ms",
        judged=Judged.NOTHING,
    ),
    Row(
        figure="store",
        what="page of a search in the store, 100,000 items, PostgreSQL, p99",
        unit="ms",
        judged=Judged.NOTHING,
    ),
    Row(
        figure="store",
        what="confirmation of a purchase in the store, SQLite, p50",
        unit="ms",
        judged=Judged.NOTHING,
    ),
    Row(
        figure="store",
        what="confirmation of a purchase in the store, SQLite, p99",
        unit="ms",
        judged=Judged.NOTHING,
    ),
    Row(
        figure="store",
        what="confirmation of a purchase in the store, PostgreSQL, p50",
        unit="ms",
        judged=Judged.NOTHING,
    ),
    Row(
        figure="store",
        what="confirmation of a purchase in the store, PostgreSQL, p99",
        unit="ms",
        judged=Judged.NOTHING,
    ),
    Row(
        figure="usage",
        what="usage events through the batch route, 10,000 a request, one connection",
        unit="/s",
        peer_name="raw SQLite insert of the same records",
        judged=Judged.NOTHING,
    ),
    Row(
        figure="billing",
        what="rating and invoicing, customers with 10 usage products each",
        unit="/s",
        peer_name="Farebox, a tenth of the customers",
        judged=Judged.NOTHING,
    ),
    Row(
        figure="lease",
        what="lease at the edge, decision in process, p50",
        unit="us",
        judged=Judged.TIME,
        floor=5,
        aim=2,
    ),
)

FIGURES: Final = tuple(dict.fromkeys(row.figure for row in _ROWS))


def promised(figure: str) -> list[Row]:
    """Return the rows of a figure as promised, not yet measured."""
    return [row for row in _ROWS if row.figure == figure]


def measured(row: Row, **changes: object) -> Row:
    """Return the row with what was measured filled in."""
    return msgspec.structs.replace(row, **changes)
