"""Dead letters: events set aside after their last try, for an operator to resolve."""

from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath

from farebox.events.model import DeadLetter, Event
from farebox.http.deps import Command, Desk
from farebox.http.wire import Limit, Page, TextCursor, Time, View, show_time
from farebox.platform import service_dead_letters as service

TAGS = ["Events"]


class DeadLetterView(View, frozen=True):
    """An event whose handler failed three times. `waiting` events of its subject stand behind it.

    `error` is what the last try said.
    """

    id: str
    event: Event
    error: str
    tries: int
    received_at: Time
    waiting: int


def show_letter(letter: DeadLetter) -> DeadLetterView:
    """Return a dead letter as the API shows it."""
    return DeadLetterView(
        id=letter.id,
        event=letter.event,
        error=letter.error,
        tries=letter.tries,
        received_at=show_time(letter.received_at),
        waiting=letter.waiting,
    )


@get(
    "/v1/dead-letters",
    operation_id="listDeadLetters",
    opt={"problems": (404,)},
    tags=TAGS,
    sync_to_thread=True,
)
def list_dead_letters(
    desk: NamedDependency[Desk], limit: Limit = 100, cursor: TextCursor = None
) -> Page[DeadLetterView]:
    """List dead letters in the order in which their events came."""
    page = desk.read(lambda tx: service.list_dead_letters(tx, after=cursor, limit=limit))
    return Page(items=[show_letter(letter) for letter in page.items], next=page.next)


@get("/v1/dead-letters/{letter:str}", operation_id="readDeadLetter", tags=TAGS, sync_to_thread=True)
def read_dead_letter(letter: FromPath[str], desk: NamedDependency[Desk]) -> DeadLetterView:
    """Look at a dead letter."""
    return show_letter(desk.read(lambda tx: service.read_dead_letter(tx, letter)))


@post(
    "/v1/dead-letters/{letter:str}/resend",
    operation_id="resendDeadLetter",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def resend_dead_letter(letter: FromPath[str], command: NamedDependency[Command]) -> DeadLetterView:
    """Let the event be tried again, after what stood in its way was mended."""
    return command.answer(
        DeadLetterView,
        lambda tx: show_letter(service.resend_dead_letter(tx, command.actor, letter)),
    )


@post(
    "/v1/dead-letters/{letter:str}/discard",
    operation_id="discardDeadLetter",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def discard_dead_letter(letter: FromPath[str], command: NamedDependency[Command]) -> DeadLetterView:
    """Give the event up; the waiting events of its subject go on without it."""
    return command.answer(
        DeadLetterView,
        lambda tx: show_letter(service.discard_dead_letter(tx, command.actor, letter)),
    )


HANDLERS = (list_dead_letters, read_dead_letter, resend_dead_letter, discard_dead_letter)
