"""The test clock's routes, which exist only where the server was started with one."""

from typing import Annotated, ClassVar

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta

from farebox.http.deps import Command, Desk, Services
from farebox.http.wire import Body, Time, View, read_time, show_time
from farebox.kernel.clock import SECOND_US
from farebox.kernel.refusals import Refusal
from farebox.platform import service_test_clock
from farebox.platform.model import ClockReading
from farebox.storage import Tx

TAGS = ["Test clock"]
LONGEST_ADVANCE_S = 3_155_760_000  # a hundred years
Seconds = Annotated[int, Meta(ge=1, le=LONGEST_ADVANCE_S)]


class MoveTestClock(Body, frozen=True):
    """One of the two: by how many seconds, or to which instant."""

    advance_seconds: Seconds | None = None
    to: Time | None = None


class ClockMoveUnclear(Refusal):
    """A test clock is moved by advance_seconds or to an instant: one of the two."""

    code: ClassVar[str] = "clock_move_unclear"


class TestClockView(View, frozen=True):
    """What the test clock shows, and how far it is ahead of the real time, in microseconds."""

    now: Time
    offset_us: int


def show_reading(reading: ClockReading) -> TestClockView:
    """Return a reading as the API shows it."""
    return TestClockView(now=show_time(reading.now), offset_us=reading.offset_us)


@post("/v1/test-clock", operation_id="moveTestClock", tags=TAGS, sync_to_thread=True)
def move_test_clock(
    data: JSONBody[MoveTestClock],
    command: NamedDependency[Command],
    services: NamedDependency[Services],
) -> TestClockView:
    """Move the time of everything on, for every process, from its next transaction on.

    Services that are served here have moved when this answers; others follow by an event.
    """

    def work(tx: Tx) -> TestClockView:
        if data.advance_seconds is not None and data.to is None:
            by_us = data.advance_seconds * SECOND_US
            return show_reading(service_test_clock.advance_test_clock(tx, command.actor, by_us))
        if data.to is not None and data.advance_seconds is None:
            to_us = read_time(data.to)
            return show_reading(service_test_clock.set_test_clock(tx, command.actor, to_us))
        raise ClockMoveUnclear

    moved = command.answer(TestClockView, work)
    for database in (services.billing, services.notifications):
        if database is not None:
            database.run(
                lambda tx: service_test_clock.catch_up_with(tx, command.actor, moved.offset_us)
            )
    return moved


@get("/v1/test-clock", operation_id="readTestClock", tags=TAGS, sync_to_thread=True)
def read_test_clock(desk: NamedDependency[Desk]) -> TestClockView:
    """Read what the test clock shows."""
    return show_reading(desk.read(service_test_clock.read_test_clock))


HANDLERS = (move_test_clock, read_test_clock)
