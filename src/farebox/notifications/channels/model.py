"""What a channel is given and what it answers. Nothing here knows a database."""

from typing import Literal, Protocol

import msgspec

from farebox.notifications.letters.model import Written


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file that goes with a letter."""

    name: str
    media: str
    content: bytes


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """A letter on its way: what is written, to which address.

    `number` is the same in every try of it, so that a receiver may know a repeat.
    """

    number: str
    address: str
    name: str
    language: str
    written: Written
    files: tuple[File, ...] = ()


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """The other side has taken it, and answers for it from now on."""


class NotSent(msgspec.Struct, frozen=True, kw_only=True):
    """The other side has not taken it. `for_good`: this address will not take it later either."""

    error: str
    for_good: bool = False


class Gateway(Protocol):
    """A way out. Called with no transaction open, from several threads at once."""

    def send(self, parcel: Parcel) -> Sent | NotSent:
        """Hand a letter over, waiting for the other side's word; never raises."""
        ...


class DocumentAway(Exception):
    """A document cannot be fetched now."""


class Documents(Protocol):
    """Where the files of invoices are: billing, in this process or behind its URL."""

    def fetch(self, kind: Literal["invoice", "credit_note"], document: str) -> bytes:
        """Return a document's PDF in its own language; or raises `DocumentAway`."""
        ...
