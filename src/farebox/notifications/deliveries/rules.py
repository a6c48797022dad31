"""Which channel a letter takes next, when it is tried again, and when it is given up.

    the chosen channel fails 3 times      the next one that has an address takes over
    the last channel                      goes on for about a day, 10 tries in all
    none is set up or has an address      there is no channel: the inbox has its copy

A try counts from the moment it is claimed, so one that a process died with is a try as well.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from farebox.kernel.clock import SECOND_US
from farebox.notifications.deliveries.model import Delivery, DeliveryState, LetterState
from farebox.notifications.letters.model import Channel

MOST_TRIES: Final = 3
LAST_TRIES: Final = 10
_MINUTE_US: Final = 60 * SECOND_US
_HOUR_US: Final = 60 * _MINUTE_US
PAUSES_US: Final = (
    30 * SECOND_US,
    2 * _MINUTE_US,
    10 * _MINUTE_US,
    30 * _MINUTE_US,
    _HOUR_US,
    2 * _HOUR_US,
    4 * _HOUR_US,
    6 * _HOUR_US,
    8 * _HOUR_US,
)
"""The pauses after each failed try on a channel."""
_SHOWN: Final = 4


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What is known when a letter is due.

    `order` are the channels as somebody wants them, `usable` those that are set up and have an
    address. `ringing` ones wait until `quiet_until`, if it is quiet now.
    """

    order: tuple[Channel, ...]
    usable: frozenset[Channel]
    deliveries: Mapping[Channel, Delivery]
    ringing: frozenset[Channel] = frozenset()
    off: bool = False
    void: bool = False
    until_at: int | None = None
    quiet_until: int | None = None


class Send(msgspec.Struct, frozen=True, tag=True):
    """Try this channel now."""

    channel: Channel


class Wait(msgspec.Struct, frozen=True, tag=True):
    """Look again at this instant."""

    until: int


class End(msgspec.Struct, frozen=True, tag=True):
    """There is nothing more to do."""

    state: LetterState
    reason: str


Step = Send | Wait | End


def next_step(standing: Standing, now: int) -> Step:
    """Return what to do with a letter that is due."""
    if standing.void:
        return End("withdrawn", "no_longer_true")
    if standing.until_at is not None and now >= standing.until_at:
        return End("withdrawn", "too_late")
    if standing.off:
        return End("switched_off", "by_choice")
    channels = open_channels(standing)
    if not channels:
        tried = any(each.tries for each in standing.deliveries.values())
        return End("failed", "not_taken") if tried else End("no_channel", "no_address_or_setting")
    quiet = standing.quiet_until
    if channels[0] not in standing.ringing or quiet is None:
        return Send(channels[0])
    if standing.until_at is None or quiet < standing.until_at:
        return Wait(quiet)
    # After the quiet hours it would be of no use: by a channel that wakes nobody, if there is one.
    return Send(next((each for each in channels if each not in standing.ringing), channels[0]))


def open_channels(standing: Standing) -> list[Channel]:
    """Return the channels that may be tried, in order: those with tries left before the last."""
    left = [
        each
        for each in standing.order
        if each in standing.usable
        and _state(standing, each) != "failed"
        and _tries(standing, each) < LAST_TRIES
    ]
    return [each for each in left if _tries(standing, each) < MOST_TRIES] or left


def after_failure(
    standing: Standing, channel: Channel, now: int, *, for_good: bool
) -> tuple[DeliveryState, int]:
    """Return how a channel stands after a try that failed, and when the letter is due again."""
    tries = _tries(standing, channel)
    others = [
        each for each in open_channels(standing)
        if each != channel and _tries(standing, each) < MOST_TRIES
    ]  # fmt: skip
    if for_good or tries >= (MOST_TRIES if others else LAST_TRIES):
        return "failed", now
    return "waiting", now + PAUSES_US[min(tries, len(PAUSES_US)) - 1]


def hint_of(address: str) -> str:
    """Return as much of an address as its owner's support needs: `a…@example.org`, `…4567`."""
    name, at, domain = address.rpartition("@")
    return f"{name[:1]}…@{domain}" if at else f"…{address[-_SHOWN:]}"


def _state(standing: Standing, channel: Channel) -> DeliveryState | None:
    found = standing.deliveries.get(channel)
    return None if found is None else found.state


def _tries(standing: Standing, channel: Channel) -> int:
    found = standing.deliveries.get(channel)
    return 0 if found is None else found.tries
