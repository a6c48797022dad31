"""Letters about what was bought and rented: purchase, reminder, change, refund."""

from collections.abc import Iterator
from typing import Final, Literal

from farebox.events.model import Event
from farebox.kernel.clock import SECOND_US, parse_time
from farebox.notifications.copies.model import RentalCopy
from farebox.notifications.copies.service import (
    find_rental,
    note_change,
    rentals_of_order,
    title_of,
)
from farebox.notifications.deliveries.model import Draft
from farebox.notifications.flows.told import Said, draft, instant, number, text, title, whom
from farebox.notifications.letters.model_facts import (
    BoughtLine,
    ChangeFailed,
    Purchase,
    Refund,
    Reminder,
    RentalChanged,
    Title,
)
from farebox.storage import Tx

HOUR_US: Final = 3_600 * SECOND_US
_FAILED: Final = "failed"
_RETURNED: Final = "returned"
_BY_BANK: Final = "charged_back"
_OF_A_CHANGE: Final = "shortened"
"""Money that goes back for a shorter rental is in the letter about the change."""
_CHANGES: Final = frozenset({"moved", "extended"})


def purchase(tx: Tx, event: Event) -> Iterator[Draft]:
    """Tell of an order that was paid and given: one letter, however many lines it has."""
    said = event.data
    order = text(said, "orderId")
    rentals = rentals_of_order(tx, order)
    facts = Purchase(
        order=order,
        currency=text(said, "currency"),
        total=number(said, "total"),
        discount=said.get("discount") or 0,
        lines=tuple(_line(tx, line, rentals) for line in said.get("lines") or ()),
    )
    yield draft(event, "purchase", whom(tx, said), order, facts)


def _line(tx: Tx, line: Said, rentals: list[RentalCopy]) -> BoughtLine:
    """Return a line with the times that access gave it, or those that were ordered.

    The two services tell in logs of their own, so what access says may be heard a moment later.
    """
    hours, starts_at = line.get("periodHours"), instant(line, "startsAt")
    ends_at = None
    if hours is not None and starts_at is not None:
        ends_at = starts_at + hours * HOUR_US
    for rental in rentals:
        if (rental.item, rental.offer) == (line.get("itemId"), line.get("offer")):
            starts_at, ends_at, hours = rental.starts_at, rental.ends_at, rental.period_hours
    return BoughtLine(
        title=_name(tx, line),
        amount=line.get("gross") or 0,
        starts_at=starts_at,
        ends_at=ends_at,
        hours=hours,
        given=line.get("state") != _FAILED,
        returned=line.get("state") == _RETURNED,
    )


def reminder(tx: Tx, event: Event) -> Iterator[Draft]:
    """Tell that a rental ends soon: once for each of its ends, and never for one that is over."""
    said = event.data
    rental, version = text(said, "rentalId"), number(said, "version")
    ends_at = parse_time(text(said, "endsAt"))
    item = text(said, "itemId")
    facts = Reminder(rental=rental, version=version, title=title_of(tx, item), ends_at=ends_at)
    yield draft(
        event, "reminder", whom(tx, said), f"{rental}:{version}", facts, until_at=ends_at
    )  # fmt: skip


def rental_changed(tx: Tx, event: Event) -> Iterator[Draft]:
    """Tell of another start, or of another period.

    A period that billing was paid for is told when both have said so, with what it cost.
    """
    said = event.data
    change = said.get("change")
    if change not in _CHANGES:
        return
    if change == "extended" and said.get("changedBy") == "billing":
        both = note_change(tx, text(said, "rentalId"), number(said, "periodHours"), done=said)
        if both is None:
            return
        yield from _changed(tx, event, both.done, both.paid)
        return
    yield from _changed(tx, event, said, None)


def change_paid(tx: Tx, event: Event) -> Iterator[Draft]:
    """Note what another period has cost, and tell of the change if access has made it already."""
    said = event.data
    both = note_change(tx, text(said, "rentalId"), number(said, "periodHours"), paid=said)
    if both is not None:
        yield from _changed(tx, event, both.done, both.paid)


def change_failed(tx: Tx, event: Event) -> Iterator[Draft]:
    """Tell that a rental could not get the period that was asked for; nothing was charged."""
    said = event.data
    rental = text(said, "rentalId")
    known = find_rental(tx, rental)
    missing = said.get("missing")
    facts = ChangeFailed(
        rental=rental,
        title={"": rental} if known is None else title_of(tx, known.item),
        hours=number(said, "periodHours"),
        reason=text(said, "reason"),
        missing=missing if type(missing) is int else None,
        currency=said.get("currency"),
    )
    yield draft(event, "change_failed", whom(tx, said), event.id, facts)


def refund(tx: Tx, event: Event) -> Iterator[Draft]:
    """Tell what went back, and whether what was bought went with it.

    What a bank has taken back is no refund, so it has no number: it is told once for its event.
    """
    said = event.data
    kind = text(said, "kind")
    if kind == _OF_A_CHANGE:
        return
    by_bank = kind == _BY_BANK
    once = event.id if by_bank else text(said, "refundId")
    facts = Refund(
        order=text(said, "orderId"),
        currency=text(said, "currency"),
        amount=number(said, "amount"),
        titles=tuple(_name(tx, line) for line in said.get("lines") or ()),
        taken=by_bank or kind in {"return", "undone"},
        undone=kind == "undone",
        by_bank=by_bank,
    )
    yield draft(event, "refund", whom(tx, said), once, facts)


def _changed(tx: Tx, event: Event, done: Said, paid: Said | None) -> Iterator[Draft]:
    currency = None if paid is None else paid.get("currency")
    facts = RentalChanged(
        rental=text(done, "rentalId"),
        change=_kind_of(done),
        title=title_of(tx, text(done, "itemId")),
        starts_at=parse_time(text(done, "startsAt")),
        ends_at=parse_time(text(done, "endsAt")),
        hours=number(done, "periodHours"),
        amount=None if paid is None or currency is None else number(paid, "amount"),
        currency=currency,
    )
    yield draft(event, "rental_changed", whom(tx, done), event.id, facts)


def _kind_of(done: Said) -> Literal["extended", "shortened", "moved"]:
    if done["change"] == "moved":
        return "moved"
    before = done.get("fromPeriodHours")
    is_shorter = before is not None and number(done, "periodHours") < before
    return "shortened" if is_shorter else "extended"


def _name(tx: Tx, line: Said) -> Title:
    """Return what a line is called: by the order, else by the catalogue."""
    named = title(line.get("title"))
    if named is not None:
        return named
    code = line.get("itemId") or line.get("productId") or line.get("creditsOf")
    return title_of(tx, code) if isinstance(code, str) else {"": text(line, "lineId")}
