"""Another period for a rental: charged here, done by access, paid back if access cannot.

rental.change_requested   charge the difference        rental.change_paid
                          or say why not               rental.change_refused
rental.changed            done: a shorter one is given back now
rental.change_failed      undone: a longer one is given back in full
"""

from typing import Any

import msgspec

from farebox.billing.flows.take_purchase import PurchaseEventRefused, follow_rental
from farebox.billing.orders.model import OrderStateRefused
from farebox.billing.orders.model_changes import (
    PeriodNotPriced,
    RentalUnknown,
    ShorteningRefused,
)
from farebox.billing.orders.service import line_of_rental
from farebox.billing.orders.service_changes import (
    begin_change,
    currency_of_rental,
    finish_change,
    undo_change,
)
from farebox.billing.wallets.model import WalletShort
from farebox.events.model import Event
from farebox.events.service import publish
from farebox.storage import Tx

_REFUSED = (OrderStateRefused, PeriodNotPriced, RentalUnknown, ShorteningRefused, WalletShort)


def charge_change(tx: Tx, event: Event) -> None:
    """Charge for another period; twice asked is once charged. A no is `rental.change_refused`."""
    said = event.data
    if said.get("change") != "extend":
        return
    rental, hours = said.get("rentalId"), said.get("periodHours")
    before = said.get("fromPeriodHours")
    if not isinstance(rental, str) or type(hours) is not int or type(before) is not int:
        raise PurchaseEventRefused("a change names its rentalId, periodHours and fromPeriodHours")
    # The rental may be asked to change before its beginning is heard of here.
    if line_of_rental(tx, rental) is None:
        follow_rental(tx, _as_it_was(event, before))
    told: dict[str, Any] = {
        "rentalId": rental,
        "orderId": said.get("orderId"),
        "consumerId": said.get("consumerId"),
        "change": "extend",
        "fromPeriodHours": before,
        "periodHours": hours,
        "currency": currency_of_rental(tx, rental),
    }
    try:
        made = begin_change(tx, rental, change_id=event.id, from_hours=before, to_hours=hours)
    except _REFUSED as refusal:
        told |= {"reason": refusal.code, **refusal.facts}
        publish(tx, type="rental.change_refused", subject=rental, data=told)
        return
    if made is not None:
        told |= {"amount": made.amount}
        publish(tx, type="rental.change_paid", subject=rental, data=told)


def note_rental(tx: Tx, event: Event) -> None:
    """Keep how a rental stands, and end the change that it shows to be done."""
    follow_rental(tx, event)
    said = event.data
    if line_of_rental(tx, said["rentalId"]) is not None:
        finish_change(tx, said["rentalId"], said["periodHours"])


def undo_failed_change(tx: Tx, event: Event) -> None:
    """Give back what a change has cost that access could not do."""
    if line_of_rental(tx, event.data["rentalId"]) is not None:
        undo_change(tx, event.data["rentalId"], str(event.data.get("reason")))


def _as_it_was(event: Event, hours: int) -> Event:
    """Return what a request says of a rental, with the period that the rental still has."""
    return msgspec.structs.replace(event, data={**event.data, "periodHours": hours})
