"""Another period for a rental: asked for here, charged by billing, done when billing says so.

ask_extension        checks that it could be done       rental.change_requested
apply_rental_change  does what billing was paid for     rental.changed
                     or cannot any more                 rental.change_failed: billing refunds
"""

from typing import Any

import msgspec

from farebox.access.flows.buy_item import BILLING, OrderEventRefused
from farebox.access.marketplace.model import PeriodRefused
from farebox.access.marketplace.rules import offer_of
from farebox.access.marketplace.service import read_item
from farebox.access.rentals.model import Change, Rental, RentalChanged, RentalWindow
from farebox.access.rentals.rules import ends_at, extended
from farebox.access.rentals.service import (
    extend_rental,
    facts_of,
    lock_rental,
    move_rental,
    read_rental,
)
from farebox.events.model import Event
from farebox.events.service import publish
from farebox.kernel.clock import parse_time
from farebox.kernel.refusals import Refusal, TryAgain, ValueRefused
from farebox.storage import Tx


class ChangePaid(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What billing says of a change that was paid. Fields that we do not know are ignored.

    `from_period_hours` is the period that the difference was computed from.
    """

    rental_id: str
    change: Change
    period_hours: int | None = None
    from_period_hours: int | None = None
    starts_at: str | None = None


def ask_extension(
    tx: Tx, rental_id: str, period_hours: int, *, consumer: str | None = None
) -> Event:
    """Ask billing to charge for another period of a rental, in all; returns the event.

    Refuses a period that the offer does not have (`period_refused`) and what could not be done if
    it were paid now (`rental_over`, `rental_started`, `rental_window`), also because a second clock
    ends the rental no later for it.
    """
    one = read_rental(tx, rental_id, consumer=consumer)
    rental = one.rental
    offer = offer_of(read_item(tx, rental.item), rental.offer)
    if period_hours not in offer.periods or period_hours == rental.period_hours:
        raise PeriodRefused(f"the offer has the periods {', '.join(map(str, offer.periods))}")
    _must_gain(rental, period_hours, tx.now_us)
    asked = {
        **facts_of(one),
        "change": "extend",
        "fromPeriodHours": rental.period_hours,
        "periodHours": period_hours,
    }
    return publish(tx, type="rental.change_requested", subject=rental.id, data=asked)


def apply_rental_change(tx: Tx, event: Event) -> None:
    """Do a change that was paid; publish `rental.change_failed` if it cannot be done any more.

    A change that was done already changes nothing. One whose difference was computed from another
    period than the rental has now fails: the customer would have paid for something else.
    """
    try:
        paid = msgspec.convert(event.data, ChangePaid)
    except msgspec.ValidationError as error:
        raise OrderEventRefused(str(error)) from error
    try:
        _apply(tx, paid)
    except (OrderEventRefused, TryAgain):
        raise
    except Refusal as refusal:
        told: dict[str, Any] = {**event.data, "reason": refusal.code}
        publish(tx, type="rental.change_failed", subject=paid.rental_id, data=told)


def _apply(tx: Tx, paid: ChangePaid) -> None:
    if paid.change == "move":
        move_rental(tx, BILLING, paid.rental_id, _time(paid.starts_at))
        return
    if paid.period_hours is None:
        raise OrderEventRefused("an extension names its period")
    rental = lock_rental(tx, paid.rental_id)
    now = rental.period_hours
    if now != paid.period_hours and paid.from_period_hours not in {None, now}:
        raise RentalChanged
    _must_gain(rental, paid.period_hours, tx.now_us)
    extend_rental(tx, BILLING, paid.rental_id, paid.period_hours)


def _must_gain(rental: Rental, period_hours: int, now: int) -> None:
    """Refuse what cannot be done, and a longer period that would end no later than this one."""
    changed = extended(rental, period_hours, now)
    if period_hours > rental.period_hours and ends_at(changed) == ends_at(rental):
        raise RentalWindow("its second clock ends it no later")


def _time(text: str | None) -> int:
    if text is None:
        raise OrderEventRefused("a move names its start")
    try:
        return parse_time(text)
    except ValueRefused as error:
        raise OrderEventRefused(str(error.detail)) from error
