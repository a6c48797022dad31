"""Credits bought by themselves when access tells that a bucket is low (`bucket.low`).

An order is opened and paid from the customer's wallet; access grants the credits when it hears of
it. One at a time for a bucket, and no more in a period than was allowed; what is not bought is told
by `automatic_purchase.refused`.
"""

from farebox.billing.copies.service import find_consumer
from farebox.billing.flows.buy import begin_order
from farebox.billing.orders.model import NotForSale, WishRefused
from farebox.billing.orders.model_automatic import AutomaticPurchase
from farebox.billing.orders.service import Terms, open_order
from farebox.billing.orders.service_automatic import (
    find_automatic,
    is_buying,
    note_automatic,
    spent,
    wish_of,
)
from farebox.billing.orders.service_lines import bought_of, totals_of
from farebox.events.model import Event
from farebox.events.service import publish
from farebox.storage import Tx


def fill_low_bucket(tx: Tx, event: Event) -> None:
    """Buy credits for a bucket that is low, if its holder wants that and the limit allows it.

    What somebody set for a bucket that is not theirs does nothing: access names the holder.
    """
    bucket, holder = event.data.get("bucketId"), event.data.get("consumerId")
    if not isinstance(bucket, str) or not isinstance(holder, str):
        return
    device = find_consumer(tx, holder)
    payer = holder if device is None or device.owner is None else device.owner
    one = find_automatic(tx, bucket, payer, locked=True)
    if one is None or is_buying(tx, one):
        return
    try:
        bought = bought_of(tx, wish_of(one), one.currency)
    except (NotForSale, WishRefused) as refusal:
        _refuse(tx, one, refusal.code)
        return
    total = totals_of(tx, one.customer, {"1": bought}).total
    if spent(tx, one) + total > one.most:
        _refuse(tx, one, "limit_reached")
        return
    order = open_order(
        tx,
        customer=one.customer,
        currency=one.currency,
        lines=[bought],
        key=f"bucket_low:{event.id}",
        terms=Terms(pay_by="wallet", buy_at_once=True),
    )
    note_automatic(tx, one, order)
    begin_order(tx, order, wait_for_funds=True)


def _refuse(tx: Tx, one: AutomaticPurchase, reason: str) -> None:
    told = {"bucketId": one.bucket, "consumerId": one.customer, "reason": reason}
    publish(tx, type="automatic_purchase.refused", subject=one.bucket, data=told)
