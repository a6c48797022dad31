"""When a rental may be played, how it is seen, and what may still be changed.

    one clock     starts_at ---- period ---- end
    two clocks    starts_at ---- period ---------------------- end
                       first play ---- finish_within ---- end       (the earlier of both)

How a rental stands is computed from its times at each request. No job closes it, so that a late
one neither gives minutes away nor takes paid ones.
"""

from typing import Final

import msgspec

from farebox.access.rentals.model import (
    FinishClockUnconfirmed,
    PlayingElsewhere,
    Rental,
    RentalNotStarted,
    RentalOver,
    RentalStarted,
    RentalState,
    RentalWindow,
    Seen,
)
from farebox.kernel.refusals import ValueRefused

HOUR_US: Final = 3_600_000_000
LONGEST_LEAD_US: Final = 3 * HOUR_US
LONGEST_PERIOD_HOURS: Final = 24 * 366
FARTHEST_START_US: Final = 366 * 24 * HOUR_US


def valid_until(rental: Rental) -> int:
    """Return until when a rental has to be played, whether it was or not."""
    return rental.starts_at + rental.period_hours * HOUR_US


def ends_at(rental: Rental) -> int:
    """Return when a rental ends: the earliest of its clocks and what nothing passes."""
    ends = [valid_until(rental)]
    if rental.first_played_at is not None and rental.finish_within_hours is not None:
        ends.append(rental.first_played_at + rental.finish_within_hours * HOUR_US)
    if rental.window_end is not None:
        ends.append(rental.window_end)
    return min(ends)


def state_of(rental: Rental, now: int) -> RentalState:
    """Return how a rental stands at an instant. Its end belongs to it no more."""
    if rental.revoked_at is not None:
        return "revoked"
    if now >= ends_at(rental):
        return "expired"
    if now < rental.starts_at:
        return "scheduled"
    return "available" if rental.first_played_at is None else "playing"


def reminds_at(rental: Rental) -> int:
    """Return when an end is near: 3 hours before it, or a quarter of the period if that is less."""
    return ends_at(rental) - min(LONGEST_LEAD_US, rental.period_hours * HOUR_US // 4)


def seen(rental: Rental, now: int) -> Seen:
    """Return a rental as it is seen at an instant."""
    state = state_of(rental, now)
    live = state not in {"expired", "revoked"}
    return Seen(
        rental=rental,
        state=state,
        ends_at=ends_at(rental),
        expiring=live and now >= reminds_at(rental),
    )


def played(
    rental: Rental,
    now: int,
    *,
    confirmed: bool,
    device: str | None = None,
    take_over: bool = False,
) -> Rental:
    """Return a rental that is played now: its first play starts clocks, another device is noted.

    Refuses `rental_not_started`, `rental_over`, of two clocks a first play that is not `confirmed`
    (`finish_clock_unconfirmed`), and a second device that does not `take_over` from the first
    (`playing_elsewhere`). Who plays without a key of their own, as operators do, is no device.
    """
    state = state_of(rental, now)
    if state == "scheduled":
        raise RentalNotStarted
    if state in {"expired", "revoked"}:
        raise RentalOver
    if state == "playing":
        if device in {None, rental.device}:
            return rental
        if rental.device is not None and not take_over:
            raise PlayingElsewhere
        return _changed(rental, device=device)
    if rental.finish_within_hours is not None and not confirmed:
        raise FinishClockUnconfirmed(finish_within_hours=rental.finish_within_hours)
    return _changed(rental, first_played_at=now, device=device)


def moved(rental: Rental, starts_at: int, now: int) -> Rental:
    """Return a rental with another start; its period stays.

    Refuses one that has started (`rental_started`) or is over (`rental_over`), a start in the past
    or over a year away (`value_invalid`), and one after what nothing passes (`rental_window`).
    """
    state = state_of(rental, now)
    if state in {"expired", "revoked"}:
        raise RentalOver
    if starts_at == rental.starts_at:
        return rental
    if state != "scheduled":
        raise RentalStarted
    if not now <= starts_at <= now + FARTHEST_START_US:
        raise ValueRefused("a rental starts now or within a year")
    if rental.window_end is not None and starts_at >= rental.window_end:
        raise RentalWindow
    return _changed(rental, starts_at=starts_at, moved=rental.moved + 1)


def extended(rental: Rental, period_hours: int, now: int, *, beyond: bool = False) -> Rental:
    """Return a rental of another period in all, counted from its start.

    A shorter one only before the start (`rental_started`). Refuses one that is over
    (`rental_over`) and one that would pass its `window_end` (`rental_window`), unless an operator
    lets it go `beyond`.
    """
    if state_of(rental, now) in {"expired", "revoked"}:
        raise RentalOver
    if not 1 <= period_hours <= LONGEST_PERIOD_HOURS:
        raise ValueRefused(f"a period is 1 to {LONGEST_PERIOD_HOURS} hours")
    if period_hours == rental.period_hours:
        return rental
    if period_hours < rental.period_hours and now >= rental.starts_at:
        raise RentalStarted("only before its start a rental gets shorter")
    end = rental.starts_at + period_hours * HOUR_US
    window_end = rental.window_end
    if window_end is not None and end > window_end:
        if not beyond:
            raise RentalWindow
        window_end = end
    return _changed(
        rental, period_hours=period_hours, window_end=window_end, extended=rental.extended + 1
    )


def _changed(rental: Rental, **facts: int | str | None) -> Rental:
    """Return a rental with other facts; another end makes another version."""
    new = msgspec.structs.replace(rental, **facts)
    if ends_at(new) == ends_at(rental):
        return new
    return msgspec.structs.replace(new, version=rental.version + 1)
