"""The event log, for those who follow it by asking."""

from litestar import get
from litestar.di import NamedDependency

from farebox.events.model import Event, Position
from farebox.events.service import events_after, parse_position, show_position
from farebox.http.deps import Desk
from farebox.http.wire import EventCursor, Limit, View

TAGS = ["Events"]


class EventFeed(View, frozen=True):
    """Events (CloudEvents 1.0) in order. `next` is the cursor to go on from, also after none."""

    items: list[Event]
    next: str


@get("/v1/events", operation_id="listEvents", tags=TAGS, sync_to_thread=True)
def list_events(
    desk: NamedDependency[Desk], limit: Limit = 100, cursor: EventCursor = None
) -> EventFeed:
    """List the events after a cursor, from the beginning without one."""
    position = Position() if cursor is None else parse_position(cursor)
    feed = desk.read(lambda tx: events_after(tx, position, limit))
    return EventFeed(items=list(feed.events), next=show_position(feed.position))


HANDLERS = (list_events,)
