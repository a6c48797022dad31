"""The envelope (CloudEvents 1.0) and the reader's position."""

from typing import Any, Final

import msgspec

from farebox.kernel.refusals import Refusal

SPEC_VERSION: Final = "1.0"
SOURCE: Final = "/farebox/access"
LARGEST_PAGE: Final = 1_000


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


class PositionRefused(Refusal):
    """This is not a position of the event log."""

    code = "position_invalid"
