"""Rentals: when they may be played, how they are seen, what may still be changed."""

from functools import partial

import msgspec
import pytest

from farebox.access.rentals.model import (
    FinishClockUnconfirmed,
    PlayingElsewhere,
    Rental,
    RentalNotStarted,
    RentalOver,
    RentalStarted,
    RentalWindow,
)
from farebox.access.rentals.rules import ends_at, extended, moved, played, reminds_at, seen
from farebox.kernel.refusals import Refusal, ValueRefused

H = 3_600_000_000
NOW = 1_763_632_800_000_000


def rental(**facts) -> Rental:
    """Return a rental of 48 hours that starts 10 hours from now, on one clock."""
    terms = {
        "id": "rnt_1", "consumer": "con_1", "item": "mauser", "offer": "online", "order": "o1",
        "entitlement": "ent_1", "starts_at": NOW + 10 * H, "period_hours": 48,
        "finish_within_hours": None, "window_end": None, "created_at": NOW,
    }  # fmt: skip
    return Rental(**{**terms, **facts})


ONE = rental()
TWO = rental(finish_within_hours=6)
SHORT = rental(period_hours=4)
# Each line: what is rented, hours from now, the state, whether the end is near.
SEEN = [
    (ONE, 0, "scheduled", False),
    (ONE, 10, "available", False),
    (rental(first_played_at=NOW + 20 * H), 21, "playing", False),
    (ONE, 55, "available", True),  # 3 hours before the end
    (SHORT, 13, "available", True),  # a quarter of 4 hours before it
    (ONE, 58, "expired", False),
    (TWO, 57, "available", True),
    (rental(finish_within_hours=6, first_played_at=NOW + 20 * H), 22, "playing", False),
    (rental(finish_within_hours=6, first_played_at=NOW + 20 * H), 23, "playing", True),
    (rental(finish_within_hours=6, first_played_at=NOW + 20 * H), 26, "expired", False),
    (rental(finish_within_hours=6, first_played_at=NOW + 57 * H), 58, "expired", False),
    (rental(window_end=NOW + 30 * H), 30, "expired", False),
    (rental(window_end=NOW + 90 * H), 30, "available", False),
    (rental(revoked_at=NOW), 30, "revoked", False),
    (rental(revoked_at=NOW), 90, "revoked", False),
]


def test_how_a_rental_stands_follows_from_its_times():
    found = [(one, hours, seen(one, NOW + hours * H)) for one, hours, _, _ in SEEN]
    assert [(one, hours, it.state, it.expiring) for one, hours, it in found] == SEEN


@pytest.mark.parametrize("one", [case[0] for case in SEEN])
def test_the_last_microsecond_belongs_to_it_and_its_end_does_not(one):
    if one.revoked_at is None:
        assert seen(one, ends_at(one) - 1).state != "expired"
        assert seen(one, ends_at(one)).state == "expired"


def attempt(change):
    """Return what a change makes of a rental: end in hours from now and version, or the refusal."""
    try:
        new = change()
    except Refusal as refusal:
        return type(refusal)
    return (ends_at(new) - NOW) // H, new.version


PLAYED = rental(first_played_at=NOW + 20 * H)
# Each line: what is done at which hour, and what comes of it: the end and the version, or why not.
CHANGES = {
    "play before the start": (lambda at: played(ONE, at, confirmed=True), 9, RentalNotStarted),
    "the first play": (lambda at: played(ONE, at, confirmed=False), 10, (58, 1)),
    "play after the end": (lambda at: played(ONE, at, confirmed=True), 58, RentalOver),
    "two clocks ask first": (
        lambda at: played(TWO, at, confirmed=False), 10, FinishClockUnconfirmed,
    ),
    "the second clock": (lambda at: played(TWO, at, confirmed=True), 10, (16, 2)),
    "the second clock ends no later": (lambda at: played(TWO, at, confirmed=True), 57, (58, 1)),
    "play what was taken back": (
        lambda at: played(rental(revoked_at=NOW), at, confirmed=True), 20, RentalOver,
    ),
    "a later start": (lambda at: moved(ONE, NOW + 20 * H, at), 5, (68, 2)),
    "an earlier start": (lambda at: moved(ONE, NOW + 5 * H, at), 5, (53, 2)),
    "the same start": (lambda at: moved(ONE, ONE.starts_at, at), 30, (58, 1)),
    "a start in the past": (lambda at: moved(ONE, NOW + 4 * H, at), 5, ValueRefused),
    "a start years away": (lambda at: moved(ONE, NOW + 9_000 * H, at), 5, ValueRefused),
    "a start after the window": (
        lambda at: moved(rental(window_end=NOW + 30 * H), NOW + 30 * H, at), 5, RentalWindow,
    ),
    "another start of what has started": (
        lambda at: moved(ONE, NOW + 40 * H, at), 10, RentalStarted,
    ),
    "another start of what is over": (lambda at: moved(ONE, NOW + 99 * H, at), 58, RentalOver),
    "a longer period": (lambda at: extended(PLAYED, 72, at), 57, (82, 2)),
    "the same period": (lambda at: extended(ONE, 48, at), 57, (58, 1)),
    "a longer period of what is over": (lambda at: extended(ONE, 72, at), 58, RentalOver),
    "a shorter period before the start": (lambda at: extended(ONE, 12, at), 9, (22, 2)),
    "a shorter period after it": (lambda at: extended(ONE, 12, at), 10, RentalStarted),
    "a longer period than the window": (
        lambda at: extended(rental(window_end=NOW + 60 * H), 72, at), 20, RentalWindow,
    ),
    "an operator lets it go beyond": (
        lambda at: extended(rental(window_end=NOW + 60 * H), 72, at, beyond=True), 20, (82, 2),
    ),
    "a longer period ends the second clock no later": (
        lambda at: extended(
            rental(finish_within_hours=6, first_played_at=NOW + 20 * H), 72, at
        ), 21, (26, 1),
    ),
    "a period of nothing": (lambda at: extended(ONE, 0, at), 5, ValueRefused),
    "a period of years": (lambda at: extended(ONE, 9_000, at), 5, ValueRefused),
}  # fmt: skip


def test_what_may_still_be_changed_and_what_comes_of_it():
    found = {
        name: attempt(lambda change=change, at=at: change(NOW + at * H))
        for name, (change, at, _) in CHANGES.items()
    }
    assert found == {name: expected for name, (_, _, expected) in CHANGES.items()}


def test_playing_again_changes_nothing():
    assert played(PLAYED, NOW + 30 * H, confirmed=True) is PLAYED


# Each line: the device that played last, who plays now, whether they take over, who plays then.
DEVICES = {
    "the same device": ("key_tv", "key_tv", False, "key_tv"),
    "another device": ("key_tv", "key_phone", False, PlayingElsewhere),
    "another device takes over": ("key_tv", "key_phone", True, "key_phone"),
    "the first device after an operator": (None, "key_tv", False, "key_tv"),
    "an operator is no device": ("key_tv", None, False, "key_tv"),
}


@pytest.mark.parametrize(
    ("before", "device", "take_over", "after"), DEVICES.values(), ids=DEVICES.keys()
)
def test_one_device_at_a_time(before, device, take_over, after):
    one = msgspec.structs.replace(PLAYED, device=before)
    play = partial(played, one, NOW + 30 * H, confirmed=False, device=device, take_over=take_over)
    if after is PlayingElsewhere:
        with pytest.raises(PlayingElsewhere):
            play()
    else:
        assert play() == msgspec.structs.replace(PLAYED, device=after)


def test_a_reminder_is_three_hours_before_the_end_or_a_quarter_of_a_short_period():
    assert reminds_at(ONE) == ends_at(ONE) - 3 * H
    assert reminds_at(SHORT) == ends_at(SHORT) - H
    assert reminds_at(msgspec.structs.replace(ONE, period_hours=1)) == ONE.starts_at + 3 * H // 4
