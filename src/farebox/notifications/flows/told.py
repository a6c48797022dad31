"""Reading what events say: a field that is missing or of another kind makes a dead letter."""

from typing import Any

from farebox.events.model import Event
from farebox.kernel.clock import parse_time
from farebox.kernel.refusals import ValueRefused
from farebox.notifications.deliveries.model import Draft
from farebox.notifications.letters.model import LetterKind
from farebox.notifications.letters.model_facts import Facts, Title
from farebox.notifications.recipients.service import answering_for
from farebox.storage import Tx

Said = dict[str, Any]


def draft(
    event: Event,
    kind: LetterKind,
    recipient: str,
    once: str,
    facts: Facts,
    *,
    locale: str | None = None,
    until_at: int | None = None,
) -> Draft:
    """Return the letter that an event gives cause to."""
    return Draft(
        kind=kind,
        recipient=recipient,
        once=once,
        event=event.id,
        at=parse_time(event.time),
        facts=facts,
        locale=locale,
        until_at=until_at,
    )


def whom(tx: Tx, said: Said) -> str:
    """Return to whom an event's letter goes: its customer, consumer (a device's owner) or group."""
    consumer = said.get("consumerId") or said.get("consumer") or said.get("customerId")
    if isinstance(consumer, str):
        return answering_for(tx, consumer)
    return text(said, "groupId")


def text(said: Said, name: str) -> str:
    """Return a text; refuses (`value_invalid`) an event without it."""
    value = said.get(name)
    if not isinstance(value, str):
        raise ValueRefused(f"the event has no {name}")
    return value


def number(said: Said, name: str) -> int:
    """Return a whole number; refuses (`value_invalid`) an event without it."""
    value = said.get(name)
    if type(value) is not int:
        raise ValueRefused(f"the event has no {name}")
    return value


def instant(said: Said, name: str) -> int | None:
    """Return a time in microseconds, or None where the event names none."""
    value = said.get(name)
    return parse_time(value) if isinstance(value, str) else None


def title(value: object) -> Title | None:
    """Return a title by language, or None where the event has none."""
    if not isinstance(value, dict) or not value:
        return None
    return {str(language): str(name) for language, name in value.items()}
