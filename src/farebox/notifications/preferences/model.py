"""What somebody has chosen about letters to them."""

from typing import ClassVar, Literal

import msgspec

from farebox.kernel.refusals import Refusal
from farebox.notifications.letters.model import Channel, LetterKind

Choice = Literal["mail", "sms", "off"]


class Quiet(msgspec.Struct, frozen=True, kw_only=True):
    """Hours in which nothing rings: minutes of the day in one's own zone, also over midnight."""

    start: int
    end: int


class Preference(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody has chosen; None and what is missing is not chosen.

    A letter goes by `letters[kind]`, else by `channel`, else by the kind's own channel. A letter
    that is `off` still stands in the inbox.
    """

    recipient: str
    channel: Channel | None = None
    letters: dict[LetterKind, Choice] = {}
    quiet: Quiet | None = None
    locale: str | None = None
    zone: str | None = None
    phone: str | None = None
    changed_at: int = 0


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """How somebody wants a letter now.

    `order` are the channels in the order in which they are tried. Those in `ringing` wait until
    `quiet_until`, if it is quiet now. `off`: not at all, but for the inbox.
    """

    order: tuple[Channel, ...]
    ringing: frozenset[Channel]
    off: bool
    quiet_until: int | None


class LetterNeeded(Refusal):
    """Letters about money cannot be switched off; their channel can be chosen."""

    code: ClassVar[str] = "letter_needed"


class PreferenceRefused(Refusal):
    """This cannot be chosen."""

    code: ClassVar[str] = "preference_invalid"


class RecipientUnknown(Refusal):
    """There is nobody of this id to write to."""

    code: ClassVar[str] = "recipient_unknown"
