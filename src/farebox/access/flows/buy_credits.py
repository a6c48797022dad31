"""Credits that an order has bought into buckets: granted when it is paid, taken back by a refund.

A line names `bucketId`, `credits` and `creditsOf` (the product); others are left to their own
handlers. What was granted is told by `order.fulfilment_completed`, what cannot be by
`order.fulfilment_failed`, each with the ids of its lines: billing pays the latter back.
"""

from typing import Any, Final

import msgspec

from farebox.access.buckets.model import BucketDenied, BucketRecordUnknown
from farebox.access.buckets.service_bought import BucketDiffers, grant_bought, take_back_bought
from farebox.access.entitlements.model import EventRefused
from farebox.events.model import Event
from farebox.events.service import publish
from farebox.kernel import ids
from farebox.kernel.amounts import is_amount
from farebox.platform.model import Actor
from farebox.storage import Tx

BILLING: Final = Actor(kind="system", id="billing")
_REFUSED: Final = (BucketDenied, BucketRecordUnknown, BucketDiffers)


class Line(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Credits of an order. Fields that we do not know are ignored."""

    line_id: str | None = None
    bucket_id: str | None = None
    credits_of: str | None = None
    credits: int = 0


class OrderSaid(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What billing says of an order, as far as credits are concerned."""

    order_id: str | None = None
    lines: tuple[Line, ...] = ()


class _Bought(msgspec.Struct, frozen=True):
    line: str
    bucket: int
    product: str
    amount: int


def complete_credit_order(tx: Tx, event: Event) -> None:
    """Grant the credits that were paid, each line once; say which could not be granted."""
    order, found = _credits(event)
    failed: dict[str, list[str]] = {}
    granted = []
    for one in found:
        try:
            grant_bought(tx, BILLING, one.bucket, one.amount, product=one.product, line=one.line)
            granted.append(one.line)
        except _REFUSED as refusal:
            failed.setdefault(refusal.code, []).append(one.line)
    if granted:
        _tell(tx, "order.fulfilment_completed", {"orderId": order, "lineIds": granted})
    for reason, lines in failed.items():
        told = {"orderId": order, "lineIds": lines, "reason": reason}
        _tell(tx, "order.fulfilment_failed", told)


def refund_credit_order(tx: Tx, event: Event) -> None:
    """Take back what is unused of credits that are refunded; what was used is used."""
    for one in _credits(event)[1]:
        take_back_bought(tx, BILLING, one.bucket, one.amount, line=one.line)


def _tell(tx: Tx, type_: str, told: dict[str, Any]) -> None:
    publish(tx, type=type_, subject=str(told["orderId"]), data=told)


def _credits(event: Event) -> tuple[str, list[_Bought]]:
    try:
        said = msgspec.convert(event.data, OrderSaid)
    except msgspec.ValidationError as error:
        raise EventRefused(str(error)) from error
    found = [_bought(line) for line in said.lines if line.bucket_id is not None]
    if found and said.order_id is None:
        raise EventRefused("an order of credits names its orderId")
    return said.order_id or "", found


def _bought(line: Line) -> _Bought:
    bucket = None if line.bucket_id is None else ids.parse("bkt", line.bucket_id)
    if line.line_id is None or line.credits_of is None or not is_amount(line.credits):
        raise EventRefused("a line of credits names its lineId, creditsOf and credits")
    # An id of another form is nobody's bucket, which is found out where buckets are known.
    return _Bought(line.line_id, bucket or 0, line.credits_of, line.credits)
