"""What moves a bucket: grants, uses, freezing, and the caps of members."""

import msgspec
from litestar import delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from farebox.access.buckets import service, service_caps
from farebox.access.buckets.model import MemberCap, Shortage
from farebox.http.deps import Command, Desk
from farebox.http.roles import MOVES_VALUE
from farebox.http.routes.buckets import (
    TAGS,
    BucketState,
    GrantTerms,
    number_of,
    show_bucket,
    terms_of,
)
from farebox.http.wire import Amount, Body, Metadata, Time, View, show_time
from farebox.kernel import ids
from farebox.storage import Tx


class Consume(Body, frozen=True):
    """Take so much, all or nothing."""

    quantity: Amount
    metadata: Metadata | None = None


class SetCap(Body, frozen=True):
    """How much the member may draw in all, what was drawn under the cap before included."""

    amount: Amount


class GrantResult(View, frozen=True):
    """What a top-up did: `available` is left after it."""

    operation: str
    bucket: str
    amount: int
    available: int
    at: Time


class ConsumeResult(View, frozen=True, omit_defaults=True):
    """Whether it was taken. A denial is an answer: `code` says why, `remaining` what is there."""

    allowed: bool
    code: str
    bucket: str
    remaining: int
    operation: str | None = None
    quantity: int | None = None
    at: Time | None = None


class CapView(View, frozen=True):
    """How much of a group's bucket one member may draw; `available` is what is left of it."""

    bucket: str
    consumer: str
    amount: int
    available: int


class Caps(View, frozen=True):
    """The caps on a bucket."""

    items: list[CapView]


def show_cap(cap: MemberCap) -> CapView:
    """Return a cap as the API shows it."""
    return CapView(
        bucket=ids.show("bkt", cap.bucket),
        consumer=cap.consumer,
        amount=cap.amount,
        available=cap.available,
    )


@post(
    "/v1/buckets/{bucket:str}/grants",
    operation_id="grantToBucket",
    tags=TAGS,
    opt=MOVES_VALUE,
    sync_to_thread=True,
)
def grant_to_bucket(
    bucket: FromPath[str], data: JSONBody[GrantTerms], command: NamedDependency[Command]
) -> GrantResult:
    """Top a bucket up by a grant."""
    number = number_of(bucket)

    def work(tx: Tx) -> GrantResult:
        made = service.top_up(tx, command.actor, number, terms_of(data, now_us=tx.now_us))
        return GrantResult(
            operation=ids.show("op", made.operation),
            bucket=bucket,
            amount=made.amount,
            available=made.available,
            at=show_time(made.at),
        )

    return command.answer(GrantResult, work)


@post(
    "/v1/buckets/{bucket:str}/consume",
    operation_id="consumeFromBucket",
    tags=TAGS,
    opt=MOVES_VALUE,
    status_code=200,
    sync_to_thread=True,
)
def consume_from_bucket(
    bucket: FromPath[str], data: JSONBody[Consume], command: NamedDependency[Command]
) -> ConsumeResult:
    """Take a quantity from one bucket, all or nothing."""
    number = number_of(bucket)
    metadata = None if data.metadata is None else msgspec.json.encode(data.metadata).decode()

    def work(tx: Tx) -> ConsumeResult:
        made = service.consume(tx, command.actor, number, data.quantity, metadata=metadata)
        if isinstance(made, Shortage):
            return ConsumeResult(
                allowed=False, code=made.code, bucket=bucket, remaining=made.available
            )
        return ConsumeResult(
            allowed=True,
            code="allowed",
            bucket=bucket,
            remaining=made.available,
            operation=ids.show("op", made.operation),
            quantity=made.amount,
            at=show_time(made.at),
        )

    return command.answer(ConsumeResult, work)


@post(
    "/v1/buckets/{bucket:str}/freeze",
    operation_id="freezeBucket",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def freeze_bucket(bucket: FromPath[str], command: NamedDependency[Command]) -> BucketState:
    """Stop movement on a bucket."""
    number = number_of(bucket)
    return command.answer(
        BucketState, lambda tx: show_bucket(service.freeze_bucket(tx, command.actor, number))
    )


@post(
    "/v1/buckets/{bucket:str}/unfreeze",
    operation_id="unfreezeBucket",
    tags=TAGS,
    status_code=200,
    sync_to_thread=True,
)
def unfreeze_bucket(bucket: FromPath[str], command: NamedDependency[Command]) -> BucketState:
    """Allow movement on a bucket again."""
    number = number_of(bucket)
    return command.answer(
        BucketState, lambda tx: show_bucket(service.unfreeze_bucket(tx, command.actor, number))
    )


@get("/v1/buckets/{bucket:str}/caps", operation_id="listCaps", tags=TAGS, sync_to_thread=True)
def list_caps(bucket: FromPath[str], desk: NamedDependency[Desk]) -> Caps:
    """List the caps on a group's bucket."""
    number = number_of(bucket)

    def work(tx: Tx) -> Caps:
        service.read_bucket(tx, number)
        return Caps(items=[show_cap(cap) for cap in service_caps.caps_of_bucket(tx, number)])

    return desk.read(work)


@put(
    "/v1/buckets/{bucket:str}/caps/{consumer:str}",
    operation_id="setCap",
    tags=TAGS,
    sync_to_thread=True,
)
def set_cap(
    bucket: FromPath[str],
    consumer: FromPath[str],
    data: JSONBody[SetCap],
    command: NamedDependency[Command],
) -> CapView:
    """Cap how much of a group's bucket a member may draw."""
    number = number_of(bucket)

    def work(tx: Tx) -> CapView:
        made = service_caps.set_cap(
            tx, command.actor, bucket_id=number, consumer=consumer, amount=data.amount
        )
        return show_cap(made)

    return command.answer(CapView, work)


@delete(
    "/v1/buckets/{bucket:str}/caps/{consumer:str}",
    operation_id="removeCap",
    tags=TAGS,
    sync_to_thread=True,
)
def remove_cap(
    bucket: FromPath[str], consumer: FromPath[str], command: NamedDependency[Command]
) -> None:
    """Let a member draw as much as there is."""
    number = number_of(bucket)
    command.write(
        lambda tx: service_caps.remove_cap(tx, command.actor, bucket_id=number, consumer=consumer)
    )


HANDLERS = (
    grant_to_bucket,
    consume_from_bucket,
    freeze_bucket,
    unfreeze_bucket,
    list_caps,
    set_cap,
    remove_cap,
)
