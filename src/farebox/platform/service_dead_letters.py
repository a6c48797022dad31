"""Dead letters in an operator's hands: every re-send and every discard is in the audit log."""

from farebox.events import service_dead_letters
from farebox.events.model import DeadLetter
from farebox.platform.model import Actor, Page
from farebox.platform.rules import checked_limit, page_of
from farebox.platform.service_audit import record
from farebox.storage import Tx


def list_dead_letters(tx: Tx, *, after: str | None = None, limit: int = 100) -> Page[DeadLetter]:
    """Return dead letters in the order in which their events came."""
    wanted = checked_limit(limit) + 1
    found = service_dead_letters.list_dead_letters(tx, after=after, limit=wanted)
    return page_of(found, limit, lambda letter: letter.id)


def read_dead_letter(tx: Tx, letter: str) -> DeadLetter:
    """Return a dead letter; refuses one that is not there (`dead_letter_unknown`)."""
    return service_dead_letters.read_dead_letter(tx, letter)


def resend_dead_letter(tx: Tx, actor: Actor, letter: str) -> DeadLetter:
    """Let an event be tried again; once it succeeds, its subject's waiting events follow.

    Refuses one that is not there, or that somebody has resolved (`dead_letter_unknown`).
    """
    found = service_dead_letters.resend(tx, letter)
    record(tx, actor, "dead_letter.resent", found.id, before=found)
    return found


def discard_dead_letter(tx: Tx, actor: Actor, letter: str) -> DeadLetter:
    """Give an event up, so that its subject's waiting events follow without it.

    Refuses one that is not there, or that somebody has resolved (`dead_letter_unknown`).
    """
    found = service_dead_letters.discard(tx, letter)
    record(tx, actor, "dead_letter.discarded", found.id, before=found)
    return found
