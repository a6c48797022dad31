"""A rental: the facts that are kept of it, how it is seen, what is refused."""

from typing import ClassVar, Literal

import msgspec

from farebox.kernel.refusals import Refusal

RentalState = Literal["scheduled", "available", "playing", "expired", "revoked"]
Change = Literal["extend", "move"]


class Rental(msgspec.Struct, frozen=True, kw_only=True):
    """What was rented and when it may be played. Times are microseconds UTC, periods whole hours.

    It has to be played from `starts_at` on, before `period_hours` have passed. With two clocks it
    ends `finish_within_hours` after the first play, if that is earlier. `window_end` is an end
    that nothing passes. `device` is the key with which it was played last: one device at a time.
    `version` counts its ends from 1: another end is told of anew.
    """

    id: str
    consumer: str
    item: str
    offer: str
    order: str | None
    entitlement: str
    starts_at: int
    period_hours: int
    finish_within_hours: int | None
    window_end: int | None
    created_at: int
    first_played_at: int | None = None
    moved: int = 0
    extended: int = 0
    revoked_at: int | None = None
    revoked_why: str | None = None
    device: str | None = None
    version: int = 1


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A rental as it stands at an instant. `expiring` says that its end is near."""

    rental: Rental
    state: RentalState
    ends_at: int
    expiring: bool


class Reminder(msgspec.Struct, frozen=True, kw_only=True):
    """Something to be told of a rental once, at `due_at`, if its times are still those."""

    rental: str
    kind: Literal["expiring"]
    version: int
    due_at: int


class RentalUnknown(Refusal):
    """There is no such rental."""

    code: ClassVar[str] = "rental_unknown"


class RentalOver(Refusal):
    """The rental is over."""

    code: ClassVar[str] = "rental_over"


class RentalStarted(Refusal):
    """The rental has started, so its start stays."""

    code: ClassVar[str] = "rental_started"


class RentalNotStarted(Refusal):
    """The rental has not started yet."""

    code: ClassVar[str] = "rental_not_started"


class FinishClockUnconfirmed(Refusal):
    """The first play starts the second clock; say that it may."""

    code: ClassVar[str] = "finish_clock_unconfirmed"


class PlayingElsewhere(Refusal):
    """The rental is played on another device; say that this one takes over."""

    code: ClassVar[str] = "playing_elsewhere"


class RentalWindow(Refusal):
    """The rental would go beyond what can be played."""

    code: ClassVar[str] = "rental_window"


class RentalChanged(Refusal):
    """The rental has changed since; ask anew."""

    code: ClassVar[str] = "rental_changed"
