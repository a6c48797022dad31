"""What may be chosen, and which channels a choice leads to."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from farebox.kernel.clock import SECOND_US
from farebox.kernel.periods import zone_of
from farebox.notifications.letters.model import CHANNELS, MONEY, Channel, LetterKind
from farebox.notifications.preferences.model import (
    LetterNeeded,
    Preference,
    PreferenceRefused,
    Quiet,
)
from farebox.notifications.recipients.model import PHONE

MINUTES_OF_DAY: Final = 24 * 60
STANDARD: Final[Channel] = "mail"
RINGING: Final[frozenset[Channel]] = frozenset({"sms"})
"""Channels that wake people; quiet hours are about these."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def checked(made: Preference) -> Preference:
    """Return a choice that can be kept; refuses `letter_needed` and `preference_invalid`."""
    for kind, choice in made.letters.items():
        if choice == "off" and kind in MONEY:
            raise LetterNeeded(f"letters of the kind {kind} cannot be switched off", kind=kind)
    if made.quiet is not None:
        ends = (made.quiet.start, made.quiet.end)
        if not all(0 <= minute < MINUTES_OF_DAY for minute in ends) or ends[0] == ends[1]:
            raise PreferenceRefused("quiet hours begin and end at different minutes of the day")
    if made.zone is not None:
        zone_of(made.zone)
    if made.phone is not None and not re.fullmatch(PHONE, made.phone):
        raise PreferenceRefused("a phone number is + and 7 to 15 digits")
    return made


def is_off(made: Preference, kind: LetterKind) -> bool:
    """Tell whether somebody does not want letters of a kind; those about money always go."""
    return made.letters.get(kind) == "off" and kind not in MONEY


def channels_for(made: Preference, kind: LetterKind) -> tuple[Channel, ...]:
    """Return the channels for a letter in the order in which they are tried.

    The choice for the kind, then the choice for all, then the kind's own; the others stand in.
    """
    chosen = made.letters.get(kind)
    first = chosen if chosen is not None and chosen != "off" else made.channel or STANDARD
    return (first, *(each for each in CHANNELS if each != first))


def quiet_until(quiet: Quiet | None, zone: str, now: int) -> int | None:
    """Return when the quiet hours end that it is now, or None outside of them."""
    if quiet is None:
        return None
    place = zone_of(zone)
    local = (_EPOCH + timedelta(microseconds=now)).astimezone(place)
    minute = local.hour * 60 + local.minute
    length = (quiet.end - quiet.start) % MINUTES_OF_DAY
    since = (minute - quiet.start) % MINUTES_OF_DAY
    if since >= length:
        return None
    # On the wall clock, so that quiet hours end at the same hour when the clocks change.
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    day = timedelta(days=1 if quiet.end <= minute else 0)
    end = (midnight + day + timedelta(minutes=quiet.end)).replace(tzinfo=place)
    since_epoch = end.astimezone(UTC) - _EPOCH
    ends_at = (since_epoch.days * 86_400 + since_epoch.seconds) * SECOND_US
    return max(ends_at, now + SECOND_US)
