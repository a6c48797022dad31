"""Publishing facts in the transaction of the fact, and reading them in order."""

from typing import Any

from farebox.events.model import Event, Feed, Position
from farebox.storage import Tx


def publish(tx: Tx, *, type: str, subject: str, data: dict[str, Any]) -> Event:
    """Write an event about a subject; others see it when and only when this transaction commits."""
    raise NotImplementedError


def events_after(tx: Tx, position: Position, limit: int = 100) -> Feed:
    """Return the events after a position that no earlier event can come before any more."""
    raise NotImplementedError


def show_position(position: Position) -> str:
    """Write a position as a cursor."""
    raise NotImplementedError


def parse_position(text: str) -> Position:
    """Read a cursor back; refuses anything else (`position_invalid`)."""
    raise NotImplementedError
