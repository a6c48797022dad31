"""The envelope (CloudEvents 1.0), positions in logs, dead letters."""

from typing import Any, ClassVar, Final, Literal

import msgspec

from farebox.kernel.refusals import Refusal

SPEC_VERSION: Final = "1.0"
LARGEST_PAGE: Final = 1_000


def source_of(service: str) -> str:
    """Return the source under which a service of Farebox tells its events."""
    return f"/farebox/{service}"


class Position(msgspec.Struct, frozen=True, order=True):
    """How far a reader has come. Rows are in the order of their transaction, then their number."""

    txid: int = 0
    seq: int = 0


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A CloudEvents 1.0 envelope, as it stands on the wire.

    `subjectversion` (an extension attribute) counts the events of a subject from 1 without a gap:
    copies upsert by it, and a reader sees from it that it has missed nothing.
    """

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: str
    datacontenttype: str
    subjectversion: int
    data: dict[str, Any]


class Feed(msgspec.Struct, frozen=True, kw_only=True):
    """Events in order, and the position after the last of them."""

    events: tuple[Event, ...]
    position: Position


PositionKind = Literal["sender", "reader", "replay", "follower", "floor"]


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How somebody is getting on with a log: position, failures in a row, when to try again."""

    kind: PositionKind
    name: str
    position: Position
    at: int
    until: Position | None = None
    failures: int = 0
    due_at: int = 0
    error: str | None = None


class Fact(msgspec.Struct, frozen=True, kw_only=True):
    """How a subject stands now, as an event of this type would tell it: a line of a snapshot."""

    type: str
    subject: str
    data: dict[str, Any]


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """An event set aside after its last try. `waiting` counts its subject's events behind it."""

    id: str
    event: Event
    error: str
    tries: int
    received_at: int
    waiting: int


class PositionRefused(Refusal):
    """This is not a position of the event log."""

    code: ClassVar[str] = "position_invalid"


class PositionGone(Refusal):
    """The log is no longer kept that far back; begin again with a snapshot."""

    code: ClassVar[str] = "position_gone"


class EventRefused(Refusal):
    """This is not an event that can be stored."""

    code: ClassVar[str] = "event_invalid"


class DeadLetterUnknown(Refusal):
    """There is no such dead letter."""

    code: ClassVar[str] = "dead_letter_unknown"


class SnapshotKindUnknown(Refusal):
    """There is no snapshot of this kind."""

    code: ClassVar[str] = "snapshot_kind_unknown"


class TransportDown(Exception):
    """The other side cannot be reached, or did not take what it was sent; try again later."""
