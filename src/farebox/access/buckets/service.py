"""Buckets of consumers and groups: made, topped up, consumed from, frozen, read.

A record here says whose a ledger bucket is. Whatever changes which buckets somebody may draw on
advances the holder's revision; amounts do not, because the ledger decides on the amounts itself.
"""

from collections.abc import Sequence

import sqlalchemy as sa

from farebox.access.buckets import store
from farebox.access.buckets.model import (
    Balance,
    Bucket,
    BucketDenied,
    BucketRecordUnknown,
    BucketSource,
    BucketView,
    HistoryEntry,
    HolderKind,
    Movement,
    Shortage,
    Terms,
)
from farebox.access.buckets.rules import (
    LONGEST_LABEL,
    applied,
    entries_of,
    grant_of,
    movement_of,
)
from farebox.access.buckets.service_commands import Guards, command_once
from farebox.access.catalog.model import ProductArchived
from farebox.access.catalog.service import read_product
from farebox.access.consumers.model import DeviceRefused
from farebox.access.consumers.service import read_consumer
from farebox.access.consumers.service_groups import lock_group
from farebox.kernel import ids
from farebox.kernel.amounts import checked_amount
from farebox.ledger import reading
from farebox.ledger.model import Freeze, Source, Use
from farebox.ledger.service import Ledger
from farebox.platform.model import Actor, Once, Page
from farebox.platform.rules import checked_limit, checked_priority, checked_text, page_of
from farebox.platform.service_audit import record
from farebox.storage import Tx

_ledger = Ledger()


def create_bucket(
    tx: Tx,
    actor: Actor,
    *,
    product: str,
    holder_kind: HolderKind,
    holder: str,
    priority: int = 0,
    label: str = "",
    grant: Terms | None = None,
    credit_limit: int = 0,
    origin: str | None = None,
    overage: bool = False,
) -> Bucket:
    """Open a bucket of a product for a consumer or a group, with a first grant if one is given.

    Refuses an archived product (`product_archived`), unknown ones, and a device as holder
    (`device_draws_as_owner`). The bucket may go down to minus `credit_limit`. What `origin` (a
    subscription, an entitlement) promised was sold before, so an archived product gets that.
    """
    if read_product(tx, product).state == "archived" and origin is None:
        raise ProductArchived
    checked_amount(credit_limit, least=0)
    if holder_kind == "group":
        lock_group(tx, holder)
    elif read_consumer(tx, holder).owner is not None:
        raise DeviceRefused
    number = _ledger.open_bucket(tx, _ledger.asset(tx, product), credit_limit=credit_limit)
    made = Bucket(
        id=number,
        product=product,
        holder_kind=holder_kind,
        holder=holder,
        priority=checked_priority(priority),
        label=checked_text(label, "a label", longest=LONGEST_LABEL, least=0),
        created_at=tx.now_us,
        origin=origin,
        overage=overage,
    )
    tx.run(store.bucket.insert(), store.row_of(made))
    _ledger.advance_revision(tx, holder)
    record(tx, actor, "bucket.created", ids.show("bkt", number), after=made)
    if grant is not None:
        top_up(tx, actor, number, grant)
    return made


def find_bucket(tx: Tx, bucket_id: int) -> Bucket | None:
    """Return a bucket's record or None."""
    row = tx.one(sa.select(store.bucket).where(store.bucket.c.id == bucket_id))
    return None if row is None else store.bucket_of(row)


def known_bucket(tx: Tx, bucket_id: int) -> Bucket:
    """Return a bucket's record; refuses an unknown one (`bucket_unknown`), a cap's bucket too."""
    found = find_bucket(tx, bucket_id)
    if found is None:
        raise BucketRecordUnknown
    return found


def read_bucket(tx: Tx, bucket_id: int) -> BucketView:
    """Return a bucket with its balance; refuses an unknown one (`bucket_unknown`)."""
    return _view(tx, known_bucket(tx, bucket_id))


def list_buckets(
    tx: Tx,
    *,
    holder: str | None = None,
    product: str | None = None,
    after: int | None = None,
    limit: int = 100,
) -> Page[BucketView]:
    """Return buckets with their balances, oldest first; the cursor is the last id in decimals."""
    statement = sa.select(store.bucket).order_by(store.bucket.c.id)
    for column, value in ((store.bucket.c.holder, holder), (store.bucket.c.product, product)):
        if value is not None:
            statement = statement.where(column == value)
    if after is not None:
        statement = statement.where(store.bucket.c.id > after)
    rows = tx.run(statement.limit(checked_limit(limit) + 1)).all()
    page = page_of([store.bucket_of(row) for row in rows], limit, lambda bucket: str(bucket.id))
    return Page(items=tuple(_view(tx, bucket) for bucket in page.items), next=page.next)


def bucket_of_holder(tx: Tx, *, holder: str, product: str) -> Bucket | None:
    """Return a holder's oldest bucket of a product, or None."""
    here = sa.and_(store.bucket.c.holder == holder, store.bucket.c.product == product)
    statement = sa.select(store.bucket).where(here).order_by(store.bucket.c.id)
    row = tx.one(statement.limit(1))
    return None if row is None else store.bucket_of(row)


def top_up(
    tx: Tx,
    actor: Actor,
    bucket_id: int,
    terms: Terms,
    *,
    once: Once | None = None,
    operation: int | None = None,
) -> Movement:
    """Add a grant to a bucket; a frozen one is refused (`bucket_frozen`).

    `operation` is an id that was minted before the transaction began: should its commit get lost
    and the work run again, the grant is not made twice.
    """
    bucket = known_bucket(tx, bucket_id)
    checked_priority(terms.priority)
    command = grant_of(bucket_id, terms, actor.reason)
    fresh = ids.mint() if operation is None else operation
    outcome = command_once(tx, command, once=once, operation=fresh)
    done = movement_of(outcome)
    if isinstance(done, Shortage):
        raise BucketDenied(done.code, None)
    if done.operation == fresh:
        # A repeat has another operation's answer, and its change is in the log already.
        after = {"operation": ids.show("op", done.operation), "terms": terms}
        record(tx, actor, "bucket.granted", ids.show("bkt", bucket.id), after=after)
    return done


def consume(
    tx: Tx,
    actor: Actor,
    bucket_id: int,
    amount: int,
    *,
    metadata: str | None = None,
    once: Once | None = None,
    guards: Guards = (),
    operation: int | None = None,
) -> Movement | Shortage:
    """Take an amount from one bucket, all or nothing; `operation` as for `top_up`.

    `metadata` is JSON text for the journal. `guards` are what the caller knows of the subjects; if
    it is old, the transaction must run again (`TryAgain`).
    """
    bucket = known_bucket(tx, bucket_id)
    command = Use(
        sources=(Source(bucket_id),),
        amount=amount,
        actor=actor.id,
        product=bucket.product,
        meta=metadata,
    )
    outcome = command_once(tx, command, once=once, guards=guards, operation=operation)
    return movement_of(outcome)


def freeze_bucket(tx: Tx, actor: Actor, bucket_id: int) -> BucketView:
    """Stop movement on a bucket. Repeating changes nothing."""
    return _freeze(tx, actor, bucket_id, frozen=True)


def unfreeze_bucket(tx: Tx, actor: Actor, bucket_id: int) -> BucketView:
    """Allow movement again. Repeating changes nothing."""
    return _freeze(tx, actor, bucket_id, frozen=False)


def history(
    tx: Tx, bucket_id: int, *, before: int | None = None, limit: int = 100
) -> Page[HistoryEntry]:
    """Return what happened on a bucket, newest first; `next` is the `before` of the next page."""
    known_bucket(tx, bucket_id)
    rows, following = reading.history(
        _ledger, tx, bucket_id, before=before, limit=checked_limit(limit)
    )
    found = entries_of([
        HistoryEntry(
            operation=row.operation,
            at=row.at,
            kind=row.kind.name.lower(),
            by=row.change,
            available_after=row.available_after,
            actor=row.actor,
            product=row.product,
            metadata=row.meta,
        )
        for row in rows
    ])  # fmt: skip
    return Page(items=found, next=None if following is None else str(following))


def balance_at(tx: Tx, bucket_id: int, at: int) -> int:
    """Return what was available on a bucket at an instant, in microseconds."""
    known_bucket(tx, bucket_id)
    return reading.as_of(_ledger, tx, bucket_id, at)


def sources_of(tx: Tx, *, consumer: str, holders: Sequence[str]) -> tuple[BucketSource, ...]:
    """Return the buckets of holders in the order in which they are drawn, with the caps on them.

    That is the order of `holders`, then by priority, then by age; what counts overage comes after
    everything else, because it never runs out.
    """
    bucket, cap = store.bucket, store.cap
    capped = sa.and_(cap.c.bucket == bucket.c.id, cap.c.consumer == consumer)
    statement = (
        sa.select(
            bucket.c.id,
            bucket.c.product,
            bucket.c.holder,
            bucket.c.origin,
            bucket.c.overage,
            cap.c.cap_bucket,
        )
        .select_from(bucket.outerjoin(cap, capped))
        .where(bucket.c.holder.in_(holders))
        .order_by(bucket.c.priority, bucket.c.id)
    )
    found = [
        BucketSource(
            bucket=row.id,
            product=row.product,
            holder=row.holder,
            cap=row.cap_bucket,
            origin=row.origin,
            overage=bool(row.overage),
        )
        for row in tx.run(statement)
    ]
    # Sorting keeps the order of equals, which is that of the statement.
    return tuple(sorted(found, key=lambda source: (source.overage, holders.index(source.holder))))


def _freeze(tx: Tx, actor: Actor, bucket_id: int, *, frozen: bool) -> BucketView:
    before = read_bucket(tx, bucket_id)
    applied(command_once(tx, Freeze(bucket=bucket_id, frozen=frozen)))
    after = read_bucket(tx, bucket_id)
    if after.balance != before.balance:
        action = "bucket.frozen" if frozen else "bucket.unfrozen"
        shown = ids.show("bkt", bucket_id)
        record(tx, actor, action, shown, before=before.balance, after=after.balance)
    return after


def _view(tx: Tx, bucket: Bucket) -> BucketView:
    view = reading.bucket_view(_ledger, tx, bucket.id)
    balance = Balance(
        available=view.available,
        held=view.held,
        granted=view.granted,
        used=view.spent,
        credit_limit=view.credit_limit,
        frozen=view.frozen,
        fault=view.fault,
    )
    return BucketView(bucket=bucket, balance=balance)
