"""Credits bought by themselves: for which buckets, how many, and how much a period may cost."""

import msgspec
import sqlalchemy as sa

from farebox.billing.customers.service import ensure_customer
from farebox.billing.orders import store
from farebox.billing.orders.model import Order, Wish
from farebox.billing.orders.model_automatic import AutomaticPurchase, AutomaticPurchaseUnknown
from farebox.billing.orders.rules import OPEN, check_wish
from farebox.billing.pricing.service_currency import scale_of
from farebox.kernel.amounts import checked_amount
from farebox.kernel.periods import check_terms, period_at
from farebox.platform.model import Actor
from farebox.platform.service_audit import record
from farebox.storage import Tx


def set_automatic(tx: Tx, actor: Actor, wanted: AutomaticPurchase) -> AutomaticPurchase:
    """Set what is bought when a bucket is low; what had stopped goes on.

    Refuses `customer_unknown`, `currency_unknown`, `wish_refused`, and (`value_invalid`) a limit or
    a period that is none. Whether the bucket is the customer's is access's to know: it names the
    holder when it tells that a bucket is low.
    """
    check_wish(wish_of(wanted))
    checked_amount(wanted.most)
    scale_of(wanted.currency)
    check_terms(wanted.unit, wanted.unit_count, "UTC")
    payer = ensure_customer(tx, "consumer", wanted.customer)
    before = find_automatic(tx, wanted.bucket)
    made = msgspec.structs.replace(
        wanted, customer=payer.id, anchor_at=tx.now_us, stopped_because=None
    )
    tx.upsert(store.automatic, store.row_of(made, store.automatic), key=("bucket",))
    record(
        tx, actor, "automatic_purchase.set", f"automatic_purchase:{made.bucket}", before=before,
        after=made,
    )  # fmt: skip
    return made


def remove_automatic(tx: Tx, actor: Actor, bucket: str) -> None:
    """Buy nothing by itself for a bucket any more; refuses `automatic_purchase_unknown`."""
    before = read_automatic(tx, bucket)
    tx.run(store.automatic.delete().where(store.automatic.c.bucket == bucket))
    record(tx, actor, "automatic_purchase.removed", f"automatic_purchase:{bucket}", before=before)


def find_automatic(tx: Tx, bucket: str, *, locked: bool = False) -> AutomaticPurchase | None:
    """Return what is bought by itself for a bucket, or None."""
    statement = sa.select(store.automatic).where(store.automatic.c.bucket == bucket)
    row = tx.one(statement.with_for_update() if locked else statement)
    return None if row is None else store.automatic_of(row)


def read_automatic(tx: Tx, bucket: str) -> AutomaticPurchase:
    """Return what is bought by itself for a bucket; refuses `automatic_purchase_unknown`."""
    found = find_automatic(tx, bucket)
    if found is None:
        raise AutomaticPurchaseUnknown
    return found


def stop_automatic(tx: Tx, bucket: str, because: str) -> None:
    """Buy nothing more by itself until somebody has set it anew."""
    here = store.automatic.c.bucket == bucket
    tx.run(store.automatic.update().where(here).values(stopped_because=because))


def wish_of(one: AutomaticPurchase) -> Wish:
    """Return what is bought."""
    return Wish(kind="credits", code=one.product, quantity=one.quantity, bucket=one.bucket)


def spent(tx: Tx, one: AutomaticPurchase) -> int:
    """Return what orders of this period come to, open ones too; not those that ended unpaid."""
    found = period_at(one.unit, one.unit_count, one.anchor_at, "UTC", tx.now_us)
    since = one.anchor_at if found is None else found.start_us
    table = store.automatic_order
    joined = sa.select(sa.func.coalesce(sa.func.sum(table.c.amount), 0)).join(
        store.order, store.order.c.id == table.c.order_id
    )
    counts = store.order.c.state.in_([*OPEN, "paid", "fulfilled"])
    return int(
        tx.run(joined.where(table.c.bucket == one.bucket, table.c.at >= since, counts)).scalar_one()
    )


def is_buying(tx: Tx, bucket: str) -> bool:
    """Tell whether an order for a bucket is open: there is one at a time."""
    table = store.automatic_order
    joined = sa.select(table.c.order_id).join(store.order, store.order.c.id == table.c.order_id)
    return tx.one(joined.where(table.c.bucket == bucket, store.order.c.state.in_(OPEN))) is not None


def note_automatic(tx: Tx, one: AutomaticPurchase, order: Order) -> None:
    """Count an order towards a bucket's limit, once."""
    row = {"order_id": order.id, "bucket": one.bucket, "amount": order.total, "at": tx.now_us}
    tx.insert_once(store.automatic_order, row, key=("order_id",))
