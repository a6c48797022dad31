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
    """Set what is bought for a customer when a bucket is low.

    Refuses `customer_unknown`, `currency_unknown`, `wish_refused`, and (`value_invalid`) a limit or
    a period that is none. Whether the bucket is the customer's is access's to know: it names the
    holder when it tells that a bucket is low.
    """
    check_wish(wish_of(wanted))
    checked_amount(wanted.most)
    scale_of(wanted.currency)
    check_terms(wanted.unit, wanted.unit_count, "UTC")
    payer = ensure_customer(tx, "consumer", wanted.customer)
    before = find_automatic(tx, wanted.bucket, payer.id)
    made = msgspec.structs.replace(wanted, customer=payer.id, anchor_at=tx.now_us)
    if before is not None:
        # A new limit begins no new period: what was spent in this one still counts.
        made = msgspec.structs.replace(made, anchor_at=before.anchor_at)
    row = store.row_of(made, store.automatic)
    tx.upsert(store.automatic, row, key=("bucket", "customer"))
    record(
        tx, actor, "automatic_purchase.set", f"automatic_purchase:{made.bucket}", before=before,
        after=made,
    )  # fmt: skip
    return made


def remove_automatic(tx: Tx, actor: Actor, bucket: str, customer: str) -> None:
    """Buy nothing by itself for a bucket any more; refuses `automatic_purchase_unknown`."""
    before = read_automatic(tx, bucket, customer)
    tx.run(store.automatic.delete().where(_is(bucket, customer)))
    record(tx, actor, "automatic_purchase.removed", f"automatic_purchase:{bucket}", before=before)


def find_automatic(
    tx: Tx, bucket: str, customer: str, *, locked: bool = False
) -> AutomaticPurchase | None:
    """Return what a customer lets be bought for a bucket by itself, or None."""
    statement = sa.select(store.automatic).where(_is(bucket, customer))
    row = tx.one(statement.with_for_update() if locked else statement)
    return None if row is None else store.automatic_of(row)


def read_automatic(tx: Tx, bucket: str, customer: str) -> AutomaticPurchase:
    """Return what is bought by itself for a bucket; refuses `automatic_purchase_unknown`."""
    found = find_automatic(tx, bucket, customer)
    if found is None:
        raise AutomaticPurchaseUnknown
    return found


def _is(bucket: str, customer: str) -> sa.ColumnElement[bool]:
    table = store.automatic
    return sa.and_(table.c.bucket == bucket, table.c.customer == customer)


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
    here = (table.c.bucket == one.bucket, table.c.customer == one.customer)
    return int(tx.run(joined.where(*here, table.c.at >= since, counts)).scalar_one())


def is_buying(tx: Tx, one: AutomaticPurchase) -> bool:
    """Tell whether an order for a bucket is open: there is one at a time."""
    table = store.automatic_order
    joined = sa.select(table.c.order_id).join(store.order, store.order.c.id == table.c.order_id)
    here = (table.c.bucket == one.bucket, table.c.customer == one.customer)
    return tx.one(joined.where(*here, store.order.c.state.in_(OPEN))) is not None


def note_automatic(tx: Tx, one: AutomaticPurchase, order: Order) -> None:
    """Count an order towards a bucket's limit, once."""
    row = {
        "order_id": order.id,
        "bucket": one.bucket,
        "customer": one.customer,
        "amount": order.total,
        "at": tx.now_us,
    }
    tx.insert_once(store.automatic_order, row, key=("order_id",))
