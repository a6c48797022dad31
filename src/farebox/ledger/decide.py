"""The law of the ledger: one pure function over the open books.

`decide` takes requests in their order, with one `now`, and answers each before it looks at the
next; later requests see what earlier ones did. It reads no clock and no database: what it needs
lies in `Books`, what it changes is collected there. A denial changes nothing.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from farebox.kernel.amounts import is_amount
from farebox.ledger import changes, holds, uses
from farebox.ledger.books import Books
from farebox.ledger.model import (
    Applied,
    Capture,
    Command,
    Denied,
    Freeze,
    Grant,
    Hold,
    Look,
    Move,
    Outcome,
    Pin,
    Post,
    Recall,
    Refused,
    Release,
    Remembered,
    Request,
    Reverse,
    Use,
    Void,
)

_STALE: Final = Refused(code="stale", detail="what the caller knew of a subject has changed")
_REUSED: Final = Refused(code="idempotency_key_reused")
_AMOUNT: Final = Refused(code="value_invalid", detail="an amount is a whole number up to 2^53 - 1")
_NUMBER: Final = Refused(code="value_invalid", detail="times, lengths and ranks are whole numbers")
_Step = Callable[[Books, Any, int, int], Outcome]
_STEPS: Final[dict[type[Any], _Step]] = {
    Use: uses.use,
    Look: uses.look,
    Hold: holds.hold,
    Capture: holds.capture,
    Release: holds.release,
    Pin: holds.pin,
    Grant: changes.grant,
    Void: changes.void,
    Reverse: changes.reverse,
    Move: changes.move,
    Freeze: changes.freeze,
    Post: changes.post,
}
# Commands whose amount may be 0: capturing 0 releases, looking at 0 asks for the balance.
_FROM_ZERO: Final = (Capture, Look)
# Commands that say how much; the others mean all of it where they do not.
_WITH_AMOUNT: Final = frozenset({Grant, Use, Hold, Look, Move})
# Other numbers of commands, and whether they must be there. A float would be stored by one engine,
# rounded, and refused by the other; how large a number may be is for its own step to say.
_WHOLE: Final[dict[type[Any], tuple[tuple[str, bool], ...]]] = {
    Hold: (("ttl_us", False),),
    Capture: (("ttl_us", False), ("hold_on", False)),
    Pin: (("ttl_us", False),),
    Grant: (("priority", True), ("class_", True), ("starts_at", True), ("expires_at", True)),
}


def decide(books: Books, requests: Sequence[Request], now: int) -> list[tuple[Outcome, ...]]:
    """Decide every request in order and return its commands' outcomes.

    Raises `NeedMore` when the books do not hold what is needed; the caller loads it and decides
    the whole batch again on fresh books.
    """
    return [_answer(books, request, now) for request in requests]


def _answer(books: Books, request: Request, now: int) -> tuple[Outcome, ...]:
    digest = request.digest
    if digest is not None:
        known = books.remembered.get(digest)
        if known is not None:
            if known.fingerprint != request.fingerprint:
                return (_REUSED,) * len(request.commands)
            return known.outcomes
    for subject, revision in request.guards:
        if books.revisions.get(subject, 0) != revision:
            return (_STALE,) * len(request.commands)
    if now >= request.until:
        return (_STALE,) * len(request.commands)
    if len(request.commands) == 1:
        outcomes: tuple[Outcome, ...] = (
            _step(books, request.commands[0], request.operations[0], now),
        )
    else:
        outcomes = _linked(books, request, now)
    if digest is not None and not isinstance(outcomes[-1], Refused):
        _remember(books, request, outcomes, now)
    return outcomes


def _step(books: Books, command: Command, operation: int, now: int) -> Outcome:
    kind = type(command)
    if kind is Recall:
        return Refused(code="key_unknown")
    amount = getattr(command, "amount", None)
    if amount is not None:
        least = 0 if kind in _FROM_ZERO else 1
        if not is_amount(amount, least=least):
            return _AMOUNT
    elif kind in _WITH_AMOUNT:
        return _AMOUNT
    for name, needed in _WHOLE.get(kind, ()):
        number = getattr(command, name)
        if type(number) is not int and (needed or number is not None):
            return _NUMBER
    return _STEPS[kind](books, command, operation, now)


def _linked(books: Books, request: Request, now: int) -> tuple[Outcome, ...]:
    """Decide linked commands; when one fails, none of them happened and all say so."""
    books.begin_group()
    outcomes: list[Outcome] = []
    for command, operation in zip(request.commands, request.operations, strict=True):
        outcome = _step(books, command, operation, now)
        outcomes.append(outcome)
        if not isinstance(outcome, Applied):
            books.undo_group()
            return _failed(outcome, len(outcomes) - 1, len(request.commands))
    books.keep_group()
    return tuple(outcomes)


def _failed(outcome: Denied | Refused, index: int, count: int) -> tuple[Outcome, ...]:
    """Let the command that failed say why, and its companions that they failed with it.

    A group that was denied is remembered as a whole, one that was refused is not.
    """
    other: Outcome = Refused(code="linked_failed")
    if isinstance(outcome, Denied):
        other = Denied(code="linked_failed", available=outcome.available)
    return tuple(outcome if place == index else other for place in range(count))


def _remember(books: Books, request: Request, outcomes: tuple[Outcome, ...], now: int) -> None:
    assert request.digest is not None
    assert request.fingerprint is not None
    memory = Remembered(request.fingerprint, outcomes)
    books.remembered[request.digest] = memory
    denied = isinstance(outcomes[-1], Denied)
    books.memories.append((request.digest, memory, request.operations[0], denied, now))
