"""`farebox events`: positions and dead letters, straight on the database of access or `only`."""

from collections.abc import Callable
from typing import TypeVar

from farebox.events.model import DeadLetter
from farebox.events.service import show_position
from farebox.events.service_positions import forget_standing, list_standings
from farebox.kernel.clock import show_time
from farebox.kernel.refusals import ValueRefused
from farebox.platform import service_dead_letters
from farebox.platform.model import Actor
from farebox.platform.service_audit import record
from farebox.storage import Tx
from farebox.wiring.services import opened_served
from farebox.wiring.settings import Settings

T = TypeVar("T")


def _actor(reason: str) -> Actor:
    return Actor(kind="system", id="command-line", reason=reason or None)


def _change(settings: Settings, work: Callable[[Tx], T]) -> T:
    with opened_served(settings) as database:
        return database.run(work)


def show_positions(settings: Settings) -> None:
    """Print how everybody stands with the logs."""
    with (
        opened_served(settings) as database,
        database.read() as tx,
    ):
        for each in list_standings(tx):
            trouble = f"  failed {each.failures} times" if each.failures else ""
            name = f"{each.kind} {each.name}".rstrip()
            print(f"{name}  {show_position(each.position)}  {show_time(each.at)}{trouble}")


def forget(settings: Settings, kind: str, name: str, reason: str) -> None:
    """Forget a sender or follower; refuses (`value_invalid`) one that is not there."""

    def work(tx: Tx) -> None:
        if kind not in {"sender", "follower"} or not forget_standing(tx, kind, name):  # type: ignore[arg-type]
            raise ValueRefused(f"there is no {kind} {name}")
        record(tx, _actor(reason), "position.forgotten", f"{kind}:{name}")

    _change(settings, work)
    print(f"forgot {kind} {name}")


def show_letters(settings: Settings) -> None:
    """Print dead letters, a line each."""
    after = None
    with (
        opened_served(settings) as database,
        database.read() as tx,
    ):
        while True:
            page = service_dead_letters.list_dead_letters(tx, after=after)
            for letter in page.items:
                print(_line(letter))
            if (after := page.next) is None:
                return


def show_letter(settings: Settings, letter: str) -> None:
    """Print a dead letter with what came and why it failed."""
    with (
        opened_served(settings) as database,
        database.read() as tx,
    ):
        found = service_dead_letters.read_dead_letter(tx, letter)
    print(_line(found))
    print(f"data: {found.event.data}")
    print(found.error)


def resend_letter(settings: Settings, letter: str, reason: str) -> None:
    """Let an event be tried again."""
    actor = _actor(reason)
    _change(settings, lambda tx: service_dead_letters.resend_dead_letter(tx, actor, letter))
    print(f"{letter} will be tried again")


def discard_letter(settings: Settings, letter: str, reason: str) -> None:
    """Give an event up."""
    actor = _actor(reason)
    _change(settings, lambda tx: service_dead_letters.discard_dead_letter(tx, actor, letter))
    print(f"{letter} is given up")


def _line(letter: DeadLetter) -> str:
    event = letter.event
    first = letter.error.partition("\n")[0]
    head = f"{letter.id}  {event.type}  {event.subject}  {event.source} {event.id}"
    return f"{head}  {letter.waiting} waiting  {first}"
