"""Buckets: what a consumer or a group draws on, as resources."""

from typing import Annotated, Final, Literal

import msgspec
from litestar import get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, field

from farebox.access.buckets import service
from farebox.access.buckets.model import (
    BucketRecordUnknown,
    BucketView,
    GrantClass,
    HistoryEntry,
    HolderKind,
    Terms,
)
from farebox.access.consumers.service import find_consumer
from farebox.access.consumers.service_groups import groups_of
from farebox.http.deps import Command, Desk
from farebox.http.roles import MOVES_VALUE
from farebox.http.wire import (
    Amount,
    Body,
    IdFilter,
    Label,
    Limit,
    NumberCursor,
    Page,
    Priority,
    Time,
    View,
    read_bucket_id,
    read_end,
    read_time,
    show_time,
)
from farebox.kernel import ids
from farebox.kernel.amounts import MAX_AMOUNT
from farebox.kernel.clock import parse_time
from farebox.storage import Tx

TAGS = ["Buckets"]
# What an operator does to a bucket says why, in words; what a consumer does carries metadata.
_REASONED: Final = frozenset({"grant", "void", "reverse", "move_out", "move_in"})
Holder = Annotated[str, Meta(max_length=128, pattern=r"^(con|grp)_[!-~]+$")]
Instant = Annotated[
    str | None, QueryParameter(format="date-time", description="Tell the balance of then, too")
]


class GrantTerms(Body, frozen=True):
    """Units of the product, when they may be used, and which are used first."""

    amount: Amount
    priority: Priority = 0
    class_: GrantClass = field(default="purchased", name="class")
    starts_at: Time | None = None
    expires_at: Time | None = None


class CreateBucket(Body, frozen=True):
    """`holder` is a consumer or a group; the balance may go down to minus `credit_limit`."""

    product: Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[!-~]+$")]
    holder: Holder
    priority: Priority = 0
    label: Label = ""
    grant: GrantTerms | None = None
    credit_limit: Annotated[int, Meta(ge=0, le=MAX_AMOUNT)] = 0


class BucketState(View, frozen=True):
    """A bucket with what is on it, in the product's smallest unit.

    `available` may be used now, the credit limit included; `held` is reserved. `granted` and `used`
    count from the beginning. A `fault` stops the bucket until an operator has looked.
    `available_then` is what was available at the instant that was asked for. `origin` is the
    subscription or entitlement that brought the bucket; on an `overage` one is counted what goes
    above a quota.
    """

    id: str
    product: str
    holder_kind: HolderKind
    holder: str
    priority: int
    label: str
    created_at: Time
    available: int
    held: int
    granted: int
    used: int
    credit_limit: int
    frozen: bool
    fault: bool
    empty: bool
    origin: str | None
    overage: bool
    available_then: int | None = None


class Emptiness(View, frozen=True):
    """Whether nothing may be used now."""

    bucket: str
    empty: bool
    available: int


class HistoryView(View, frozen=True):
    """One operation on a bucket; `by` is signed."""

    operation: str
    at: Time
    kind: str
    by: int
    available_after: int
    actor: str | None
    product: str | None
    metadata: dict[str, str | int | bool | None] | None
    reason: str | None


def number_of(bucket: str) -> int:
    """Return the ledger's id of a bucket that a path names."""
    return read_bucket_id(bucket, otherwise=BucketRecordUnknown())


def show_bucket(view: BucketView, *, then: int | None = None) -> BucketState:
    """Return a bucket as the API shows it."""
    record, balance = view.bucket, view.balance
    return BucketState(
        id=ids.show("bkt", record.id),
        product=record.product,
        holder_kind=record.holder_kind,
        holder=record.holder,
        priority=record.priority,
        label=record.label,
        created_at=show_time(record.created_at),
        available=balance.available,
        held=balance.held,
        granted=balance.granted,
        used=balance.used,
        credit_limit=balance.credit_limit,
        frozen=balance.frozen,
        fault=balance.fault,
        empty=balance.is_empty,
        origin=record.origin,
        overage=record.overage,
        available_then=then,
    )


def show_entry(entry: HistoryEntry) -> HistoryView:
    """Return an operation on a bucket as the API shows it."""
    reason = entry.metadata if entry.kind in _REASONED else None
    metadata = None
    if entry.metadata is not None and reason is None:
        metadata = msgspec.json.decode(entry.metadata, type=dict[str, str | int | bool | None])
    return HistoryView(
        operation=ids.show("op", entry.operation),
        at=show_time(entry.at),
        kind=entry.kind,
        by=entry.by,
        available_after=entry.available_after,
        actor=entry.actor,
        product=entry.product,
        metadata=metadata,
        reason=reason,
    )


def terms_of(grant: GrantTerms, *, now_us: int) -> Terms:
    """Return a grant's terms; refuses an end that has passed or does not follow the start."""
    starts_at = None if grant.starts_at is None else read_time(grant.starts_at)
    return Terms(
        amount=grant.amount,
        priority=grant.priority,
        class_=grant.class_,
        starts_at=starts_at,
        expires_at=read_end(grant.expires_at, now_us=now_us, starts_at=starts_at),
    )


def seen_holders(tx: Tx, desk: Desk) -> frozenset[str] | None:
    """Return whose buckets the caller may see: None for everybody's.

    Consumers see their own and their groups'; a device sees what it draws on, its owner's.
    """
    if desk.principal.kind == "operator":
        return None
    found = find_consumer(tx, desk.principal.id)
    draws_as = desk.principal.id if found is None else found.owner or found.id
    groups = (group.id for group in groups_of(tx, draws_as))
    return frozenset({desk.principal.id, draws_as, *groups})


def seen_bucket(tx: Tx, desk: Desk, bucket: str, *, own: bool = False) -> BucketView:
    """Return a bucket that the caller may see; with `own` a group's is only for operators."""
    view = service.read_bucket(tx, number_of(bucket))
    holders = seen_holders(tx, desk)
    if holders is None:
        return view
    if view.bucket.holder not in holders or (own and view.bucket.holder_kind == "group"):
        raise BucketRecordUnknown
    return view


@post("/v1/buckets", operation_id="createBucket", tags=TAGS, opt=MOVES_VALUE, sync_to_thread=True)
def create_bucket(data: JSONBody[CreateBucket], command: NamedDependency[Command]) -> BucketState:
    """Open a bucket of a product, with a first grant if one is given."""

    def work(tx: Tx) -> BucketState:
        kind: Literal["consumer", "group"] = (
            "consumer" if data.holder.startswith("con_") else "group"
        )
        made = service.create_bucket(
            tx,
            command.actor,
            product=data.product,
            holder_kind=kind,
            holder=data.holder,
            priority=data.priority,
            label=data.label,
            grant=None if data.grant is None else terms_of(data.grant, now_us=tx.now_us),
            credit_limit=data.credit_limit,
        )
        return show_bucket(service.read_bucket(tx, made.id))

    return command.answer(BucketState, work)


@get("/v1/buckets", operation_id="listBuckets", tags=TAGS, sync_to_thread=True)
def list_buckets(
    desk: NamedDependency[Desk],
    holder: IdFilter = None,
    product: IdFilter = None,
    limit: Limit = 100,
    cursor: NumberCursor = None,
) -> Page[BucketState]:
    """List buckets, oldest first. Consumers see their own, and name a group of theirs for its."""

    def work(tx: Tx) -> Page[BucketState]:
        holders = seen_holders(tx, desk)
        whose = holder if holder is not None or holders is None else desk.principal.id
        if holders is not None and whose not in holders:
            raise BucketRecordUnknown
        page = service.list_buckets(
            tx,
            holder=whose,
            product=product,
            after=None if cursor is None else int(cursor),
            limit=limit,
        )
        return Page(items=[show_bucket(view) for view in page.items], next=page.next)

    return desk.read(work)


@get("/v1/buckets/{bucket:str}", operation_id="readBucket", tags=TAGS, sync_to_thread=True)
def read_bucket(
    bucket: FromPath[str], desk: NamedDependency[Desk], at: Instant = None
) -> BucketState:
    """Read a bucket with its balance, also as of an instant."""
    instant = None if at is None else parse_time(at)

    def work(tx: Tx) -> BucketState:
        view = seen_bucket(tx, desk, bucket)
        then = None if instant is None else service.balance_at(tx, view.bucket.id, instant)
        return show_bucket(view, then=then)

    return desk.read(work)


@get("/v1/buckets/{bucket:str}/empty", operation_id="isBucketEmpty", tags=TAGS, sync_to_thread=True)
def is_bucket_empty(bucket: FromPath[str], desk: NamedDependency[Desk]) -> Emptiness:
    """Tell whether nothing may be used of a bucket now."""
    view = desk.read(lambda tx: seen_bucket(tx, desk, bucket))
    return Emptiness(bucket=bucket, empty=view.balance.is_empty, available=view.balance.available)


@get("/v1/buckets/{bucket:str}/history", operation_id="readHistory", tags=TAGS, sync_to_thread=True)
def read_history(
    bucket: FromPath[str],
    desk: NamedDependency[Desk],
    limit: Limit = 100,
    cursor: NumberCursor = None,
) -> Page[HistoryView]:
    """List what happened on a bucket, newest first; consumers see it of their own buckets."""

    def work(tx: Tx) -> Page[HistoryView]:
        view = seen_bucket(tx, desk, bucket, own=True)
        before = None if cursor is None else int(cursor)
        page = service.history(tx, view.bucket.id, before=before, limit=limit)
        return Page(items=[show_entry(entry) for entry in page.items], next=page.next)

    return desk.read(work)


HANDLERS = (create_bucket, list_buckets, read_bucket, is_bucket_empty, read_history)
