"""Ways out of a service and into another: what a transport must do, and what it may rely on.

Out: a relay gives a `Sender` pages of the log, in order, again and again until it has taken them.
In: whatever receives gives a `Receiver` what it got, and acknowledges all but what comes back.
A `Log` is another service's log for whoever follows it by asking.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from farebox.events.model import Event, Feed, Position, TransportDown

__all__ = ["Log", "Receiver", "Sender", "TransportDown"]


class Sender(Protocol):
    """A way out for events. Its position in the log is kept under its name."""

    @property
    def name(self) -> str:
        """Return the name under which the position is kept; it never changes."""
        ...

    def send(self, events: Sequence[Event]) -> None:
        """Hand over events, in order, durably; returns when all of them are safe.

        Raises `TransportDown` when they are not: the same page comes again later. Sending an event
        twice must do no harm: a message's id is the event's id.
        """
        ...


class Receiver(Protocol):
    """Where a transport puts what it received: an `Inbox`."""

    def take(self, events: Sequence[Event]) -> tuple[str, ...]:
        """Store events durably; returns the ids of those that are not stored (partial failure).

        Acknowledge the others only: those that come back must be delivered again. Events of one
        subject are given in their order; after one that is not stored, none of its subject is.
        """
        ...


class Log(Protocol):
    """Another service's log of events, read after a position."""

    @property
    def name(self) -> str:
        """Return the name under which the reader keeps its position in this log."""
        ...

    def after(self, position: Position, limit: int) -> Feed:
        """Return the next events; raises `PositionGone` where they are no longer kept.

        Raises `TransportDown` when the log cannot be reached. Asking after a position says that
        everything up to it is stored by whoever asks.
        """
        ...

    def position_at(self, at_us: int) -> Position:
        """Return the position just before the first event of an instant or later."""
        ...

    def snapshot(
        self, kinds: Sequence[str]
    ) -> AbstractContextManager[tuple[Position, Iterator[Event]]]:
        """Return how things of these kinds stand (all without any), and where the log goes on.

        The events raise `TransportDown` where the snapshot is torn.
        """
        ...
