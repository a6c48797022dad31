"""The event log, for those who follow it by asking."""

import tempfile
from collections.abc import Iterator
from typing import IO, Annotated, Final, cast

from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from litestar.response import Stream
from msgspec import Meta

from farebox.events.model import Event, Feed, Position
from farebox.events.service import events_after, parse_position, position_at, show_position
from farebox.events.service_positions import floor_of_log, follow, is_news_of_follower
from farebox.events.service_snapshots import kinds_of, write_snapshot
from farebox.http.deps import Desk
from farebox.http.wire import EventCursor, Limit, Time, View, read_time
from farebox.storage import Tx

TAGS = ["Events"]
IN_MEMORY: Final = 1 << 20
CHUNK: Final = 1 << 16
Follower = Annotated[
    str | None,
    QueryParameter(
        name="reader",
        pattern=r"^[a-z][a-z0-9_-]{0,63}$",
        description="Who asks: what it has not passed is kept, however old it gets",
    ),
]
At = Annotated[Time, QueryParameter(name="at", description="The first event's time, or before it")]
Kind = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[a-z_]+$")]
Kinds = Annotated[
    list[Kind] | None,
    QueryParameter(name="kind", min_items=1, description="What of; everything without any"),
]


class EventFeed(View, frozen=True):
    """Events (CloudEvents 1.0) in order. `next` is the cursor to go on from, also after none."""

    items: list[Event]
    next: str


class EventPosition(View, frozen=True):
    """A cursor."""

    next: str


@get(
    "/v1/events",
    operation_id="listEvents",
    opt={"problems": (410,)},
    tags=TAGS,
    sync_to_thread=True,
)
def list_events(
    desk: NamedDependency[Desk],
    limit: Limit = 100,
    cursor: EventCursor = None,
    follower: Follower = None,
) -> EventFeed:
    """List the events after a cursor, from the oldest that is kept without one.

    A cursor says that everything before it is stored by whoever asks.
    """
    position = None if cursor is None else parse_position(cursor)

    def work(tx: Tx) -> tuple[Feed, bool]:
        feed = events_after(tx, position or floor_of_log(tx), limit)
        asked = follower is not None and position is not None
        return feed, asked and is_news_of_follower(tx, follower or "", position or Position())

    feed, is_news = desk.read(work)
    if is_news and follower is not None and position is not None:
        desk.database.run(lambda tx: follow(tx, follower, position))
    return EventFeed(items=list(feed.events), next=show_position(feed.position))


@get("/v1/events/position", operation_id="readEventPosition", tags=TAGS, sync_to_thread=True)
def read_event_position(desk: NamedDependency[Desk], moment: At) -> EventPosition:
    """Return the cursor just before the first event of a time or later: nothing is skipped."""
    at = read_time(moment)
    return EventPosition(next=show_position(desk.read(lambda tx: position_at(tx, at))))


@get(
    "/v1/events/snapshot",
    operation_id="readSnapshot",
    opt={"answers": "application/x-ndjson", "problems": (404,)},
    tags=TAGS,
    media_type="application/x-ndjson",
    sync_to_thread=True,
)
def read_snapshot(desk: NamedDependency[Desk], kinds: Kinds = None) -> Response[bytes]:
    """Return how everything stands, in one consistent reading, for a reader that begins.

    Lines of JSON: `{"position", "kinds"}`, then an event for each subject, then `{"events"}`, their
    number. Go on with the events after the position; an event whose `subjectversion` is not above
    the subject's is in the snapshot already.
    """
    providers = desk.services.snapshots
    wanted = kinds_of(providers, kinds or ())
    # Written down before it is sent: a slow reader must hold no transaction open.
    file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - _sent closes it
    desk.read(lambda tx: write_snapshot(tx, providers, wanted, file))
    # Described as the bytes that its pieces are.
    return cast("Response[bytes]", Stream(_sent(file), media_type="application/x-ndjson"))


def _sent(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(CHUNK):
            yield chunk


HANDLERS = (list_events, read_event_position, read_snapshot)
