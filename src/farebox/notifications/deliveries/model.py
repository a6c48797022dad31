"""A letter on its way: what it is about, how far it has come, and each try."""

from typing import ClassVar, Literal

import msgspec

from farebox.kernel.refusals import Refusal
from farebox.notifications.letters.model import Channel, LetterKind, Terms
from farebox.notifications.letters.model_facts import Facts

LetterState = Literal["waiting", "sent", "failed", "no_channel", "switched_off", "withdrawn"]
DeliveryState = Literal["waiting", "sent", "failed"]
Outcome = Literal["sent", "failed"]


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """What an event gives cause to tell somebody.

    `once` is what makes it the same letter again: of a kind and a recipient there is one for it.
    `at` is when the event happened. After `until_at` nobody needs it any more. `locale` is that of
    a document that comes with it; otherwise the recipient's counts.
    """

    kind: LetterKind
    recipient: str
    once: str
    event: str
    at: int
    facts: Facts
    locale: str | None = None
    until_at: int | None = None


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A letter to one recipient. `terms` are None until it is known to whom it goes.

    `round` counts how often it was sent anew by hand. `claim` names the try under way.
    """

    id: str
    kind: LetterKind
    recipient: str
    once: str
    event: str
    facts: Facts
    terms: Terms | None
    state: LetterState
    reason: str | None
    due_at: int | None
    claim: str | None
    until_at: int | None
    round: int
    created_at: int
    ended_at: int | None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """How far a letter has come on one channel."""

    letter: str
    channel: Channel
    state: DeliveryState
    tries: int
    changed_at: int


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try, counted over all channels. Without an outcome it is under way, or was cut short.

    `address` is as much of it as support needs to know it again.
    """

    id: str
    letter: str
    channel: Channel
    number: int
    address: str
    at: int
    outcome: Outcome | None
    error: str | None


class LetterLog(msgspec.Struct, frozen=True, kw_only=True):
    """A letter with all that became of it, oldest try first."""

    letter: Letter
    deliveries: tuple[Delivery, ...]
    attempts: tuple[Attempt, ...]


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """A letter that is this worker's to send now: where to, and as which try."""

    letter: Letter
    channel: Channel
    attempt: str
    address: str
    name: str


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """A letter's copy in the inbox inside the shop."""

    id: str
    letter: str
    recipient: str
    kind: LetterKind
    locale: str
    title: str
    text: str
    at: int
    read_at: int | None


class LetterUnknown(Refusal):
    """There is no such letter."""

    code: ClassVar[str] = "letter_unknown"


class LetterUnderWay(Refusal):
    """The letter is still on its way, so there is nothing to send again."""

    code: ClassVar[str] = "letter_under_way"


class NoticeUnknown(Refusal):
    """There is no such notice."""

    code: ClassVar[str] = "notice_unknown"
