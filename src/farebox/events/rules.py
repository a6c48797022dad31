"""What an event may look like, and what becomes of one whose handler fails."""

import re
from typing import Final

import msgspec

from farebox.events.model import SPEC_VERSION, Event, EventRefused
from farebox.kernel.clock import SECOND_US

TRIES: Final = 3
"""A handler is tried so often before its event becomes a dead letter."""
PAUSES_US: Final = (1 * SECOND_US, 10 * SECOND_US)
"""The pauses after the first and the second failure."""
FIRST_PAUSE_US: Final = SECOND_US // 2
LONGEST_PAUSE_US: Final = 60 * SECOND_US
LONGEST_ERROR: Final = 2_000
_LAST_VERSION: Final = 2**63 - 1

# What every engine stores and every transport carries in a header.
_WORD: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,512}")
_decoder: Final = msgspec.json.Decoder(Event)
_encoder: Final = msgspec.json.Encoder()


def checked_event(event: Event) -> Event:
    """Return an event that can be stored as it is; refuses others (`event_invalid`)."""
    if event.specversion != SPEC_VERSION:
        raise EventRefused(f"specversion must be {SPEC_VERSION}")
    for name in ("id", "source", "type", "subject", "time"):
        if _WORD.fullmatch(getattr(event, name)) is None:
            raise EventRefused(f"{name} is 1 to 512 characters without control characters")
    if not 0 <= event.subjectversion <= _LAST_VERSION:
        raise EventRefused("subjectversion counts from 0")
    return event


def read_event(body: bytes | str) -> Event:
    """Return the event that a message is; unknown attributes are ignored.

    Refuses (`event_invalid`) what is no CloudEvent of ours.
    """
    try:
        return checked_event(_decoder.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EventRefused(f"not an event: {error}") from error


def write_event(event: Event) -> bytes:
    """Return an event as a message (CloudEvents, structured JSON)."""
    return _encoder.encode(event)


def retry_at(tries: int, now: int) -> int | None:
    """Return when an event is due again that has failed so many times; None: it is dead."""
    return now + PAUSES_US[tries - 1] if tries < TRIES else None


def pause_us(failures: int) -> int:
    """Return how long to leave alone what has failed so often in a row: doubling, up to a bound."""
    doubled = FIRST_PAUSE_US << min(failures - 1, 10)
    return min(doubled, LONGEST_PAUSE_US)


def error_text(error: BaseException) -> str:
    """Return an error as it is kept: its kind, what it says and what caused it, bounded."""
    parts: list[str] = []
    seen: BaseException | None = error
    while seen is not None and len(parts) < LONGEST_ERROR:
        parts.append(f"{type(seen).__name__}: {seen}".rstrip(": "))
        seen = seen.__cause__
    # A NUL is no text to PostgreSQL, a lone surrogate to neither.
    text = "\n".join(parts).replace("\x00", "").encode("utf-8", "replace").decode()
    return text[:LONGEST_ERROR]
