"""What the routes of notifications are told, and what they answer."""

from typing import Annotated, get_args

from msgspec import Meta, field

from farebox.http.wire import Body, Time, View, show_end, show_time
from farebox.notifications.deliveries.model import (
    Attempt,
    DeliveryState,
    LetterLog,
    LetterState,
    Notice,
    Outcome,
)
from farebox.notifications.letters.model import Channel, LetterKind
from farebox.notifications.letters.service import Template
from farebox.notifications.preferences.model import Choice, Preference, Quiet
from farebox.notifications.recipients.model import PHONE

HourMinute = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Language = Annotated[str, Meta(pattern=r"^(ru|en)$")]
Zone = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$")]
Phone = Annotated[str, Meta(pattern=PHONE)]

Choices = Annotated[
    dict[LetterKind, Choice],
    Meta(extra_json_schema={"propertyNames": {"enum": list(get_args(LetterKind))}}),
]


class QuietHours(Body, frozen=True):
    """Hours of the day in one's own zone in which nothing rings; over midnight, if they must."""

    start: HourMinute
    end: HourMinute


class Preferences(Body, frozen=True):
    """What somebody chooses, as a whole: what is missing is not chosen.

    A letter goes by the channel for its kind, else by `channel`, else by mail; `off` leaves it in
    the inbox alone. `phone` is where short messages go.
    """

    channel: Channel | None = None
    letters: Choices = field(default_factory=dict)
    quiet_hours: QuietHours | None = None
    locale: Language | None = None
    zone: Zone | None = None
    phone: Phone | None = None


class PreferencesView(View, frozen=True):
    """What somebody has chosen; null is not chosen."""

    consumer: str
    channel: Channel | None
    letters: dict[LetterKind, Choice]
    quiet_hours: QuietHours | None
    locale: str | None
    zone: str | None
    phone: str | None
    changed_at: Time | None


class TemplateList(View, frozen=True):
    """Every kind of letter."""

    items: list[Template]


class NoticeView(View, frozen=True):
    """A letter's copy in the inbox inside the shop."""

    id: str
    consumer: str
    kind: LetterKind
    locale: str
    title: str
    text: str
    at: Time
    read_at: Time | None


class UnreadView(View, frozen=True):
    """How many notices somebody has not read."""

    unread: int


class WayView(View, frozen=True):
    """How far a letter has come on one channel."""

    channel: Channel
    state: DeliveryState
    tries: int


class AttemptView(View, frozen=True):
    """One try. Without an outcome it is under way, or whoever made it has died."""

    id: str
    channel: Channel
    number: int
    address: str
    at: Time
    outcome: Outcome | None
    error: str | None


class LetterView(View, frozen=True):
    """A letter to somebody, and all that became of it.

    `reason` is the channel that a sent one went by, else why it was not sent. `round` counts how
    often it was sent anew by hand.
    """

    id: str
    kind: LetterKind
    consumer: str
    event: str
    state: LetterState
    reason: str | None
    locale: str | None
    zone: str | None
    due_at: Time | None
    round: int
    created_at: Time
    ended_at: Time | None
    channels: list[WayView]
    attempts: list[AttemptView]


class PreviewView(View, frozen=True):
    """What a letter says."""

    locale: str
    zone: str
    subject: str
    text: str


def read_preferences(consumer: str, data: Preferences) -> Preference:
    """Return what somebody chooses, as it is kept."""
    quiet = None
    if data.quiet_hours is not None:
        start, end = (_minute(text) for text in (data.quiet_hours.start, data.quiet_hours.end))
        quiet = Quiet(start=start, end=end)
    return Preference(
        recipient=consumer,
        channel=data.channel,
        letters=data.letters,
        quiet=quiet,
        locale=data.locale,
        zone=data.zone,
        phone=data.phone,
    )


def show_preferences(one: Preference) -> PreferencesView:
    """Return a choice as the API shows it."""
    quiet = None
    if one.quiet is not None:
        quiet = QuietHours(start=_clock(one.quiet.start), end=_clock(one.quiet.end))
    return PreferencesView(
        consumer=one.recipient,
        channel=one.channel,
        letters=one.letters,
        quiet_hours=quiet,
        locale=one.locale,
        zone=one.zone,
        phone=one.phone,
        changed_at=show_time(one.changed_at) if one.changed_at else None,
    )


def show_notice(one: Notice) -> NoticeView:
    """Return a notice as the API shows it."""
    return NoticeView(
        id=one.id,
        consumer=one.recipient,
        kind=one.kind,
        locale=one.locale,
        title=one.title,
        text=one.text,
        at=show_time(one.at),
        read_at=show_end(one.read_at),
    )


def show_letter(one: LetterLog) -> LetterView:
    """Return a letter as the API shows it."""
    letter = one.letter
    return LetterView(
        id=letter.id,
        kind=letter.kind,
        consumer=letter.recipient,
        event=letter.event,
        state=letter.state,
        reason=letter.reason,
        locale=None if letter.terms is None else letter.terms.locale,
        zone=None if letter.terms is None else letter.terms.zone,
        due_at=show_end(letter.due_at),
        round=letter.round,
        created_at=show_time(letter.created_at),
        ended_at=show_end(letter.ended_at),
        channels=[
            WayView(channel=each.channel, state=each.state, tries=each.tries)
            for each in one.deliveries
        ],
        attempts=[_attempt(each) for each in one.attempts],
    )


def _attempt(one: Attempt) -> AttemptView:
    return AttemptView(
        id=one.id,
        channel=one.channel,
        number=one.number,
        address=one.address,
        at=show_time(one.at),
        outcome=one.outcome,
        error=one.error,
    )


def _minute(text: str) -> int:
    hour, _, minute = text.partition(":")
    return int(hour) * 60 + int(minute)


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
